/* Press LEFT and RIGHT, both within two seconds. Given. */

#include "button_future.h"
#include "combinators.h"
#include "console.h"
#include "executor.h"
#include "for_checks.h"

/* An abandoned button future loses no press (button_future.h): nothing is left to cancel. */
static void press_cancel(struct future *self)
{
    (void)self;
}

struct game {
    struct future future; /* first: poll casts */
    struct button_future left, right;
    struct join2 both;
    struct timeout in_time;
    bool waiting;
};

static poll_t game_poll(struct future *self, struct context *cx)
{
    struct game *g = (struct game *)self;

    for (;;) {
        if (!g->waiting) {
            button_future_init(&g->left, BUTTON_LEFT);
            button_future_init(&g->right, BUTTON_RIGHT);
            join2_init(&g->both, (struct cancellable){&g->left.future, press_cancel},
                       (struct cancellable){&g->right.future, press_cancel});
            timeout_init(&g->in_time, (struct cancellable){&g->both.future, join2_cancel}, 2000);
            g->waiting = true;
        }
        if (future_poll(&g->in_time.future, cx) == POLL_PENDING) {
            return POLL_PENDING;
        }
        g->waiting = false;
        info(g->in_time.timed_out ? "Too slow." : "Both!");
    }
}

/* For the checks: two futures that are ready when they are told to, and note what is done to them. */
struct child {
    struct future future; /* first: poll casts */
    uint32_t ready;
    uint32_t polls;
    uint32_t cancels;
    uint32_t polled_after_ready;
    const struct waker *waker; /* of the last poll, to be compared only */
    uint32_t was_ready;
};

struct child children[2];

static poll_t child_poll(struct future *self, struct context *cx)
{
    struct child *c = (struct child *)self;
    c->polls++;
    c->waker = cx->waker;
    c->polled_after_ready |= c->was_ready;
    c->was_ready = c->ready;
    return c->ready != 0 ? POLL_READY : POLL_PENDING;
}

static void child_cancel(struct future *self)
{
    ((struct child *)self)->cancels++;
}

uint32_t woken;

static void wake_and_count(void *data)
{
    (void)data;
    woken++;
}

static const struct waker_vtable counting = {.wake = wake_and_count};
const struct waker waker = {&counting, &woken};
struct context context = {.waker = &waker};

struct select2 spare_select;
struct join2 spare_join;
struct timeout spare_timeout;

__attribute__((noinline)) void begin_select(void)
{
    for (uint32_t each = 0; each < 2; each++) {
        children[each] = (struct child){.future = {.poll = child_poll}};
    }
    select2_init(&spare_select, (struct cancellable){&children[0].future, child_cancel},
                 (struct cancellable){&children[1].future, child_cancel});
}

__attribute__((noinline)) void begin_join(void)
{
    begin_select();
    join2_init(&spare_join, (struct cancellable){&children[0].future, child_cancel},
               (struct cancellable){&children[1].future, child_cancel});
}

__attribute__((noinline)) void begin_timeout(uint32_t ms)
{
    begin_select();
    timeout_init(&spare_timeout, (struct cancellable){&children[0].future, child_cancel}, ms);
}

/* A time-out of 1 ms is polled: its answer; and 2 if it was woken. */
__attribute__((noinline)) uint32_t try_timeout(void)
{
    timeout_cancel(&spare_timeout.future);
    begin_timeout(1);
    const uint32_t before = woken;
    from_here();
    const poll_t ready = timeout_poll(&spare_timeout.future, &context);
    let_interrupts_in();
    return (uint32_t)ready | (woken != before ? 2u : 0u);
}

int main(void)
{
    static struct executor executor;
    static struct task task;
    static struct game game = {.future = {.poll = game_poll}};

    clock_start();
    let_interrupts_in();
    begin_select();
    (void)select2_poll(&spare_select.future, &context);
    select2_cancel(&spare_select.future);
    begin_join();
    (void)join2_poll(&spare_join.future, &context);
    join2_cancel(&spare_join.future);
    begin_timeout(10);
    (void)timeout_poll(&spare_timeout.future, &context);
    (void)try_timeout();
    timeout_cancel(&spare_timeout.future);
    woken = 0;
    executor_spawn(&executor, &task, &game.future);
    executor_run(&executor);
}
