/* An interrupt and a task share two numbers. The rules are in presses.h. */

#include "presses.h"

#include "interrupts.h"
#include "todo.h"

/* What is shared? Who writes it, who reads it, and who can come in the middle of whom? Does the compiler know?
 * <stdatomic.h> and interrupts.h each have an answer; which fits two numbers that belong together? */

void presses_add(uint32_t at)
{
    (void)at;

    /* One more press. Can the task come in the middle of this? */
    TODO(1);
}

void presses_take(struct presses *taken)
{
    taken->count = 0;
    taken->last = 0;

    /* Hand out what there is, and start anew.
     *   - How many instructions is `count = 0`, after `taken->count = count`? What if the handler comes in between?
     *   - What if it comes between the two numbers?
     *   - If you mask interrupts: what if the caller has masked them already? */
    TODO(2);
}
