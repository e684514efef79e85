#include "check.h"
#include "counting.h"

#include "button_future.h"

/* The future keeps its state for the life of the program, as on the board. So each test takes up where the one
 * before ended, with every button armed at least once after the first test, and nothing pending. */

enum { STEPS = 40 };

static const uint32_t SELECT = 1u << 1;
static const uint32_t DOWN = 1u << 1;
static const uint32_t LEFT = 1u << 2;
static const uint32_t OTHERS = 0xf0u;

static struct counting task;
static struct waker waker;
static struct context cx = {.waker = &waker};
static struct button_future future;

static void press(struct gpio *port, uint32_t mask)
{
    host_edge(port, mask, true);
    host_edge(port, mask, false);
}

static poll_t poll(void)
{
    return button_future_poll(&future.future, &cx);
}

static void first_init_of_a_pin(void)
{
    host_reset();
    GPIOF->DIR = GPIOF->IS = GPIOF->IBE = GPIOF->AFSEL = 0xff;
    GPIOF->IEV = 0xff;
    GPIOF->IM = OTHERS;
    press(GPIOF, SELECT); /* an edge from before anybody asked */
    button_future_init(&future, BUTTON_SELECT);

    CHECK((SYSCTL->RCGC2 & SYSCTL_RCGC2_GPIOF) != 0);
    CHECK(GPIOF->DIR == (0xffu & ~SELECT) && GPIOF->AFSEL == (0xffu & ~SELECT));
    CHECK(GPIOF->IS == (0xffu & ~SELECT) && GPIOF->IBE == (0xffu & ~SELECT));
    CHECK(GPIOF->IEV == (0xffu & ~SELECT));
    CHECK(GPIOF->PUR == SELECT && GPIOF->DEN == SELECT);
    CHECK(GPIOF->IM == (OTHERS | SELECT));
    CHECK(host_nvic_enabled(GPIOF_IRQn) && !host_nvic_enabled(GPIOE_IRQn));
    CHECK(poll() == POLL_PENDING); /* neither the old edge nor the level is a press */
    GPIOF->IM &= ~OTHERS;
}

static void a_press_is_reported_once(void)
{
    task.woken = 0;
    button_future_init(&future, BUTTON_SELECT);
    CHECK(poll() == POLL_PENDING && poll() == POLL_PENDING);
    host_edge(GPIOF, SELECT, false);
    CHECK(task.woken == 0 && poll() == POLL_PENDING);
    host_edge(GPIOF, SELECT, true);
    CHECK(task.woken == 1);
    CHECK((GPIOF->IM & SELECT) == 0); /* fires once */
    CHECK(poll() == POLL_READY);
    CHECK(poll() == POLL_PENDING && poll() == POLL_PENDING);
}

static void a_press_between_two_futures_is_kept(void)
{
    button_future_init(&future, BUTTON_SELECT);
    press(GPIOF, SELECT);
    CHECK(poll() == POLL_READY);
    press(GPIOF, SELECT);
    press(GPIOF, SELECT); /* merges */
    CHECK(poll() == POLL_PENDING);
    button_future_init(&future, BUTTON_SELECT);
    CHECK(poll() == POLL_READY);
    button_future_init(&future, BUTTON_SELECT);
    CHECK(poll() == POLL_PENDING);
}

static void an_abandoned_future_loses_no_press(void)
{
    button_future_init(&future, BUTTON_SELECT);
    press(GPIOF, SELECT); /* acknowledged, and never polled */
    button_future_init(&future, BUTTON_SELECT);
    press(GPIOF, SELECT); /* waits at the pin */
    CHECK(poll() == POLL_READY);
    button_future_init(&future, BUTTON_SELECT);
    CHECK(poll() == POLL_READY);
    button_future_init(&future, BUTTON_SELECT);
    CHECK(poll() == POLL_PENDING);
}

static void a_request_withdrawn_is_no_press(void)
{
    void GPIOF_IRQHandler(void);
    button_future_init(&future, BUTTON_SELECT);
    GPIOF_IRQHandler();
    CHECK(poll() == POLL_PENDING);
}

static void two_buttons_of_one_port(void)
{
    struct button_future left;
    button_future_init(&left, BUTTON_LEFT);
    button_future_init(&future, BUTTON_DOWN);
    CHECK(GPIOE->IM == (LEFT | DOWN));
    press(GPIOE, LEFT);
    CHECK(GPIOE->IM == DOWN);
    CHECK(poll() == POLL_PENDING);
    press(GPIOE, DOWN);
    CHECK(poll() == POLL_READY);
    CHECK(button_future_poll(&left.future, &cx) == POLL_READY);
    CHECK(button_future_poll(&left.future, &cx) == POLL_PENDING);
}

static void two_buttons_at_once(void)
{
    struct button_future left;
    button_future_init(&left, BUTTON_LEFT);
    button_future_init(&future, BUTTON_DOWN);
    const uint32_t before = interrupts_mask();
    press(GPIOE, LEFT);
    press(GPIOE, DOWN);
    interrupts_restore(before);
    CHECK(poll() == POLL_READY);
    CHECK(button_future_poll(&left.future, &cx) == POLL_READY);
}

static void leaves_the_mask_as_found(void)
{
    const uint32_t before = interrupts_mask();
    button_future_init(&future, BUTTON_RIGHT);
    CHECK(host_masked());
    (void)poll();
    CHECK(host_masked());
    interrupts_restore(before);
}

static int taken; /* presses that the handler has acknowledged */

static void press_select(void)
{
    const bool was_up = (GPIOF->RIS & SELECT) == 0;
    host_edge(GPIOF, SELECT, true);
    host_edge(GPIOF, SELECT, false);
    taken += was_up ? 1 : 0; /* else it merges */
}

/* The task's loop, with one or two presses at each step, and another button pressed before each. */
static void no_press_is_lost_at_any_step(void)
{
    int came = 0;
    for (int first = 0; first < STEPS; first++) {
        for (int second = first; second < STEPS; second++) {
            int reported = 0;
            taken = 0;
            task.woken = 0;
            button_future_init(&future, BUTTON_SELECT);
            host_interrupt_at(press_select, first, second == first ? -1 : second);
            for (int rounds = 0; rounds < 4; rounds++) {
                if (poll() == POLL_READY) {
                    reported++;
                    button_future_init(&future, BUTTON_SELECT);
                }
            }
            came += host_interrupts_stop();
            while (task.woken > 0) { /* the executor polls what was woken, and only that */
                task.woken = 0;
                if (poll() == POLL_READY) {
                    reported++;
                    button_future_init(&future, BUTTON_SELECT);
                    (void)poll();
                }
            }
            CHECK(reported == taken);
            CHECK(!host_masked());
            CHECK(poll() == POLL_PENDING);
        }
    }
    CHECK(came > 100);
}

int main(void)
{
    static const struct test tests[] = {
        {"the first init sets the pin up and forgets old edges", first_init_of_a_pin},
        {"a press is reported once, a release never", a_press_is_reported_once},
        {"a press between two futures is kept", a_press_between_two_futures_is_kept},
        {"an abandoned future loses no press", an_abandoned_future_loses_no_press},
        {"a request that was withdrawn is no press", a_request_withdrawn_is_no_press},
        {"two buttons of one port", two_buttons_of_one_port},
        {"two buttons of one port at the same time", two_buttons_at_once},
        {"interrupts stay masked if they were", leaves_the_mask_as_found},
        {"no press is lost at any step", no_press_is_lost_at_any_step},
    };
    waker = counting_waker(&task);
    return CHECK_ALL(tests);
}
