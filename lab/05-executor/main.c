/* A task that waits for SELECT, one that waits for LEFT, and three for the checks. Given. */

#include "button_future.h"
#include "console.h"
#include "executor.h"
#include "interrupts.h"

struct press_logger {
    struct future future; /* first: poll casts */
    struct button_future press;
    enum button button;
    const char *says;
    bool awaiting;
};

static poll_t press_logger_poll(struct future *self, struct context *cx)
{
    struct press_logger *logger = (struct press_logger *)self;

    for (;;) {
        if (!logger->awaiting) {
            button_future_init(&logger->press, logger->button);
            logger->awaiting = true;
        }
        if (future_poll(&logger->press.future, cx) == POLL_PENDING) {
            return POLL_PENDING;
        }
        logger->awaiting = false;
        info("%s", logger->says);
    }
}

/* Spawned and woken by the checks. Each poll notes itself in polled[], one after the other. */
struct spare {
    struct future future;
    struct waker waker;
    uint32_t polls;
    uint32_t wakes_itself; /* in so many polls, from now on */
    uint32_t ends;         /* says POLL_READY */
    uint32_t masked;       /* interrupts were, in a poll */
};

struct executor executor;
struct task spare_tasks[3];
struct spare spares[3];
uint32_t polled[32];
uint32_t polled_count;

static poll_t spare_poll(struct future *self, struct context *cx)
{
    struct spare *s = (struct spare *)self;
    const uint32_t primask = interrupts_mask();
    interrupts_restore(primask);

    s->masked |= primask & 1u;
    s->polls++;
    s->waker = *cx->waker;
    polled[polled_count++ % 32u] = (uint32_t)(s - spares);
    if (s->wakes_itself != 0) {
        s->wakes_itself--;
        waker_wake(cx->waker);
    }
    return s->ends != 0 ? POLL_READY : POLL_PENDING;
}

/* For the checks. */
__attribute__((noinline)) void set_word(uint32_t *at, uint32_t value)
{
    *at = value;
}

__attribute__((noinline)) void spawn_spare(uint32_t which)
{
    executor_spawn(&executor, &spare_tasks[which], &spares[which].future);
}

/* Numbers above 2 wake nobody. */
__attribute__((noinline)) void wake_spares(uint32_t one, uint32_t two, uint32_t three, uint32_t four)
{
    const uint32_t all[] = {one, two, three, four};
    for (uint32_t each = 0; each < 4; each++) {
        if (all[each] < 3) {
            waker_wake(&spares[all[each]].waker);
        }
    }
}

int main(void)
{
    static struct task tasks[2];
    static struct press_logger select = {{press_logger_poll}, {{0}, BUTTON_SELECT}, BUTTON_SELECT, "Interrupt fired!", false};
    static struct press_logger left = {{press_logger_poll}, {{0}, BUTTON_LEFT}, BUTTON_LEFT, "LEFT.", false};

    set_word(&polled_count, 0);
    for (uint32_t each = 0; each < 3; each++) {
        spares[each].future.poll = spare_poll;
    }
    wake_spares(9, 9, 9, 9);
    if (polled_count != 0) {
        spawn_spare(0);
    }
    executor_spawn(&executor, &tasks[0], &select.future);
    executor_spawn(&executor, &tasks[1], &left.future);
    executor_run(&executor);
}
