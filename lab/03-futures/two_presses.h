/* A future that is ready when the button was pressed twice. */
#ifndef TWO_PRESSES_H
#define TWO_PRESSES_H

#include "future.h"

#include <stdbool.h>

/* Its memory is the caller's, from init until the last poll. There may be several at a time. */
struct two_presses {
    struct future future; /* first: poll casts */
    unsigned taken;       /* yours; all that lives from one poll to the next has to be in here */
};

/* Makes `f` wait for two presses. Takes no press and loses none: one that nobody has taken so far counts. */
void two_presses_init(struct two_presses *f);

/* POLL_READY at the poll that takes the second press. A poll takes what is there: both at once, if both are there, and
 * never more than it needs. It never waits. After POLL_READY it is POLL_PENDING until the next init, and takes nothing.
 * Being polled says nothing about having been pressed. Thread context. */
poll_t two_presses_poll(struct future *self, struct context *cx);

/* Given, in main.c: takes one press, if there is one that nobody has taken. Thread context. */
bool press_take(void);

#endif
