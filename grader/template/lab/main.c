/* Given: prints the answer whenever SELECT is pressed. */

#include "answer.h"
#include "button.h"
#include "console.h"
#include "interrupts.h"
#include "sleep.h"

#include <stdatomic.h>

static atomic_uint presses;

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    GPIOF->ICR = button_pins[BUTTON_SELECT].mask;
    atomic_fetch_add_explicit(&presses, 1, memory_order_relaxed);
}

static void wait_for_press(void)
{
    uint32_t before = interrupts_mask();
    while (atomic_load_explicit(&presses, memory_order_relaxed) == 0) {
        sleep_until_pending();
        interrupts_restore(before);
        before = interrupts_mask();
    }
    atomic_fetch_sub_explicit(&presses, 1, memory_order_relaxed);
    interrupts_restore(before);
}

int main(void)
{
    const uint32_t pin = button_pins[BUTTON_SELECT].mask;

    button_setup(BUTTON_SELECT);
    GPIOF->ICR = pin;
    register_modify(&GPIOF->IM, 0, pin);
    nvic_enable(GPIOF_IRQn);
    for (;;) {
        wait_for_press();
        info("%u", answer());
    }
}
