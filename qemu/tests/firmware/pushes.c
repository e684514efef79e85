/* Functions that begin with each kind of PUSH; NEAR bytes above the stack's end, if that is given. */
#include <stdint.h>

extern uint32_t __stack_start__[];

#define FUNCTION(name, code)                                                                                           \
    __attribute__((naked, noinline)) void name(void)                                                                   \
    {                                                                                                                  \
        __asm__ volatile(code);                                                                                        \
    }

FUNCTION(push_some, "push {r0-r3}\n\t add sp, #16\n\t bx lr")
FUNCTION(push_lr, "push {r4, lr}\n\t pop {r4, pc}")
FUNCTION(push_all, "push {r0-r7, lr}\n\t add sp, #32\n\t pop {pc}")
FUNCTION(push_wide, "push.w {r4-r11, lr}\n\t pop.w {r4-r11, pc}")
FUNCTION(push_nothing, "movs r0, #1\n\t bx lr")

int main(void)
{
#ifdef NEAR
    __asm__ volatile("mov sp, %0" ::"r"((uintptr_t)__stack_start__ + NEAR));
#endif
    push_some();
    push_lr();
    push_all();
    push_wide();
    push_nothing();
    for (;;) {
    }
}
