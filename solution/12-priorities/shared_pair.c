#include "shared_pair.h"

#include "interrupts.h"

static struct pair shared;

/* Both are masked: a load can be interrupted by a store, a store by a load, and by another store. PRIMASK rather than
 * BASEPRI: this may be called by handlers of any priority, and it is a handful of instructions. */

void shared_pair_store(const struct pair *from)
{
    const uint32_t before = interrupts_mask();
    shared = *from;
    interrupts_restore(before);
}

void shared_pair_load(struct pair *to)
{
    const uint32_t before = interrupts_mask();
    *to = shared;
    interrupts_restore(before);
}
