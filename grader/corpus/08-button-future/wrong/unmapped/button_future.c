#include "button_future.h"

#include "atomic_waker.h"
#include "interrupts.h"

struct line {
    struct atomic_waker waker;
    atomic_bool pressed;
    bool set_up;
};

static struct line lines[BUTTON_COUNT];

static void set_up(const struct button_pin *pin)
{
    button_setup((enum button)(pin - button_pins));

    register_modify(&pin->port->IM, pin->mask, 0);
    register_modify(&pin->port->IS, pin->mask, 0);
    register_modify(&pin->port->IBE, pin->mask, 0);
    register_modify(&pin->port->IEV, pin->mask, 0);

    *(volatile uint32_t *)0x4002741cu = pin->mask;
    pin->port->ICR = pin->mask;
    nvic_enable(pin->irq);
}

static void arm(struct line *line, const struct button_pin *pin)
{
    const uint32_t before = interrupts_mask();
    if (!atomic_load_explicit(&line->pressed, memory_order_relaxed)) {
        pin->port->IM |= pin->mask;
    }
    interrupts_restore(before);
}

void button_future_init(struct button_future *f, enum button b)
{
    struct line *line = &lines[b];
    const struct button_pin *pin = &button_pins[b];

    f->future.poll = button_future_poll;
    f->button = b;

    if (!line->set_up) {
        set_up(pin);
        line->set_up = true;
    }
    arm(line, pin);
}

poll_t button_future_poll(struct future *self, struct context *cx)
{
    const struct button_future *f = (const struct button_future *)self;
    struct line *line = &lines[f->button];

    atomic_waker_register(&line->waker, cx->waker);
    return atomic_exchange_explicit(&line->pressed, false, memory_order_acquire) ? POLL_READY : POLL_PENDING;
}

static inline __attribute__((always_inline)) void serve(enum button b)
{
    const struct button_pin *pin = &button_pins[b];
    struct gpio *port = pin->port;

    if ((port->MIS & pin->mask) == 0) {
        return;
    }

    port->ICR = pin->mask;
    port->IM &= ~pin->mask;

    atomic_store_explicit(&lines[b].pressed, true, memory_order_relaxed);
    atomic_waker_wake(&lines[b].waker);
}

void GPIOE_IRQHandler(void);
void GPIOE_IRQHandler(void)
{
    for (enum button b = BUTTON_UP; b <= BUTTON_RIGHT; b++) {
        serve(b);
    }
}

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    serve(BUTTON_SELECT);
}
