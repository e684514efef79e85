#include "button_future.h"

#include "atomic_waker.h"
#include "interrupts.h"

static const struct button_pin *const pin = &button_pins[BUTTON_SELECT];
static struct atomic_waker waker;
static atomic_bool pressed;
static atomic_bool polling; /* a press now is noticed by this poll, nobody need be woken */
static atomic_bool late;
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
    polling = true;
    atomic_waker_register(&waker, cx->waker);
    polling = false;
    return atomic_exchange(&late, false) || atomic_exchange(&pressed, false) ? POLL_READY : POLL_PENDING;
}

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    if ((pin->port->MIS & pin->mask) == 0) {
        return;
    }
    pin->port->ICR = pin->mask;
    if (polling) {
        late = true;
        return;
    }
    pin->port->IM &= ~pin->mask;
    pressed = true;
    atomic_waker_wake(&waker);
}
