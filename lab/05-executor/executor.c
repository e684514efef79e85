/* From a loop that asks everybody all the time to one that asks who was woken, and sleeps. The rules are in executor.h.
 *
 * As it stands it is such a loop: press a button, and it works, at 100 % of the processor. */

#include "executor.h"

#include "interrupts.h"
#include "sleep.h"
#include "todo.h"

enum { MAX_TASKS = 8 };

static struct task *tasks[MAX_TASKS];
static unsigned task_count;

/* Wakes nobody. */
static void wake_nobody(void *data)
{
    (void)data;

    /* What does a wake have to leave, so that executor_run() polls this task, and no other? It may come from an
     * interrupt: between any two instructions of executor_run(), and of a wake by the task. struct task and struct
     * executor (executor.h) have members for a list; a flag in each task will do, too. */
    TODO(1);
}

static const struct waker_vtable vtable = {.wake = wake_nobody};

void executor_spawn(struct executor *ex, struct task *t, struct future *f)
{
    t->executor = ex;
    t->future = f;
    for (unsigned each = 0; each < task_count; each++) {
        if (tasks[each] == t) {
            return;
        }
    }
    tasks[task_count++] = t;

    /* How does it come to its first poll? */
    TODO(2);
}

_Noreturn void executor_run(struct executor *ex)
{
    for (;;) {
        (void)ex;
        for (unsigned each = 0; each < task_count; each++) {
            struct task *t = tasks[each];
            if (t->future == NULL) {
                continue;
            }

            /* Was it woken? When is that forgotten, before the poll or after it? */
            TODO(3);

            const struct waker waker = {.vtable = &vtable, .data = t};
            struct context cx = {.waker = &waker};
            if (future_poll(t->future, &cx) == POLL_READY) {
                t->future = NULL;
            }
        }

        /* With nobody woken: sleep_until_pending() (sleep.h). Between the look and the sleep an interrupt may come, and
         * wake a task: what then? And who masks has to restore. */
        TODO(4);
    }
}
