/* A wait queue with one entry. The rules are in waker_registration.h. */

#include "waker_registration.h"

#include "todo.h"

void waker_registration_register(struct waker_registration *r, const struct waker *w)
{
    (void)r;
    (void)w;

    /* Keep `w`: the waker, or where it is? How long is it there?
     * And who was there before: the same task, another one, or nobody? Who of them has to hear of it, and when: the one
     * that is woken may register at once. */
    TODO(1);
}

void waker_registration_wake(struct waker_registration *r)
{
    (void)r;

    /* Wake who waits, and forget it. In which order, if who is woken registers at once? */
    TODO(2);
}
