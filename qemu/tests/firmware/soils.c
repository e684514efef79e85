/* Writes to every register that QEMU's board has and its reset leaves alone, in order or, with -DBITS, by their bits'
 * aliases; then sleeps. */
#include <stdint.h>

#include "sleep.h"

struct block {
    uint32_t start;
    uint32_t end;
};

static const struct block blocks[] = {
    {0x40008000u, 0x40008040u}, {0x4000c000u, 0x4000c060u}, {0x4000d000u, 0x4000d060u}, {0x4000e000u, 0x4000e060u},
    {0x40020000u, 0x40020030u}, {0x40030000u, 0x40030060u}, {0x40031000u, 0x40031060u}, {0x40032000u, 0x40032060u},
    {0x40033000u, 0x40033060u}, {0x40038000u, 0x40038100u}, {0x400fe000u, 0x400fe200u},
};

static void write_to(uint32_t address, uint32_t value)
{
#ifdef BITS
    for (uint32_t bit = 0; bit < 32; bit++) {
        *(volatile uint32_t *)(0x42000000u + (address - 0x40000000u) * 32u + bit * 4u) = value >> bit & 1u;
    }
#else
    *(volatile uint32_t *)address = value;
#endif
}

int main(void)
{
    for (uint32_t n = 0; n < sizeof blocks / sizeof blocks[0]; n++) {
        for (uint32_t address = blocks[n].start; address < blocks[n].end; address += 4u) {
            write_to(address, 0xffffffffu);
            write_to(address, 0x5a5a5a5au);
        }
    }
    for (;;) {
        sleep_until_pending();
    }
}
