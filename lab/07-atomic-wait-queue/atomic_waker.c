/* The wait queue of lab 06, for a task and interrupts. The rules are in atomic_waker.h.
 *
 * Two words cannot be stored in one step. Either nobody may come in between (interrupts.h; how long, and what if the
 * caller has masked already?), or who comes in between can tell that somebody is at work, and leaves word (the member
 * `state`, <stdatomic.h>). Each is a good answer; the second one never keeps an interrupt waiting. */

#include "atomic_waker.h"

#include "todo.h"

void atomic_waker_register(struct atomic_waker *a, const struct waker *w)
{
    (void)a;
    (void)w;

    /* As in lab 06, and: a wake may come before any instruction of this. Whom does it wake, and what does it find? Who
     * is woken may register at once: what must be true of the queue when you wake the one that lost its place? */
    TODO(1);
}

void atomic_waker_wake(struct atomic_waker *a)
{
    (void)a;

    /* As in lab 06, and: this may come before any instruction of atomic_waker_register(), and of itself. It cannot wait
     * for the one that it has interrupted: that one goes on when this has returned. */
    TODO(2);
}
