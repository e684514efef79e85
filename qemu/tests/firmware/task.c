/* A task by hand: polled when woken, or, with -DBUSY, without end. A poll tells what it was told. */
#include "buttons.h"
#include "console.h"
#include "future.h"
#include "sleep.h"

static volatile bool ready = true;
static struct waker kept;

void task_wake(void *data);
__attribute__((noinline)) void task_wake(void *data)
{
    *(volatile bool *)data = true;
}

void keep(const struct waker *waker);
__attribute__((noinline)) void keep(const struct waker *waker)
{
    kept = *waker;
    __asm__ volatile("" ::: "memory");
}

poll_t task_poll(struct future *self, struct context *cx);
__attribute__((noinline)) poll_t task_poll(struct future *self, struct context *cx)
{
    static unsigned told;
    (void)self;
    keep(cx->waker);
    if (told == presses) {
        return POLL_PENDING;
    }
    told++;
    info("press %u", told);
    return POLL_READY;
}

unsigned add(unsigned a, unsigned b);
__attribute__((noinline)) unsigned add(unsigned a, unsigned b)
{
    info("%u and %u", a, b);
    return a + b;
}
static unsigned (*volatile for_the_test)(unsigned a, unsigned b) = add;

static const struct waker_vtable vtable = {task_wake};

static void poll_once(void)
{
    const struct waker waker = {&vtable, (void *)&ready};
    struct context cx = {&waker};
    struct future future = {task_poll};
    ready = false;
    if (task_poll(&future, &cx) == POLL_READY) {
        ready = true;
    }
}

int main(void)
{
    (void)for_the_test;
    arm_select();
    for (unsigned seen = 0;;) {
#ifndef BUSY
        const uint32_t before = interrupts_mask();
        if (!ready && seen == presses) {
            sleep_until_pending();
        }
        interrupts_restore(before);
#endif
        if (seen != presses) {
            seen = presses;
            ready = true;
        }
#ifndef BUSY
        if (ready)
#endif
            poll_once();
    }
}
