#include "sweep.h"

#include "lm3s6965.h"

/* General-purpose timer 0 (LM3S6965 data sheet, "General-Purpose Timers"), 32-bit one-shot. */
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
#define GPTM_ONE_SHOT 1u
#define GPTM_ENABLE 1u
#define GPTM_TIMEOUT 1u

/* ARMv7-M system control space (ARM DDI 0403, B3.2). */
#define ICSR (*(volatile uint32_t *)0xe000ed04u)
#define VTOR (*(volatile uint32_t *)0xe000ed08u)
#define SHPR ((volatile uint8_t *)0xe000ed18u)
#define RCC2 (*(volatile uint32_t *)0x400fe070u)
#define ICSR_VECTPENDING (0x1ffu << 12)
#define ICSR_RETTOBASE (1u << 11)
#define ICSR_PENDCLR ((1u << 25) | (1u << 27))

/* A tick of 125 ns against instructions of 128 ns (-icount shift=7): no boundary is stepped over, and few are
 * met twice. RCC2: use it, divide by 25. */
#define RCC2_TICK_125_NS ((1u << 31) | (24u << 23))

#define EXC_RETURN_HANDLER 0xfffffff1u
#define EXC_RETURN_THREAD 0xfffffff9u
#define XPSR_THUMB (1u << 24)

#define PRIORITY_HARNESS 0x00u
#define PRIORITY_PROGRAM 0x20u /* the next lower one that exists */

enum { PC = 6, XPSR = 7, FRAME_WORDS = 8, SAVED_REGISTERS = 8 };

enum phase { STRIKING, SETTLING, RELIVING };

extern uint32_t __sweep_vectors[64];
extern uint32_t __sweep_stack_end[];

/* The host knows these by name. */
struct sweep_job sweep_job;
struct sweep_result sweep_result;
struct sweep_record sweep_records[SWEEP_RECORDS];

static struct {
    enum phase phase;
    uint32_t strikes; /* made so far */
    uint32_t ticks;   /* of the varied strike */
    uint32_t presses;
    uint32_t early; /* presses that may count or not */
    uint32_t lines;
    bool given_up;
    bool saved; /* just now, in the middle of a run */
    bool open; /* singles: the window has been reached */
    struct sweep_record record;
} run;

/* The program at its first strike. resume_saved() counts on the order of the first three. */
struct saved {
    uint32_t registers[SAVED_REGISTERS]; /* r4 to r11 */
    uint32_t sp;                         /* at the stacked frame */
    uint32_t primask;                    /* set at a masked WFI */
    uint32_t stack_size;
    uint32_t strikes;
    uint32_t presses;
    uint32_t early;
    uint32_t lines;
    uint32_t sense[4]; /* IS IBE IEV IM, before the press */
    uint32_t direction;
    uint32_t raw;
    uint32_t enabled[2];
    uint32_t basepri;
    uint8_t memory[SWEEP_IMAGE];
};

struct saved sweep_saved;

void sweep_done(void);
_Noreturn void sweep_next(void);
_Noreturn void sweep_unwind(void);

/* GCC makes calls of these from loops and assignments. */
void *memcpy(void *restrict to, const void *restrict from, __SIZE_TYPE__ size);
void *memset(void *to, int value, __SIZE_TYPE__ size);

void *memcpy(void *restrict to, const void *restrict from, __SIZE_TYPE__ size)
{
    uint8_t *out = to;
    const uint8_t *in = from;
    for (; size >= 4 && (((uintptr_t)out | (uintptr_t)in) & 3u) == 0; size -= 4, out += 4, in += 4) {
        *(volatile uint32_t *)(void *)out = *(const volatile uint32_t *)(const void *)in;
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

/* ---- the timer and the pin --------------------------------------------------------------------- */

static void strike_in(uint32_t ticks)
{
    GPTM0->CTL = 0;
    GPTM0->TAILR = ticks;
    GPTM0->CTL = GPTM_ENABLE;
}

static void no_strike(void)
{
    GPTM0->CTL = 0;
    GPTM0->ICR = GPTM_TIMEOUT;
    NVIC->ICPR[0] = 1u << TIMER0A_IRQn;
}

static struct gpio *button_port(void)
{
    return (struct gpio *)(uintptr_t)sweep_job.port;
}

static void drive_pin(bool high)
{
    struct gpio *port = button_port();
    const uint32_t direction = port->DIR;
    port->DIR = direction | sweep_job.mask;
    port->DATA[sweep_job.mask] = high ? sweep_job.mask : 0;
    port->DIR = direction & ~sweep_job.mask;
    port->DIR = direction;
}

static bool in_map(const uint8_t *map, uint32_t pc)
{
    return pc / 16 < SWEEP_MAP && ((map[pc / 16] >> (pc / 2 % 8)) & 1u) != 0;
}

/* Before the button's first init an edge is no press, and during it, it may be one. */
static bool is_set_up(void)
{
    return (button_port()->IM & sweep_job.mask) != 0 ||
           ((NVIC->ISER[sweep_job.irq / 32] >> (sweep_job.irq % 32)) & 1u) != 0;
}

/* An edge that meets one still latched in RIS merges with it, and is no press of its own; unless a handler is under
 * way that has `told` the task already, and is about to acknowledge both. */
static void press(bool told)
{
    const bool latched = (button_port()->RIS & sweep_job.mask) != 0;
    const bool early = run.strikes == 0 && !is_set_up();
    drive_pin(true);
    drive_pin(false);
    if (early) {
        run.early++;
        return;
    }
    if (latched ? told : (button_port()->RIS & sweep_job.mask) != 0) {
        run.presses++;
    }
}

/* ---- saving and restoring ---------------------------------------------------------------------- */

static bool save(const uint32_t *registers, const uint32_t *frame)
{
    const struct gpio *port = button_port();
    sweep_saved.sp = (uint32_t)(uintptr_t)frame;
    sweep_saved.stack_size = sweep_job.stack_end - sweep_saved.sp;
    if (sweep_saved.stack_size + sweep_job.memory_size > SWEEP_IMAGE) {
        return false;
    }
    memcpy(sweep_saved.registers, registers, sizeof sweep_saved.registers);
    memcpy(sweep_saved.memory, (const void *)(uintptr_t)sweep_job.memory, sweep_job.memory_size);
    memcpy(sweep_saved.memory + sweep_job.memory_size, frame, sweep_saved.stack_size);
    sweep_saved.sense[0] = port->IS;
    sweep_saved.sense[1] = port->IBE;
    sweep_saved.sense[2] = port->IEV;
    sweep_saved.sense[3] = port->IM;
    sweep_saved.direction = port->DIR;
    sweep_saved.raw = port->RIS;
    sweep_saved.enabled[0] = NVIC->ISER[0];
    sweep_saved.enabled[1] = NVIC->ISER[1];
    __asm__ volatile("mrs %0, primask" : "=r"(sweep_saved.primask));
    __asm__ volatile("mrs %0, basepri" : "=r"(sweep_saved.basepri));
    sweep_saved.strikes = run.strikes;
    sweep_saved.presses = run.presses;
    sweep_saved.early = run.early;
    sweep_saved.lines = run.lines;
    return true;
}

static void restore_port(void)
{
    struct gpio *port = button_port();
    port->DIR = sweep_saved.direction;
    drive_pin(true);
    port->IS = sweep_saved.sense[0];
    port->IBE = sweep_saved.sense[1];
    port->IEV = sweep_saved.sense[2];
    port->ICR = 0xff;
    if ((sweep_saved.raw & sweep_job.mask) != 0) {
        drive_pin(false);
    }
    port->IM = sweep_saved.sense[3];
}

/* Ends in the program, as the return from the strike at which it was sweep_saved. */
__attribute__((noinline)) static void restore(void)
{
    memcpy((void *)(uintptr_t)sweep_job.memory, sweep_saved.memory, sweep_job.memory_size);
    memcpy((void *)(uintptr_t)sweep_saved.sp, sweep_saved.memory + sweep_job.memory_size, sweep_saved.stack_size);
    button_port()->IM = 0; /* first: what is still asked for cannot be cleared */
    NVIC->ICPR[0] = ~0u;
    NVIC->ICPR[1] = ~0u;
    NVIC->ISER[0] = sweep_saved.enabled[0];
    NVIC->ISER[1] = sweep_saved.enabled[1];
    restore_port();
    __asm__ volatile("msr basepri, %0" : : "r"(sweep_saved.basepri));
    run.presses = sweep_saved.presses;
    run.early = sweep_saved.early;
    run.lines = sweep_saved.lines;
    run.phase = STRIKING;
    run.strikes = sweep_saved.strikes;
}

/* Whether the next strike is the varied one. */
static bool varied(void)
{
    return run.strikes == sweep_job.fixed;
}

void sweep_restore(void);
void sweep_restore(void)
{
    restore();
    strike_in(varied() ? run.ticks : sweep_job.ticks[run.strikes]);
}

__attribute__((naked)) static void resume_saved(void)
{
    __asm__ volatile("bl sweep_restore\n\t"
                     "ldr r0, =sweep_saved\n\t"
                     "ldmia r0, {r4-r11}\n\t"
                     "ldrd r1, r2, [r0, #32]\n\t"
                     "msr msp, r1\n\t"
                     "msr primask, r2\n\t"
                     "mvn lr, #6\n\t" /* EXC_RETURN_THREAD */
                     "bx lr");
}

/* ---- one strike -------------------------------------------------------------------------------- */

static void note_place(uint32_t pc, enum sweep_moment moment, bool nested)
{
    run.record.ticks = run.ticks;
    run.record.pc = pc & 0x0fffffffu;
    run.record.moment = (uint8_t)moment;
    run.record.nested = nested;
}

_Noreturn static void finish(enum sweep_outcome outcome)
{
    /* A program that does not settle seldom does at the next placement, and each takes as long as all the others. */
    if (outcome == SWEEP_UNSAVED ||
        (outcome == SWEEP_RUNAWAY && sweep_result.counts[SWEEP_RUNAWAY] + 1 == SWEEP_RUNAWAYS_MAX)) {
        sweep_result.ended = 1;
    }
    run.record.outcome = (uint32_t)outcome & 0xfu;
    run.record.lines = (uint8_t)run.lines;
    run.record.presses = (uint8_t)run.presses;
    sweep_unwind();
}

/* No press was made: this run is none. */
_Noreturn static void give_up(void)
{
    run.given_up = true;
    sweep_unwind();
}

static enum sweep_outcome judge(void)
{
    if (VTOR != (uint32_t)(uintptr_t)__sweep_vectors || GPTM0->CFG != 0) {
        return SWEEP_TAMPERED;
    }
    return run.lines < run.presses ? SWEEP_LOST : run.lines > run.presses + run.early ? SWEEP_TWICE : SWEEP_OK;
}

/* A strike has been made, at `pc`; what is next? After a fixed one the run is saved, left and gone on with from there:
 * so the next strike's ticks begin at the same instruction, whether they are counted for the first time or again. */
static void after_strike(const uint32_t *registers, const uint32_t *frame, uint32_t pc)
{
    if (varied()) {
        run.phase = SETTLING;
        strike_in(sweep_job.limit);
        return;
    }
    sweep_result.places[run.strikes] = pc;
    run.strikes++;
    if (!save(registers, frame)) {
        finish(SWEEP_UNSAVED);
    }
    run.saved = true;
    sweep_unwind();
}

/* Whether a press at `pc` is wanted; where it is not, the run is given up. */
static bool is_chosen(uint32_t pc)
{
    return sweep_job.chosen == 0 || pc / 16 >= SWEEP_MAP || in_map(sweep_job.map, pc);
}

static bool in_window(uint32_t pc)
{
    run.open = run.open || sweep_job.fixed != 0 || sweep_job.window == 0 || pc == sweep_job.window;
    return run.open;
}

void sweep_strike(const uint32_t *registers, uint32_t *frame, uint32_t exc_return);
void sweep_strike(const uint32_t *registers, uint32_t *frame, uint32_t exc_return)
{
    const bool nested = exc_return != EXC_RETURN_THREAD;
    GPTM0->ICR = GPTM_TIMEOUT;
    if (run.phase != STRIKING) {
        finish(SWEEP_RUNAWAY);
    }
    if (varied()) {
        note_place(frame[PC], SWEEP_BOUNDARY, nested);
        if (!in_window(frame[PC]) || !is_chosen(frame[PC])) {
            give_up();
        }
    } else if (nested) {
        finish(SWEEP_UNSAVED);
    }
    press(nested && in_map(sweep_job.told, frame[PC]));
    after_strike(registers, frame, frame[PC]);
}

/* r4 to r11 go on the stack below the frame, where sweep_strike finds them. */
__attribute__((naked)) static void timer_entry(void)
{
    __asm__ volatile("mov r1, sp\n\t"
                     "mov r2, lr\n\t"
                     "push {r4-r11}\n\t"
                     "mov r0, sp\n\t"
                     "push {r2, r3}\n\t"
                     "bl sweep_strike\n\t"
                     "pop {r2, r3}\n\t"
                     "pop {r4-r11}\n\t"
                     "bx r2");
}

/* ---- faults: calls, sleeps, and real ones ------------------------------------------------------ */

static bool begins_with_line(const char *text)
{
    const char *wanted = sweep_job.line;
    while (*wanted != '\0' && *text == *wanted) {
        text++;
        wanted++;
    }
    return *wanted == '\0';
}

/* As the bench counts: the line may hold more than that. */
static bool is_press_line(const char *text)
{
    for (; *text != '\0'; text++) {
        if (begins_with_line(text)) {
            return true;
        }
    }
    return false;
}

static void host_call(uint32_t *frame)
{
    if (frame[0] == 0x04 && is_press_line((const char *)(uintptr_t)frame[1])) {
        run.lines++;
    }
    frame[0] = 0;
    frame[PC] += 2;
}

/* Press at the WFI at which the program stands, before it executes or in the sleep that it begins. */
static void strike_at_sleep(const uint32_t *registers, uint32_t *frame)
{
    const uint32_t pc = frame[PC];
    const enum sweep_moment moment =
        (enum sweep_moment)(varied() ? run.record.moment : sweep_job.moment[run.strikes]);
    if (varied()) {
        note_place(pc, moment, false);
        sweep_result.ended = moment == SWEEP_ASLEEP;
    }
    if (moment == SWEEP_ASLEEP) {
        frame[PC] += 2;
    }
    press(false);
    after_strike(registers, frame, pc);
}

/* At a WFI. With something pending it is passed; else the program has settled, or is struck here. */
static void at_wfi(const uint32_t *registers, uint32_t *frame)
{
    if ((ICSR & ICSR_VECTPENDING) != 0 && (NVIC->ISPR[0] & (1u << TIMER0A_IRQn)) == 0) {
        frame[PC] += 2;
        return;
    }
    no_strike();
    if (run.phase == STRIKING) {
        strike_at_sleep(registers, frame);
    } else if (run.phase == SETTLING && sweep_job.relive != 0 && judge() == SWEEP_OK) {
        frame[PC] += 2;
        press(false);
        run.phase = RELIVING;
        strike_in(sweep_job.limit);
    } else {
        finish(judge());
    }
}

static bool is_wfi(uint32_t pc)
{
    for (uint32_t i = 0; i < SWEEP_WFI_MAX; i++) {
        if (sweep_job.wfi[i] == pc) {
            return true;
        }
    }
    return false;
}

void sweep_fault(const uint32_t *registers, uint32_t *frame);
void sweep_fault(const uint32_t *registers, uint32_t *frame)
{
    if (frame[PC] == sweep_job.call) {
        host_call(frame);
    } else if (is_wfi(frame[PC])) {
        at_wfi(registers, frame);
    } else {
        finish(SWEEP_FAULT);
    }
}

__attribute__((naked)) static void fault_entry(void)
{
    __asm__ volatile("mov r1, sp\n\t"
                     "mov r2, lr\n\t"
                     "push {r4-r11}\n\t"
                     "mov r0, sp\n\t"
                     "push {r2, r3}\n\t"
                     "bl sweep_fault\n\t"
                     "pop {r2, r3}\n\t"
                     "pop {r4-r11}\n\t"
                     "bx r2");
}

/* ---- between two runs -------------------------------------------------------------------------- */

__attribute__((naked)) static void thread_again(void)
{
    __asm__ volatile("ldr sp, =__sweep_stack_end\n\t"
                     "cpsid i\n\t"
                     "bl sweep_next");
}

_Noreturn __attribute__((naked)) static void leave_handler(const uint32_t *frame, uint32_t exc_return)
{
    (void)frame;
    (void)exc_return;
    __asm__ volatile("mov sp, r0\n\t"
                     "bx r1");
}

/* An active exception other than the current one, or 0. */
static uint32_t another_active(void)
{
    uint32_t current;
    __asm__ volatile("mrs %0, ipsr" : "=r"(current));
    if ((ICSR & ICSR_RETTOBASE) != 0) {
        return 0;
    }
    for (uint32_t n = 0; n < IRQ_COUNT; n++) {
        if (((NVIC->IABR[n / 32] >> (n % 32)) & 1u) != 0 && n + 16 != current) {
            return n + 16;
        }
    }
    static const struct {
        uint32_t active; /* in SHCSR */
        uint32_t number;
    } system[] = {{1u << 11, 15}, {1u << 10, 14}, {1u << 7, 11}};
    for (uint32_t n = 0; n < sizeof system / sizeof system[0]; n++) {
        if ((SCB->SHCSR & system[n].active) != 0 && system[n].number != current) {
            return system[n].number;
        }
    }
    return 0;
}

/* What is pending must not be served between the handlers that are left here, nor in the harness's own thread. */
static void silence_interrupts(void)
{
    NVIC->ICER[0] = ~0u;
    NVIC->ICER[1] = ~0u;
    ICSR = ICSR_PENDCLR;
}

_Noreturn void sweep_unwind_one(void);
_Noreturn void sweep_unwind_one(void)
{
    uint32_t frame[FRAME_WORDS] __attribute__((aligned(8)));
    silence_interrupts();
    const uint32_t other = another_active();
    frame[PC] = (uint32_t)(uintptr_t)(other != 0 ? sweep_unwind : thread_again);
    frame[XPSR] = XPSR_THUMB | other;
    leave_handler(frame, other != 0 ? EXC_RETURN_HANDLER : EXC_RETURN_THREAD);
}

/* Leaves every active handler, the innermost first, by returning to this function in place of the code that it had
 * interrupted; the last return goes to thread mode. On the harness's stack: the program's may be broken. */
_Noreturn __attribute__((naked)) void sweep_unwind(void)
{
    __asm__ volatile("ldr sp, =__sweep_stack_end\n\t"
                     "b sweep_unwind_one");
}

static void reset_devices(void)
{
    struct gpio *const ports[] = {GPIOE, GPIOF, button_port()};
    for (uint32_t i = 0; i < sizeof ports / sizeof ports[0]; i++) {
        struct gpio *port = ports[i];
        port->IM = 0;
        port->DIR = 0;
        port->AFSEL = 0;
        port->IS = 0;
        port->IBE = 0;
        port->IEV = 0;
        port->DEN = 0;
        port->PUR = 0;
    }
    drive_pin(true);
    for (uint32_t i = 0; i < sizeof ports / sizeof ports[0]; i++) {
        ports[i]->ICR = 0xff;
    }
    SYSCTL->RCGC2 = 0;
    SYSTICK->CTRL = 0;
    MPU->CTRL = 0;
    NVIC->ICPR[0] = ~0u;
    NVIC->ICPR[1] = ~0u;
    NVIC->ISER[0] = 1u << TIMER0A_IRQn;
}

_Noreturn __attribute__((naked)) static void power_on(void)
{
    __asm__ volatile("mov r0, #0\n\t"
                     "msr control, r0\n\t"
                     "msr basepri, r0\n\t"
                     "ldr sp, [r0]\n\t"
                     "ldr r1, [r0, #4]\n\t"
                     "mvn lr, #0\n\t"
                     "cpsie i\n\t"
                     "bx r1");
}

_Noreturn static void start_program(void)
{
    reset_devices();
    run.phase = STRIKING;
    run.strikes = 0;
    run.presses = 0;
    run.early = 0;
    run.lines = 0;
    strike_in(sweep_job.fixed == 0 ? run.ticks : sweep_job.ticks[0]);
    power_on();
}

static void keep_record(void)
{
    if (run.given_up) {
        run.given_up = false;
        return;
    }
    sweep_result.runs++;
    sweep_result.counts[run.record.outcome]++;
    if (sweep_result.records == SWEEP_RECORDS) {
        sweep_result.full = 1;
        return;
    }
    sweep_records[sweep_result.records++] = run.record;
}

static bool begun;

/* Goes on with the saved run. */
_Noreturn static void go_on(void)
{
    for (;;) {
        __asm__ volatile("cpsie i\n\t"
                         "svc 0");
    }
}

/* After a run: note it, choose the next placement, start it. */
_Noreturn void sweep_next(void)
{
    if (run.saved) {
        run.saved = false;
        go_on();
    }
    if (begun) {
        keep_record();
        if (run.record.moment == SWEEP_BEFORE_SLEEP) {
            run.record.moment = SWEEP_ASLEEP; /* the same strike once more, a moment later */
        } else {
            run.record.moment = SWEEP_BEFORE_SLEEP; /* if the program settles before the strike */
            run.ticks++;
        }
    }
    if (sweep_result.ended != 0 || sweep_result.full != 0 || run.ticks > sweep_job.last) {
        for (;;) {
            sweep_done();
        }
    }
    if (begun && sweep_job.fixed != 0) {
        go_on();
    }
    begun = true;
    start_program();
}

__attribute__((noinline)) void sweep_done(void)
{
    __asm__ volatile("nop");
}

/* ---- the start --------------------------------------------------------------------------------- */

static void take_over_vectors(void)
{
    const uint32_t *program = 0;
    __asm__ volatile("" : "+r"(program)); /* address 0 is the vector table here, not a null pointer */
    for (uint32_t n = 0; n < 64; n++) {
        __sweep_vectors[n] = program[n];
    }
    for (uint32_t n = 3; n <= 6; n++) {
        __sweep_vectors[n] = (uint32_t)(uintptr_t)fault_entry;
    }
    __sweep_vectors[11] = (uint32_t)(uintptr_t)resume_saved;
    __sweep_vectors[16 + TIMER0A_IRQn] = (uint32_t)(uintptr_t)timer_entry;
    VTOR = (uint32_t)(uintptr_t)__sweep_vectors;
}

static void set_priorities(void)
{
    for (uint32_t n = 0; n < IRQ_COUNT; n++) {
        NVIC->IPR[n] = PRIORITY_PROGRAM;
    }
    NVIC->IPR[TIMER0A_IRQn] = PRIORITY_HARNESS;
    for (uint32_t n = 0; n < 12; n++) {
        SHPR[n] = n < 4 || n == 7 ? PRIORITY_HARNESS : PRIORITY_PROGRAM; /* faults and SVCall: ours */
    }
}

void sweep_main(void);
void sweep_main(void)
{
    take_over_vectors();
    set_priorities();
    RCC2 = RCC2_TICK_125_NS;
    GPTM0->CFG = 0;
    GPTM0->TAMR = GPTM_ONE_SHOT;
    GPTM0->IMR = GPTM_TIMEOUT;
    sweep_result = (struct sweep_result){0};
    begun = false;
    run.open = false;
    run.given_up = false;
    run.saved = false;
    run.record = (struct sweep_record){.moment = SWEEP_BEFORE_SLEEP};
    run.ticks = sweep_job.from;
    sweep_next();
}

__attribute__((naked, used)) void sweep_start(void)
{
    __asm__ volatile("cpsid i\n\t"
                     "ldr sp, =__sweep_stack_end\n\t"
                     "bl sweep_main");
}
