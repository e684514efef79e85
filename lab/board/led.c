#include "led.h"

#include "gpio_clock.h"
#include "interrupts.h"

static const uint32_t LED = 1u << 0;

void led_setup(void)
{
    gpio_clock_enable(SYSCTL_RCGC2_GPIOF);
    register_modify(&GPIOF->AFSEL, LED, 0);
    register_modify(&GPIOF->DIR, 0, LED);
    register_modify(&GPIOF->DEN, 0, LED);
    led_set(false);
}

void led_set(bool on)
{
    /* The address masks the other pins, so this is one store and needs no protection. */
    GPIOF->DATA[LED] = on ? LED : 0;
}
