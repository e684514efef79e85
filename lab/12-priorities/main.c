/* A slow task in thread context, an urgent one in an interrupt. Given. */

#include "button.h"
#include "console.h"
#include "executor.h"
#include "for_checks.h"
#include "interrupt_executor.h"
#include "shared_pair.h"

static const enum irq urgent_irq = UART1_IRQn;
enum { URGENT_PRIORITY = 4, BUTTON_PRIORITY = 1 };

struct interrupt_executor urgent;

void UART1_IRQHandler(void);
void UART1_IRQHandler(void)
{
    interrupt_executor_run(&urgent);
}

/* What an urgent task notes. */
struct spare {
    struct future future; /* first: poll casts */
    struct waker waker;
    uint32_t polls;
    uint32_t exception; /* in which it was polled last; 0: thread */
    uint32_t wakes_itself;
    uint32_t ends;
};

struct spare spares[3];
struct urgent_task spare_tasks[3];

static poll_t spare_poll(struct future *self, struct context *cx)
{
    struct spare *s = (struct spare *)self;
    uint32_t exception;
    __asm__ volatile("mrs %0, ipsr" : "=r"(exception));

    s->polls++;
    s->exception = exception;
    s->waker = *cx->waker;
    if (s->wakes_itself != 0) {
        s->wakes_itself = 0;
        waker_wake(cx->waker);
    }
    return s->ends != 0 ? POLL_READY : POLL_PENDING;
}

/* The button: loads the pair, stores another one (a number, and its complement), and wakes the first urgent task. */
uint32_t press_count;
uint32_t polls_at_press; /* of urgent task 0 */
struct pair pair_at_press;

static void store_pair(uint32_t number)
{
    const struct pair pair = {number, ~number};
    shared_pair_store(&pair);
}

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    GPIOF->ICR = 1u << 1;
    press_count++;
    shared_pair_load(&pair_at_press);
    store_pair(press_count);
    polls_at_press = spares[0].polls;
    waker_wake(&spares[0].waker);
}

/* Takes its time, in thread context. */
uint32_t slow_steps;

__attribute__((noinline)) void slow_step(void)
{
    slow_steps++;
}

static poll_t slow_poll(struct future *self, struct context *cx)
{
    (void)self;
    (void)cx;
    for (uint32_t step = 0; step < 200; step++) {
        slow_step();
    }
    info("The slow task is done; the urgent one was polled %lu times meanwhile.", spares[0].polls);
    return POLL_READY;
}

/* For the checks. */
struct pair pair_seen;

__attribute__((noinline)) void spawn_spare(uint32_t which)
{
    interrupt_executor_spawn(&urgent, &spare_tasks[which], &spares[which].future);
}

/* As from an interrupt that the executor cannot preempt. Numbers above 2 wake nobody. */
__attribute__((noinline)) void wake_spares(uint32_t one, uint32_t two, uint32_t three, uint32_t four)
{
    const uint32_t all[] = {one, two, three, four};
    const uint32_t before = interrupts_mask();
    for (uint32_t each = 0; each < 4; each++) {
        if (all[each] < 3) {
            waker_wake(&spares[all[each]].waker);
        }
    }
    interrupts_restore(before);
}

/* Whether the urgent interrupt may come. */
__attribute__((noinline)) void let_urgent(uint32_t come)
{
    if (come != 0) {
        nvic_enable(urgent_irq);
    } else {
        nvic_disable(urgent_irq);
    }
}

/* What PRIMASK is after a load and a store by a caller that has masked: 1, if it is left as found. */
__attribute__((noinline)) uint32_t share_while_masked(void)
{
    const uint32_t before = interrupts_mask();
    shared_pair_load(&pair_seen);
    uint32_t after = interrupts_mask();
    store_pair(0);
    after &= interrupts_mask();
    interrupts_restore(before);
    return after & 1u;
}

/* Urgent task 0 is woken, and the executor run from here, with its interrupt held back: whether the task was polled after
 * the last press. */
__attribute__((noinline)) uint32_t try_run(void)
{
    let_urgent(1);
    let_interrupts_in();
    let_urgent(0);
    wake_spares(0, 9, 9, 9);
    from_here();
    interrupt_executor_run(&urgent);
    let_urgent(1);
    let_interrupts_in();
    return spares[0].polls > polls_at_press;
}

__attribute__((noinline)) void try_load(void)
{
    pair_seen = (struct pair){0};
    from_here();
    shared_pair_load(&pair_seen);
}

/* Another number each time, or half a store would change nothing. And load what is stored then. */
__attribute__((noinline)) void try_store(void)
{
    static uint32_t number = 0x12345678;
    number++;
    const struct pair pair = {number, ~number};
    from_here();
    shared_pair_store(&pair);
    shared_pair_load(&pair_seen);
}

static void set_up(void)
{
    button_setup(BUTTON_SELECT);
    GPIOF->ICR = 1u << 1;
    register_modify(&GPIOF->IM, 0, 1u << 1);
    NVIC->IPR[GPIOF_IRQn] = BUTTON_PRIORITY << 5;
    nvic_enable(GPIOF_IRQn);
    (void)share_while_masked();
    try_load();
    try_store();
    wake_spares(9, 9, 9, 9);
    let_interrupts_in();
    for (uint32_t each = 0; each < 3; each++) {
        spares[each].future.poll = spare_poll;
    }
    (void)try_run();
    let_urgent(0);
    interrupt_executor_start(&urgent, urgent_irq, URGENT_PRIORITY);
}

int main(void)
{
    static struct executor executor;
    static struct task task;
    static struct future slow = {slow_poll};

    set_up();
    spawn_spare(0);
    executor_spawn(&executor, &task, &slow);
    executor_run(&executor);
}
