/* A future that is ready when a button was pressed. The rules are in button_future.h. */

#include "button_future.h"

#include "atomic_waker.h"
#include "interrupts.h"
#include "todo.h"

/* What do the future and the handler have to share, and how many of it are there: one for each future, or one for each
 * button? Who writes it, who reads it, and can one come in the middle of the other? */

void button_future_init(struct button_future *f, enum button b)
{
    f->future.poll = button_future_poll;
    f->button = b;

    /* Set up the hardware so that the interrupt fires once.
     *   - button_setup() does the electrical part. Which registers of the port choose the edge (lm3s6965.h)?
     *   - Between the pin and a handler there are two switches. Where?
     *   - What if the pin has seen an edge before you asked for one?
     *   - This is called again for each press. Which of it may happen every time, and which only the first time?
     *   - Is a register that you change here changed elsewhere, too? */
    TODO(1);
}

poll_t button_future_poll(struct future *self, struct context *cx)
{
    (void)self;
    (void)cx;

    /* Every time you are polled: has it happened? Being polled does not mean so. Who would know? */
    TODO(2);

    /* If it has, the future is ready. What must be true afterwards, so that one press is reported once? */
    TODO(3);

    /* If it has not, it is pending. Nobody waits in here. */
    TODO(4);

    /* And how to get notified? Whom does the handler tell, and from where does it know? Find the worst moment for the
     * button to be pressed, and look at the order of your steps again. */
    TODO(5);

    return POLL_PENDING;
}

/* The handler is missing. By which name does the vector table find it (startup.c)? In which order does it
 *   - make the request go away,
 *   - see to it that the interrupt fires once,
 *   - let the future know,
 *   - have the task polled?
 * Which of these would lose a press if it came later? It belongs to step 5. */
