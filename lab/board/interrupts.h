/* Masking interrupts, and the NVIC's switches. */
#ifndef INTERRUPTS_H
#define INTERRUPTS_H

#include "lm3s6965.h"

/* Keeps every interrupt of configurable priority waiting, and returns what to hand to
 * interrupts_restore(). Calls nest. Thread or ISR. ARM B1.4.3 (PRIMASK).
 *
 * An interrupt that arrives meanwhile is not lost: it stays pending. Two of the same line become one.
 *
 * The "memory" clobbers keep the compiler from moving accesses out of the masked part. */
static inline uint32_t interrupts_mask(void)
{
    uint32_t before;
    __asm__ volatile("mrs %0, primask\n\t"
                     "cpsid i"
                     : "=r"(before)
                     :
                     : "memory");
    return before;
}

/* Ends the masked part which `before` came from. Restoring, rather than enabling, is what makes it safe
 * to call a function that masks from a caller that has masked already.
 *
 * Without the ISB a pending interrupt might be taken some instructions late: code that unmasks and masks
 * again at once (an idle loop) could shut it out for ever. ARM B5.2.3, "MSR (register)". */
static inline void interrupts_restore(uint32_t before)
{
    __asm__ volatile("msr primask, %0\n\t"
                     "isb"
                     :
                     : "r"(before)
                     : "memory");
}

/* Changes bits of a register that others change too: `*reg = (*reg & ~clear) | set`, with interrupts
 * masked. Without the mask, an interrupt between the load and the store has its own change to the
 * register undone. Thread or ISR. */
static inline void register_modify(volatile uint32_t *reg, uint32_t clear, uint32_t set)
{
    const uint32_t before = interrupts_mask();
    *reg = (*reg & ~clear) | set;
    interrupts_restore(before);
}

/* The NVIC functions may be called by thread and ISR alike: each is a single store of just its own bit.
 * ARM B3.4. */
static inline void nvic_enable(enum irq irq)
{
    NVIC->ISER[(uint32_t)irq / 32u] = 1u << ((uint32_t)irq % 32u);
}

/* The barriers: once it has returned, the interrupt is not taken any more. */
static inline void nvic_disable(enum irq irq)
{
    NVIC->ICER[(uint32_t)irq / 32u] = 1u << ((uint32_t)irq % 32u);
    __asm__ volatile("dsb\n\tisb" ::: "memory");
}

static inline void nvic_clear_pending(enum irq irq)
{
    NVIC->ICPR[(uint32_t)irq / 32u] = 1u << ((uint32_t)irq % 32u);
}

/* `priority`: 0 (most urgent, the value after reset) to 7. The chip keeps 3 bits, the top ones. */
static inline void nvic_set_priority(enum irq irq, uint32_t priority)
{
    NVIC->IPR[irq] = (uint8_t)(priority << 5);
}

#endif
