#include "pins.h"

#include "devices.h"

extern struct sweep_job sweep_job;

static uint32_t low[SWEEP_PORTS_MAX]; /* pins that are down */

static struct gpio *port_at(uint32_t number)
{
    return (struct gpio *)(uintptr_t)sweep_job.ports[number];
}

/* DATA for all pins. The data sheet's next register is DIR: one instruction writes both. */
static volatile uint32_t *all_data(struct gpio *port)
{
    return &port->DATA[255];
}

void pins_begin(void)
{
    for (uint32_t n = 0; n < SWEEP_PORTS_MAX; n++) {
        low[n] = 0;
    }
}

struct edge pins_press(const struct sweep_source *source)
{
    struct gpio *port = port_at(source->port);
    const uint32_t mask = source->mask;
    struct port_state now;
    load_7(all_data(port), &now.data);
    if ((low[source->port] & mask) != 0) {
        port->DIR = now.direction | mask;
        store_2(all_data(port), now.data | mask, now.direction);
    }
    port->DIR = now.direction | mask;
    store_2(all_data(port), now.data & ~mask, now.direction);
    low[source->port] |= mask;
    return (struct edge){
        .latched = (now.raw & mask) != 0,
        .sensed = (port->RIS & mask) != 0,
        .open = (now.mask & mask) != 0,
    };
}

void pins_save(struct port_state states[SWEEP_PORTS_MAX])
{
    for (uint32_t n = 0; n < SWEEP_PORTS_MAX && sweep_job.ports[n] != 0; n++) {
        load_7(all_data(port_at(n)), &states[n].data);
        states[n].low = low[n];
    }
}

void pins_quiet(const struct port_state states[SWEEP_PORTS_MAX])
{
    for (uint32_t n = 0; n < SWEEP_PORTS_MAX && sweep_job.ports[n] != 0; n++) {
        struct gpio *port = port_at(n);
        const struct port_state *state = &states[n];
        const uint32_t moved = low[n] ^ state->low;
        store_4(&port->IM, 0, 0, 0, 0xff); /* and ICR; RIS and MIS between them are read-only */
        if (moved != 0) {
            port->DIR = state->direction | moved;
            low[n] = state->low;
        }
        if ((moved | state->direction) != 0) {
            store_2(all_data(port), state->data, state->direction);
            port->ICR = 0xff;
        }
    }
}

void pins_restore(const struct port_state states[SWEEP_PORTS_MAX])
{
    for (uint32_t n = 0; n < SWEEP_PORTS_MAX && sweep_job.ports[n] != 0; n++) {
        struct gpio *port = port_at(n);
        const struct port_state *state = &states[n];
        if (state->raw != 0) {
            /* A pin that is sensitive to the level that it has, for a moment: RIS keeps it as it would an edge. */
            store_3(&port->IS, state->raw, 0, state->raw & state->data);
        }
        store_5(&port->DIR, &state->direction); /* and IS IBE IEV IM */
    }
}
