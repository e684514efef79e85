/* A wait queue, and an interrupt that should have none of it. Given. */

#include "button.h"
#include "console.h"
#include "interrupts.h"
#include "plain_queue.h"
#include "waker_registration.h"

struct waker_registration queue;
struct plain_queue plain;

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
        waker_registration_register(&queue, &wakers[2]);
    }
}

/* As a poll does: the waker is on the stack, and gone when this returns. */
__attribute__((noinline)) void register_from_stack(uint32_t which)
{
    const struct waker waker = wakers[which];
    waker_registration_register(&queue, &waker);
}

static void (*volatile for_the_checks)(uint32_t which) = register_from_stack;

__attribute__((noinline)) void begin_anew(void)
{
    queue = (struct waker_registration){0};
    told_count = 0;
}

/* What waker_registration.h forbids, to be seen to break: make grade shows where. */
void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    GPIOF->ICR = 1u << 1;
    waker_registration_wake(&queue);
    plain_queue_wake(&plain);
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
    plain_queue_register(&plain, &wakers[0]);
    plain_queue_wake(&plain);
    waker_registration_register(&queue, &wakers[0]);
    waker_registration_wake(&queue);
    info("task %lu was woken", told[0].function);
    begin_anew();
    (void)for_the_checks;
    for (;;) {
        sleep_until_interrupt();
    }
}
