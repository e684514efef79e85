/* From reset to main(), and the table that says which function serves which exception (ARM B1.5). */

#include "console.h"
#include "lm3s6965.h"
#include "semihosting.h"
#include "stop.h"

/* lm3s6965.ld */
extern uint32_t __stack_start__[];
extern uint32_t __stack_end__[];
extern uint32_t __data_start__[];
extern uint32_t __data_end__[];
extern const uint32_t __data_load__[];
extern uint32_t __bss_start__[];
extern uint32_t __bss_end__[];

int main(void);

void Reset_Handler(void);
void Default_Handler(void);

/* Define a function of one of these names and it is the handler: no other registration exists, and the
 * linker does not complain of a name that is spelt differently. */
#define HANDLER(name) __attribute__((weak, alias("Default_Handler"))) void name(void)

HANDLER(NMI_Handler);
HANDLER(HardFault_Handler);
HANDLER(MemManage_Handler);
HANDLER(BusFault_Handler);
HANDLER(UsageFault_Handler);
HANDLER(SVC_Handler);
HANDLER(DebugMon_Handler);
HANDLER(PendSV_Handler);
void SysTick_Handler(void); /* clock.c */
HANDLER(GPIOA_IRQHandler);
HANDLER(GPIOB_IRQHandler);
HANDLER(GPIOC_IRQHandler);
HANDLER(GPIOD_IRQHandler);
HANDLER(GPIOE_IRQHandler);
HANDLER(UART0_IRQHandler);
HANDLER(UART1_IRQHandler);
HANDLER(SSI0_IRQHandler);
HANDLER(I2C0_IRQHandler);
HANDLER(PWM_FAULT_IRQHandler);
HANDLER(PWM0_IRQHandler);
HANDLER(PWM1_IRQHandler);
HANDLER(PWM2_IRQHandler);
HANDLER(QEI0_IRQHandler);
HANDLER(ADC0_IRQHandler);
HANDLER(ADC1_IRQHandler);
HANDLER(ADC2_IRQHandler);
HANDLER(ADC3_IRQHandler);
HANDLER(WATCHDOG_IRQHandler);
HANDLER(TIMER0A_IRQHandler);
HANDLER(TIMER0B_IRQHandler);
HANDLER(TIMER1A_IRQHandler);
HANDLER(TIMER1B_IRQHandler);
HANDLER(TIMER2A_IRQHandler);
HANDLER(TIMER2B_IRQHandler);
HANDLER(COMP0_IRQHandler);
HANDLER(COMP1_IRQHandler);
HANDLER(SYSCTL_IRQHandler);
HANDLER(FLASH_IRQHandler);
HANDLER(GPIOF_IRQHandler);
HANDLER(GPIOG_IRQHandler);
HANDLER(UART2_IRQHandler);
HANDLER(TIMER3A_IRQHandler);
HANDLER(TIMER3B_IRQHandler);
HANDLER(I2C1_IRQHandler);
HANDLER(QEI1_IRQHandler);
HANDLER(ETHERNET_IRQHandler);
HANDLER(HIBERNATE_IRQHandler);

struct vector_table {
    const void *initial_stack_pointer;
    void (*exception[15])(void); /* exception n at n - 1 */
    void (*irq[IRQ_COUNT])(void);
};

_Static_assert(sizeof(struct vector_table) == 64 * 4, "16 exceptions and 48 interrupts");

extern const struct vector_table vectors;
__attribute__((section(".vectors"), used)) const struct vector_table vectors = {
    .initial_stack_pointer = __stack_end__,
    .exception =
        {
            [1 - 1] = Reset_Handler,
            [2 - 1] = NMI_Handler,
            [3 - 1] = HardFault_Handler,
            [4 - 1] = MemManage_Handler,
            [5 - 1] = BusFault_Handler,
            [6 - 1] = UsageFault_Handler,
            [11 - 1] = SVC_Handler,
            [12 - 1] = DebugMon_Handler,
            [14 - 1] = PendSV_Handler,
            [15 - 1] = SysTick_Handler,
        },
    .irq =
        {
            [GPIOA_IRQn] = GPIOA_IRQHandler,
            [GPIOB_IRQn] = GPIOB_IRQHandler,
            [GPIOC_IRQn] = GPIOC_IRQHandler,
            [GPIOD_IRQn] = GPIOD_IRQHandler,
            [GPIOE_IRQn] = GPIOE_IRQHandler,
            [UART0_IRQn] = UART0_IRQHandler,
            [UART1_IRQn] = UART1_IRQHandler,
            [SSI0_IRQn] = SSI0_IRQHandler,
            [I2C0_IRQn] = I2C0_IRQHandler,
            [PWM_FAULT_IRQn] = PWM_FAULT_IRQHandler,
            [PWM0_IRQn] = PWM0_IRQHandler,
            [PWM1_IRQn] = PWM1_IRQHandler,
            [PWM2_IRQn] = PWM2_IRQHandler,
            [QEI0_IRQn] = QEI0_IRQHandler,
            [ADC0_IRQn] = ADC0_IRQHandler,
            [ADC1_IRQn] = ADC1_IRQHandler,
            [ADC2_IRQn] = ADC2_IRQHandler,
            [ADC3_IRQn] = ADC3_IRQHandler,
            [WATCHDOG_IRQn] = WATCHDOG_IRQHandler,
            [TIMER0A_IRQn] = TIMER0A_IRQHandler,
            [TIMER0B_IRQn] = TIMER0B_IRQHandler,
            [TIMER1A_IRQn] = TIMER1A_IRQHandler,
            [TIMER1B_IRQn] = TIMER1B_IRQHandler,
            [TIMER2A_IRQn] = TIMER2A_IRQHandler,
            [TIMER2B_IRQn] = TIMER2B_IRQHandler,
            [COMP0_IRQn] = COMP0_IRQHandler,
            [COMP1_IRQn] = COMP1_IRQHandler,
            [27] = Default_Handler,
            [SYSCTL_IRQn] = SYSCTL_IRQHandler,
            [FLASH_IRQn] = FLASH_IRQHandler,
            [GPIOF_IRQn] = GPIOF_IRQHandler,
            [GPIOG_IRQn] = GPIOG_IRQHandler,
            [32] = Default_Handler,
            [UART2_IRQn] = UART2_IRQHandler,
            [34] = Default_Handler,
            [TIMER3A_IRQn] = TIMER3A_IRQHandler,
            [TIMER3B_IRQn] = TIMER3B_IRQHandler,
            [I2C1_IRQn] = I2C1_IRQHandler,
            [QEI1_IRQn] = QEI1_IRQHandler,
            [39] = Default_Handler,
            [40] = Default_Handler,
            [41] = Default_Handler,
            [ETHERNET_IRQn] = ETHERNET_IRQHandler,
            [HIBERNATE_IRQn] = HIBERNATE_IRQHandler,
            [44] = Default_Handler,
            [45] = Default_Handler,
            [46] = Default_Handler,
            [47] = Default_Handler,
        },
};

/* Forbids the 16 MiB below the SRAM, so that a stack overflow is a fault. The chip's bus would answer with
 * one anyway; QEMU's machine swallows such accesses. ARM B3.5. */
static void guard_stack(void)
{
    const uint32_t size_log2 = 24;
    MPU->RNR = 0;
    MPU->RBAR = (uint32_t)(uintptr_t)__stack_start__ - (1u << size_log2);
    MPU->RASR = (1u << 28) | (0u << 24) | ((size_log2 - 1u) << 1) | 1u; /* no execute, no access */
    MPU->CTRL = (1u << 2) | 1u;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
}

static void enable_faults(void)
{
    /* STKALIGN: the compiler counts on a stack aligned to 8 bytes in handlers too; this core's revision does
     * not do it by itself. DIV_0_TRP: a division by zero is a bug, not a 0. */
    SCB->CCR |= SCB_CCR_STKALIGN | SCB_CCR_DIV_0_TRP;
    SCB->SHCSR |= SCB_SHCSR_MEMFAULTENA | SCB_SHCSR_BUSFAULTENA | SCB_SHCSR_USGFAULTENA;
}

static void initialise_memory(void)
{
    const uint32_t *from = __data_load__;
    for (uint32_t *to = __data_start__; to != __data_end__; to++) {
        *to = *from++;
    }
    for (uint32_t *to = __bss_start__; to != __bss_end__; to++) {
        *to = 0;
    }
}

void Reset_Handler(void)
{
    initialise_memory();
    guard_stack();
    enable_faults();
    semihosting_exit(main());
}

/* An exception came for which the program has no handler. */
void Default_Handler(void)
{
    uint32_t exception;
    __asm__ volatile("mrs %0, ipsr" : "=r"(exception));
    if (exception >= 16) {
        info("no handler for interrupt %lu (exception %lu)", exception - 16, exception);
    } else {
        info("no handler for exception %lu", exception);
    }
    board_stop();
}
