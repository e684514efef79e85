/* Two tasks, and an interrupt that wakes one of them. Given. */

#include "button.h"
#include "console.h"
#include "flag_task.h"
#include "interrupts.h"
#include "sleep.h"

/* A future that says when it is polled, and keeps a copy of the waker it was polled with. */
struct listener {
    struct future future;
    struct waker waker;
    uint32_t polls;
    uint32_t wakes_itself; /* in its next poll */
    uint32_t ends;         /* says POLL_READY in its next poll */
};

struct listener listeners[2];
struct flag_task tasks[2];

static poll_t listener_poll(struct future *self, struct context *cx)
{
    struct listener *l = (struct listener *)self;

    l->polls++;
    l->waker = *cx->waker;
    if (l->wakes_itself != 0) {
        l->wakes_itself = 0;
        waker_wake(cx->waker);
    }
    return l->ends != 0 ? POLL_READY : POLL_PENDING;
}

/* A waker's vtable that counts. The checks compare and call these wakers. */
struct seen {
    uint32_t calls;
    void *data;
} seen[2];

static void wake_one(void *data)
{
    seen[0].calls++;
    seen[0].data = data;
}

static void wake_two(void *data)
{
    seen[1].calls++;
    seen[1].data = data;
}

static const struct waker_vtable one = {.wake = wake_one};
static const struct waker_vtable two = {.wake = wake_two};

const struct waker samples[] = {
    {&one, &listeners[0]}, {&one, &listeners[0]}, {&one, &listeners[1]}, {&two, &listeners[0]}, {NULL, NULL}, {NULL, NULL},
};

/* Where flag_task_waker() of the checks puts its result. */
struct waker found;

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    GPIOF->ICR = 1u << 1;
    waker_wake(&listeners[0].waker);
}

/* For the checks. */
__attribute__((noinline)) void set_flag(uint32_t *flag)
{
    *flag = 1;
}

static void set_up(void)
{
    set_flag(&listeners[0].wakes_itself);
    listeners[0].wakes_itself = 0;
    button_setup(BUTTON_SELECT);
    GPIOF->ICR = 1u << 1;
    register_modify(&GPIOF->IM, 0, 1u << 1);
    nvic_enable(GPIOF_IRQn);
}

/* And if the interrupt comes now, before the core sleeps? Lab 05 is about that. */
static __attribute__((noinline)) void sleep_until_interrupt(void)
{
    __asm__ volatile("nop\n\t" /* the checks call your functions from here */
                     "wfi" ::: "memory");
}

int main(void)
{
    set_up();
    for (uint32_t each = 0; each < 2; each++) {
        listeners[each].future.poll = listener_poll;
        flag_task_start(&tasks[each], &listeners[each].future);
        found = flag_task_waker(&tasks[each]);
    }
    (void)waker_will_wake(&samples[0], &samples[1]);
    for (;;) {
        if (flag_task_run(&tasks[0])) {
            info("task 0 was polled");
        }
        if (flag_task_run(&tasks[1])) {
            info("task 1 was polled");
        }
        sleep_until_interrupt();
    }
}
