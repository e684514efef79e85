/* The board and the async core together, on the target.
 *
 * Edges are made by the program itself: with DIR = 1 QEMU's model of the pin takes the level written to DATA, and
 * keeps it as the input's when DIR goes back to 0. On the chip, the pull-up would win. */

#include "tap.h"

#include "atomic_waker.h"
#include "button_future.h"
#include "clock.h"
#include "console.h"
#include "executor.h"
#include "interrupts.h"
#include "led.h"
#include "memory.h"
#include "semihosting.h"
#include "sleep.h"
#include "waker_registration.h"

static int count;
static int failed;

void tap_check(bool condition, const char *name)
{
    count++;
    failed += condition ? 0 : 1;
    info("%sok %d - %s", condition ? "" : "not ", count, name);
}

_Noreturn void tap_finish(void)
{
    info("1..%d", count);
    semihosting_exit(failed == 0 ? 0 : 1);
}

/* start-up */

static volatile uint32_t initialised = 0x12345678;
static volatile uint32_t zeroed[8];

static void check_memory(void)
{
    tap_check(initialised == 0x12345678, ".data has its values");
    uint32_t sum = 0;
    for (uint32_t i = 0; i < 8; i++) {
        sum |= zeroed[i];
    }
    tap_check(sum == 0, ".bss is zero");

    char a[8] = "abcdefg";
    memmove(a + 1, a, 6);
    tap_check(memcmp(a, "aabcdef", 8) == 0, "memmove to the right");
    memmove(a, a + 1, 6);
    tap_check(memcmp(a, "abcdeff", 8) == 0, "memmove to the left");
    memset(a, 'x', 3);
    tap_check(memcmp(a, "xxxdeff", 8) == 0 && memcmp(a, "xxy", 3) < 0, "memset and memcmp");
}

/* interrupts: the watchdog's line is pended by hand, the watchdog itself stays off */

static volatile uint32_t interrupted;
static struct atomic_waker *to_wake;

void WATCHDOG_IRQHandler(void);
void WATCHDOG_IRQHandler(void)
{
    interrupted++;
    if (to_wake != NULL) {
        atomic_waker_wake(to_wake);
    }
}

static void pend(enum irq irq)
{
    NVIC->ISPR[(uint32_t)irq / 32u] = 1u << ((uint32_t)irq % 32u);
    __asm__ volatile("dsb\n\tisb" ::: "memory");
}

static bool masked(void)
{
    uint32_t primask;
    __asm__ volatile("mrs %0, primask" : "=r"(primask)::"memory");
    return primask != 0;
}

static void check_interrupts(void)
{
    pend(WATCHDOG_IRQn);
    tap_check(interrupted == 0, "a line that is not enabled does not interrupt");
    nvic_enable(WATCHDOG_IRQn);
    __asm__ volatile("dsb\n\tisb" ::: "memory");
    tap_check(interrupted == 1, "a pending line interrupts when it is enabled");

    const uint32_t outer = interrupts_mask();
    const uint32_t inner = interrupts_mask();
    pend(WATCHDOG_IRQn);
    pend(WATCHDOG_IRQn);
    interrupts_restore(inner);
    tap_check(masked() && interrupted == 1, "masking nests");
    sleep_until_pending();
    tap_check(interrupted == 1, "a pending interrupt ends the sleep, and is not served yet");
    interrupts_restore(outer);
    tap_check(!masked() && interrupted == 2, "restoring serves what is pending, once");

    const uint32_t before = interrupts_mask();
    pend(WATCHDOG_IRQn);
    nvic_clear_pending(WATCHDOG_IRQn);
    interrupts_restore(before);
    tap_check(interrupted == 2, "clearing a pending interrupt");

    nvic_disable(WATCHDOG_IRQn);
    nvic_set_priority(WATCHDOG_IRQn, 5);
    nvic_enable(WATCHDOG_IRQn);
    tap_check(NVIC->IPR[WATCHDOG_IRQn] == 5u << 5, "a priority is in the top 3 bits");
    tap_check((NVIC->ISER[0] & 1u << GPIOF_IRQn) == 0, "other lines stay as they are");
}

static void check_led(void)
{
    const uint32_t others = 0xfeu;
    GPIOF->DATA[others] = 0;
    led_setup();
    led_set(true);
    tap_check((GPIOF->DATA[0xff] & 1u) == 1 && (GPIOF->DIR & 1u) == 1, "the LED goes on");
    led_set(false);
    tap_check((GPIOF->DATA[0xff] & 1u) == 0 && GPIOF->DIR == 1, "the LED goes off");
}

/* tasks: one waits for interrupts, one for the button, one for the clock and ends the program */

static struct executor executor;
static struct atomic_waker interrupt_queue;
static uint32_t interrupt_task_polls;
static uint32_t presses;

static poll_t interrupt_task_poll(struct future *self, struct context *cx)
{
    (void)self;
    atomic_waker_register(&interrupt_queue, cx->waker);
    interrupt_task_polls++;
    return POLL_PENDING;
}

static poll_t button_task_poll(struct future *self, struct context *cx)
{
    (void)self;
    static struct button_future future;
    static bool awaiting;
    for (;;) {
        if (!awaiting) {
            button_future_init(&future, BUTTON_SELECT);
            awaiting = true;
        }
        if (future_poll(&future.future, cx) == POLL_PENDING) {
            return POLL_PENDING;
        }
        awaiting = false;
        presses++;
    }
}

static void drive(struct gpio *port, uint32_t mask, bool level)
{
    port->DIR |= mask;
    port->DATA[mask] = level ? mask : 0;
    port->DIR &= ~mask;
}

static void press(struct gpio *port, uint32_t mask)
{
    drive(port, mask, true);
    drive(port, mask, false);
    drive(port, mask, true);
}

static struct waker_registration tick_queue;
static uint32_t ticks_seen;

/* Registers where the tick wakes, with the tick masked: what a WakerRegistration needs and an AtomicWaker does not. */
static poll_t clock_task_poll(struct future *self, struct context *cx)
{
    (void)self;
    const struct button_pin *select = &button_pins[BUTTON_SELECT];

    const uint32_t before = interrupts_mask();
    waker_registration_register(&tick_queue, cx->waker);
    interrupts_restore(before);

    switch (ticks_seen++) {
    case 0:
        tap_check(interrupt_task_polls == 1, "a task is polled after its spawn");
        pend(WATCHDOG_IRQn);
        pend(WATCHDOG_IRQn);
        return POLL_PENDING;
    case 1:
        tap_check(interrupt_task_polls == 2, "two interrupts before a poll are one poll");
        pend(WATCHDOG_IRQn);
        return POLL_PENDING;
    case 2:
        tap_check(interrupt_task_polls == 3, "an interrupt wakes its task again");
        tap_check(presses == 0, "no press without an edge");
        press(select->port, select->mask);
        return POLL_PENDING;
    case 3:
        tap_check(presses == 1, "a press");
        press(select->port, select->mask);
        press(select->port, select->mask);
        return POLL_PENDING;
    case 4:
        tap_check(presses == 3, "two presses: one is served, one waits at the pin");
        tap_check(clock_ms() >= 4, "the clock goes on");
        tap_finish();
    default:
        return POLL_PENDING;
    }
}

void SysTick_Handler(void);
void SysTick_Handler(void)
{
    clock_tick();
    waker_registration_wake(&tick_queue);
}

int main(void)
{
    check_memory();
    check_interrupts();
    check_led();
    to_wake = &interrupt_queue;

    static struct future interrupt_future = {.poll = interrupt_task_poll};
    static struct future button_task_future = {.poll = button_task_poll};
    static struct future clock_future = {.poll = clock_task_poll};
    static struct task interrupt_task, button_task, clock_task;
    executor_spawn(&executor, &clock_task, &clock_future); /* polled last of the first batch */
    executor_spawn(&executor, &interrupt_task, &interrupt_future);
    executor_spawn(&executor, &button_task, &button_task_future);
    clock_start();
    executor_run(&executor);
}
