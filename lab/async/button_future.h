/* Waiting for a press of a button. */
#ifndef BUTTON_FUTURE_H
#define BUTTON_FUTURE_H

#include "button.h"
#include "future.h"

/* What counts as a press:
 *   - a falling edge of the pin. The level does not count: a button that is down at init is no press.
 *   - after the first init of that button; an edge that the pin remembers from before is none.
 *   - once. Edges that come before the handler has acknowledged the previous one merge with it. Every
 *     acknowledged edge becomes one POLL_READY: none is dropped, none is reported twice.
 *   - also when nobody waits. One press between two futures is kept, by the pin or by the handler, and is what
 *     the next future of that button gets; more than one in that time merge.
 * Bounces are edges, and count. */

/* One future at a time for a button. Its memory is the caller's, from init until the last poll. */
struct button_future {
    struct future future; /* first: poll casts */
    enum button button;
};

/* Makes `f` wait for the next press of `b`, and arms the pin: its interrupt fires once, and not again until the
 * next init. Sets up pin and interrupt when called for the first time for `b`; must be called again after
 * POLL_READY, and may be called at any other time (an abandoned future loses no press).
 * Thread context. Keeps interrupts masked for 100 instructions at a time at most, and leaves PRIMASK as found. */
void button_future_init(struct button_future *f, enum button b);

/* POLL_READY once for a press. `self` is the member `future` of a struct button_future that was initialised.
 * After POLL_READY it is POLL_PENDING until the next init. Thread context. */
poll_t button_future_poll(struct future *self, struct context *cx);

#endif
