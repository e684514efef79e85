/* Asking the debugger for something: the only way out of the board that the labs use.
 * Arm, "Semihosting for AArch32 and AArch64". */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stdbool.h>
#include <stdint.h>

enum semihosting_operation {
    SEMIHOSTING_WRITE0 = 0x04, /* parameter: a string that ends with a zero byte */
    SEMIHOSTING_EXIT = 0x18    /* parameter: one of the two reasons below, by value */
};

enum semihosting_exit_reason {
    SEMIHOSTING_EXIT_FAILURE = 0x20023,
    SEMIHOSTING_EXIT_SUCCESS = 0x20026
};

/* Stops the core until the host has done `operation`, and returns its answer. Thread context: with a real
 * debug probe a call takes milliseconds, in which no interrupt is served.
 *
 * Without a host (a board on its own) the BKPT is a HardFault; fault.c steps over it, the answer is
 * UINT32_MAX, and semihosting_is_absent() from then on. */
uint32_t semihosting_call(uint32_t operation, uintptr_t parameter);

bool semihosting_is_absent(void);

/* For fault.c, which is the one to find out. */
void semihosting_set_absent(void);

/* Ends the program: status 0 is success. Without a host, or if the host lets it go on, sleeps for ever. */
_Noreturn void semihosting_exit(int status);

#endif
