/* Takes its time at a press, and writes a register then: AT. */
#include "buttons.h"
#include "sleep.h"

int main(void)
{
    arm_select();
    for (;;) {
        if (presses != 0) {
            presses = 0;
            for (volatile int left = 2000; left > 0; left--) {
                *(volatile unsigned *)AT = 0;
            }
        }
        sleep_until_pending();
    }
}
