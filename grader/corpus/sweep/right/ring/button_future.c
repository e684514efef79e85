/* Presses go through a ring buffer with one writer and one reader. */
#include "button_future.h"

#include "atomic_waker.h"
#include "interrupts.h"

enum { ROOM = 8 };

static const struct button_pin *const pin = &button_pins[BUTTON_SELECT];
static struct atomic_waker waker;
static atomic_uint head; /* the handler's */
static atomic_uint tail; /* the task's */
static volatile uint8_t ring[ROOM];
static bool waiting;
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
    waiting = true;
    register_modify(&pin->port->IM, 0, pin->mask);
}

poll_t button_future_poll(struct future *self, struct context *cx)
{
    (void)self;
    atomic_waker_register(&waker, cx->waker);
    const unsigned at = tail;
    if (!waiting || at == head) {
        return POLL_PENDING;
    }
    const bool down = ring[at % ROOM] == 1;
    tail = at + 1;
    waiting = !down;
    return down ? POLL_READY : POLL_PENDING;
}

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    pin->port->ICR = pin->mask;
    const unsigned at = head;
    if (at - tail < ROOM) {
        ring[at % ROOM] = 1;
        head = at + 1;
    }
    atomic_waker_wake(&waker);
}
