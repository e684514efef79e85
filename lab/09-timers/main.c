/* One task blinks, one waits for a button that bounces. Given. */

#include "console.h"
#include "executor.h"
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

__attribute__((noinline)) void let_interrupts_in(void)
{
    __asm__ volatile("nop\n\tnop");
}

/* With the waker on the stack, which is gone when this returns. */
__attribute__((noinline)) poll_t poll_timer(uint32_t which, uint32_t for_whom)
{
    const struct waker waker = wakers[for_whom];
    struct context cx = {.waker = &waker};
    return timer_future_poll(&timers[which].future, &cx);
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
    executor_spawn(&executor, &tasks[0], &blinker.future);
    executor_spawn(&executor, &tasks[1], &logger.future);
    executor_run(&executor);
}
