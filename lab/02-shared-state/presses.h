/* What the interrupt tells the task about presses. */
#ifndef PRESSES_H
#define PRESSES_H

#include <stdint.h>

/* count  presses since the last take
 * last   when the last press was; 0: there was none yet */
struct presses {
    uint32_t count;
    uint32_t last;
};

/* Notes one press, at time `at`. ISR context; interrupts of other priorities do not call it. */
void presses_add(uint32_t at);

/* What was added since the last take. The two numbers belong together: `last` is the time of the last press that was
 * taken, now or earlier, never of one that the next take will bring. No press is taken twice, none is forgotten.
 * Thread context; keeps interrupts masked for 30 instructions at most, and leaves PRIMASK as found. */
void presses_take(struct presses *taken);

#endif
