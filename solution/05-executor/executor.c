/* The ready tasks are a linked list that any context adds to and only executor_run() takes from.
 *
 *            wake (1)                  executor (2)                  executor (3)
 *   idle ───────────────► queued, in list ───────────► queued, in batch ───────────► polled
 *    ▲                                                                                 │
 *    └──────────────────────────────── idle, or queued again by (1) ◄──────────────────┘
 *
 * (1) who turns `queued` from false to true puts the task in front of the list, and nobody else does
 * (2) takes the whole list at once. So no node is ever removed from the middle, and the compare-exchange of a
 *     push cannot mistake a list that came back for one that stayed (the ABA problem)
 * (3) clears `queued`, then polls
 * The order is fair: tasks run in the order in which they were woken, and one that wakes itself while it is polled
 * goes to the next batch. */

#include "executor.h"

#include "interrupts.h"
#include "sleep.h"

/* Any context. */
static void task_wake(void *data)
{
    struct task *t = data;

    /* Exchange, not load and store: two wakers that both read false would link the task twice, and make the
     * list a circle. Release: what the waker did before is seen by the poll, even if this wake finds the task
     * queued already and leaves the rest to the earlier one. */
    if (atomic_exchange_explicit(&t->queued, true, memory_order_acq_rel)) {
        return;
    }

    /* An interrupt between reading the head and replacing it may push, too; storing without comparing would
     * drop its task. */
    struct task *head = atomic_load_explicit(&t->executor->ready, memory_order_relaxed);
    do {
        t->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&t->executor->ready, &head, t, memory_order_release,
                                                    memory_order_relaxed));
}

static const struct waker_vtable task_waker_vtable = {.wake = task_wake};

void executor_spawn(struct executor *ex, struct task *t, struct future *f)
{
    t->executor = ex;
    t->future = f;
    task_wake(t);
}

static void poll_task(struct task *t)
{
    /* Read before `queued` is cleared: a wake may change it from then on. Cleared before the poll: clearing
     * after it would erase a wake that came while the task was being polled. */
    atomic_exchange_explicit(&t->queued, false, memory_order_acq_rel);

    if (t->future == NULL) {
        return; /* woken late, by somebody who did not know that it had finished */
    }

    const struct waker waker = {.vtable = &task_waker_vtable, .data = t};
    struct context cx = {.waker = &waker};
    if (future_poll(t->future, &cx) == POLL_READY) {
        t->future = NULL;
    }
}

/* The list has the task that was woken last in front. */
static struct task *reverse(struct task *list)
{
    struct task *reversed = NULL;
    while (list != NULL) {
        struct task *next = list->next;
        list->next = reversed;
        reversed = list;
        list = next;
    }
    return reversed;
}

static void sleep_if_idle(struct executor *ex)
{
    /* Masked from this check to the WFI: an interrupt in between would fill the list, and the core would sleep on
     * it. Now it stays pending, ends the WFI, and is served when the mask goes. */
    const uint32_t before = interrupts_mask();
    if (atomic_load_explicit(&ex->ready, memory_order_relaxed) == NULL) {
        sleep_until_pending();
    }
    interrupts_restore(before);
}

_Noreturn void executor_run(struct executor *ex)
{
    for (;;) {
        struct task *batch = reverse(atomic_exchange_explicit(&ex->ready, NULL, memory_order_acquire));
        if (batch == NULL) {
            sleep_if_idle(ex);
        }
        while (batch != NULL) {
            struct task *t = batch;
            batch = t->next;
            poll_task(t);
        }
    }
}
