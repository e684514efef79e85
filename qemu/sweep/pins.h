/* The ports of the buttons: presses, and a port's state saved and made again. */
#ifndef PINS_H
#define PINS_H

#include "sweep.h"

/* DATA to RIS as they lie in the port, so that one instruction reads them. */
struct port_state {
    uint32_t data;
    uint32_t direction;
    uint32_t sense[3]; /* IS IBE IEV */
    uint32_t mask;     /* IM */
    uint32_t raw;      /* RIS */
    uint32_t low;      /* pins of it that the harness holds down */
};

/* What an edge did to a pin. */
struct edge {
    bool latched; /* RIS was set before it */
    bool sensed;  /* RIS is set after it */
    bool open;    /* the pin lets edges out to the NVIC */
};

/* Release the pin if it is down, and press. */
struct edge pins_press(const struct sweep_source *source);

void pins_save(struct port_state states[SWEEP_PORTS_MAX]);

/* Nothing is asked for any more, and the pins have the levels of `states`. */
void pins_quiet(const struct port_state states[SWEEP_PORTS_MAX]);

/* After that: the rest of the state, edges that were latched included. */
void pins_restore(const struct port_state states[SWEEP_PORTS_MAX]);

/* Every pin is up, as the host has left them. */
void pins_begin(void);

#endif
