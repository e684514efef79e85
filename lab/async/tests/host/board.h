/* The board as the host tests see it; included before anything else, in place of interrupts.h and sleep.h.
 *
 * Every atomic operation of the code under test, and every call that masks or unmasks, is a step. A test may have
 * an interrupt come at any step, so that all interleavings can be tried one by one. */
#ifndef HOST_BOARD_H
#define HOST_BOARD_H

#define INTERRUPTS_H
#define SLEEP_H

#include "../../../board/lm3s6965.h"

#include <stdatomic.h>
#include <stdbool.h>

uint32_t interrupts_mask(void);
void interrupts_restore(uint32_t before);
void register_modify(volatile uint32_t *reg, uint32_t clear, uint32_t set);
void nvic_enable(enum irq irq);
void sleep_until_pending(void);

/* Ports and system control are plain memory; host_edge() and the functions above play the pins. */
extern uint32_t host_port_e[330];
extern uint32_t host_port_f[330];
extern uint32_t host_sysctl[71];

#undef GPIOE
#undef GPIOF
#undef SYSCTL
#define GPIOE ((struct gpio *)host_port_e)
#define GPIOF ((struct gpio *)host_port_f)
#define SYSCTL ((struct sysctl *)host_sysctl)

/* Forgets everything. */
void host_reset(void);

/* The next interrupts: `isr` at the step `first` (0 is the next one) and again at the step `second`, if that is not
 * negative. While masked it waits. host_interrupts_stop() says how many of them came, and has no more come. */
void host_interrupt_at(void (*isr)(void), int first, int second);
int host_interrupts_stop(void);

/* Called instead of sleeping with nothing pending. */
extern void (*host_idle)(void);

/* A falling or rising edge on a pin, and the interrupt if it is to come. */
void host_edge(struct gpio *port, uint32_t mask, bool falling);

bool host_masked(void);
bool host_nvic_enabled(enum irq irq);

void host_step(void);

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_exchange_explicit
#undef atomic_fetch_or_explicit
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak_explicit
#define atomic_load_explicit(p, o) (host_step(), __atomic_load_n(p, o))
#define atomic_store_explicit(p, v, o) (host_step(), __atomic_store_n(p, v, o))
#define atomic_exchange_explicit(p, v, o) (host_step(), __atomic_exchange_n(p, v, o))
#define atomic_fetch_or_explicit(p, v, o) (host_step(), __atomic_fetch_or(p, v, o))
#define atomic_compare_exchange_strong_explicit(p, e, v, s, f) \
    (host_step(), __atomic_compare_exchange_n(p, e, v, 0, s, f))
#define atomic_compare_exchange_weak_explicit(p, e, v, s, f) \
    (host_step(), __atomic_compare_exchange_n(p, e, v, 1, s, f))

#endif
