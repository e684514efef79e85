/* The board's status LED, on PF0. */
#ifndef LED_H
#define LED_H

#include <stdbool.h>

/* Makes the pin an output and turns the LED off. May be repeated. Thread context. */
void led_setup(void);

/* Thread or ISR. */
void led_set(bool on);

#endif
