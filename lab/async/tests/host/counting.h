/* Tasks that count how often they are woken. */
#ifndef COUNTING_H
#define COUNTING_H

#include "waker.h"

struct counting {
    int woken;
    void (*then)(struct counting *self); /* what the woken one does at once, or NULL */
};

static inline void counting_wake(void *data)
{
    struct counting *task = data;
    task->woken++;
    if (task->then != NULL) {
        task->then(task);
    }
}

static const struct waker_vtable counting_vtable = {.wake = counting_wake};

static inline struct waker counting_waker(struct counting *task)
{
    return (struct waker){.vtable = &counting_vtable, .data = task};
}

#endif
