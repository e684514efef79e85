/* No instruction, and interrupts masked: the UsageFault escalates to a HardFault. */
#include "interrupts.h"

int main(void)
{
    (void)interrupts_mask();
    __builtin_trap();
}
