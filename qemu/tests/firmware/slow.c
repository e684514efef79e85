/* Long without a sign, and then done: exactly 1,500,000 instructions between two lines' loops. */
#include "console.h"
#include "stop.h"

int main(void)
{
    info("begin");
    __asm__ volatile("mov r4, %0\n"
                     "1: subs r4, #1\n\t"
                     "bne 1b" ::"r"(750000u) : "r4", "cc");
    info("end");
    board_stop();
}
