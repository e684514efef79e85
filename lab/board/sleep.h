/* Sleeping until there is something to do. */
#ifndef SLEEP_H
#define SLEEP_H

#include "bell.h"

/* Stops the core until an enabled interrupt is pending; returns at once if one is already.
 * Thread context, *with interrupts masked* (interrupts_mask()), after having checked once more that there
 * is nothing to do:
 *
 *     before = interrupts_mask();
 *     if (nothing to do)
 *         sleep_until_pending();
 *     interrupts_restore(before);        <- here the handler runs
 *
 * Unmasked, an interrupt between the check and the WFI would be handled, the WFI would find nothing
 * pending, and the core would sleep on the work just delivered. PRIMASK does not keep a pending interrupt
 * from ending the sleep (ARM B1.5.19); BASEPRI does, so do not mask with that one.
 *
 * DSB: what was stored before (an acknowledge, an enable) reaches the hardware before the core stops.
 * RING: for the bench, see bell.h. */
static inline void sleep_until_pending(void)
{
    __asm__ volatile("dsb\n\t" RING "wfi" ::BELL : "memory");
}

#endif
