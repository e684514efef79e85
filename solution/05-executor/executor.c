/* The ready tasks are a linked list that any context adds to and only executor_run() takes from.
 *
 *          (1) wake                  (2) take                     (3) poll
 *   idle ────────────► queued, listed ────────► queued, in a batch ────────► idle
 *
 * (1) who turns `queued` from 0 to 1 puts the task in front of the list, and nobody else does
 * (2) takes the whole list at once. No task is ever unlinked from the middle, and the compare-exchange of a push
 *     cannot take a list that changed and came back for one that stayed (the ABA problem)
 * (3) clears `queued`, and only then polls: from here on (1) may happen again, and is for the next batch
 *
 * A batch has every task once, so none starves another.
 *
 * The atomics are relaxed, and atomic_signal_fence() keeps the compiler from reordering around them. That is enough
 * where "the other thread" is an interrupt of the same core: the core sees its own stores in order. (On two cores it
 * would not be; nor would masking interrupts before the sleep.) */

#include "executor.h"

#include "interrupts.h"
#include "sleep.h"

/* Any context. */
static void task_wake(void *data)
{
    struct task *t = data;

    /* What the waker has stored is there before the task can be seen as queued: if it was queued already, its next
     * poll is the only one that will look. */
    atomic_signal_fence(memory_order_release);

    /* Exchange, not load and store: two wakers that both read 0 would link the task twice, and make a circle of the
     * list. */
    if (atomic_exchange_explicit(&t->queued, 1, memory_order_relaxed) != 0) {
        return;
    }

    /* Compare: an interrupt between the load of the head and its store may push, too, and its task would be lost. */
    struct executor *ex = t->executor;
    struct task *head = atomic_load_explicit(&ex->ready, memory_order_relaxed);
    do {
        t->next = head;
        atomic_signal_fence(memory_order_release); /* the link, before anybody can follow it */
    } while (!atomic_compare_exchange_weak_explicit(&ex->ready, &head, t, memory_order_relaxed,
                                                    memory_order_relaxed));
}

static const struct waker_vtable task_waker_vtable = {.wake = task_wake};

void executor_spawn(struct executor *ex, struct task *t, struct future *f)
{
    t->executor = ex;
    t->future = f;
    task_wake(t);
}

/* Takes `t` out of the batch, polls it, and returns the rest. */
static struct task *poll_first(struct task *t)
{
    /* Read before `queued` is cleared: a wake may write it from then on. */
    struct task *rest = t->next;
    atomic_signal_fence(memory_order_seq_cst);

    /* Before the poll: clearing it afterwards would erase a wake that came during the poll. A plain store will do,
     * for a wake that it overwrites came before the poll, which sees what the wake is about. */
    atomic_store_explicit(&t->queued, 0, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);

    /* NULL: woken by somebody who did not know that it had finished. */
    if (t->future != NULL) {
        const struct waker waker = {.vtable = &task_waker_vtable, .data = t};
        struct context cx = {.waker = &waker};
        if (future_poll(t->future, &cx) == POLL_READY) {
            t->future = NULL;
        }
    }
    return rest;
}

static void sleep_if_idle(struct executor *ex)
{
    /* Masked from this check to the WFI: an interrupt in between would fill the list, and the core would sleep on
     * it. Masked, it stays pending, ends the WFI, and is served when the mask goes. */
    const uint32_t before = interrupts_mask();
    if (atomic_load_explicit(&ex->ready, memory_order_relaxed) == NULL) {
        sleep_until_pending();
    }
    interrupts_restore(before);
}

_Noreturn void executor_run(struct executor *ex)
{
    for (;;) {
        struct task *batch = atomic_exchange_explicit(&ex->ready, NULL, memory_order_relaxed);
        atomic_signal_fence(memory_order_acquire); /* the links, after the list that they belong to */
        if (batch == NULL) {
            sleep_if_idle(ex);
            continue;
        }
        do {
            batch = poll_first(batch);
        } while (batch != NULL);
    }
}
