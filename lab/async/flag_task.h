/* The smallest task: a future, and a flag that says that it is worth asking it. */
#ifndef FLAG_TASK_H
#define FLAG_TASK_H

#include "future.h"

#include <stdatomic.h>
#include <stdbool.h>

/* The memory is the caller's, for as long as the program runs: wakers refer to it. */
struct flag_task {
    struct future *future; /* NULL: finished */
    atomic_bool woken;     /* since the last poll began */
};

/* Has `t` run `f`, and polled for the first time by the next flag_task_run(). Thread context. */
void flag_task_start(struct flag_task *t, struct future *f);

/* The waker of `t`: to wake it notes that, and does nothing else. It may be copied, and used in any context, by several,
 * also after `t` has finished. */
struct waker flag_task_waker(struct flag_task *t);

/* Polls the future of `t` once, with a context that says whose poll it is, if `t` was woken since its last poll began;
 * and a wake that comes during that poll counts for the next run. After POLL_READY it is not polled again.
 * Returns whether it polled. Thread context. */
bool flag_task_run(struct flag_task *t);

#endif
