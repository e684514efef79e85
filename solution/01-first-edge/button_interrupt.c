#include "button_interrupt.h"

#include "button.h"
#include "interrupts.h"

void button_interrupt_setup(void)
{
    const struct button_pin *pin = &button_pins[BUTTON_SELECT];

    button_setup(BUTTON_SELECT);

    /* Masked meanwhile: on the way to "falling edge" the pin can see an edge that is none. */
    register_modify(&pin->port->IM, pin->mask, 0);
    register_modify(&pin->port->IS, pin->mask, 0);
    register_modify(&pin->port->IBE, pin->mask, 0);
    register_modify(&pin->port->IEV, pin->mask, 0);

    pin->port->ICR = pin->mask; /* what it has seen so far is no press */
    register_modify(&pin->port->IM, 0, pin->mask);
    nvic_enable(pin->irq);
}

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    const struct button_pin *pin = &button_pins[BUTTON_SELECT];

    /* The line is the port's, and other pins may ask, too. */
    if ((pin->port->MIS & pin->mask) == 0) {
        return;
    }

    /* First: an edge that comes after this line is a new one. Acknowledged last, it would go with the old one. And only
     * this bit: the others are not ours to acknowledge. */
    pin->port->ICR = pin->mask;
    button_was_pressed();
}
