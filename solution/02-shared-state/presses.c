#include "presses.h"

#include "interrupts.h"

/* volatile, so that each access in the text is one in the program; that it is not interrupted is another matter. */
static volatile uint32_t count;
static volatile uint32_t last;

/* Needs no protection: the task does not interrupt the handler. */
void presses_add(uint32_t at)
{
    count = count + 1u;
    last = at;
}

void presses_take(struct presses *taken)
{
    /* All four accesses are one step for the handler: between the first two it would add to a count that is about to be
     * cleared, between the others `last` would run ahead of `count`. A press that comes now stays pending. */
    const uint32_t before = interrupts_mask();
    taken->count = count;
    count = 0;
    taken->last = last;
    interrupts_restore(before);
}
