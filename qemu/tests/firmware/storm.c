/* The handler does not acknowledge. */
#include "button.h"
#include "interrupts.h"
#include "sleep.h"

static volatile unsigned entries;

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    entries++;
}

int main(void)
{
    button_setup(BUTTON_SELECT);
    GPIOF->IM |= button_pins[BUTTON_SELECT].mask;
    nvic_enable(GPIOF_IRQn);
    for (;;) {
        sleep_until_pending();
    }
}
