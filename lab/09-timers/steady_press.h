/* A press of a button that bounces: its contact opens and closes some times before it is closed. */
#ifndef STEADY_PRESS_H
#define STEADY_PRESS_H

#include "button_future.h"
#include "timer_future.h"

struct steady_press {
    struct future future; /* first: poll casts */
    enum button button;
    uint32_t quiet_ms;
    struct button_future press;
    struct timer_future quiet;
    bool waits_for_quiet; /* this and the next are for the solution to use as it likes */
    bool done;
};

/* Makes `f` wait for a press of `b` that has been quiet for `ms` milliseconds. Thread context. */
void steady_press_init(struct steady_press *f, enum button b, uint32_t ms);

/* POLL_READY once, when `ms` milliseconds have passed since the last press (a falling edge), and the button is down then.
 * A press that comes before starts the time anew. If the button is up at the end, it was none, and the future
 * waits for the next one. After POLL_READY it is POLL_PENDING until the next init. Thread context. */
poll_t steady_press_poll(struct future *self, struct context *cx);

#endif
