/* Every pin of every port interrupts, at both edges (or as -DRISING says), and each edge is told. */
#include "console.h"
#include "interrupts.h"
#include "sleep.h"

static struct gpio *const ports[] = {GPIOA, GPIOB, GPIOC, GPIOD, GPIOE, GPIOF, GPIOG};
static const enum irq lines[] = {GPIOA_IRQn, GPIOB_IRQn, GPIOC_IRQn, GPIOD_IRQn,
                                 GPIOE_IRQn, GPIOF_IRQn, GPIOG_IRQn};

static volatile uint32_t edges[7];
static volatile uint32_t levels[7];

static void take(unsigned port)
{
    const uint32_t which = ports[port]->MIS;
    ports[port]->ICR = which;
    edges[port] |= which;
    levels[port] = ports[port]->DATA[which];
}

#define HANDLER_OF(letter, number)          \
    void GPIO##letter##_IRQHandler(void);   \
    void GPIO##letter##_IRQHandler(void)    \
    {                                       \
        take(number);                       \
    }
HANDLER_OF(A, 0)
HANDLER_OF(B, 1)
HANDLER_OF(C, 2)
HANDLER_OF(D, 3)
HANDLER_OF(E, 4)
HANDLER_OF(F, 5)
HANDLER_OF(G, 6)

static void tell(unsigned port, uint32_t which, uint32_t level)
{
    for (unsigned pin = 0; pin < 8; pin++) {
        if ((which & 1u << pin) != 0) {
            info("P%c%u=%u", 'A' + (int)port, pin, level != 0);
        }
    }
}

int main(void)
{
    SYSCTL->RCGC2 = 0x7f;
    for (unsigned port = 0; port < 7; port++) {
#ifdef RISING
        ports[port]->IEV = 0xff;
#else
        ports[port]->IBE = 0xff;
#endif
        ports[port]->ICR = 0xff;
        ports[port]->IM = 0xff;
        nvic_enable(lines[port]);
    }
    for (;;) {
        const uint32_t before = interrupts_mask();
        sleep_until_pending();
        interrupts_restore(before);
        for (unsigned port = 0; port < 7; port++) {
            const uint32_t which = edges[port];
            edges[port] = 0;
            tell(port, which, levels[port]);
        }
    }
}
