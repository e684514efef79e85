/* Futures made of futures. */
#ifndef COMBINATORS_H
#define COMBINATORS_H

#include "timer_future.h"

/* A future that can be given up. cancel: nobody is woken any more on its behalf, and its memory is the caller's again. What
 * it waited for stays for others. Called once at most, in thread context, and never when it was ready. */
struct cancellable {
    struct future *future;
    void (*cancel)(struct future *self);
};

enum which { NEITHER, FIRST, SECOND };

/* Waits for the first of two. */
struct select2 {
    struct future future; /* first: poll casts */
    struct cancellable first, second;
    enum which winner; /* NEITHER until it is ready */
};

void select2_init(struct select2 *s, struct cancellable first, struct cancellable second);

/* POLL_READY when one of the two is; `winner` says which. The other one is cancelled, and not polled any more. With both
 * ready the first one wins, and the second one is not even polled: so its news is not taken from whoever waits for it next.
 * While pending, both have been polled with this context. After POLL_READY it is POLL_PENDING, and polls nobody. */
poll_t select2_poll(struct future *self, struct context *cx);

/* Cancels both. For a select2 that is a part of another future. */
void select2_cancel(struct future *self);

/* Waits for both of two. */
struct join2 {
    struct future future; /* first: poll casts */
    struct cancellable first, second;
    bool first_done, second_done;
};

void join2_init(struct join2 *j, struct cancellable first, struct cancellable second);

/* POLL_READY when both have been, in whatever order. Both make progress meanwhile; one that was ready is not polled any
 * more. After POLL_READY it is POLL_PENDING, and polls nobody. */
poll_t join2_poll(struct future *self, struct context *cx);

/* Cancels those that were not ready. */
void join2_cancel(struct future *self);

/* Waits for a future, but not for ever. */
struct timeout {
    struct future future; /* first: poll casts */
    struct select2 select;
    struct timer_future timer;
    bool timed_out; /* when it is ready: whether the time was over first */
};

/* From now on `ms` milliseconds. */
void timeout_init(struct timeout *t, struct cancellable what, uint32_t ms);

/* POLL_READY when the future is, or the time is over; the future wins if both are. What has lost is cancelled. */
poll_t timeout_poll(struct future *self, struct context *cx);

/* Cancels both. */
void timeout_cancel(struct future *self);

#endif
