/* Runs tasks in thread context: polls those that are ready, sleeps when none is.
 *
 * An executor must run at a lower priority than every interrupt that wakes its tasks. In thread context that
 * is always so. */
#ifndef EXECUTOR_H
#define EXECUTOR_H

#include "future.h"

#include <stdatomic.h>

struct executor;

/* A future that nobody awaits but the executor. The memory is the caller's, for as long as the program runs:
 * wakers refer to it. All zero before the first spawn (a static one is); the members are the executor's. */
struct task {
    struct future *future;      /* NULL: finished, or never spawned */
    struct executor *executor;
    struct task *next;          /* in the list of ready tasks */
    atomic_uint queued;         /* 1: is in that list, and need not be put there */
};

/* All zero at the start (a static one is). The member is the executor's. */
struct executor {
    _Atomic(struct task *) ready;
};

/* Makes `f` a task and has it polled for the first time. `t` is not one at present: never spawned, or its
 * future has returned POLL_READY. Thread context: main() before executor_run(), or a task. */
void executor_spawn(struct executor *ex, struct task *t, struct future *f);

/* Polls each task once after it was spawned, and once more after it was woken, however many times it was
 * woken in between; a wake that comes while the task is being polled counts for the next poll. No task starves
 * another, even one that wakes itself in every poll. A task that has returned POLL_READY is not polled again.
 * With no task ready it sleeps. Never returns. Thread context, interrupts enabled. */
_Noreturn void executor_run(struct executor *ex);

#endif
