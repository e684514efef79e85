/* An interrupt for the button SELECT. */
#ifndef BUTTON_INTERRUPT_H
#define BUTTON_INTERRUPT_H

/* What counts as a press:
 *   - a falling edge of the pin. That the button is down is none, that it comes up is none.
 *   - after the set-up; an edge that the pin remembers from before is none.
 *   - once. Edges that come before the handler has acknowledged the previous one merge with it. */

/* Sets up the pin of SELECT (PF1), so that GPIOF_IRQHandler runs once for each press. Other pins of the port are left
 * as they are. Called once, in thread context; leaves PRIMASK as found. */
void button_interrupt_setup(void);

/* Given, in main.c: tells the task that the button was pressed. Once for each press; any context. */
void button_was_pressed(void);

#endif
