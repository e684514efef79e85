/* A function whose first instruction is a WFI, and a sleep written as a wide one. */
#include "buttons.h"
#include "console.h"

void nap(void);
__attribute__((naked, noinline)) void nap(void)
{
    __asm__ volatile("wfi\n\tbx lr");
}

void wide_nap(void);
__attribute__((naked, noinline)) void wide_nap(void)
{
    __asm__ volatile("wfi.w\n\tbx lr");
}

int main(void)
{
    arm_select();
    for (;;) {
        nap();
        info("narrow");
        wide_nap();
        info("wide");
    }
}
