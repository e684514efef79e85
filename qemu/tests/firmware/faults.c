/* Sleeps until SELECT is pressed, then breaks in the way that -DHOW=... says. */
#include "buttons.h"
#include "console.h"
#include "sleep.h"

#define NULL_JUMP 1
#define NOWHERE 2
#define UNDEFINED 3
#define OVERFLOW 4
#define LOCKUP 5
#define UNHANDLED 6

static volatile uint32_t *volatile below_sram = (volatile uint32_t *)0x1fff0000;
static void (*volatile nothing)(void);

#if HOW == OVERFLOW
static unsigned deeper(unsigned depth)
{
    volatile unsigned here[64] = {depth};
    return deeper(depth + 1) + here[0];
}
#endif

void broken(void);
__attribute__((noinline)) void broken(void)
{
#if HOW == NULL_JUMP
    nothing();
#elif HOW == NOWHERE
    *below_sram = 1;
#elif HOW == UNDEFINED
    __asm__ volatile("udf #1");
#elif HOW == OVERFLOW
    (void)deeper(0);
#elif HOW == LOCKUP
    /* With FAULTMASK set no fault can be taken: the core locks up. */
    __asm__ volatile("cpsid f\n\tudf #1");
#elif HOW == UNHANDLED
    nvic_enable(GPIOA_IRQn);
    NVIC->ISPR[0] = 1u << GPIOA_IRQn;
    __asm__ volatile("dsb\n\tisb");
#endif
    (void)nothing;
    (void)below_sram;
}

int main(void)
{
    arm_select();
    while (presses == 0) {
        sleep_until_pending();
    }
    broken();
    return 0;
}
