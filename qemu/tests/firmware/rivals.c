/* Two interrupts count in one word, neither of them atomically: SELECT, which is told of, and another (UP or, with
 * -DTICK, SysTick). With -DNESTED SELECT has the higher priority: then it can come in the middle of the other. With
 * -DRUNS a tick counts as a press, and SysTick is started, with a short period, in look(). */
#include "button.h"
#include "clock.h"
#include "console.h"
#include "interrupts.h"
#include "sleep.h"

enum { ONE_PRESS = 1, ONE_OTHER = 1 << 16 };

static volatile uint32_t counts;

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    GPIOF->ICR = button_pins[BUTTON_SELECT].mask;
    counts += ONE_PRESS;
}

static void arm(enum button button)
{
    const struct button_pin *pin = &button_pins[button];
    button_setup(button);
    pin->port->ICR = pin->mask;
    pin->port->IM |= pin->mask;
    nvic_enable(pin->irq);
}

#ifdef TICK

void SysTick_Handler(void);
void SysTick_Handler(void)
{
#ifdef RUNS
    counts += ONE_PRESS;
#else
    counts += ONE_OTHER;
#endif
}

static void start_other(uint32_t priority)
{
    *(volatile uint8_t *)0xe000ed23u = (uint8_t)(priority << 5); /* SHPR3, SysTick */
    clock_start();
}

#else

void GPIOE_IRQHandler(void);
void GPIOE_IRQHandler(void)
{
    GPIOE->ICR = button_pins[BUTTON_UP].mask;
    counts += ONE_OTHER;
}

static void start_other(uint32_t priority)
{
    nvic_set_priority(GPIOE_IRQn, priority);
    arm(BUTTON_UP);
}

#endif

void look(unsigned *told);
__attribute__((noinline)) void look(unsigned *told)
{
#ifdef RUNS
    SYSTICK->LOAD = 40;
    SYSTICK->CTRL = SYSTICK_CTRL_CLKSOURCE | SYSTICK_CTRL_TICKINT | SYSTICK_CTRL_ENABLE;
#endif
    while (*told != (counts & 0xffff)) {
        ++*told;
        info("press");
    }
}

int main(void)
{
#ifdef NESTED
    start_other(4);
    nvic_set_priority(GPIOF_IRQn, 0);
#else
    start_other(1);
    nvic_set_priority(GPIOF_IRQn, 1);
#endif
    arm(BUTTON_SELECT);
    for (unsigned told = 0;;) {
        look(&told);
        const uint32_t before = interrupts_mask();
        if (told == (counts & 0xffff)) {
            sleep_until_pending();
        }
        interrupts_restore(before);
    }
}
