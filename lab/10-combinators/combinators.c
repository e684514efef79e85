/* Futures made of futures. The rules are in combinators.h. */

#include "combinators.h"

#include "todo.h"

void select2_init(struct select2 *s, struct cancellable first, struct cancellable second)
{
    s->future.poll = select2_poll;
    s->first = first;
    s->second = second;

    /* What does it know before its first poll? It may have been used before. */
    TODO(1);
}

poll_t select2_poll(struct future *self, struct context *cx)
{
    (void)self;
    (void)cx;

    /* future_poll() polls a part. Whose context does it get?
     *   - Who is pending has kept the waker of *this* poll. Must the second one be polled if the first one is pending?
     *   - Who has won; and what becomes of the other one, which still waits? */
    TODO(2);

    return POLL_PENDING;
}

void select2_cancel(struct future *self)
{
    (void)self;

    /* Who is given up gives up its parts. Which of them still wait? */
    TODO(3);
}

void join2_init(struct join2 *j, struct cancellable first, struct cancellable second)
{
    j->future.poll = join2_poll;
    j->first = first;
    j->second = second;
    TODO(4);
}

poll_t join2_poll(struct future *self, struct context *cx)
{
    (void)self;
    (void)cx;

    /* Both at once, not one after the other. And who is done must not be polled again. */
    TODO(5);

    return POLL_PENDING;
}

void join2_cancel(struct future *self)
{
    (void)self;
    TODO(6);
}

void timeout_init(struct timeout *t, struct cancellable what, uint32_t ms)
{
    t->future.poll = timeout_poll;
    (void)what;
    (void)ms;

    /* It is a select2 of two futures. Which, and in which order? */
    TODO(7);
}

poll_t timeout_poll(struct future *self, struct context *cx)
{
    (void)self;
    (void)cx;
    TODO(8);
    return POLL_PENDING;
}

void timeout_cancel(struct future *self)
{
    (void)self;
    TODO(9);
}
