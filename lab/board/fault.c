/* What a crash looks like: a report, then silence.
 *
 * Serves HardFault, MemManage, BusFault and UsageFault (ARM B1.5.14). Nothing here trusts the stack that was
 * in use: after an overflow it is outside of the SRAM, and a handler that pushes there faults again, which
 * locks the core up. */

#include "console.h"
#include "interrupts.h"
#include "semihosting.h"
#include "stop.h"

#include <stdbool.h>

/* What the core pushed when it took the exception, ARM B1.5.6. */
struct fault_frame {
    uint32_t r0, r1, r2, r3, r12, lr, pc, xpsr;
};

/* lm3s6965.ld */
extern uint32_t __stack_start__[];
extern uint32_t __stack_end__[];

#define CFSR_MSTKERR (1u << 4)
#define CFSR_MMARVALID (1u << 7)
#define CFSR_STKERR (1u << 12)
#define CFSR_BFARVALID (1u << 15)
#define HFSR_DEBUGEVT (1u << 31)
#define BKPT_AB 0xbeabu

static const struct {
    uint32_t bit;
    const char *text;
} reasons[] = {
    {1u << 0, "executed where there is no code"},
    {1u << 1, "forbidden address"},
    {CFSR_MSTKERR, "no room on the stack for an exception"},
    {1u << 8, "no memory to execute from"},
    {1u << 9, "no memory or no clock at that address"},
    {1u << 10, "a store some instructions ago found no memory or no clock"},
    {CFSR_STKERR, "no room on the stack for an exception"},
    {1u << 16, "not an instruction"},
    {1u << 17, "jump to an even address: a null or damaged function pointer"},
    {1u << 18, "return from an exception to a damaged address"},
    {1u << 24, "unaligned access"},
    {1u << 25, "division by zero"},
};

static bool inside_stack(const struct fault_frame *frame)
{
    const uintptr_t at = (uintptr_t)frame;
    return at % 4 == 0 && at >= (uintptr_t)__stack_start__
           && at <= (uintptr_t)__stack_end__ - sizeof *frame;
}

/* A semihosting call with no debugger attached is a HardFault, too (ARM C1.6.1). Carries on behind it. */
static bool step_over_breakpoint(struct fault_frame *frame)
{
    const uintptr_t call_site = (uintptr_t)semihosting_call & ~(uintptr_t)1;
    if (frame->pc - call_site >= 32u || *(const volatile uint16_t *)(uintptr_t)frame->pc != BKPT_AB) {
        return false;
    }
    SCB->HFSR = HFSR_DEBUGEVT;
    semihosting_set_absent();
    frame->r0 = UINT32_MAX;
    frame->pc += 2;
    return true;
}

static const char *exception_name(uint32_t exception)
{
    static const char *const names[] = {"HardFault", "MemManage fault", "BusFault", "UsageFault"};
    return exception >= 3 && exception <= 6 ? names[exception - 3] : "fault";
}

static _Noreturn void report(const struct fault_frame *frame, bool frame_is_good)
{
    const uint32_t cfsr = SCB->CFSR;
    uint32_t exception;
    __asm__ volatile("mrs %0, ipsr" : "=r"(exception));

    info("fault: %s, CFSR 0x%08lx, HFSR 0x%08lx", exception_name(exception), cfsr, SCB->HFSR);
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if ((cfsr & reasons[i].bit) != 0) {
            info("fault: %s", reasons[i].text);
        }
    }
    if ((cfsr & CFSR_MMARVALID) != 0) {
        info("fault: at address 0x%08lx", SCB->MMFAR);
    }
    if ((cfsr & CFSR_BFARVALID) != 0) {
        info("fault: at address 0x%08lx", SCB->BFAR);
    }
    if (frame_is_good) {
        info("fault: pc 0x%08lx, lr 0x%08lx, xpsr 0x%08lx", frame->pc, frame->lr, frame->xpsr);
    } else {
        info("fault: stack overflow, sp %p is outside of the stack", (const void *)frame);
    }
    board_stop();
}

/* On the fault stack. */
__attribute__((used)) static void fault_taken(struct fault_frame *frame)
{
    const bool stacked = (SCB->CFSR & (CFSR_MSTKERR | CFSR_STKERR)) == 0;
    const bool frame_is_good = stacked && inside_stack(frame);
    if (frame_is_good && step_over_breakpoint(frame)) {
        return;
    }
    /* Within a HardFault itself, a BKPT without a debugger is a lock-up: the core stops, just not here. */
    report(frame, frame_is_good);
}

void HardFault_Handler(void);
void MemManage_Handler(void);
void BusFault_Handler(void);
void UsageFault_Handler(void);

/* Bit 2 of EXC_RETURN (lr) says on which stack the frame is, ARM B1.5.8. Naked: a compiler's prologue would
 * push to the broken stack. The old pointer is kept for the one fault that is returned from. */
__attribute__((naked)) void HardFault_Handler(void)
{
    __asm__ volatile("tst   lr, #4\n\t"
                     "ite   eq\n\t"
                     "mrseq r0, msp\n\t"
                     "mrsne r0, psp\n\t"
                     "mov   r1, sp\n\t"
                     "movw  r2, #:lower16:__fault_stack_end__\n\t"
                     "movt  r2, #:upper16:__fault_stack_end__\n\t"
                     "mov   sp, r2\n\t"
                     "push  {r1, lr}\n\t"
                     "bl    fault_taken\n\t"
                     "pop   {r1, lr}\n\t"
                     "mov   sp, r1\n\t"
                     "bx    lr");
}

__attribute__((alias("HardFault_Handler"))) void MemManage_Handler(void);
__attribute__((alias("HardFault_Handler"))) void BusFault_Handler(void);
__attribute__((alias("HardFault_Handler"))) void UsageFault_Handler(void);
