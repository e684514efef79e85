/* A wait queue, and two interrupts that wake. Given. */

#include "button.h"
#include "console.h"
#include "for_checks.h"
#include "interrupts.h"
#include "atomic_waker.h"

struct atomic_waker queue;

/* Who was woken: by which function, with which data. The checks read it. */
struct told {
    uint32_t function;
    const void *data;
};

struct told told[16];
uint32_t told_count;

static void note(uint32_t function, const void *data)
{
    const uint32_t before = interrupts_mask(); /* a wake may come in the middle of another one */
    told[told_count % 16u].function = function;
    told[told_count % 16u].data = data;
    told_count++;
    interrupts_restore(before);
}

static void wake_one(void *data)
{
    note(1, data);
}

static void wake_two(void *data)
{
    note(2, data);
}

static void wake_and_register(void *data);

static const struct waker_vtable one = {.wake = wake_one};
static const struct waker_vtable two = {.wake = wake_two};
static const struct waker_vtable three = {.wake = wake_and_register};

/* Three tasks, each with a function and data of its own. The third one registers again when it is woken. */
uint32_t tasks[3];
const struct waker wakers[3] = {{&one, &tasks[0]}, {&two, &tasks[1]}, {&three, &tasks[2]}};

static void wake_and_register(void *data)
{
    note(3, data);
    if (told_count < 8) {
        atomic_waker_register(&queue, &wakers[2]);
    }
}

/* As a poll does: the waker is on the stack, and gone when this returns. */
__attribute__((noinline)) void register_from_stack(uint32_t which)
{
    const struct waker waker = wakers[which];
    atomic_waker_register(&queue, &waker);
}

static void (*volatile for_the_checks)(uint32_t which) = register_from_stack;

__attribute__((noinline)) void begin_anew(void)
{
    queue = (struct atomic_waker){0};
    told_count = 0;
}

/* For the sweeps. How much the queue had told when the call had returned; and after each of three more: a wake, a register
 * by one, a wake. */
uint32_t told_then[4];

static void use_on(void)
{
    told_then[1] = told_count;
    atomic_waker_register(&queue, &wakers[0]);
    told_then[2] = told_count;
    atomic_waker_wake(&queue);
    told_then[3] = told_count;
}

static void begin_with(uint32_t before)
{
    begin_anew();
    if (before != 0) {
        atomic_waker_register(&queue, &wakers[before - 1u]);
    }
}

/* Two registers where `before` (from 1; 0: nobody) waits. */
__attribute__((noinline)) void try_register(uint32_t before)
{
    begin_with(before);
    from_here();
    atomic_waker_register(&queue, &wakers[1]);
    told_then[0] = told_count;
    atomic_waker_wake(&queue);
    use_on();
}

/* Somebody wakes where `before` waits; without the first of the three. */
__attribute__((noinline)) void try_wake(uint32_t before)
{
    begin_with(before);
    from_here();
    atomic_waker_wake(&queue);
    told_then[0] = told_count;
    use_on();
}

/* What PRIMASK is after a register by a caller that has masked: 1, if it is left as found. */
__attribute__((noinline)) uint32_t register_while_masked(uint32_t which)
{
    const uint32_t before = interrupts_mask();
    atomic_waker_register(&queue, &wakers[which]);
    const uint32_t after = interrupts_mask();
    interrupts_restore(before);
    return after & 1u;
}

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    GPIOF->ICR = 1u << 1;
    atomic_waker_wake(&queue);
}

__attribute__((noinline)) static void sleep_until_interrupt(void)
{
    __asm__ volatile("nop\n\t" /* the checks call your functions from here */
                     "wfi" ::: "memory");
}

static void set_up(void)
{
    button_setup(BUTTON_SELECT);
    GPIOF->ICR = 1u << 1;
    register_modify(&GPIOF->IM, 0, 1u << 1);
    nvic_enable(GPIOF_IRQn);
}

int main(void)
{
    set_up();
    let_interrupts_in();
    (void)register_while_masked(0);
    try_register(1);
    try_wake(1);
    begin_anew();
    atomic_waker_register(&queue, &wakers[0]);
    atomic_waker_wake(&queue);
    info("task %lu was woken", told[0].function);
    begin_anew();
    (void)for_the_checks;
    for (;;) {
        sleep_until_interrupt();
    }
}
