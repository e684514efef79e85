#include "waker.h"

void waker_wake(const struct waker *w)
{
    if (!waker_is_empty(w)) {
        w->vtable->wake(w->data);
    }
}

bool waker_will_wake(const struct waker *a, const struct waker *b)
{
    return a->vtable == b->vtable && a->data == b->data;
}
