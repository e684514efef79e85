/* Draws on the board's display: 8 rows in full brightness, 8 at half, the rest dark. Each press moves the bright rows
 * down by 16. */
#include "buttons.h"
#include "gpio_clock.h"
#include "sleep.h"

struct ssi {
    volatile uint32_t CR0, CR1, DR;
    const volatile uint32_t SR;
    volatile uint32_t CPSR;
};

#define SSI0 ((struct ssi *)0x40008000u)
#define SSI_CR0_8_BITS 7u
#define SSI_CR1_ENABLE (1u << 1)
#define SSI_SR_BUSY (1u << 4)
#define RCGC1_SSI0 (1u << 4)
#define RCGC2_GPIOC (1u << 2)

enum { ROWS = 64, BYTES_IN_ROW = 64, SET_COLUMNS = 0x15, SET_ROWS = 0x75 };

static const uint32_t IS_DATA = 1u << 7; /* PC7: 0 a command, 1 pixels */

static void send(uint32_t byte)
{
    SSI0->DR = byte;
    while ((SSI0->SR & SSI_SR_BUSY) != 0) {
    }
    (void)SSI0->DR;
}

static void set_up(void)
{
    SYSCTL->RCGC1 |= RCGC1_SSI0;
    gpio_clock_enable(RCGC2_GPIOC);
    register_modify(&GPIOC->DIR, 0, IS_DATA);
    register_modify(&GPIOC->DEN, 0, IS_DATA);
    SSI0->CR1 = 0;
    SSI0->CPSR = 2;
    SSI0->CR0 = SSI_CR0_8_BITS;
    SSI0->CR1 = SSI_CR1_ENABLE;
}

static void draw(unsigned first)
{
    static const uint8_t begin[] = {SET_COLUMNS, 0, BYTES_IN_ROW - 1, SET_ROWS, 0, ROWS - 1};
    GPIOC->DATA[IS_DATA] = 0;
    for (unsigned n = 0; n < sizeof begin; n++) {
        send(begin[n]);
    }
    GPIOC->DATA[IS_DATA] = IS_DATA;
    for (unsigned row = 0; row < ROWS; row++) {
        const uint32_t pair = row - first < 8u ? 0xffu : row - first < 16u ? 0x77u : 0u;
        for (unsigned n = 0; n < BYTES_IN_ROW; n++) {
            send(pair);
        }
    }
}

int main(void)
{
    arm_select();
    set_up();
    for (unsigned drawn = 0;;) {
        draw(16u * drawn);
        while (drawn == presses) {
            const uint32_t before = interrupts_mask();
            if (drawn == presses) {
                sleep_until_pending();
            }
            interrupts_restore(before);
        }
        drawn = presses;
    }
}
