/* A future that is ready when some time has passed. */
#ifndef TIMER_FUTURE_H
#define TIMER_FUTURE_H

#include "clock.h"
#include "future.h"

/* Any number at a time. The memory is the caller's, from init until the timer was ready or cancelled; in between the
 * interrupt uses it. */
struct timer_future {
    struct future future; /* first: poll casts */
    uint32_t deadline;    /* of clock_ms(), which wraps */
    struct waker waker;   /* the rest is for the solution to use as it likes */
    struct timer_future *next;
};

/* Makes `f` wait until `ms` milliseconds from now, 0 to 2^31 - 1. It is no timer that still waits. Thread context. */
void timer_future_init(struct timer_future *f, uint32_t ms);

/* POLL_READY from the deadline on, also if that is past already. Else the waker of the latest poll is woken by the tick
 * of the deadline, once, and not before. After POLL_READY nothing more happens. Thread context. */
poll_t timer_future_poll(struct future *self, struct context *cx);

/* Nobody is woken any more, and the memory is the caller's again. May be called at any time after init, also when the
 * timer was ready, and twice. Thread context. */
void timer_future_cancel(struct timer_future *f);

/* Each of them keeps interrupts masked for 30 instructions and 10 for each timer at most, and leaves PRIMASK as found.
 *
 * The tick, once in a millisecond: counts it (clock_tick()), and wakes who is due. ISR context. */
void SysTick_Handler(void);

#endif
