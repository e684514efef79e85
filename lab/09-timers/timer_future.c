/* A future that is ready when some time has passed. The rules are in timer_future.h. */

#include "timer_future.h"

#include "interrupts.h"
#include "todo.h"

/* Any number of timers, and one tick. How does the tick find those that are due? Who else changes that, and when? */

/* clock_ms() wraps to 0. When is a deadline past (clock.h)? */

void timer_future_init(struct timer_future *f, uint32_t ms)
{
    f->future.poll = timer_future_poll;
    (void)ms;

    /* Nothing ticks for it yet: a future begins when it is polled. What does it have to know until then? */
    TODO(1);
}

poll_t timer_future_poll(struct future *self, struct context *cx)
{
    (void)self;
    (void)cx;

    /* Due, or not yet; and if not, who wakes whom, and when?
     *   - The tick of the deadline may come before any instruction of this. Which order loses nothing?
     *   - This may be polled many times, each time with another waker. How often does the tick know of it?
     *   - What if the deadline has passed before the first poll? */
    TODO(2);

    return POLL_PENDING;
}

void timer_future_cancel(struct timer_future *f)
{
    (void)f;

    /* The memory will be used for something else. Who still has its address? */
    TODO(3);
}

void SysTick_Handler(void)
{
    clock_tick();

    /* Who is due, and what becomes of who is not? Called for every millisecond: what does it cost with no timer? */
    TODO(4);
}
