/* The program runs on the process stack, as under an RTOS; handlers run on the main stack. The process
 * stack is small, and what lies below it is somebody else's. */
#include "buttons.h"
#include "console.h"
#include "sleep.h"

static struct {
    uint32_t neighbour[32];
    uint32_t stack[128];
} memory __attribute__((aligned(8)));

static volatile unsigned damaged;

void on_process_stack(void);
__attribute__((noinline, used)) void on_process_stack(void)
{
    for (unsigned told = 0;;) {
        const uint32_t before = interrupts_mask();
        if (told == presses) {
            sleep_until_pending();
        }
        interrupts_restore(before);
        for (unsigned i = 0; i < 32; i++) {
            damaged += memory.neighbour[i] != i;
        }
        while (told != presses) {
            told++;
            info("press %u, damaged %u", told, damaged);
        }
#ifdef FAULTS
        __asm__ volatile("udf #1");
#endif
    }
}

int main(void)
{
    for (unsigned i = 0; i < 32; i++) {
        memory.neighbour[i] = i;
    }
    arm_select();
    __asm__ volatile("msr psp, %0\n\t"
                     "mov r0, #2\n\t"
                     "msr control, r0\n\t"
                     "isb\n\t"
                     "bl on_process_stack" ::"r"(memory.stack + 128) : "r0", "lr", "memory");
    return 0;
}
