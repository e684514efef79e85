#include "adder.h"

#include "async.h"

void adder_init(struct adder *a, struct channel *from)
{
    a->future.poll = adder_poll;
    a->stands_at = 0;
    a->from = from;
}

poll_t adder_poll(struct future *self, struct context *cx)
{
    struct adder *a = (struct adder *)self;

    ASYNC_BEGIN(a->stands_at);

    receive_init(&a->receive, a->from);
    AWAIT(a->stands_at, &a->receive.future, cx);
    a->first = a->receive.item; /* the future is used again: what it brought has to be somewhere else */

    timer_future_init(&a->pause, 10);
    AWAIT(a->stands_at, &a->pause.future, cx);

    receive_init(&a->receive, a->from);
    AWAIT(a->stands_at, &a->receive.future, cx);
    a->sum = a->first + a->receive.item;

    ASYNC_END(a->stands_at);
}
