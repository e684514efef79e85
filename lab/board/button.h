/* The board's five buttons. */
#ifndef BUTTON_H
#define BUTTON_H

#include "lm3s6965.h"

enum button { BUTTON_UP, BUTTON_DOWN, BUTTON_LEFT, BUTTON_RIGHT, BUTTON_SELECT, BUTTON_COUNT };

/* Where a button is connected: UP, DOWN, LEFT, RIGHT are PE0..PE3, SELECT is PF1 (LM3S6965 evaluation
 * board, schematic). Each connects its pin to ground: 0 is pressed, the pull-up makes 1 of released. */
struct button_pin {
    struct gpio *port;
    uint32_t mask;       /* the pin's bit in the port's registers */
    uint32_t clock_gate; /* the port's bit in RCGC2 */
    enum irq irq;        /* the port's line: the buttons of port E share one */
};

extern const struct button_pin button_pins[BUTTON_COUNT];

/* Makes the pin an input that can be read: clock, direction, pull-up, digital enable (LM3S6965 data sheet,
 * GPIO "Initialization and Configuration"). May be repeated, other pins are left alone. Thread context.
 *
 * QEMU works without any of it; the chip answers with a bus fault or reads a floating pin.
 * Which edge interrupts, and whether it may, is not decided here: that is the caller's part. */
void button_setup(enum button button);

#endif
