/* Starts the system timer again and again, without end. */
#include "lm3s6965.h"

int main(void)
{
    SYSTICK->LOAD = 12499;
    for (;;) {
        SYSTICK->CTRL = SYSTICK_CTRL_CLKSOURCE | SYSTICK_CTRL_TICKINT | SYSTICK_CTRL_ENABLE;
    }
}
