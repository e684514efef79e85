/* Starts its timer anew at every tick, with interrupts masked and the tick pending; at tick STOP_AT it stops
 * the timer for good. */
#include "clock.h"
#include "console.h"
#include "interrupts.h"
#include "sleep.h"

#ifndef STOP_AT
#define STOP_AT UINT32_MAX
#endif

int main(void)
{
    clock_start();
    for (;;) {
        const uint32_t before = interrupts_mask();
        sleep_until_pending();
        SYSTICK->VAL = 0;
        SYSTICK->CTRL = SYSTICK_CTRL_CLKSOURCE | SYSTICK_CTRL_TICKINT | SYSTICK_CTRL_ENABLE;
        interrupts_restore(before);
        info("tick %lu", clock_ms());
        if (clock_ms() >= STOP_AT) {
            SYSTICK->CTRL = 0;
        }
    }
}
