/* Counts milliseconds and presses; tells of each press, and of each hundredth millisecond. */
#include "buttons.h"
#include "clock.h"
#include "console.h"
#include "sleep.h"

int main(void)
{
    arm_select();
    clock_start();
    unsigned told = 0;
    for (uint32_t ms = 0;;) {
        const uint32_t before = interrupts_mask();
        if (told == presses && ms == clock_ms()) {
            sleep_until_pending();
        }
        interrupts_restore(before);
        if (ms != clock_ms()) {
            ms = clock_ms();
            if (ms % 100 == 0) {
                info("%lu ms", ms);
            }
        }
        if (told != presses) {
            told = presses;
            info("press %u at %lu ms", told, ms);
        }
    }
}
