#include "steady_press.h"

static bool is_down(enum button b)
{
    const struct button_pin *pin = &button_pins[b];
    return pin->port->DATA[pin->mask] == 0;
}

void steady_press_init(struct steady_press *f, enum button b, uint32_t ms)
{
    f->future.poll = steady_press_poll;
    f->button = b;
    f->quiet_ms = ms;
    f->waits_for_quiet = false;
    f->done = false;
    button_future_init(&f->press, b);
}

poll_t steady_press_poll(struct future *self, struct context *cx)
{
    struct steady_press *f = (struct steady_press *)self;

    if (f->done) {
        return POLL_PENDING;
    }

    /* The button first: a press that came with the end of the time starts it anew. */
    while (future_poll(&f->press.future, cx) == POLL_READY) {
        button_future_init(&f->press, f->button);
        if (f->waits_for_quiet) {
            timer_future_cancel(&f->quiet); /* it is in the list of those that wait, and must not be initialised there */
        }
        timer_future_init(&f->quiet, f->quiet_ms);
        f->waits_for_quiet = true;
    }

    if (!f->waits_for_quiet || future_poll(&f->quiet.future, cx) == POLL_PENDING) {
        return POLL_PENDING;
    }
    f->waits_for_quiet = false;

    /* Let go before the contact was steady. The press future is registered for the next one. */
    f->done = is_down(f->button);
    return f->done ? POLL_READY : POLL_PENDING;
}
