/* The devices that the harness uses, and accesses to several registers in one instruction. */
#ifndef DEVICES_H
#define DEVICES_H

#include "lm3s6965.h"

/* General-purpose timer (LM3S6965 data sheet, "General-Purpose Timers"), 32-bit one-shot. */
struct gptm {
    volatile uint32_t CFG;
    volatile uint32_t TAMR;
    volatile uint32_t TBMR;
    volatile uint32_t CTL;
    uint32_t reserved_010[2];
    volatile uint32_t IMR;
    volatile uint32_t RIS;
    volatile uint32_t MIS;
    volatile uint32_t ICR;
    volatile uint32_t TAILR;
};

#define GPTM0 ((struct gptm *)0x40030000u)
#define GPTM1 ((struct gptm *)0x40031000u)
#define GPTM_ONE_SHOT 1u
#define GPTM_ENABLE 1u
#define GPTM_TIMEOUT 1u

/* ARMv7-M system control space (ARM DDI 0403, B3.2). */
#define ICSR (*(volatile uint32_t *)0xe000ed04u)
#define VTOR (*(volatile uint32_t *)0xe000ed08u)
#define SHPR ((volatile uint32_t *)0xe000ed18u)
#define IPR ((volatile uint32_t *)0xe000e400u)
#define ICSR_VECTPENDING(icsr) (((icsr) >> 12) & 0x1ffu)
#define ICSR_PENDSVSET (1u << 28)
#define ICSR_PENDSVCLR (1u << 27)
#define ICSR_PENDSTSET (1u << 26)
#define ICSR_PENDSTCLR (1u << 25)
#define ICSR_ISRPENDING (1u << 22)
#define ICSR_RETTOBASE (1u << 11)

/* A tick of 125 ns against instructions of 128 ns (-icount shift=7): no boundary is stepped over, and few are
 * met twice. RCC2: use it, divide by 25. */
#define RCC2 (*(volatile uint32_t *)0x400fe070u)
#define RCC2_TICK_125_NS ((1u << 31) | (24u << 23))

static inline void load_2(volatile uint32_t *at, uint32_t *a, uint32_t *b)
{
    __asm__ volatile("ldrd %0, %1, [%2]" : "=&r"(*a), "=r"(*b) : "r"(at) : "memory");
}

static inline void store_2(volatile uint32_t *at, uint32_t a, uint32_t b)
{
    __asm__ volatile("strd %1, %2, [%0]" : : "r"(at), "r"(a), "r"(b) : "memory");
}

static inline void store_3(volatile uint32_t *at, uint32_t a, uint32_t b, uint32_t c)
{
    register uint32_t r1 __asm__("r1") = a;
    register uint32_t r2 __asm__("r2") = b;
    register uint32_t r3 __asm__("r3") = c;
    __asm__ volatile("stm %0, {r1-r3}" : : "r"(at), "r"(r1), "r"(r2), "r"(r3) : "memory");
}

static inline void store_4(volatile uint32_t *at, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    register uint32_t r1 __asm__("r1") = a;
    register uint32_t r2 __asm__("r2") = b;
    register uint32_t r3 __asm__("r3") = c;
    register uint32_t r4 __asm__("r4") = d;
    __asm__ volatile("stm %0, {r1-r4}" : : "r"(at), "r"(r1), "r"(r2), "r"(r3), "r"(r4) : "memory");
}

/* From and to registers that lie one after the other, as words in memory do. */
static inline void load_7(volatile uint32_t *at, uint32_t *to)
{
    __asm__ volatile("ldm %0, {r1-r6, r8}\n\t"
                     "stm %1, {r1-r6, r8}"
                     :
                     : "r"(at), "r"(to)
                     : "r1", "r2", "r3", "r4", "r5", "r6", "r8", "memory");
}

static inline void store_5(volatile uint32_t *at, const uint32_t *from)
{
    __asm__ volatile("ldm %1, {r1-r5}\n\t"
                     "stm %0, {r1-r5}"
                     :
                     : "r"(at), "r"(from)
                     : "r1", "r2", "r3", "r4", "r5", "memory");
}

#endif
