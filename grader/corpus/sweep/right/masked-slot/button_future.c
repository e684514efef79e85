/* Own slot for the waker; whoever touches it or the flag masks interrupts, the handler too. */
#include "button_future.h"

#include "interrupts.h"

#include <stdbool.h>

static const struct button_pin *const pin = &button_pins[BUTTON_SELECT];
static struct waker slot;
static bool pressed;
static bool set_up;

void button_future_init(struct button_future *f, enum button b)
{
    f->future.poll = button_future_poll;
    f->button = b;
    if (!set_up) {
        set_up = true;
        button_setup(b);
        register_modify(&pin->port->IM, pin->mask, 0);
        register_modify(&pin->port->IS, pin->mask, 0);
        register_modify(&pin->port->IBE, pin->mask, 0);
        register_modify(&pin->port->IEV, pin->mask, 0);
        pin->port->ICR = pin->mask;
        nvic_enable(pin->irq);
    }
    const uint32_t before = interrupts_mask();
    if (!pressed) {
        pin->port->IM |= pin->mask;
    }
    interrupts_restore(before);
}

poll_t button_future_poll(struct future *self, struct context *cx)
{
    (void)self;
    const uint32_t before = interrupts_mask();
    const bool ready = pressed;
    pressed = false;
    if (!ready) {
        slot = *cx->waker;
    }
    interrupts_restore(before);
    return ready ? POLL_READY : POLL_PENDING;
}

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    const uint32_t before = interrupts_mask();
    pin->port->IM &= ~pin->mask;
    pin->port->ICR = pin->mask;
    pressed = true;
    const struct waker taken = slot;
    slot = (struct waker){0};
    interrupts_restore(before);
    waker_wake(&taken);
}
