/* At a press it reads or writes where it has no business: AT, with WRITES or not. */
#include "buttons.h"
#include "sleep.h"

int main(void)
{
    arm_select();
    for (;;) {
        if (presses != 0) {
            presses = 0;
#ifdef WRITES
            *(volatile unsigned *)AT = 0;
#else
            (void)*(volatile unsigned *)AT;
#endif
        }
        sleep_until_pending();
    }
}
