/* Each press turns the LED to the other side. */
#include "buttons.h"
#include "led.h"
#include "sleep.h"

void shine(bool on);
__attribute__((noinline)) void shine(bool on)
{
    led_set(on);
}

int main(void)
{
    arm_select();
    led_setup();
    for (unsigned told = 0;;) {
        const uint32_t before = interrupts_mask();
        if (told == presses) {
            sleep_until_pending();
        }
        interrupts_restore(before);
        if (told != presses) {
            told++;
            shine(told % 2 != 0);
        }
    }
}
