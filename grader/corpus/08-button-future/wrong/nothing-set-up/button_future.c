#include "button_future.h"

#include "atomic_waker.h"
#include "interrupts.h"

static const struct button_pin *const pin = &button_pins[BUTTON_SELECT];
static struct atomic_waker waker;
static atomic_bool pressed;

void button_future_init(struct button_future *f, enum button b)
{
    f->future.poll = button_future_poll;
    f->button = b;
}

poll_t button_future_poll(struct future *self, struct context *cx)
{
    (void)self;
    atomic_waker_register(&waker, cx->waker);
    return atomic_exchange(&pressed, false) ? POLL_READY : POLL_PENDING;
}

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    pin->port->IM &= ~pin->mask;
    pin->port->ICR = pin->mask;
    pressed = true;
    atomic_waker_wake(&waker);
}
