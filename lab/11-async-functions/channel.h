/* From an interrupt to a task: numbers, in order. */
#ifndef CHANNEL_H
#define CHANNEL_H

#include "atomic_waker.h"
#include "future.h"

#include <stdint.h>

enum { CHANNEL_SIZE = 4 };

/* All zero: empty. The members are for the solution to use as it likes. One sends and one receives: that is why no lock is
 * needed, as long as each counter has one writer. */
struct channel {
    struct atomic_waker receiver;
    uint32_t items[CHANNEL_SIZE];
    atomic_uint sent;
    atomic_uint received;
};

/* Puts `item` behind those that are there, and wakes who waits for it. False if the channel is full, with CHANNEL_SIZE
 * items; then nothing changes. Never waits. One sender: an interrupt, or a task. */
bool channel_send(struct channel *c, uint32_t item);

/* Waits for an item. */
struct receive {
    struct future future; /* first: poll casts */
    struct channel *from;
    uint32_t item; /* when it is ready */
    bool done;
};

void receive_init(struct receive *r, struct channel *from);

/* POLL_READY with the oldest item, which is taken. After POLL_READY it is POLL_PENDING until the next init, and takes nothing.
 * One receiver. Thread context. */
poll_t receive_poll(struct future *self, struct context *cx);

#endif
