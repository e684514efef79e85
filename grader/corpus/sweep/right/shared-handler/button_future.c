/* One handler for both ports looks at every button in a loop, SELECT first. */
#include "button_future.h"

#include "atomic_waker.h"
#include "interrupts.h"

static const enum button order[] = {BUTTON_SELECT, BUTTON_UP, BUTTON_DOWN, BUTTON_LEFT, BUTTON_RIGHT};

static struct {
    struct atomic_waker waker;
    atomic_bool pressed;
    bool set_up;
} lines[BUTTON_COUNT];

void button_future_init(struct button_future *f, enum button b)
{
    const struct button_pin *pin = &button_pins[b];
    f->future.poll = button_future_poll;
    f->button = b;
    if (!lines[b].set_up) {
        lines[b].set_up = true;
        for (unsigned i = 0; i < sizeof order / sizeof order[0]; i++) {
            button_setup(order[i]); /* the handler looks at their ports, too */
        }
        register_modify(&pin->port->IM, pin->mask, 0);
        register_modify(&pin->port->IS, pin->mask, 0);
        register_modify(&pin->port->IBE, pin->mask, 0);
        register_modify(&pin->port->IEV, pin->mask, 0);
        pin->port->ICR = pin->mask;
        nvic_enable(pin->irq);
    }
    const uint32_t before = interrupts_mask();
    if (!lines[b].pressed) {
        pin->port->IM |= pin->mask;
    }
    interrupts_restore(before);
}

poll_t button_future_poll(struct future *self, struct context *cx)
{
    const enum button b = ((struct button_future *)self)->button;
    atomic_waker_register(&lines[b].waker, cx->waker);
    return atomic_exchange(&lines[b].pressed, false) ? POLL_READY : POLL_PENDING;
}

static void serve_all(void)
{
    for (unsigned i = 0; i < sizeof order / sizeof order[0]; i++) {
        const struct button_pin *pin = &button_pins[order[i]];
        if ((pin->port->MIS & pin->mask) != 0) {
            pin->port->IM &= ~pin->mask;
            pin->port->ICR = pin->mask;
            lines[order[i]].pressed = true;
            atomic_waker_wake(&lines[order[i]].waker);
        }
    }
}

void GPIOE_IRQHandler(void);
void GPIOE_IRQHandler(void)
{
    serve_all();
}

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    serve_all();
}
