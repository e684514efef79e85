#include "plain_queue.h"

void plain_queue_register(struct plain_queue *q, const struct waker *w)
{
    const struct waker_vtable *vtable = w->vtable;
    void *data = w->data;

    q->waker.vtable = vtable;
    __asm__ volatile("" ::: "memory"); /* the compiler keeps the order of the two lines */
    q->waker.data = data;
}

void plain_queue_wake(struct plain_queue *q)
{
    const struct waker taken = q->waker;

    q->waker = (struct waker){0};
    waker_wake(&taken);
}
