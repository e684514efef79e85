/* Two instructions, for ever. How often is in r4. A press is counted, and ends it. */
#include "buttons.h"
#include "console.h"
#include "sleep.h"

int main(void)
{
    arm_select();
    info("spinning");
    __asm__ volatile("mov r4, #0\n"
                     "1: add r4, #1\n\t"
                     "ldr r0, [%0]\n\t"
                     "cmp r0, #0\n\t"
                     "beq 1b" ::"r"(&presses) : "r0", "r4", "cc", "memory");
    info("freed");
    for (;;) {
        sleep_until_pending();
    }
}
