/* Masks interrupts and forgets to unmask: the press is pending for ever, and no WFI sleeps. */
#include "buttons.h"
#include "sleep.h"

int main(void)
{
    arm_select();
    (void)interrupts_mask();
#ifdef BASEPRI
    __asm__ volatile("msr basepri, %0" ::"r"(0x20));
#endif
    for (;;) {
        sleep_until_pending();
    }
}
