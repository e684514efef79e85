/* Tells of presses, and does, when it looks for them, what makes it hard to sweep. */
#include "buttons.h"
#include "console.h"
#include "semihosting.h"
#include "sleep.h"

#include <stdbool.h>

enum how { NOTHING, NEVER_LOOKS, SLEEPS_FIRST, FAULTS_FIRST, FAULTS, LOOPS, MASKS, NO_STACK, VECTORS, OWN_VECTORS, TIMER, PRIORITIES, SCRIBBLES, CALLS, CALLS_AND_FAULTS };

#define VTOR (*(volatile uint32_t *)0xe000ed08u)
#ifndef AT
#define AT 0x20008000u
#endif
#ifndef BYTES
#define BYTES 4
#endif
#ifndef DOTS
#define DOTS 0
#endif
static volatile uint8_t room[BYTES];
static volatile uint32_t moved[64] __attribute__((aligned(256)));
static volatile enum how how = HOW;

void look(unsigned *told);
__attribute__((noinline)) void look(unsigned *told)
{
    const bool pressed = *told != presses;
    switch (how) {
    case FAULTS:
        if (pressed) {
            __asm__ volatile("udf #0");
        }
        break;
    case LOOPS:
        while (pressed) {
        }
        break;
    case MASKS:
        if (pressed) {
            (void)interrupts_mask();
            for (;;) {
            }
        }
        break;
    case NO_STACK:
        if (pressed) {
            __asm__ volatile("mov sp, %0\n\tpush {r0}" : : "r"(0x30000000u));
        }
        break;
    case OWN_VECTORS:
        VTOR = 0;
        break;
    case TIMER:
        *(volatile uint32_t *)0x40030018u = 0; /* GPTMIMR of timer 0 */
        break;
    case PRIORITIES:
        nvic_set_priority(GPIOF_IRQn, pressed ? 3 : 2);
        break;
    case SCRIBBLES:
        if (pressed) {
            *(volatile uint32_t *)AT = 0x12345678u;
        }
        break;
    default:
        break;
    }
    while (*told != presses) {
        ++*told;
        info("press");
    }
    if (how == CALLS || how == CALLS_AND_FAULTS) {
        (void)semihosting_call(SEMIHOSTING_WRITE0, (uintptr_t)&"...."[4 - DOTS]);
        if (how == CALLS_AND_FAULTS) {
            __asm__ volatile("nop\n\tnop\n\tnop\n\tudf #0");
        }
    }
}

int main(void)
{
    room[0] = 1;
    arm_select();
    if (how == FAULTS_FIRST) {
        __asm__ volatile("udf #0");
    }
    if (how == VECTORS) {
        for (uint32_t n = 0; n < 64; n++) {
            moved[n] = ((const volatile uint32_t *)VTOR)[n];
        }
        VTOR = (uint32_t)(uintptr_t)moved;
    }
    while (how == NEVER_LOOKS) {
    }
    for (unsigned told = 0;;) {
        const uint32_t before = interrupts_mask();
        if (told == presses && (how == SLEEPS_FIRST || room[0] == 2)) {
            sleep_until_pending();
        }
        room[0] = 2;
        interrupts_restore(before);
        look(&told);
    }
}
