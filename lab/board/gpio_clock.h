/* The clocks of the GPIO ports. */
#ifndef GPIO_CLOCK_H
#define GPIO_CLOCK_H

#include "interrupts.h"

/* Turns on the clock of the ports in `gate` (SYSCTL_RCGC2_GPIO...). May be repeated. Thread context.
 *
 * A port answers 3 system clocks after its gate opened and not earlier (LM3S6965 data sheet, RCGC2): the
 * read waits for the write to arrive, the NOPs pass the time. QEMU does not ask for either. */
static inline void gpio_clock_enable(uint32_t gate)
{
    register_modify(&SYSCTL->RCGC2, 0, gate);
    (void)SYSCTL->RCGC2;
    __asm__ volatile("nop\n\tnop\n\tnop");
}

#endif
