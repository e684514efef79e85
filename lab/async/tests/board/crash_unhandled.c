/* An interrupt for which there is no handler. */
#include "interrupts.h"

int main(void)
{
    nvic_enable(UART0_IRQn);
    NVIC->ISPR[0] = 1u << UART0_IRQn;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
    return 0;
}
