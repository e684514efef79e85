#include "saved.h"

#include "devices.h"

extern struct sweep_job sweep_job;

#define TIMERS ((1u << TIMER0A_IRQn) | (1u << TIMER1A_IRQn))

/* GCC makes calls of these from loops and assignments. */
void *memcpy(void *restrict to, const void *restrict from, __SIZE_TYPE__ size);
void *memset(void *to, int value, __SIZE_TYPE__ size);

void *memcpy(void *restrict to, const void *restrict from, __SIZE_TYPE__ size)
{
    uint8_t *out = to;
    const uint8_t *in = from;
    if ((((uintptr_t)out | (uintptr_t)in) & 3u) == 0) {
        const uint8_t *const blocks = in + size / 16 * 16;
        while (in != blocks) {
            __asm__ volatile("ldmia %0!, {r4-r6, r8}\n\t"
                             "stmia %1!, {r4-r6, r8}"
                             : "+r"(in), "+r"(out)
                             :
                             : "r4", "r5", "r6", "r8", "memory");
        }
        size %= 16;
    }
    for (; size > 0; size--) {
        *(volatile uint8_t *)out++ = *in++;
    }
    return to;
}

void *memset(void *to, int value, __SIZE_TYPE__ size)
{
    for (volatile uint8_t *out = to; size > 0; size--) {
        *out++ = (uint8_t)value;
    }
    return to;
}

/* The lines that the ports ask for come back with their registers. */
static uint32_t asked_for(const struct saved *saved)
{
    static const struct {
        uint32_t port;
        uint32_t irq;
    } lines[] = {{0x40004000, GPIOA_IRQn}, {0x40005000, GPIOB_IRQn}, {0x40006000, GPIOC_IRQn},
                 {0x40007000, GPIOD_IRQn}, {0x40024000, GPIOE_IRQn}, {0x40025000, GPIOF_IRQn},
                 {0x40026000, GPIOG_IRQn}};
    uint32_t asked = 0;
    for (uint32_t n = 0; n < SWEEP_PORTS_MAX; n++) {
        for (uint32_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
            if (sweep_job.ports[n] == lines[i].port && (saved->ports[n].raw & saved->ports[n].mask) != 0) {
                asked |= 1u << lines[i].irq;
            }
        }
    }
    return asked;
}

bool saved_keep(struct saved *saved, const uint32_t *registers, const uint32_t *frame)
{
    saved->sp = (uint32_t)(uintptr_t)frame;
    saved->stack_size = sweep_job.stack_end - saved->sp;
    if (saved->stack_size > SWEEP_IMAGE || saved->stack_size + sweep_job.memory_size > SWEEP_IMAGE) {
        return false;
    }
    memcpy(saved->registers, registers, sizeof saved->registers);
    memcpy(saved->memory, (const void *)(uintptr_t)sweep_job.memory, sweep_job.memory_size);
    memcpy(saved->memory + sweep_job.memory_size, frame, saved->stack_size);
    pins_save(saved->ports);
    load_2(NVIC->ISER, &saved->enabled[0], &saved->enabled[1]);
    load_2(NVIC->ISPR, &saved->pended[0], &saved->pended[1]);
    saved->pended[0] &= ~(TIMERS | asked_for(saved));
    saved->system = ICSR & (ICSR_PENDSVSET | ICSR_PENDSTSET);
    saved->clock = SYSTICK->CTRL & ~SYSTICK_CTRL_ENABLE;
    saved->clock_load = SYSTICK->LOAD;
    __asm__ volatile("mrs %0, primask" : "=r"(saved->primask));
    __asm__ volatile("mrs %0, basepri" : "=r"(saved->basepri));
    return true;
}

uint32_t saved_sum(const struct saved *saved)
{
    const uint8_t *byte = (const uint8_t *)saved;
    const uint8_t *const end = saved->memory + sweep_job.memory_size + saved->stack_size;
    uint32_t sum = 0;
    while (byte != end) {
        sum = 31 * sum + *byte++;
    }
    return sum;
}

static void restore_enables(const struct saved *saved)
{
    uint32_t low;
    uint32_t high;
    load_2(NVIC->ISER, &low, &high);
    if (low != saved->enabled[0] || high != saved->enabled[1]) {
        store_2(NVIC->ICER, ~0u, ~0u);
        store_2(NVIC->ISER, saved->enabled[0], saved->enabled[1]);
    }
}

static void restore_clock(const struct saved *saved)
{
    uint32_t control;
    uint32_t load;
    load_2(&SYSTICK->CTRL, &control, &load);
    if (((control ^ saved->clock) & 7u) != 0 || load != saved->clock_load) {
        store_3(&SYSTICK->CTRL, saved->clock, saved->clock_load, 0); /* and VAL */
        ICSR = ICSR_PENDSTCLR; /* what it has asked for since somebody looked */
    }
}

static bool has_tick(void)
{
    for (uint32_t n = 0; n < SWEEP_SOURCES_MAX; n++) {
        if (sweep_job.sources[n].mask != 0 && sweep_job.sources[n].port == SWEEP_PORTS_MAX) {
            return true;
        }
    }
    return false;
}

void saved_restore(const struct saved *saved, bool idle)
{
    pins_quiet(saved->ports); /* first: what is still asked for cannot be cleared */
    if (has_tick()) {
        restore_clock(saved);
    }
    if (!idle) {
        store_2(NVIC->ICPR, ~0u, ~0u);
        ICSR = ICSR_PENDSVCLR | ICSR_PENDSTCLR;
    }
    memcpy((void *)(uintptr_t)sweep_job.memory, saved->memory, sweep_job.memory_size);
    memcpy((void *)(uintptr_t)saved->sp, saved->memory + sweep_job.memory_size, saved->stack_size);
    restore_enables(saved);
    pins_restore(saved->ports);
    if ((saved->pended[0] | saved->pended[1]) != 0) {
        store_2(NVIC->ISPR, saved->pended[0], saved->pended[1]);
    }
    if (saved->system != 0) {
        ICSR = saved->system;
    }
    __asm__ volatile("msr basepri, %0" : : "r"(saved->basepri));
}

/* The timer is started last: its ticks then count the program's instructions, but for a few. */
__attribute__((naked)) void saved_resume(const struct saved *saved, uint32_t ticks)
{
    (void)saved;
    (void)ticks;
    __asm__ volatile("ldmia r0!, {r4-r11}\n\t"
                     "ldrd r2, r3, [r0]\n\t"
                     "ldr r0, =0x40030000\n\t" /* GPTM0 */
                     "str r1, [r0, #0x28]\n\t" /* TAILR */
                     "msr msp, r2\n\t"
                     "msr primask, r3\n\t"
                     "mov r1, #1\n\t"
                     "mvn lr, #6\n\t" /* EXC_RETURN_THREAD */
                     "str r1, [r0, #0x0c]\n\t" /* CTL */
                     "bx lr");
}
