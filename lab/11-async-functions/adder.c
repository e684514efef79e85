/* An async function, with the macros of async.h. What it does is in adder.h. */

#include "adder.h"

#include "async.h"
#include "todo.h"

void adder_init(struct adder *a, struct channel *from)
{
    a->future.poll = adder_poll;
    a->from = from;
    TODO(3);
}

poll_t adder_poll(struct future *self, struct context *cx)
{
    struct adder *a = (struct adder *)self;

    ASYNC_BEGIN(a->stands_at);

    /* Receive, wait, receive, add. A local variable is gone after an AWAIT: what has to be in the struct? */
    AWAIT(a->stands_at, &a->receive.future, cx);
    TODO(4);

    ASYNC_END(a->stands_at);
}
