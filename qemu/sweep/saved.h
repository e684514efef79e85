/* A run of the program, saved in thread mode, and made again. */
#ifndef SAVED_H
#define SAVED_H

#include "pins.h"

enum { SAVED_REGISTERS = 8 };

/* saved_resume() counts on the order of the first three. */
struct saved {
    uint32_t registers[SAVED_REGISTERS]; /* r4 to r11 */
    uint32_t sp;                         /* at the stacked frame */
    uint32_t primask;                    /* set at a masked WFI */
    uint32_t basepri;
    uint32_t stack_size;
    uint32_t enabled[2]; /* ISER */
    uint32_t pended[2];  /* ISPR, without what the ports ask for and the harness's own */
    uint32_t system;     /* PENDSVSET and PENDSTSET of ICSR */
    uint32_t clock;      /* CTRL of SysTick, but not enabled: no time passes */
    uint32_t clock_load;
    struct port_state ports[SWEEP_PORTS_MAX];
    uint8_t memory[SWEEP_IMAGE];
};

/* Save the program as it stands at `frame`. False if there is no room. */
bool saved_keep(struct saved *saved, const uint32_t *registers, const uint32_t *frame);

/* A sum over what is saved: it stays the same, or somebody has written there. */
uint32_t saved_sum(const struct saved *saved);

/* Everything as it was but the registers. `idle`: nothing is pending at all. In a handler. */
void saved_restore(const struct saved *saved, bool idle);

/* Leave the handler, the only one that is active, into the program as it was saved, to be struck after `ticks`. */
_Noreturn void saved_resume(const struct saved *saved, uint32_t ticks);

#endif
