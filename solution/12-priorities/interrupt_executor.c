#include "interrupt_executor.h"

enum { PRIORITY_BITS = 3 }; /* the chip keeps the top ones of eight */

/* Any context. As in lab 05; and where the executor there finds the list when it looks next, this one has to be called. */
static void urgent_task_wake(void *data)
{
    struct urgent_task *t = data;

    if (atomic_exchange_explicit(&t->queued, 1, memory_order_acq_rel) == 0) {
        struct interrupt_executor *ex = t->executor;
        struct urgent_task *head = atomic_load_explicit(&ex->ready, memory_order_relaxed);
        do {
            t->next = head;
        } while (!atomic_compare_exchange_weak_explicit(&ex->ready, &head, t, memory_order_release,
                                                        memory_order_relaxed));

        /* After the push: before it, the interrupt could come at once, find nothing, and never come again. While it runs
         * it becomes pending once more, and is called again when it has returned. */
        NVIC->ISPR[(uint32_t)ex->irq / 32u] = 1u << ((uint32_t)ex->irq % 32u);
    }
}

static const struct waker_vtable urgent_task_vtable = {.wake = urgent_task_wake};

void interrupt_executor_start(struct interrupt_executor *ex, enum irq irq, unsigned priority)
{
    ex->irq = irq;
    NVIC->IPR[irq] = (uint8_t)(priority << (8 - PRIORITY_BITS));
    nvic_enable(irq);
}

void interrupt_executor_spawn(struct interrupt_executor *ex, struct urgent_task *t, struct future *f)
{
    t->executor = ex;
    t->future = f;
    urgent_task_wake(t);
}

/* Takes `t` out of the batch, polls it, and returns the rest. */
static struct urgent_task *poll_first(struct urgent_task *t)
{
    struct urgent_task *rest = t->next; /* a wake may write it as soon as `queued` is 0 */
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&t->queued, 0, memory_order_relaxed); /* before the poll: a wake during it counts */
    atomic_signal_fence(memory_order_seq_cst);

    if (t->future != NULL) {
        const struct waker waker = {.vtable = &urgent_task_vtable, .data = t};
        struct context cx = {.waker = &waker};
        if (future_poll(t->future, &cx) == POLL_READY) {
            t->future = NULL;
        }
    }
    return rest;
}

void interrupt_executor_run(struct interrupt_executor *ex)
{
    struct urgent_task *batch = atomic_exchange_explicit(&ex->ready, NULL, memory_order_acquire);

    while (batch != NULL) {
        batch = poll_first(batch);
    }
}
