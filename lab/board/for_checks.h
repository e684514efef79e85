/* What the checks use in a lab's main.c. */
#ifndef FOR_CHECKS_H
#define FOR_CHECKS_H

/* Does nothing, for long enough that a pending interrupt comes. Thread context. */
__attribute__((noinline, used)) static void let_interrupts_in(void)
{
    __asm__ volatile("nop\n\tnop");
}

/* Does nothing. The next call is the one that the checks interrupt (grader/wakelab/strikes.py). Thread context. */
__attribute__((noinline, used)) static void from_here(void)
{
    __asm__ volatile("");
}

#endif
