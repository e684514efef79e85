#include "button_future.h"

#include "atomic_waker.h"
#include "interrupts.h"

static const struct button_pin *const pin = &button_pins[BUTTON_SELECT];
static struct atomic_waker waker;
static volatile unsigned long long presses; /* by the handler */
static unsigned long long reported;
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
    register_modify(&pin->port->IM, 0, pin->mask);
}

poll_t button_future_poll(struct future *self, struct context *cx)
{
    (void)self;
    atomic_waker_register(&waker, cx->waker);
    if (presses == reported) {
        return POLL_PENDING;
    }
    reported++;
    return POLL_READY;
}

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    pin->port->ICR = pin->mask;
    presses++;
    atomic_waker_wake(&waker);
}
