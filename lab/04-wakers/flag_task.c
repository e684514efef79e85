/* The smallest task. The rules are in flag_task.h. */

#include "flag_task.h"

#include "todo.h"

/* What does a wake do, if it may come from an interrupt, in the middle of anything? Write the function, and a vtable
 * (waker.h) that leads to it. How does it know which task is meant? */

void flag_task_start(struct flag_task *t, struct future *f)
{
    t->future = f;

    /* It has to be polled once, or it would never register anywhere. */
    TODO(3);
}

struct waker flag_task_waker(struct flag_task *t)
{
    (void)t;

    /* The function, and what it is called with. */
    TODO(4);

    return (struct waker){0};
}

bool flag_task_run(struct flag_task *t)
{
    (void)t;

    /* Ask the future if, and only if, it is worth it.
     *   - It asks for a context: this task's. How long does the waker in it have to live?
     *   - The wake may come at any time, also during the poll. When is the flag cleared?
     *   - What if the future is done? */
    TODO(5);

    return false;
}
