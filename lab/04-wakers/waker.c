/* A waker is a function and what to call it with. The rules are in waker.h. */

#include "waker.h"

#include "todo.h"

void waker_wake(const struct waker *w)
{
    (void)w;

    /* Which function, and with what? And what if it is the empty waker? */
    TODO(1);
}

bool waker_will_wake(const struct waker *a, const struct waker *b)
{
    (void)a;
    (void)b;

    /* When would two wakers wake the same task? They are values: two copies of one are as good as one. */
    TODO(2);

    return false;
}
