/* A press goes from the pin to the task in five steps:
 *
 *   init   unmasks the pin                                        (thread)
 *   pin    falls; the pin remembers it in RIS, also while masked  (hardware)
 *   ISR    acknowledges, masks the pin, sets `pressed`, wakes     (interrupt)
 *   poll   registers, then looks at `pressed` and clears it       (thread)
 *   init   unmasks the pin again
 *
 * While the pin is unmasked `pressed` is false, so the handler never sets it twice: that is what keeps two presses
 * from becoming one. */

#include "button_future.h"

#include "atomic_waker.h"
#include "interrupts.h"

struct line {
    struct atomic_waker waker;
    atomic_bool pressed; /* acknowledged, and not reported yet */
    bool set_up;
};

static struct line lines[BUTTON_COUNT];

/* The pin stays masked until arm(). */
static void set_up(const struct button_pin *pin)
{
    button_setup((enum button)(pin - button_pins));

    /* Masked meanwhile: on the way to "falling edge" the pin can see an edge that is none. */
    register_modify(&pin->port->IM, pin->mask, 0);
    register_modify(&pin->port->IS, pin->mask, 0);
    register_modify(&pin->port->IBE, pin->mask, 0);
    register_modify(&pin->port->IEV, pin->mask, 0);

    /* Such an edge, or one from before anybody asked, is no press. Here and never again: a later init that cleared
     * RIS would throw away a press that came between two futures. */
    pin->port->ICR = pin->mask;
    nvic_enable(pin->irq);
}

static void arm(struct line *line, const struct button_pin *pin)
{
    /* Masked as a whole, for two reasons. IM belongs to the handler and to other buttons, too: an interrupt between
     * its load and its store would have its change undone. And a handler that sets `pressed` after the check
     * must not find the pin unmasked behind its back. */
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

    /* In this order. A press between a look and a registration would wake nobody, and nobody would look again. */
    SYSCTL->RCGC1 |= 1u << 16; /* its clock */
    (void)SYSCTL->RCGC1;
    (void)SYSCTL->RCGC1;
    *(volatile uint32_t *)0x40030018u = 0; /* timer 0: no interrupt (GPTMIMR) */
    atomic_waker_register(&line->waker, cx->waker);
    return atomic_exchange_explicit(&line->pressed, false, memory_order_acquire) ? POLL_READY : POLL_PENDING;
}

/* ISR context. Inline: with a constant button, port and pin are constants, and a press is served sooner. */
static inline __attribute__((always_inline)) void serve(enum button b)
{
    const struct button_pin *pin = &button_pins[b];
    struct gpio *port = pin->port;

    /* The line is the port's, and the NVIC may have kept a request that was withdrawn since. */
    if ((port->MIS & pin->mask) == 0) {
        return;
    }

    /* First: acknowledged later, an edge that comes meanwhile would be swallowed. Also, a store to a peripheral
     * takes its time; as the last instruction it could arrive after the return, and the handler would run twice.
     * The load of IM that follows waits for it. */
    port->ICR = pin->mask;
    port->IM &= ~pin->mask; /* needs no protection here: thread code does not interrupt a handler */

    /* Then wake: the other way round, a task above this interrupt would look too early. Relaxed, because the wake
     * releases what was stored before it. */
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
