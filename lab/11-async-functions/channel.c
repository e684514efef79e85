/* A channel from an interrupt to a task. The rules are in channel.h. */

#include "channel.h"

#include "todo.h"

bool channel_send(struct channel *c, uint32_t item)
{
    (void)c;
    (void)item;

    /* Full? If not: the item, then the counter, or the other way round? Whom to wake, and when? */
    TODO(1);

    return false;
}

void receive_init(struct receive *r, struct channel *from)
{
    r->future.poll = receive_poll;
    r->from = from;
    r->done = false;
}

poll_t receive_poll(struct future *self, struct context *cx)
{
    (void)self;
    (void)cx;

    /* The interrupt may send before any instruction of this. In which order do you look, register, read the item, and let its
     * place go? */
    TODO(2);

    return POLL_PENDING;
}
