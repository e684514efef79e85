/* An executor that runs in an interrupt: its tasks preempt those of the executor in thread context.
 *
 * The interrupt is one that no peripheral uses. It is made pending by software, whenever a task is woken.
 *
 * Every interrupt that wakes its tasks has to be more urgent than it, or in thread context: a waker that the executor cannot
 * preempt, and that cannot preempt it, is safe, too; but one that is *less* urgent would be interrupted by the poll that it has
 * just asked for, in the middle of its own work. */
#ifndef INTERRUPT_EXECUTOR_H
#define INTERRUPT_EXECUTOR_H

#include "future.h"
#include "interrupts.h"

#include <stdatomic.h>

struct interrupt_executor;

/* All zero before the first spawn; the members are the executor's. */
struct urgent_task {
    struct future *future; /* NULL: finished, or never spawned */
    struct interrupt_executor *executor;
    struct urgent_task *next;
    atomic_uint queued;
};

struct interrupt_executor {
    _Atomic(struct urgent_task *) ready;
    enum irq irq;
};

/* Sets up the interrupt `irq` with a priority from 0, the most urgent, to 7. Its handler, which calls
 * interrupt_executor_run(), is the program's. Other interrupts are left alone. Thread context, before the first spawn. */
void interrupt_executor_start(struct interrupt_executor *ex, enum irq irq, unsigned priority);

/* Makes `f` a task, and has it polled by the interrupt. Any context. */
void interrupt_executor_spawn(struct interrupt_executor *ex, struct urgent_task *t, struct future *f);

/* Polls each woken task once, and returns; a wake that comes meanwhile makes the interrupt pending again. A task that has
 * returned POLL_READY is not polled again. ISR context, that of `irq`. */
void interrupt_executor_run(struct interrupt_executor *ex);

#endif
