/* Four instructions, for ever. How often is in r4. A press is counted, and ends it.
 * With -DHOW=..., in a state in which a watcher has a hard time. */
#include "buttons.h"
#include "console.h"
#include "sleep.h"

#define PRIMASK_SET 1
#define FAULTMASK_SET 2
#define IN_HANDLER 3
#define NO_STACK 4

#ifdef HOW
void SVC_Handler(void);
void SVC_Handler(void)
{
    for (;;) {
    }
}
#else
#define HOW 0
#endif

int main(void)
{
    arm_select();
    info("spinning");
#if HOW == PRIMASK_SET
    __asm__ volatile("cpsid i");
#elif HOW == FAULTMASK_SET
    __asm__ volatile("cpsid f");
#elif HOW == IN_HANDLER
    __asm__ volatile("svc 0");
#elif HOW == NO_STACK
    __asm__ volatile("mov sp, %0\n1: b 1b" ::"r"(0x1fff0000));
#endif
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
