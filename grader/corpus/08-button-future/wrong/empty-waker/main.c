#include "button_future.h"
#include "console.h"

static void nobody(void *data)
{
    (void)data;
}

int main(void)
{
    static const struct waker_vtable vtable = {.wake = nobody};
    const struct waker waker = {.vtable = &vtable, .data = NULL};
    struct context cx = {.waker = &waker};
    struct button_future press;

    for (;;) {
        button_future_init(&press, BUTTON_SELECT);
        while (future_poll(&press.future, &cx) == POLL_PENDING) {
        }
        info("Interrupt fired!");
    }
}
