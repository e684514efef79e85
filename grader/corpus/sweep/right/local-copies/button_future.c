/* poll copies its waker and asks a helper; the handler works on a copy of the pin. */
#include "button_future.h"

#include "atomic_waker.h"
#include "interrupts.h"

static struct line {
    struct atomic_waker waker;
    atomic_bool pressed;
} select;
static bool set_up;

void button_future_init(struct button_future *f, enum button b)
{
    const struct button_pin *pin = &button_pins[b];
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
    if (!select.pressed) {
        pin->port->IM |= pin->mask;
    }
    interrupts_restore(before);
}

static bool was_pressed(struct line *line, struct waker waker)
{
    atomic_waker_register(&line->waker, &waker);
    bool expected = true;
    return atomic_compare_exchange_strong(&line->pressed, &expected, false);
}

poll_t button_future_poll(struct future *self, struct context *cx)
{
    (void)self;
    const struct waker waker = *cx->waker;
    return was_pressed(&select, waker) ? POLL_READY : POLL_PENDING;
}

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    const struct button_pin pin = button_pins[BUTTON_SELECT];
    if ((pin.port->MIS & pin.mask) == 0) {
        return; /* the NVIC has kept a request that was withdrawn */
    }
    pin.port->ICR = pin.mask;
    pin.port->IM &= ~pin.mask;
    select.pressed = true;
    atomic_waker_wake(&select.waker);
}
