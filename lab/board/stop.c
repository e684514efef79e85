#include "stop.h"

#include "interrupts.h"
#include "sleep.h"

_Noreturn void board_stop(void)
{
    (void)interrupts_mask();

    /* PRIMASK alone would not do: a pending interrupt still ends a WFI, and this would be a busy loop. */
    SYSTICK->CTRL = 0;
    for (uint32_t word = 0; word * 32u < IRQ_COUNT; word++) {
        NVIC->ICER[word] = UINT32_MAX;
    }

    for (;;) {
        sleep_until_pending();
    }
}
