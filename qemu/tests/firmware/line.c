/* Writes whatever decides about a press's way to the core: the port's registers and the NVIC's. */
#include "button.h"
#include "interrupts.h"
#include "sleep.h"

#include <stdbool.h>

#define SELECT (1u << 1)
#define PORT_F (1u << 30)
#define BANKS ((volatile uint32_t *)0xE000E100)
#define STIR (*(volatile uint32_t *)0xE000EF00)
#define PRIORITY (((volatile uint8_t *)0xE000E400)[30])

enum { ISER = 0x00 / 4, ICER = 0x80 / 4, ISPR = 0x100 / 4, ICPR = 0x180 / 4 };

/* Called with the core's interrupts masked: nothing of it runs a handler. */
static void write_all(struct gpio *port)
{
    port->IM = 0;
    port->IM = SELECT;
    BANKS[ICER] = PORT_F;
    BANKS[ICPR] = PORT_F;
    port->ICR = SELECT;
    BANKS[ICPR] = PORT_F;
    BANKS[ISER] = PORT_F;
    BANKS[ISPR] = PORT_F;
    BANKS[ICPR] = 1;
    BANKS[ICPR] = PORT_F;
    STIR = 30;
    BANKS[ICPR] = ~0u;
    STIR = 29;
    PRIORITY = 0x40;
    port->IBE = SELECT;
    port->IEV = SELECT;
    port->IS = SELECT;
    port->ICR = SELECT;
    port->IEV = 0;
    port->ICR = SELECT;
    port->IS = 0;
    port->ICR = SELECT;
    port->IBE = 0;
    BANKS[ICPR] = ~0u;
    port->DIR = SELECT;
    port->IM = 1;
    port->DIR = 1;
    port->DATA[1] = 0;
    port->DATA[0xff] = 0xff;
    port->IM = 0xff;
    port->IS = SELECT;
    port->IS = 0;
}

void GPIOF_IRQHandler(void);
void GPIOF_IRQHandler(void)
{
    static bool again;
    GPIOF->IM = 0xff; /* while it still asks */
    if (again) {
        BANKS[ICER] = PORT_F; /* it asks still, and is not heard */
    }
    again = true;
}

int main(void)
{
    button_setup(BUTTON_SELECT);
    GPIOF->IM = SELECT;
    nvic_enable(GPIOF_IRQn);
    for (;;) {
        const uint32_t before = interrupts_mask();
        write_all(GPIOF);
        interrupts_restore(before);
        sleep_until_pending();
    }
}
