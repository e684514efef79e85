/* A task that waits for presses and says so. Given. */

#include "button_interrupt.h"
#include "console.h"
#include "interrupts.h"
#include "sleep.h"

#include <stdatomic.h>

static atomic_uint presses_told;

void button_was_pressed(void)
{
    atomic_fetch_add_explicit(&presses_told, 1, memory_order_relaxed);
}

/* Masked from the look to the sleep: lab 05 is about why. */
static __attribute__((noinline)) void wait_for_press(void)
{
    uint32_t before = interrupts_mask();
    while (atomic_load_explicit(&presses_told, memory_order_relaxed) == 0) {
        sleep_until_pending();
        interrupts_restore(before);
        before = interrupts_mask();
    }
    atomic_fetch_sub_explicit(&presses_told, 1, memory_order_relaxed);
    interrupts_restore(before);
}

int main(void)
{
    button_interrupt_setup();
    for (;;) {
        wait_for_press();
        info("Interrupt fired!");
    }
}
