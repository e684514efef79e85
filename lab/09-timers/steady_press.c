/* A press that does not bounce any more. The rules are in steady_press.h. */

#include "steady_press.h"

#include "todo.h"

void steady_press_init(struct steady_press *f, enum button b, uint32_t ms)
{
    f->future.poll = steady_press_poll;
    f->button = b;
    f->quiet_ms = ms;

    /* Which of the two futures that it is made of begins? */
    TODO(5);
}

poll_t steady_press_poll(struct future *self, struct context *cx)
{
    (void)self;
    (void)cx;

    /* Two futures, and whichever has news takes this one on.
     *   - A press comes: what about the time that runs already?
     *   - The time is over: is the button down? button_pins[] (button.h) says where it is connected.
     *   - It is ready: what must not go on waiting? */
    TODO(6);

    return POLL_PENDING;
}
