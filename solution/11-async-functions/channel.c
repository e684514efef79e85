#include "channel.h"

/* The counters only grow (and wrap, which 4 divides): their difference is how many items there are, and neither side
 * writes the other one's. */

bool channel_send(struct channel *c, uint32_t item)
{
    const unsigned sent = atomic_load_explicit(&c->sent, memory_order_relaxed);

    /* Acquire: the item in the place that we write was read before it was let go. */
    if (sent - atomic_load_explicit(&c->received, memory_order_acquire) == CHANNEL_SIZE) {
        return false;
    }

    /* The item first, and the counter releases it: the receiver that sees the counter sees the item. */
    c->items[sent % CHANNEL_SIZE] = item;
    atomic_store_explicit(&c->sent, sent + 1u, memory_order_release);
    atomic_waker_wake(&c->receiver);
    return true;
}

void receive_init(struct receive *r, struct channel *from)
{
    r->future.poll = receive_poll;
    r->from = from;
    r->done = false;
}

poll_t receive_poll(struct future *self, struct context *cx)
{
    struct receive *r = (struct receive *)self;
    struct channel *c = r->from;

    if (r->done) {
        return POLL_PENDING;
    }

    /* Before the look: an item that comes in between wakes us. */
    atomic_waker_register(&c->receiver, cx->waker);

    const unsigned received = atomic_load_explicit(&c->received, memory_order_relaxed);
    if (atomic_load_explicit(&c->sent, memory_order_acquire) == received) {
        return POLL_PENDING;
    }

    /* Read, then let go: the other way round, the sender could write the next item over this one. */
    r->item = c->items[received % CHANNEL_SIZE];
    atomic_store_explicit(&c->received, received + 1u, memory_order_release);
    r->done = true;
    return POLL_READY;
}
