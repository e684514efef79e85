/* An executor in an interrupt. The rules are in interrupt_executor.h. */

#include "interrupt_executor.h"

#include "todo.h"

/* What does a wake do here? As in lab 05 it notes who is ready; and who comes to look? A register of the NVIC makes an
 * interrupt pending (struct nvic in lm3s6965.h). */

void interrupt_executor_start(struct interrupt_executor *ex, enum irq irq, unsigned priority)
{
    ex->irq = irq;
    (void)priority;

    /* This chip keeps three bits of a priority. Which? And which switch is left? */
    TODO(1);
}

void interrupt_executor_spawn(struct interrupt_executor *ex, struct urgent_task *t, struct future *f)
{
    t->executor = ex;
    t->future = f;

    /* Its first poll: who does it, and how does that one get to know? */
    TODO(2);
}

void interrupt_executor_run(struct interrupt_executor *ex)
{
    (void)ex;

    /* As the loop of lab 05, but it ends. An interrupt that is more urgent may wake somebody at any instruction: what makes
     * sure that somebody comes back? */
    TODO(3);
}
