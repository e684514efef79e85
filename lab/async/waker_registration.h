/* A wait queue with one entry, for use within thread context.
 *
 * One task waits for an event and registers; who has news wakes. What it does not offer: use by an interrupt.
 * An ISR that comes in the middle of register finds half a waker. atomic_waker.h is for that. */
#ifndef WAKER_REGISTRATION_H
#define WAKER_REGISTRATION_H

#include "waker.h"

/* All zero: nobody waits. */
struct waker_registration {
    struct waker waker;
};

/* Has waker_registration_wake() wake `w`, of which a copy is kept. If another task was registered, it loses its
 * place and is woken: it will be polled, see no news, and register again (two tasks sharing a queue make
 * progress, at the price of running each other). Registering the same task again wakes nobody.
 * Thread context. */
void waker_registration_register(struct waker_registration *r, const struct waker *w);

/* Wakes the registered task and forgets it: whoever waits on registers again, on every poll. With nobody
 * registered nothing happens, and nothing is remembered. Thread context. */
void waker_registration_wake(struct waker_registration *r);

#endif
