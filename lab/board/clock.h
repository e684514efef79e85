/* Milliseconds since clock_start(). */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/* The processor's clock after clock_start(). */
#define CLOCK_HZ 12500000u

/* Runs the chip from its crystal, and SysTick at 1 kHz from that. Call once. Thread context.
 *
 * After reset the chip runs on an internal oscillator of 12 MHz, 30 % more or less: good enough to light an
 * LED, not to measure time. So: the board's 8 MHz crystal, the PLL's 200 MHz, divided by 16 (LM3S6965 data
 * sheet, "System Control", "Initialization and Configuration"). QEMU takes only the divisor from RCC and
 * arrives at the same 12.5 MHz. Programs that never ask for the time stay on the oscillator of the reset. */
void clock_start(void);

/* Wraps to 0 after 49 days: compare by difference, (int32_t)(clock_ms() - deadline) >= 0. Any context. */
uint32_t clock_ms(void);

/* Counts one millisecond. What SysTick_Handler calls; the one in clock.c does nothing else and is weak, so
 * that a program may define its own. ISR context. */
void clock_tick(void);

#endif
