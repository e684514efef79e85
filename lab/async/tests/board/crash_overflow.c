/* A recursion without end is a fault with a report, not a corrupted variable. */
#include "console.h"

#include <stdint.h>

static volatile uint32_t depth;

__attribute__((noinline)) static uint32_t descend(uint32_t n)
{
    volatile uint32_t frame[16];
    frame[n % 16] = n;
    depth++;
    if (depth > 100000) {
        info("still there");
        return 0;
    }
    return descend(n + 1) + frame[n % 16];
}

int main(void)
{
    return (int)descend(0);
}
