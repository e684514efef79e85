/* A waker says "run that task again" without knowing what a task is. */
#ifndef WAKER_H
#define WAKER_H

#include <stdbool.h>
#include <stddef.h>

struct waker_vtable {
    /* Marks the task behind `data` as ready, and does not run it. Called in any context: thread or ISR of any
     * priority, also several times for one event, also after the task has finished. */
    void (*wake)(void *data);
};

/* A value, to be copied: whoever keeps a waker keeps a copy, never the address of one that came with a
 * struct context. Neither `*vtable` nor what `data` refers to may go away while a copy exists.
 * All zero is the empty waker, which wakes nobody. */
struct waker {
    const struct waker_vtable *vtable;
    void *data;
};

static inline bool waker_is_empty(const struct waker *w)
{
    return w->vtable == NULL;
}

/* Calls the vtable's wake; does nothing for the empty waker. The waker may be used again: it is the queue
 * which it was taken from that forgets it. Any context. */
void waker_wake(const struct waker *w);

/* Whether both would wake the same task: same vtable and same data. Two empty wakers are the same. True says
 * that one may stand for the other; false may be an error on the safe side. Any context. */
bool waker_will_wake(const struct waker *a, const struct waker *b);

#endif
