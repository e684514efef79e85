/* The way of a press from the pin to the task. The rules are in button_interrupt.h. */

#include "button_interrupt.h"

#include "button.h"
#include "interrupts.h"
#include "todo.h"

void button_interrupt_setup(void)
{
    /* button_setup() does the electrical part; the rest is in struct gpio (lm3s6965.h). button_pins[BUTTON_SELECT] says
     * where the button is connected.
     *   - Which registers of the port choose what counts: a level or an edge, and which edge?
     *   - There are two switches between the pin and your handler. Where is each?
     *   - What may the pin have seen before you came? Is that a press? */
    TODO(1);
}

/* The handler of port F is missing. The vector table (startup.c) finds it by its name.
 *   - The port asks until somebody tells it that its edge has been seen. When, and by which register?
 *   - How does the task get to know?
 *   - In which order? Think of a second press that comes while the handler runs.
 *
 * Delete this line when it is there: without a handler nobody comes here. */
void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    TODO(2);
}
