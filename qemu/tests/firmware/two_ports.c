/* Handlers on ports E and F; how urgent each is comes from -DE_PRIORITY and -DF_PRIORITY. With -DCHAIN, E's
 * handler makes port A's interrupt pending, which is as urgent as E's and so comes next. */
#include "buttons.h"
#include "console.h"
#include "sleep.h"

static volatile unsigned ups;

void GPIOE_IRQHandler(void);
void GPIOE_IRQHandler(void)
{
    GPIOE->ICR = button_pins[BUTTON_UP].mask;
    ups++;
#ifdef CHAIN
    NVIC->ISPR[0] = 1u << GPIOA_IRQn;
#endif
}

void GPIOA_IRQHandler(void);
void GPIOA_IRQHandler(void)
{
    __asm__ volatile("nop");
}

int main(void)
{
    arm(BUTTON_UP);
    arm_select();
    nvic_enable(GPIOA_IRQn);
    nvic_set_priority(GPIOA_IRQn, E_PRIORITY);
    nvic_set_priority(GPIOE_IRQn, E_PRIORITY);
    nvic_set_priority(GPIOF_IRQn, F_PRIORITY);
    for (;;) {
        sleep_until_pending();
    }
}
