#include "sweep.h"

#include "devices.h"
#include "pins.h"
#include "saved.h"

#define EXC_RETURN_HANDLER 0xfffffff1u
#define EXC_RETURN_THREAD 0xfffffff9u
#define XPSR_THUMB (1u << 24)

#define SRAM_START 0x20000000u
#define SRAM_END 0x20010000u

enum { PC = 6, XPSR = 7, FRAME_WORDS = 8 };
enum { FIRST_IRQ = 16, SYSTICK_EXCEPTION = 15 };
enum { STRIDE = 32 }; /* ticks, to begin with: see is_behind_same_call() */
enum { WFI_PASSES_MAX = 1000 }; /* times in a row that a WFI is passed because something is pending */

enum phase { OPENING, STRIKING, SETTLING, RELIVING };

extern uint32_t __sweep_vectors[64];
extern uint32_t __sweep_stack_end[];
extern uint32_t __sweep_flash[];

/* The host knows these by name. */
struct sweep_job sweep_job;
struct sweep_result sweep_result;
struct sweep_record sweep_records[SWEEP_RECORDS];
struct saved sweep_base;

/* The host watches this word: written when a job is done. Not a breakpoint, for after each of those QEMU throws all
 * translated code away. It has a page of QEMU's for itself, where every access is slow. */
__attribute__((section(".bss.watched"))) volatile uint32_t sweep_done;

static struct saved point;
static uint32_t point_sum;

static struct {
    enum phase phase;
    uint32_t strikes; /* made so far */
    uint32_t ticks;   /* of the varied strike */
    uint32_t presses;
    uint32_t early; /* presses that may count or not */
    uint32_t lines;
    uint32_t passes;  /* of WFIs, in a row */
    uint32_t pc;      /* of this run's strike between two instructions; odd: there was none */
    uint32_t calls;   /* of the host, since the run was saved */
    uint32_t last_pc; /* the same two of the strike before, mostly a tick earlier */
    uint32_t last_calls;
    uint32_t stride;  /* ticks: see is_behind_same_call() */
    bool strode;      /* this run's strike is a stride later than the one before, and not a tick */
    bool clock_on;    /* when the run was saved */
    bool timed;       /* the timer runs: to strike, or as the limit */
    bool over;        /* the job is done */
    struct sweep_record record;
} run;

/* Of the run that is saved, to begin with. */
struct counts {
    uint32_t strikes;
    uint32_t presses;
    uint32_t early;
    uint32_t lines;
    uint32_t tick_wanted;
    bool clock_on; /* the program has switched SysTick and its interrupt on */
};
static struct counts base_counts;
static struct counts point_counts;

static bool set_up; /* at the base, the button */

/* tick_entry counts on the order. */
struct {
    uint32_t wanted;  /* the next SysTick exception is one of ours */
    uint32_t handler; /* the program's */
} sweep_tick;

/* r4 to r11 of the program, while the harness is at work. */
uint32_t sweep_registers[SAVED_REGISTERS];

_Noreturn void sweep_next(void);
_Noreturn void sweep_unwind(void);

/* ---- the timers -------------------------------------------------------------------------------- */

static void strike_in(uint32_t ticks)
{
    GPTM0->TAILR = ticks;
    GPTM0->CTL = GPTM_ENABLE;
    run.timed = true;
}

static void no_strike(void)
{
    GPTM0->CTL = 0;
    GPTM0->ICR = GPTM_TIMEOUT;
    NVIC->ICPR[0] = 1u << TIMER0A_IRQn;
    run.timed = false;
}

static void guard(void)
{
    GPTM1->CTL = 0;
    GPTM1->ICR = GPTM_TIMEOUT;
    NVIC->ICPR[0] = 1u << TIMER1A_IRQn;
    GPTM1->TAILR = sweep_job.guard;
    GPTM1->CTL = GPTM_ENABLE;
}

/* ---- strikes ----------------------------------------------------------------------------------- */

static bool in_map(const uint8_t *map, uint32_t pc)
{
    return pc / 16 < SWEEP_MAP && ((map[pc / 16] >> (pc / 2 % 8)) & 1u) != 0;
}

static bool is_enabled(uint32_t irq)
{
    return ((NVIC->ISER[irq / 32] >> (irq % 32)) & 1u) != 0;
}

/* An edge that meets one still latched in RIS merges with it, and is no press of its own; unless a handler is under
 * way that has `told` the task already, and is about to acknowledge both. Before the button's first init an edge is no
 * press, and during it, it may be one. */
static void press(bool told)
{
    const bool before_init = run.strikes == 0 && !set_up && !is_enabled(sweep_job.irq);
    const struct edge edge = pins_press(&sweep_job.sources[0]);
    if (before_init && !edge.open) {
        run.early++;
    } else if (edge.latched ? told : edge.sensed) {
        run.presses++;
    }
}

static bool is_clock_on(void)
{
    const uint32_t wanted = SYSTICK_CTRL_ENABLE | SYSTICK_CTRL_TICKINT;
    return run.clock_on || (SYSTICK->CTRL & wanted) == wanted;
}

/* SysTick is not let run: a tick comes when it is wanted. Where the program has not switched it on there is none. */
static void tick(void)
{
    if (is_clock_on()) {
        sweep_tick.wanted = 1;
        ICSR = ICSR_PENDSTSET;
    }
}

/* `told`: see press(). Only the presses of the lab's button are counted. */
static void strike(bool told)
{
    const uint32_t number = sweep_job.source[run.strikes];
    const struct sweep_source *source = &sweep_job.sources[number];
    if (source->port == SWEEP_PORTS_MAX) {
        tick();
    } else if (number == 0) {
        press(told);
    } else {
        pins_press(source);
    }
}

/* ---- from one run to the next ------------------------------------------------------------------ */

/* Whether the next strike is the varied one. */
static bool varied(void)
{
    return run.strikes == sweep_job.fixed;
}

/* The only active handler is left, into the saved run that comes next. On the harness's stack. */
_Noreturn static void resume(bool idle)
{
    const bool from_base = run.strikes == 0;
    const struct saved *saved = from_base ? &sweep_base : &point;
    const struct counts *counts = from_base ? &base_counts : &point_counts;
    run.presses = counts->presses;
    run.early = counts->early;
    run.lines = counts->lines;
    run.clock_on = counts->clock_on;
    run.phase = STRIKING;
    run.passes = 0;
    run.calls = 0;
    sweep_tick.wanted = counts->tick_wanted;
    run.timed = true;
    saved_restore(saved, idle);
    saved_resume(saved, varied() ? run.ticks : sweep_job.ticks[run.strikes]);
}

static bool is_over(void)
{
    return run.over || sweep_result.ended != 0 || sweep_result.full != 0 || run.ticks > sweep_job.last;
}

/* Go on with the run that is chosen. From a handler that has interrupted thread mode this is short. */
_Noreturn static void leave(uint32_t exc_return, bool idle)
{
    if (exc_return == EXC_RETURN_THREAD && !is_over()) {
        resume(idle);
    }
    sweep_unwind();
}

/* Ticks until something may come that is chosen, from a boundary at `pc` that is not. After a plain instruction comes
 * the next one in memory; it takes a tick, and never less. */
static uint32_t skip(uint32_t pc)
{
    uint32_t ticks = 1;
    while (sweep_job.chosen != 0 && in_map(sweep_job.plain, pc)) {
        const uint16_t opcode = *(const uint16_t *)(uintptr_t)pc;
        pc += opcode >= 0xe800 ? 4 : 2;
        if (in_map(sweep_job.map, pc)) {
            break;
        }
        ticks++;
    }
    return ticks;
}

/* While the harness takes a call of the host no strike comes: those that are due meanwhile, a hundred, all come at the
 * same boundary, behind the call. So they are passed in strides. */
static bool is_behind_same_call(uint32_t pc)
{
    return pc == run.last_pc && pc == sweep_job.call + 2 && run.calls == run.last_calls;
}

/* The run has come to something else. If that was by a stride, something may lie between: half of the stride is tried. */
static void too_far(uint32_t exc_return)
{
    if (run.strode) {
        run.ticks -= run.stride;
        run.stride /= 2;
        run.ticks += run.stride;
        run.strode = run.stride > 1;
        leave(exc_return, false);
    }
}

/* Ticks to the next strike, after one at `pc` that has come at the same boundary as that before it. */
static uint32_t go_on(uint32_t pc)
{
    run.strode = run.stride > 1 && is_behind_same_call(pc);
    return run.strode ? run.stride : 1;
}

static void choose_next(uint32_t ticks)
{
    run.last_pc = run.pc;
    run.last_calls = run.calls;
    if (run.record.moment == SWEEP_BEFORE_SLEEP) {
        run.record.moment = SWEEP_ASLEEP; /* the same strike once more, a moment later */
    } else {
        run.record.moment = SWEEP_BEFORE_SLEEP; /* if the program settles before the strike */
        run.ticks += ticks;
    }
}

static void keep_record(void)
{
    sweep_result.runs++;
    sweep_result.counts[run.record.outcome]++;
    sweep_records[sweep_result.records++] = run.record;
    sweep_result.full = sweep_result.records == SWEEP_RECORDS;
}

static void note_place(uint32_t pc, enum sweep_moment moment, bool nested)
{
    run.record.ticks = run.ticks;
    run.record.pc = pc & 0x0fffffffu;
    run.record.moment = (uint8_t)moment;
    run.record.nested = nested;
}

_Noreturn static void opened(enum sweep_outcome outcome, uint32_t pc)
{
    sweep_result.opened = (uint32_t)outcome;
    sweep_result.place = pc;
    run.over = true;
    sweep_unwind();
}

_Noreturn static void finish(enum sweep_outcome outcome, uint32_t pc, uint32_t exc_return, bool idle)
{
    if (run.phase == OPENING) {
        opened(outcome, pc);
    }
    if (run.timed) {
        no_strike();
    }
    if (run.phase == STRIKING) { /* ended before it was struck: so will all that would be struck later */
        too_far(exc_return);
        note_place(pc, SWEEP_BOUNDARY, exc_return != EXC_RETURN_THREAD);
        sweep_result.ended = 1;
    }
    if (run.record.moment == SWEEP_ASLEEP) {
        sweep_result.ended = 1;
    }
    /* A program that does not settle seldom does at the next placement, and each takes as long as all the others. */
    if (outcome == SWEEP_RUNAWAY && sweep_result.counts[SWEEP_RUNAWAY] + 1 == SWEEP_RUNAWAYS_MAX) {
        sweep_result.ended = 1;
    }
    run.record.outcome = (uint32_t)outcome & 0xfu;
    run.record.lines = (uint8_t)run.lines;
    run.record.presses = (uint8_t)run.presses;
    keep_record();
    choose_next(1);
    leave(exc_return, idle);
}

static enum sweep_outcome judge(void)
{
    return run.lines < run.presses ? SWEEP_LOST : run.lines > run.presses + run.early ? SWEEP_TWICE : SWEEP_OK;
}

/* A strike has been made, at `pc`; what is next? After a fixed one the run is saved, left and gone on with from there:
 * so the next strike's ticks begin at the same instruction, whether they are counted for the first time or again. */
static void after_strike(const uint32_t *frame, uint32_t pc, uint32_t exc_return)
{
    if (varied()) {
        run.phase = SETTLING;
        strike_in(sweep_job.limit);
        return;
    }
    sweep_result.places[run.strikes] = pc;
    run.strikes++;
    if (!saved_keep(&point, sweep_registers, frame)) {
        finish(SWEEP_UNSAVED, pc, exc_return, false);
    }
    point_sum = saved_sum(&point);
    point_counts = (struct counts){run.strikes, run.presses,        run.early,
                                   run.lines,   sweep_tick.wanted, is_clock_on()};
    leave(exc_return, false);
}

/* Whether a strike at `pc` is wanted; where it is not, the run is given up. */
static bool is_wanted(uint32_t pc)
{
    run.pc = pc;
    if (pc == run.last_pc) {
        return false; /* the same boundary as a tick before */
    }
    run.stride = STRIDE;
    if (pc >= (uint32_t)(uintptr_t)__sweep_flash) {
        return false; /* in tick_entry: as before the first instruction of the program's own handler */
    }
    return sweep_job.chosen == 0 || pc / 16 >= SWEEP_MAP || in_map(sweep_job.map, pc);
}

void sweep_strike(uint32_t *frame, uint32_t exc_return);
void sweep_strike(uint32_t *frame, uint32_t exc_return)
{
    const bool nested = exc_return != EXC_RETURN_THREAD;
    const uint32_t pc = frame[PC];
    GPTM0->ICR = GPTM_TIMEOUT;
    run.timed = false;
    if (run.phase != STRIKING) {
        finish(SWEEP_RUNAWAY, pc, exc_return, false);
    }
    if (varied()) {
        if (!is_behind_same_call(pc)) {
            too_far(exc_return);
        }
        note_place(pc, SWEEP_BOUNDARY, nested);
        if (!is_wanted(pc)) {
            choose_next(pc == run.last_pc ? go_on(pc) : skip(pc));
            leave(exc_return, false);
        }
    } else if (nested) {
        finish(SWEEP_UNSAVED, pc, exc_return, false);
    }
    strike(nested && in_map(sweep_job.told, pc));
    after_strike(frame, pc, exc_return);
}

/* The program has not come to the window in time. */
void sweep_guard(const uint32_t *frame, uint32_t exc_return);
void sweep_guard(const uint32_t *frame, uint32_t exc_return)
{
    finish(SWEEP_RUNAWAY, frame[PC], exc_return, false);
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
    run.calls++;
    if (frame[0] == 0x04 && is_press_line((const char *)(uintptr_t)frame[1])) {
        run.lines++;
    }
    frame[0] = 0;
    frame[PC] += 2;
}

/* Strike at the WFI at which the program stands, before it executes or in the sleep that it begins. */
static void strike_at_sleep(uint32_t *frame, uint32_t exc_return)
{
    const uint32_t pc = frame[PC];
    const enum sweep_moment moment =
        (enum sweep_moment)(varied() ? run.record.moment : sweep_job.moment[run.strikes]);
    if (varied()) {
        too_far(exc_return);
        note_place(pc, moment, false);
    }
    if (moment == SWEEP_ASLEEP) {
        frame[PC] += 2;
    }
    strike(false);
    after_strike(frame, pc, exc_return);
}

/* Whether something of the program's is pending; not a tick that nobody wanted. What is pending of the harness's own
 * waits until the program lets interrupts in again. */
static bool is_pending(uint32_t *icsr)
{
    const uint32_t ours = (1u << TIMER0A_IRQn) | (1u << TIMER1A_IRQn);
    *icsr = ICSR;
    if (ICSR_VECTPENDING(*icsr) == 0) {
        return false;
    }
    uint32_t waiting = 0;
    if (ICSR_VECTPENDING(*icsr) == FIRST_IRQ + TIMER0A_IRQn || ICSR_VECTPENDING(*icsr) == FIRST_IRQ + TIMER1A_IRQn) {
        waiting = NVIC->ISPR[0] & ours;
        GPTM0->ICR = GPTM_TIMEOUT; /* first: what is still asked for cannot be cleared */
        GPTM1->ICR = GPTM_TIMEOUT;
        NVIC->ICPR[0] = ours;
        *icsr = ICSR;
    }
    if ((*icsr & ICSR_PENDSTSET) != 0 && sweep_tick.wanted == 0) {
        ICSR = ICSR_PENDSTCLR;
        *icsr = ICSR;
    }
    const bool pending = ICSR_VECTPENDING(*icsr) != 0;
    if (waiting != 0) {
        NVIC->ISPR[0] = waiting;
        *icsr |= ICSR_ISRPENDING;
    }
    return pending;
}

/* At a WFI. With something pending it is passed; else the program has settled, or is struck here. */
static void at_wfi(uint32_t *frame, uint32_t exc_return)
{
    uint32_t icsr;
    if (is_pending(&icsr)) {
        if (++run.passes > WFI_PASSES_MAX) {
            finish(SWEEP_RUNAWAY, frame[PC], exc_return, false);
        }
        frame[PC] += 2;
        return;
    }
    run.passes = 0;
    no_strike();
    if (run.phase == OPENING) {
        finish(SWEEP_SLEPT, frame[PC], exc_return, false);
    }
    if (run.phase == STRIKING) {
        strike_at_sleep(frame, exc_return);
    } else if (run.phase == SETTLING && sweep_job.relive != 0 && judge() == SWEEP_OK) {
        frame[PC] += 2;
        press(false);
        run.phase = RELIVING;
        strike_in(sweep_job.limit);
    } else {
        const bool idle = (icsr & (ICSR_ISRPENDING | ICSR_PENDSVSET | ICSR_PENDSTSET)) == 0;
        finish(judge(), frame[PC], exc_return, idle);
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

/* The program has come to the window. SysTick, if it runs, is held from here on: no time passes. */
_Noreturn static void open_window(const uint32_t *frame, uint32_t exc_return)
{
    if (exc_return != EXC_RETURN_THREAD) {
        opened(SWEEP_UNSAVED, frame[PC]);
    }
    run.clock_on = false;
    base_counts = (struct counts){.clock_on = is_clock_on()};
    store_3(&SYSTICK->CTRL, SYSTICK->CTRL & ~SYSTICK_CTRL_ENABLE, SYSTICK->LOAD, 0); /* and VAL */
    if (sweep_tick.wanted == 0) {
        ICSR = ICSR_PENDSTCLR;
    }
    set_up = is_enabled(sweep_job.irq);
    opened(saved_keep(&sweep_base, sweep_registers, frame) ? SWEEP_OK : SWEEP_UNSAVED, frame[PC]);
}

void sweep_fault(uint32_t *frame, uint32_t exc_return);
void sweep_fault(uint32_t *frame, uint32_t exc_return)
{
    const uint32_t at = (uint32_t)(uintptr_t)frame;
    if (at < SRAM_START || at > SRAM_END - 4 * FRAME_WORDS || at % 4 != 0) {
        finish(SWEEP_FAULT, 0, exc_return, false); /* the stack is where no memory is */
    }
    if (frame[PC] == sweep_job.call) {
        host_call(frame);
    } else if (is_wfi(frame[PC])) {
        at_wfi(frame, exc_return);
    } else if (run.phase == OPENING && frame[PC] == sweep_job.window) {
        open_window(frame, exc_return);
    } else {
        finish(SWEEP_FAULT, frame[PC], exc_return, false);
    }
}

/* ---- entries ----------------------------------------------------------------------------------- */

/* Into C on the harness's own stack, for the program's may be broken, and will be restored; and back. No entry
 * interrupts another: faults cannot be interrupted, and the others have the same priority. */
#define ENTER(function)                                                                                                \
    __asm__ volatile("mov r0, sp\n\t"                                                                                  \
                     "mov r1, lr\n\t"                                                                                  \
                     "ldr r2, =sweep_registers\n\t"                                                                    \
                     "stmia r2, {r4-r11}\n\t"                                                                          \
                     "ldr sp, =__sweep_stack_end\n\t"                                                                  \
                     "push {r0, r1}\n\t"                                                                               \
                     "bl " function "\n\t"                                                                             \
                     "pop {r0, r1}\n\t"                                                                                \
                     "ldr r2, =sweep_registers\n\t"                                                                    \
                     "ldmia r2, {r4-r11}\n\t"                                                                          \
                     "mov sp, r0\n\t"                                                                                  \
                     "bx r1")

__attribute__((naked)) static void timer_entry(void)
{
    ENTER("sweep_strike");
}

__attribute__((naked)) static void guard_entry(void)
{
    ENTER("sweep_guard");
}

__attribute__((naked)) static void fault_entry(void)
{
    ENTER("sweep_fault");
}

/* To the program's own handler, or straight back: SysTick may still count, where the program switched it on later. */
__attribute__((naked)) static void tick_entry(void)
{
    __asm__ volatile("ldr r0, =sweep_tick\n\t"
                     "ldr r1, [r0]\n\t"
                     "mov r2, #0\n\t"
                     "str r2, [r0]\n\t"
                     "ldr r0, [r0, #4]\n\t" /* handler */
                     "cmp r1, #0\n\t"
                     "it eq\n\t"
                     "moveq r0, lr\n\t"
                     "bx r0");
}

/* ---- out of a run ------------------------------------------------------------------------------ */

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
        if (((NVIC->IABR[n / 32] >> (n % 32)) & 1u) != 0 && n + FIRST_IRQ != current) {
            return n + FIRST_IRQ;
        }
    }
    static const struct {
        uint32_t active; /* in SHCSR */
        uint32_t number;
    } system[] = {{1u << 11, SYSTICK_EXCEPTION}, {1u << 10, 14}, {1u << 7, 11}};
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
    store_2(NVIC->ICER, ~0u, ~0u);
    ICSR = ICSR_PENDSVCLR | ICSR_PENDSTCLR;
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
 * interrupted; the last return goes to thread mode. */
_Noreturn __attribute__((naked)) void sweep_unwind(void)
{
    __asm__ volatile("ldr sp, =__sweep_stack_end\n\t"
                     "b sweep_unwind_one");
}

_Noreturn void sweep_svc(void);
_Noreturn void sweep_svc(void)
{
    resume(false);
}

__attribute__((naked)) static void svc_entry(void)
{
    __asm__ volatile("ldr sp, =__sweep_stack_end\n\t"
                     "b sweep_svc");
}

/* What of the harness's the program has changed. */
static uint32_t tampering(void)
{
    uint32_t found = 0;
    if (VTOR != (uint32_t)(uintptr_t)__sweep_vectors) {
        found |= SWEEP_TAMPERED_VECTORS;
    }
    if (run.strikes != 0 && saved_sum(&point) != point_sum) {
        found |= SWEEP_TAMPERED_MEMORY;
    }
    const struct gptm *const timers[] = {GPTM0, GPTM1};
    for (uint32_t n = 0; n < 2; n++) {
        if (timers[n]->CFG != 0 || timers[n]->TAMR != GPTM_ONE_SHOT || timers[n]->IMR != GPTM_TIMEOUT) {
            found |= SWEEP_TAMPERED_TIMERS;
        }
    }
    for (uint32_t n = 0; n < SWEEP_PRIORITIES; n++) {
        if ((n < 3 ? SHPR[n] : IPR[n - 3]) != sweep_job.priorities[n]) {
            found |= SWEEP_TAMPERED_PRIORITIES;
        }
    }
    return found;
}

/* In thread mode, on the harness's stack, after all handlers have been left. */
_Noreturn void sweep_next(void)
{
    if (is_over()) {
        no_strike();
        GPTM1->CTL = 0;
        SYSTICK->CTRL &= ~SYSTICK_CTRL_ENABLE; /* a stop of the machine moves a running timer on */
        if (run.phase != OPENING) {
            sweep_result.tampered = tampering();
        }
        __asm__ volatile("" ::: "memory"); /* the host will read it */
        for (;;) {
            sweep_done = 1;
        }
    }
    for (;;) {
        __asm__ volatile("cpsie i\n\t"
                         "svc 0");
    }
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
    __sweep_vectors[11] = (uint32_t)(uintptr_t)svc_entry;
    sweep_tick.handler = __sweep_vectors[SYSTICK_EXCEPTION];
    __sweep_vectors[SYSTICK_EXCEPTION] = (uint32_t)(uintptr_t)tick_entry;
    __sweep_vectors[FIRST_IRQ + TIMER0A_IRQn] = (uint32_t)(uintptr_t)timer_entry;
    __sweep_vectors[FIRST_IRQ + TIMER1A_IRQn] = (uint32_t)(uintptr_t)guard_entry;
    VTOR = (uint32_t)(uintptr_t)__sweep_vectors;
}

static void take_over_timers(void)
{
    RCC2 = RCC2_TICK_125_NS;
    struct gptm *const timers[] = {GPTM0, GPTM1};
    for (uint32_t n = 0; n < 2; n++) {
        timers[n]->CFG = 0;
        timers[n]->TAMR = GPTM_ONE_SHOT;
        timers[n]->IMR = GPTM_TIMEOUT;
    }
    NVIC->ISER[0] = (1u << TIMER0A_IRQn) | (1u << TIMER1A_IRQn);
}

static void set_priorities(void)
{
    for (uint32_t n = 0; n < SWEEP_PRIORITIES; n++) {
        *(n < 3 ? &SHPR[n] : &IPR[n - 3]) = sweep_job.priorities[n];
    }
}

_Noreturn __attribute__((naked)) static void power_on(void)
{
    __asm__ volatile("mov r0, #0\n\t"
                     "ldr sp, [r0]\n\t"
                     "ldr r1, [r0, #4]\n\t"
                     "mvn lr, #0\n\t"
                     "cpsie i\n\t"
                     "bx r1");
}

void sweep_main(void);
void sweep_main(void)
{
    sweep_result = (struct sweep_result){0};
    run.over = false;
    run.timed = false;
    run.strikes = 0;
    run.passes = 0;
    run.pc = 1;
    run.last_pc = 1;
    run.strode = false;
    run.ticks = sweep_job.from;
    run.record = (struct sweep_record){.moment = SWEEP_BEFORE_SLEEP};
    if (sweep_job.open != 0) {
        run.phase = OPENING;
        pins_begin();
        take_over_vectors();
        set_priorities();
        take_over_timers();
        guard();
        power_on();
    }
    run.phase = STRIKING;
    sweep_next();
}

__attribute__((naked, used)) void sweep_start(void)
{
    __asm__ volatile("cpsid i\n\t"
                     "ldr sp, =__sweep_stack_end\n\t"
                     "bl sweep_main");
}
