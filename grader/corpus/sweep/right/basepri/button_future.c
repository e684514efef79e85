/* Critical sections by BASEPRI, with the interrupt at a priority of its own. */
#include "button_future.h"

#include "interrupts.h"

#include <stdbool.h>

enum { PRIORITY = 4 };

static const struct button_pin *const pin = &button_pins[BUTTON_SELECT];
static struct waker slot;
static volatile bool pressed;
static bool set_up;

static uint32_t raise_priority(void)
{
    uint32_t before;
    __asm__ volatile("mrs %0, basepri\n\t"
                     "msr basepri, %1\n\t"
                     "isb"
                     : "=&r"(before)
                     : "r"(PRIORITY << 5)
                     : "memory");
    return before;
}

static void restore_priority(uint32_t before)
{
    __asm__ volatile("msr basepri, %0\n\t"
                     "isb"
                     :
                     : "r"(before)
                     : "memory");
}

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
        nvic_set_priority(pin->irq, PRIORITY);
        nvic_enable(pin->irq);
    }
    const uint32_t before = raise_priority();
    if (!pressed) {
        pin->port->IM |= pin->mask;
    }
    restore_priority(before);
}

poll_t button_future_poll(struct future *self, struct context *cx)
{
    (void)self;
    const uint32_t before = raise_priority();
    const bool ready = pressed;
    pressed = false;
    slot = *cx->waker;
    restore_priority(before);
    return ready ? POLL_READY : POLL_PENDING;
}

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    pin->port->IM &= ~pin->mask;
    pin->port->ICR = pin->mask;
    pressed = true;
    const struct waker taken = slot;
    slot = (struct waker){0};
    waker_wake(&taken);
}
