/* A future that is ready when the button was pressed twice. The rules are in two_presses.h. */

#include "two_presses.h"

#include "todo.h"

void two_presses_init(struct two_presses *f)
{
    f->future.poll = two_presses_poll;

    /* What does a future that starts anew know? It may have been used before. */
    TODO(1);
}

poll_t two_presses_poll(struct future *self, struct context *cx)
{
    (void)self; /* the member `future` of a struct two_presses: how do you get to the rest? */
    (void)cx;   /* nobody has to be told yet; that is lab 04 */

    /* A future is a state machine: each poll takes it on, as far as it gets without waiting.
     *   - Where does it remember how far it got? A local variable is gone when poll returns; a static one is shared by
     *     all futures of this kind.
     *   - How many presses may one poll take, and how many if it was READY before? */
    TODO(2);

    /* And what does it answer? */
    TODO(3);

    return POLL_PENDING;
}
