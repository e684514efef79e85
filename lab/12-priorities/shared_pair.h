/* Two numbers that belong together, shared by tasks of all priorities. */
#ifndef SHARED_PAIR_H
#define SHARED_PAIR_H

#include <stdint.h>

struct pair {
    uint32_t first, second;
};

/* Both of any context: thread, ISR, a task of any executor. Who loads gets two numbers that were stored together. Each
 * keeps interrupts masked for 20 instructions at most, and leaves PRIMASK as found. */
void shared_pair_store(const struct pair *from);
void shared_pair_load(struct pair *to);

#endif
