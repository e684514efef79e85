#include "flag_task.h"

/* Any context. The task runs later, in thread context: it may be in the middle of something now. */
static void flag_task_wake(void *data)
{
    struct flag_task *t = data;
    atomic_store_explicit(&t->woken, true, memory_order_release);
}

static const struct waker_vtable flag_task_vtable = {.wake = flag_task_wake};

void flag_task_start(struct flag_task *t, struct future *f)
{
    t->future = f;
    atomic_store_explicit(&t->woken, true, memory_order_relaxed);
}

struct waker flag_task_waker(struct flag_task *t)
{
    return (struct waker){.vtable = &flag_task_vtable, .data = t};
}

bool flag_task_run(struct flag_task *t)
{
    /* Cleared before the poll: afterwards it would erase a wake that came during the poll, and nobody would look at
     * what it was about. In one step, though a store would do: a wake in between came before the poll. */
    if (!atomic_exchange_explicit(&t->woken, false, memory_order_acquire) || t->future == NULL) {
        return false;
    }

    /* This one goes when the poll has returned. Who wants to wake later has made a copy. */
    const struct waker waker = flag_task_waker(t);
    struct context cx = {.waker = &waker};
    if (future_poll(t->future, &cx) == POLL_READY) {
        t->future = NULL;
    }
    return true;
}
