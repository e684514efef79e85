#include "board.h"

#include <stddef.h>
#include <string.h>

enum { REG_IBE = 0x408 / 4, REG_IEV = 0x40c / 4, REG_IM = 0x410 / 4, REG_RIS = 0x414 / 4, REG_MIS = 0x418 / 4,
       REG_ICR = 0x41c / 4 };

uint32_t host_port_e[330];
uint32_t host_port_f[330];
uint32_t host_sysctl[71];
void (*host_idle)(void);

static bool masked;
static bool in_handler;
static uint64_t enabled;
static void (*scheduled)(void);
static int at_step[2];
static int steps;
static int due;
static int came;

void GPIOE_IRQHandler(void);
void GPIOF_IRQHandler(void);
__attribute__((weak)) void GPIOE_IRQHandler(void) {}
__attribute__((weak)) void GPIOF_IRQHandler(void) {}

static void sync(uint32_t *port)
{
    port[REG_RIS] &= ~port[REG_ICR];
    port[REG_ICR] = 0;
    port[REG_MIS] = port[REG_RIS] & port[REG_IM];
}

static bool serve(uint32_t *port, enum irq irq, void (*handler)(void))
{
    sync(port);
    if (masked || in_handler || port[REG_MIS] == 0 || !host_nvic_enabled(irq)) {
        return false;
    }
    in_handler = true;
    handler();
    in_handler = false;
    sync(port);
    return true;
}

static void deliver(void)
{
    while (due > 0 && !masked && !in_handler) {
        due--;
        came++;
        in_handler = true;
        scheduled();
        in_handler = false;
    }
    /* A handler that never acknowledges would be here for ever: that is for the board's tests. */
    for (int i = 0; i < 100 && (serve(host_port_e, GPIOE_IRQn, GPIOE_IRQHandler)
                                || serve(host_port_f, GPIOF_IRQn, GPIOF_IRQHandler)); i++) {
    }
}

void host_reset(void)
{
    memset(host_port_e, 0, sizeof host_port_e);
    memset(host_port_f, 0, sizeof host_port_f);
    memset(host_sysctl, 0, sizeof host_sysctl);
    masked = in_handler = false;
    enabled = 0;
    host_idle = NULL;
    (void)host_interrupts_stop();
}

void host_interrupt_at(void (*isr)(void), int first, int second)
{
    scheduled = isr;
    at_step[0] = first;
    at_step[1] = second;
    steps = due = came = 0;
}

int host_interrupts_stop(void)
{
    scheduled = NULL;
    due = 0;
    const int result = came;
    came = 0;
    return result;
}

void host_step(void)
{
    sync(host_port_e);
    sync(host_port_f);
    if (in_handler || scheduled == NULL) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        due += at_step[i] == steps ? 1 : 0;
    }
    steps++;
    deliver();
}

uint32_t interrupts_mask(void)
{
    host_step();
    const bool before = masked;
    masked = true;
    return before;
}

void interrupts_restore(uint32_t before)
{
    host_step();
    masked = before != 0;
    deliver();
}

void register_modify(volatile uint32_t *reg, uint32_t clear, uint32_t set)
{
    const uint32_t before = interrupts_mask();
    *reg = (*reg & ~clear) | set;
    interrupts_restore(before);
}

void nvic_enable(enum irq irq)
{
    host_step();
    sync(host_port_e);
    sync(host_port_f);
    enabled |= (uint64_t)1 << irq;
    deliver();
}

void sleep_until_pending(void)
{
    host_step();
    if (due == 0 && host_idle != NULL) {
        host_idle();
    }
}

void host_edge(struct gpio *port, uint32_t mask, bool falling)
{
    uint32_t *reg = port == GPIOE ? host_port_e : host_port_f;
    sync(reg);
    const bool wanted = (reg[REG_IBE] & mask) != 0 || ((reg[REG_IEV] & mask) == 0) == falling;
    if (wanted) {
        reg[REG_RIS] |= mask;
    }
    sync(reg);
    deliver();
}

bool host_masked(void)
{
    return masked;
}

bool host_nvic_enabled(enum irq irq)
{
    return (enabled >> irq & 1u) != 0;
}
