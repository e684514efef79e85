/* Sleeps until SELECT is pressed, then starts all over: by the reset line, or by a jump. */
#include "buttons.h"
#include "console.h"
#include "sleep.h"

void Reset_Handler(void);

int main(void)
{
    info("hello");
    arm_select();
    while (presses == 0) {
        sleep_until_pending();
    }
#ifdef BY_JUMP
    Reset_Handler();
    return 0;
#else
    SCB->AIRCR = 0x05fa0004;
    __asm__ volatile("dsb");
    for (;;) {
    }
#endif
}
