#include "button_future.h"
#include "console.h"
#include "interrupts.h"
#include "sleep.h"

#include <stdatomic.h>
#include <stdbool.h>

static atomic_bool woken = true;

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
    for (;;) {
        while (atomic_exchange(&woken, false)) {
            while (future_poll(&press.future, &cx) == POLL_READY) {
                info("Interrupt fired!");
                button_future_init(&press, BUTTON_SELECT);
            }
        }
        const uint32_t before = interrupts_mask();
        if (!woken) {
            sleep_until_pending();
        }
        interrupts_restore(before);
    }
}
