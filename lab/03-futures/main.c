/* Asks, and asks, and asks. Given. */

#include "button.h"
#include "console.h"
#include "for_checks.h"
#include "interrupts.h"
#include "two_presses.h"

#include <stdatomic.h>

static atomic_uint presses;

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    GPIOF->ICR = 1u << 1;
    atomic_fetch_add_explicit(&presses, 1, memory_order_relaxed);
}

__attribute__((noinline)) bool press_take(void)
{
    if (atomic_load_explicit(&presses, memory_order_relaxed) == 0) {
        return false;
    }
    atomic_fetch_sub_explicit(&presses, 1, memory_order_relaxed);
    return true;
}

/* Two more of your futures, for the checks. */
struct two_presses spare[2];

/* Nobody is to be told: who asks all the time need not be. */
struct waker no_waker;
struct context no_context = {.waker = &no_waker};

static void set_up(void)
{
    button_setup(BUTTON_SELECT);
    GPIOF->ICR = 1u << 1;
    register_modify(&GPIOF->IM, 0, 1u << 1);
    nvic_enable(GPIOF_IRQn);
    let_interrupts_in();
    two_presses_init(&spare[0]);
    two_presses_init(&spare[1]);
}

int main(void)
{
    static struct two_presses pair;

    set_up();
    two_presses_init(&pair);
    for (uint32_t polls = 1;; polls++) {
        if (future_poll(&pair.future, &no_context) == POLL_READY) {
            info("Pressed twice! I had to ask %lu times.", polls);
            two_presses_init(&pair);
            polls = 0;
        }
    }
}
