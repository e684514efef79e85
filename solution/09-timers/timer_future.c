#include "timer_future.h"

#include "interrupts.h"

/* Those that wait. The tick walks along it and takes out who is due; the task only ever touches it masked. */
static struct timer_future *waiting;

/* By difference, which is right across the wrap: `now >= deadline` is wrong for 24 days out of 49. */
static bool is_due(const struct timer_future *f)
{
    return (int32_t)(clock_ms() - f->deadline) >= 0;
}

static void unlist(const struct timer_future *f)
{
    for (struct timer_future **at = &waiting; *at != NULL; at = &(*at)->next) {
        if (*at == f) {
            *at = f->next;
            return;
        }
    }
}

void timer_future_init(struct timer_future *f, uint32_t ms)
{
    f->future.poll = timer_future_poll;
    f->deadline = clock_ms() + ms;
}

poll_t timer_future_poll(struct future *self, struct context *cx)
{
    struct timer_future *f = (struct timer_future *)self;

    /* Masked from the look to the entry in the list: the tick of the deadline, in between, would find nobody to wake,
     * and nobody looks again. */
    const uint32_t before = interrupts_mask();
    unlist(f); /* from an earlier poll: listed twice, the list would become a circle */
    const bool due = is_due(f);
    if (!due) {
        f->waker = *cx->waker;
        f->next = waiting;
        waiting = f;
    }
    interrupts_restore(before);
    return due ? POLL_READY : POLL_PENDING;
}

void timer_future_cancel(struct timer_future *f)
{
    const uint32_t before = interrupts_mask();
    unlist(f);
    interrupts_restore(before);
}

void SysTick_Handler(void)
{
    clock_tick();

    struct timer_future **at = &waiting;
    while (*at != NULL) {
        struct timer_future *f = *at;
        if (is_due(f)) {
            *at = f->next; /* before the wake: from then on the memory may be somebody else's */
            const struct waker waker = f->waker;
            waker_wake(&waker);
        } else {
            at = &f->next;
        }
    }
}
