#include "button.h"

#include "gpio_clock.h"
#include "interrupts.h"

const struct button_pin button_pins[BUTTON_COUNT] = {
    [BUTTON_UP] = {GPIOE, 1u << 0, SYSCTL_RCGC2_GPIOE, GPIOE_IRQn},
    [BUTTON_DOWN] = {GPIOE, 1u << 1, SYSCTL_RCGC2_GPIOE, GPIOE_IRQn},
    [BUTTON_LEFT] = {GPIOE, 1u << 2, SYSCTL_RCGC2_GPIOE, GPIOE_IRQn},
    [BUTTON_RIGHT] = {GPIOE, 1u << 3, SYSCTL_RCGC2_GPIOE, GPIOE_IRQn},
    [BUTTON_SELECT] = {GPIOF, 1u << 1, SYSCTL_RCGC2_GPIOF, GPIOF_IRQn},
};

void button_setup(enum button button)
{
    const struct button_pin *pin = &button_pins[button];

    gpio_clock_enable(pin->clock_gate);
    register_modify(&pin->port->DIR, pin->mask, 0);
    register_modify(&pin->port->AFSEL, pin->mask, 0);
    register_modify(&pin->port->PUR, 0, pin->mask); /* before DEN: the pin is never seen floating */
    register_modify(&pin->port->DEN, 0, pin->mask);
}
