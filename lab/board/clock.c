#include "clock.h"

#include "lm3s6965.h"

#include <stdatomic.h>

static atomic_uint now_ms;

static void wait_for_crystal(void)
{
    /* Nothing on this chip says that the crystal swings steadily. At the oscillator's fastest, 15.6 MHz, and
     * 6 cycles or more a round this is 20 ms. */
    for (volatile uint32_t round = 0; round < 52000u; round++) {
    }
}

static void run_from_crystal(void)
{
    uint32_t rcc = SYSCTL->RCC;

    /* The order is the data sheet's: leave the PLL before its input changes, return when it has locked. */
    rcc |= SYSCTL_RCC_BYPASS;
    rcc &= ~SYSCTL_RCC_USESYSDIV;
    SYSCTL->RCC = rcc;

    rcc &= ~SYSCTL_RCC_MOSCDIS;
    SYSCTL->RCC = rcc;
    wait_for_crystal();

    rcc &= ~(SYSCTL_RCC_XTAL_MASK | SYSCTL_RCC_OSCSRC_MASK | SYSCTL_RCC_PWRDN);
    rcc |= SYSCTL_RCC_XTAL_8MHZ;
    SYSCTL->RCC = rcc;

    rcc &= ~SYSCTL_RCC_SYSDIV_MASK;
    rcc |= SYSCTL_RCC_SYSDIV_16 | SYSCTL_RCC_USESYSDIV;
    SYSCTL->RCC = rcc;
    while ((SYSCTL->RIS & SYSCTL_RIS_PLLL) == 0) {
    }

    rcc &= ~SYSCTL_RCC_BYPASS;
    SYSCTL->RCC = rcc;
}

void clock_start(void)
{
    run_from_crystal();

    SYSTICK->LOAD = CLOCK_HZ / 1000u - 1u;
    SYSTICK->VAL = 0;
    SYSTICK->CTRL = SYSTICK_CTRL_CLKSOURCE | SYSTICK_CTRL_TICKINT | SYSTICK_CTRL_ENABLE;
}

uint32_t clock_ms(void)
{
    return atomic_load_explicit(&now_ms, memory_order_relaxed);
}

void clock_tick(void)
{
    /* Load and store will do: nobody else writes. */
    atomic_store_explicit(&now_ms, atomic_load_explicit(&now_ms, memory_order_relaxed) + 1u,
                          memory_order_relaxed);
}

/* startup.c has no default for this one: of two weak definitions the linker would take either. */
void SysTick_Handler(void);
__attribute__((weak)) void SysTick_Handler(void)
{
    clock_tick();
}
