/* An async function:
 *
 *     async adder(from)
 *         first  = await receive(from)
 *         await timer(10 ms)
 *         second = await receive(from)
 *         return first + second
 */
#ifndef ADDER_H
#define ADDER_H

#include "channel.h"
#include "timer_future.h"

/* What of it lives across an await, and where it stands. There may be several at a time. */
struct adder {
    struct future future; /* first: poll casts */
    int stands_at;        /* yours, of async.h; 0 at the beginning */
    struct channel *from;
    struct receive receive;
    struct timer_future pause;
    uint32_t first;
    uint32_t sum; /* when it is ready */
};

void adder_init(struct adder *a, struct channel *from);

/* POLL_READY when it has come to its end. Each poll takes it as far as it gets without waiting. After POLL_READY it is
 * POLL_PENDING until the next init, and does nothing. Thread context. */
poll_t adder_poll(struct future *self, struct context *cx);

#endif
