/* Where the program is about to wait for somebody else: the instruction before a WFI or a BKPT stores to this word.
 *
 * Nobody reads it. The bench watches for the store, and takes over there: after a stop at a watchpoint QEMU goes on
 * with the code that it has translated, and after one at a breakpoint it translates all of it again. On a real board
 * it is a store, and that is all. */
#ifndef BELL_H
#define BELL_H

#include <stdint.h>

extern volatile uint32_t bench_bell; /* lm3s6965.ld */

/* In assembler, with BELL as the operand [bell]. The word's own address is what is stored: by that the bench knows
 * this instruction from any other store. */
#define RING "str %[bell], [%[bell]]\n\t"
#define BELL [bell] "l"(&bench_bell)

#endif
