/* A wait queue that is shared with an interrupt, and must not be. You break it. Given. */
#ifndef PLAIN_QUEUE_H
#define PLAIN_QUEUE_H

#include "waker.h"

struct plain_queue {
    struct waker waker;
};

void plain_queue_register(struct plain_queue *q, const struct waker *w);
void plain_queue_wake(struct plain_queue *q);

#endif
