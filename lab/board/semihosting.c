#include "semihosting.h"

#include "bell.h"
#include "stop.h"

static volatile bool absent;

/* noinline, noclone: the tools know the one BKPT of the program by its address. */
__attribute__((noinline, noclone)) uint32_t semihosting_call(uint32_t operation, uintptr_t parameter)
{
    register uint32_t r0 __asm__("r0") = operation;
    register uintptr_t r1 __asm__("r1") = parameter;
    __asm__ volatile(RING "bkpt 0xab" : "+r"(r0) : "r"(r1), BELL : "memory");
    return r0;
}

bool semihosting_is_absent(void)
{
    return absent;
}

void semihosting_set_absent(void)
{
    absent = true;
}

_Noreturn void semihosting_exit(int status)
{
    if (!absent) {
        (void)semihosting_call(SEMIHOSTING_EXIT,
                               status == 0 ? SEMIHOSTING_EXIT_SUCCESS : SEMIHOSTING_EXIT_FAILURE);
    }
    board_stop();
}
