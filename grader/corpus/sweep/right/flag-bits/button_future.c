/* The flags of all buttons are the bits of one atomic word. */
#include "button_future.h"

#include "atomic_waker.h"
#include "interrupts.h"

static struct atomic_waker wakers[BUTTON_COUNT];
static atomic_uint pressed;
static unsigned set_up; /* bits, too */

void button_future_init(struct button_future *f, enum button b)
{
    const struct button_pin *pin = &button_pins[b];
    f->future.poll = button_future_poll;
    f->button = b;
    if ((set_up & (1u << b)) == 0) {
        set_up |= 1u << b;
        button_setup(b);
        register_modify(&pin->port->IM, pin->mask, 0);
        register_modify(&pin->port->IS, pin->mask, 0);
        register_modify(&pin->port->IBE, pin->mask, 0);
        register_modify(&pin->port->IEV, pin->mask, 0);
        pin->port->ICR = pin->mask;
        nvic_enable(pin->irq);
    }
    const uint32_t before = interrupts_mask();
    if ((pressed & (1u << b)) == 0) {
        pin->port->IM |= pin->mask;
    }
    interrupts_restore(before);
}

poll_t button_future_poll(struct future *self, struct context *cx)
{
    const enum button b = ((struct button_future *)self)->button;
    atomic_waker_register(&wakers[b], cx->waker);
    return (atomic_fetch_and(&pressed, ~(1u << b)) & (1u << b)) != 0 ? POLL_READY : POLL_PENDING;
}

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    const struct button_pin *pin = &button_pins[BUTTON_SELECT];
    pin->port->IM &= ~pin->mask;
    pin->port->ICR = pin->mask;
    atomic_fetch_or(&pressed, 1u << BUTTON_SELECT);
    atomic_waker_wake(&wakers[BUTTON_SELECT]);
}
