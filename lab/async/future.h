/* Something that will be there later. */
#ifndef FUTURE_H
#define FUTURE_H

#include "poll.h"
#include "waker.h"

/* What a future is told about who polls it: "this task". Valid during that poll only; copy the waker. */
struct context {
    const struct waker *waker;
};

/* Put one as the *first* member into a struct of your own, which `poll` gets back by a cast of `self`.
 *
 * poll: looks whether it is done and returns at once; it never waits. Thread context, interrupts enabled.
 * It may be called for no reason (a spurious wake-up): being polled says nothing about having been woken.
 * A poll that returns POLL_PENDING has seen to it that cx->waker is called when there is news: the waker of
 * this poll, since an earlier one may be another task's, and waking uses it up.
 * Polling after POLL_READY is an error of the caller; each future says what it does then. */
struct future {
    poll_t (*poll)(struct future *self, struct context *cx);
};

/* Polls `f`. The one way in which executors and tasks poll, so that it can be watched. Thread context. */
poll_t future_poll(struct future *f, struct context *cx);

#endif
