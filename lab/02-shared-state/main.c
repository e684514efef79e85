/* A handler that adds, and a task that takes. Given. */

#include "button.h"
#include "console.h"
#include "interrupts.h"
#include "presses.h"
#include "sleep.h"

#include <stdatomic.h>

/* The checks call your functions on this one; what the handler has added so far is in presses_made. */
struct presses presses_taken;
atomic_uint presses_made;

/* Shared without any protection, to be seen to break: make grade shows where. */
volatile uint32_t shared_count;

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    GPIOF->ICR = 1u << 1;
    shared_count++;

    const uint32_t at = atomic_load_explicit(&presses_made, memory_order_relaxed) + 1u;
    atomic_store_explicit(&presses_made, at, memory_order_relaxed);
    presses_add(at);
}

__attribute__((noinline)) void count_in_thread(void)
{
    shared_count++;
}

/* What PRIMASK is after a take by a caller that has masked: 1, if it is left as found. */
__attribute__((noinline)) uint32_t take_while_masked(struct presses *taken)
{
    const uint32_t before = interrupts_mask();
    presses_take(taken);
    const uint32_t after = interrupts_mask();
    interrupts_restore(before);
    return after & 1u;
}

__attribute__((noinline)) static void wait_for_more(uint32_t seen)
{
    const uint32_t before = interrupts_mask();
    if (atomic_load_explicit(&presses_made, memory_order_relaxed) == seen) {
        sleep_until_pending();
    }
    interrupts_restore(before);
}

static void set_up(void)
{
    button_setup(BUTTON_SELECT);
    GPIOF->ICR = 1u << 1;
    register_modify(&GPIOF->IM, 0, 1u << 1);
    nvic_enable(GPIOF_IRQn);
}

int main(void)
{
    set_up();
    (void)take_while_masked(&presses_taken);
    count_in_thread();
    for (;;) {
        const uint32_t seen = atomic_load_explicit(&presses_made, memory_order_relaxed);
        presses_take(&presses_taken);
        for (uint32_t each = 0; each < presses_taken.count; each++) {
            info("Interrupt fired!");
        }
        wait_for_more(seen);
    }
}
