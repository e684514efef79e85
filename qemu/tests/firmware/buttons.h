/* What many of these programs begin with: SELECT interrupts, and each press is counted. */
#ifndef BUTTONS_H
#define BUTTONS_H

#include "button.h"
#include "interrupts.h"

static volatile unsigned presses;

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    GPIOF->ICR = button_pins[BUTTON_SELECT].mask;
    presses++;
}

/* A falling edge of `button`'s pin interrupts. */
static void arm(enum button button)
{
    const struct button_pin *pin = &button_pins[button];
    button_setup(button);
    pin->port->ICR = pin->mask;
    pin->port->IM |= pin->mask;
    nvic_enable(pin->irq);
}

static inline void arm_select(void)
{
    arm(BUTTON_SELECT);
}

#endif
