#include "two_presses.h"

enum { WANTED = 2 };

void two_presses_init(struct two_presses *f)
{
    f->future.poll = two_presses_poll;
    f->taken = 0;
}

poll_t two_presses_poll(struct future *self, struct context *cx)
{
    struct two_presses *f = (struct two_presses *)self;
    (void)cx;

    /* Done before: nothing is taken from whoever waits for the next ones. */
    if (f->taken == WANTED) {
        return POLL_PENDING;
    }

    /* As far as it gets: a second press that is there already may be the last news for a long time. */
    while (f->taken < WANTED && press_take()) {
        f->taken++;
    }
    return f->taken == WANTED ? POLL_READY : POLL_PENDING;
}
