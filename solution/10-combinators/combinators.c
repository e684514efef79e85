#include "combinators.h"

static void cancel(const struct cancellable *c)
{
    c->cancel(c->future);
}

void select2_init(struct select2 *s, struct cancellable first, struct cancellable second)
{
    s->future.poll = select2_poll;
    s->first = first;
    s->second = second;
    s->winner = NEITHER;
}

poll_t select2_poll(struct future *self, struct context *cx)
{
    struct select2 *s = (struct select2 *)self;

    if (s->winner != NEITHER) {
        return POLL_PENDING;
    }

    /* The loser is cancelled before anybody hears of the winner: what it had left somewhere, a waker, a place in a list,
     * refers to memory that will soon be used for something else. */
    if (future_poll(s->first.future, cx) == POLL_READY) {
        s->winner = FIRST;
        cancel(&s->second);
        return POLL_READY;
    }
    if (future_poll(s->second.future, cx) == POLL_READY) {
        s->winner = SECOND;
        cancel(&s->first);
        return POLL_READY;
    }
    return POLL_PENDING;
}

void select2_cancel(struct future *self)
{
    struct select2 *s = (struct select2 *)self;

    if (s->winner == NEITHER) {
        cancel(&s->first);
        cancel(&s->second);
    }
}

void join2_init(struct join2 *j, struct cancellable first, struct cancellable second)
{
    j->future.poll = join2_poll;
    j->first = first;
    j->second = second;
    j->first_done = false;
    j->second_done = false;
}

poll_t join2_poll(struct future *self, struct context *cx)
{
    struct join2 *j = (struct join2 *)self;

    if (j->first_done && j->second_done) {
        return POLL_PENDING;
    }

    /* Both, also when the first one is pending: it may be the second one's press that comes first. */
    if (!j->first_done) {
        j->first_done = future_poll(j->first.future, cx) == POLL_READY;
    }
    if (!j->second_done) {
        j->second_done = future_poll(j->second.future, cx) == POLL_READY;
    }
    return j->first_done && j->second_done ? POLL_READY : POLL_PENDING;
}

void join2_cancel(struct future *self)
{
    struct join2 *j = (struct join2 *)self;

    if (!j->first_done) {
        cancel(&j->first);
    }
    if (!j->second_done) {
        cancel(&j->second);
    }
}

static void timer_cancel(struct future *self)
{
    timer_future_cancel((struct timer_future *)self);
}

void timeout_init(struct timeout *t, struct cancellable what, uint32_t ms)
{
    t->future.poll = timeout_poll;
    t->timed_out = false;
    timer_future_init(&t->timer, ms);
    select2_init(&t->select, what, (struct cancellable){&t->timer.future, timer_cancel});
}

poll_t timeout_poll(struct future *self, struct context *cx)
{
    struct timeout *t = (struct timeout *)self;

    if (future_poll(&t->select.future, cx) == POLL_PENDING) {
        return POLL_PENDING;
    }
    t->timed_out = t->select.winner == SECOND;
    return POLL_READY;
}

void timeout_cancel(struct future *self)
{
    select2_cancel(&((struct timeout *)self)->select.future);
}
