/* Checks, then sleeps with interrupts enabled: a press in between is counted and slept over. */
#include "buttons.h"
#include "console.h"
#include "sleep.h"

int main(void)
{
    arm_select();
    for (unsigned told = 0;;) {
        if (told == presses) {
            sleep_until_pending();
        }
        while (told != presses) {
            told++;
            info("press %u", told);
        }
    }
}
