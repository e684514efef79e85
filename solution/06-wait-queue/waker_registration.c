#include "waker_registration.h"

void waker_registration_register(struct waker_registration *r, const struct waker *w)
{
    const struct waker before = r->waker;
    r->waker = *w;

    /* After the new one is in place: the one that is woken may register at once. */
    if (!waker_is_empty(&before) && !waker_will_wake(&before, w)) {
        waker_wake(&before);
    }
}

void waker_registration_wake(struct waker_registration *r)
{
    const struct waker taken = r->waker;
    r->waker = (struct waker){0};

    if (!waker_is_empty(&taken)) {
        waker_wake(&taken);
    }
}
