/* Each press sends its number; a task adds two and two of them, another one blinks meanwhile. Given. */

#include "adder.h"
#include "button.h"
#include "console.h"
#include "executor.h"
#include "for_checks.h"
#include "interrupts.h"
#include "led.h"

struct channel presses;
uint32_t press_count;

static void send_next(void)
{
    press_count++;
    if (!channel_send(&presses, press_count)) {
        press_count--;
    }
}

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    GPIOF->ICR = 1u << 1;
    send_next();
}

struct adding {
    struct future future; /* first: poll casts */
    struct adder adder;
    bool waiting;
};

static poll_t adding_poll(struct future *self, struct context *cx)
{
    struct adding *a = (struct adding *)self;

    for (;;) {
        if (!a->waiting) {
            adder_init(&a->adder, &presses);
            a->waiting = true;
        }
        if (future_poll(&a->adder.future, cx) == POLL_PENDING) {
            return POLL_PENDING;
        }
        a->waiting = false;
        info("The sum is %lu.", a->adder.sum);
    }
}

struct blinking {
    struct future future; /* first: poll casts */
    struct timer_future timer;
    bool waiting, on;
};

static poll_t blinking_poll(struct future *self, struct context *cx)
{
    struct blinking *b = (struct blinking *)self;

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

/* For the checks. */
struct channel spare_channels[2];
struct receive spare_receive;
struct adder spare_adders[2];
uint32_t woken;

static void wake_and_count(void *data)
{
    (void)data;
    woken++;
}

static const struct waker_vtable counting = {.wake = wake_and_count};
const struct waker waker = {&counting, &woken};
struct context context = {.waker = &waker};

/* Empty channels, and the next press sends 1. */
__attribute__((noinline)) void begin_anew(void)
{
    presses = (struct channel){0};
    spare_channels[0] = (struct channel){0};
    spare_channels[1] = (struct channel){0};
    press_count = 0;
}

/* What came of a receive that was interrupted: whether it was ready, or was woken; what was received, with that and
 * afterwards; and how many were sent. */
struct {
    uint32_t ready, woken, count, items[CHANNEL_SIZE + 2], sent;
} tried;

static bool receive_next(void)
{
    if (receive_poll(&spare_receive.future, &context) == POLL_PENDING) {
        return false;
    }
    tried.items[tried.count] = spare_receive.item;
    tried.count++;
    return true;
}

/* Where `there` items wait. */
__attribute__((noinline)) void try_receive(uint32_t there)
{
    begin_anew();
    for (uint32_t each = 0; each < there; each++) {
        send_next();
    }
    receive_init(&spare_receive, &presses);
    tried.count = 0;
    woken = 0;
    from_here();
    tried.ready = receive_poll(&spare_receive.future, &context) == POLL_READY;
    let_interrupts_in();
    tried.woken = woken;
    bool more = true;
    if (tried.ready != 0) {
        tried.items[tried.count] = spare_receive.item;
        tried.count++;
    } else {
        more = receive_next();
    }
    while (more && tried.count < CHANNEL_SIZE + 2) {
        receive_init(&spare_receive, &presses);
        more = receive_next();
    }
    tried.sent = press_count;
}

static void set_up(void)
{
    led_setup();
    button_setup(BUTTON_SELECT);
    GPIOF->ICR = 1u << 1;
    register_modify(&GPIOF->IM, 0, 1u << 1);
    nvic_enable(GPIOF_IRQn);
    clock_start();
    let_interrupts_in();
    receive_init(&spare_receive, &spare_channels[0]);
    (void)receive_poll(&spare_receive.future, &context);
    (void)channel_send(&spare_channels[0], 1);
    try_receive(1);
    for (uint32_t each = 0; each < 2; each++) {
        adder_init(&spare_adders[each], &spare_channels[each]);
    }
    begin_anew();
}

int main(void)
{
    static struct executor executor;
    static struct task tasks[2];
    static struct adding adding = {.future = {.poll = adding_poll}};
    static struct blinking blinking = {.future = {.poll = blinking_poll}};

    set_up();
    executor_spawn(&executor, &tasks[0], &adding.future);
    executor_spawn(&executor, &tasks[1], &blinking.future);
    executor_run(&executor);
}
