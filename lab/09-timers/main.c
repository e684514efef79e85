/* One task blinks, one waits for a button that bounces. Given. */

#include "console.h"
#include "executor.h"
#include "for_checks.h"
#include "interrupts.h"
#include "led.h"
#include "steady_press.h"
#include "timer_future.h"

struct blinker {
    struct future future; /* first: poll casts */
    struct timer_future timer;
    bool waiting, on;
};

static poll_t blinker_poll(struct future *self, struct context *cx)
{
    struct blinker *b = (struct blinker *)self;

    for (;;) {
        if (!b->waiting) {
            timer_future_init(&b->timer, 500);
            b->waiting = true;
        }
        if (future_poll(&b->timer.future, cx) == POLL_PENDING) {
            return POLL_PENDING;
        }
        b->waiting = false;
        b->on = !b->on;
        led_set(b->on);
    }
}

struct press_logger {
    struct future future; /* first: poll casts */
    struct steady_press press;
    bool waiting;
};

static poll_t press_logger_poll(struct future *self, struct context *cx)
{
    struct press_logger *l = (struct press_logger *)self;

    for (;;) {
        if (!l->waiting) {
            steady_press_init(&l->press, BUTTON_SELECT, 20);
            l->waiting = true;
        }
        if (future_poll(&l->press.future, cx) == POLL_PENDING) {
            return POLL_PENDING;
        }
        l->waiting = false;
        info("Pressed at %lu ms.", clock_ms());
    }
}

/* For the checks: three more timers, each with a task that notes when it is woken. */
struct timer_future timers[3];
uint32_t woken[3];

static void wake_and_note(void *data)
{
    woken[(uint32_t *)data - woken]++;
}

static const struct waker_vtable noting = {.wake = wake_and_note};
const struct waker wakers[3] = {{&noting, &woken[0]}, {&noting, &woken[1]}, {&noting, &woken[2]}};
struct context contexts[3] = {{&wakers[0]}, {&wakers[1]}, {&wakers[2]}};

/* With the waker on the stack, which is gone when this returns. */
__attribute__((noinline)) poll_t poll_timer(uint32_t which, uint32_t for_whom)
{
    const struct waker waker = wakers[for_whom];
    struct context cx = {.waker = &waker};
    return timer_future_poll(&timers[which].future, &cx);
}

static void begin_timer(uint32_t which, uint32_t ms)
{
    timer_future_cancel(&timers[which]);
    timer_future_init(&timers[which], ms);
}

/* A timer of 1 ms is polled, or polled again: its answer; and 2 if it was woken. */
__attribute__((noinline)) uint32_t try_poll(uint32_t again)
{
    begin_timer(0, 1);
    if (again != 0) {
        (void)poll_timer(0, 0);
    }
    const uint32_t before = woken[0];
    from_here();
    const poll_t ready = timer_future_poll(&timers[0].future, &contexts[0]);
    let_interrupts_in();
    return (uint32_t)ready | (woken[0] != before ? 2u : 0u);
}

/* The second of three timers is cancelled; then its memory is the caller's. */
__attribute__((noinline)) void try_cancel(void)
{
    for (uint32_t each = 0; each < 3; each++) {
        begin_timer(each, each == 1u ? 50 : 1);
        (void)poll_timer(each, each);
        woken[each] = 0;
    }
    from_here();
    timer_future_cancel(&timers[1]);
    timers[1].deadline = clock_ms(); /* were it still in the list, the next tick would wake its task */
}

int main(void)
{
    static struct executor executor;
    static struct task tasks[2];
    static struct blinker blinker = {.future = {.poll = blinker_poll}};
    static struct press_logger logger = {.future = {.poll = press_logger_poll}};

    led_setup();
    clock_start();
    let_interrupts_in();
    for (uint32_t each = 0; each < 3; each++) {
        timer_future_init(&timers[each], 0);
        (void)timer_future_poll(&timers[each].future, &contexts[each]);
        (void)poll_timer(each, each);
        timer_future_cancel(&timers[each]);
    }
    (void)try_poll(1);
    try_cancel();
    for (uint32_t each = 0; each < 3; each++) {
        timer_future_cancel(&timers[each]);
        woken[each] = 0;
    }
    executor_spawn(&executor, &tasks[0], &blinker.future);
    executor_spawn(&executor, &tasks[1], &logger.future);
    executor_run(&executor);
}
