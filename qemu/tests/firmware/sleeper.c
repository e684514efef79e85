/* Sleeps as it should, with interrupts masked, and prints a line for each press of SELECT. */
#include "buttons.h"
#include "console.h"
#include "sleep.h"

int main(void)
{
    arm_select();
    for (unsigned told = 0;;) {
        const uint32_t before = interrupts_mask();
        if (told == presses) {
            sleep_until_pending();
        }
        interrupts_restore(before);
        while (told != presses) {
            told++;
            info("press %u", told);
        }
    }
}
