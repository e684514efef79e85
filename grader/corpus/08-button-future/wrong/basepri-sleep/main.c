#include "button_future.h"
#include "console.h"
#include "interrupts.h"
#include "sleep.h"

#include <stdatomic.h>
#include <stdbool.h>

static atomic_bool woken = true;

static void set_basepri(uint32_t value)
{
    __asm__ volatile("msr basepri, %0\n\tisb" : : "r"(value) : "memory");
}

static void wake(void *data)
{
    (void)data;
    woken = true;
}

int main(void)
{
    static const struct waker_vtable vtable = {.wake = wake};
    const struct waker waker = {.vtable = &vtable, .data = NULL};
    struct context cx = {.waker = &waker};
    struct button_future press;

    button_future_init(&press, BUTTON_SELECT);
    nvic_set_priority(GPIOF_IRQn, 5);
    for (;;) {
        while (atomic_exchange(&woken, false)) {
            while (future_poll(&press.future, &cx) == POLL_READY) {
                info("Interrupt fired!");
                button_future_init(&press, BUTTON_SELECT);
            }
        }
        set_basepri(0x80u);
        if (!woken) {
            sleep_until_pending();
        }
        set_basepri(0);
    }
}
