/* The handler calls the waker by its vtable, without waker_wake() and without an AtomicWaker. */
#include "button_future.h"

#include "interrupts.h"

#include <stdatomic.h>

static const struct button_pin *const pin = &button_pins[BUTTON_SELECT];
static struct waker waker;
static atomic_bool waits;
static atomic_bool pressed;
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
    waits = false; /* the slot is the task's */
    waker = *cx->waker;
    waits = true; /* the handler's */
    return atomic_exchange(&pressed, false) ? POLL_READY : POLL_PENDING;
}

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    pin->port->IM &= ~pin->mask;
    pin->port->ICR = pin->mask;
    pressed = true;
    if (atomic_exchange(&waits, false)) {
        waker.vtable->wake(waker.data);
    }
}
