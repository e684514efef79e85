/* The sweep's part inside the guest: places interrupts at the instruction boundaries of a program that knows
 * nothing of it, tens of thousands of times a second.
 *
 * The program is the grading build, bit for bit, except that each WFI is replaced by a BKPT (the host does
 * that), so that the harness executes it as the bench does. The harness lies above it in flash and SRAM
 * (sweep.ld), takes the vector table over (VTOR), gives the program's handlers back to it, and keeps for itself:
 *
 *   HardFault and the other faults   a semihosting call, a WFI, or a real fault
 *   GPTM 0 (IRQ 19), priority 0      the one-shot timer that strikes between two instructions
 *   GPTM 1 (IRQ 21), priority 0      the guard: a program that does not come to the window
 *   SVCall, priority 0               the way back into a saved run from thread mode
 *   SysTick                          lets through only the ticks that are strikes; time stands still
 *
 * First the window is opened: the program starts, and where it comes to the window it is saved (`base`). Every run
 * begins there. What one run does, in time:
 *
 *   base ── fixed strikes ── varied strike ── settled
 *             │                               no work, at a WFI: the run's outcome is known
 *             └─ after each of them the run is saved (`point`): what comes later starts there
 *
 * Singles have no fixed strike, pairs one, triples two. A strike is a press of a button or a tick of SysTick.
 *
 * The presses are edges of the pin as the port makes them: switched to output, driven, switched back. That works
 * in QEMU's model of the PL061 and on no silicon.
 *
 * What costs time is not the instructions but the accesses to devices: with -icount QEMU leaves the translated code
 * for each instruction that makes one. One instruction may make several, though, and that is nearly free: so
 * registers are read and written in blocks (LDM, STM), and only those are looked at that a run can have changed. */
#ifndef SWEEP_H
#define SWEEP_H

#include <stdbool.h>
#include <stdint.h>

enum {
    SWEEP_FIXED_MAX = 2,
    SWEEP_WFI_MAX = 8,
    SWEEP_SOURCES_MAX = 6,
    SWEEP_PORTS_MAX = 2,
    SWEEP_PRIORITIES = 15, /* words: of the system exceptions from 4 on, and of IRQ 0 to 47 */
    SWEEP_TEXT = 96,
    SWEEP_RUNAWAYS_MAX = 16,
    SWEEP_RECORDS = 1024,
    SWEEP_IMAGE = 4096, /* bytes of the program's memory that can be saved */
    SWEEP_MAP = 2048,   /* bytes of a map with a bit for each halfword of flash, from 0 on */
};

/* Where a strike comes if not between two instructions. */
enum sweep_moment {
    SWEEP_BOUNDARY = 0,     /* before the instruction at `pc` */
    SWEEP_BEFORE_SLEEP = 1, /* before the WFI at `pc` executes */
    SWEEP_ASLEEP = 2,       /* in the sleep that the WFI at `pc` began */
};

enum sweep_outcome {
    SWEEP_OK,
    SWEEP_LOST,    /* settled with fewer lines than presses */
    SWEEP_TWICE,   /* settled with more */
    SWEEP_RUNAWAY, /* not settled within the limit */
    SWEEP_FAULT,
    SWEEP_SLEPT,   /* opening: the program sleeps, and has not come to the window */
    SWEEP_UNSAVED, /* the place came in a handler, or there was no room to save the run */
    SWEEP_OUTCOMES
};

/* What may strike. Source 0 is the lab's button, whose presses owe lines. */
struct sweep_source {
    uint32_t port; /* number of its port in `ports`; SWEEP_PORTS_MAX: the tick of SysTick */
    uint32_t mask; /* its pin */
};

/* Written by the host before the start. */
struct sweep_job {
    uint32_t open;                       /* 1: start the program and save it at `window`; no runs */
    uint32_t fixed;                      /* how many strikes are fixed */
    uint32_t ticks[SWEEP_FIXED_MAX];     /* of each, from the base or the strike before; at a sleep: later than it */
    uint32_t moment[SWEEP_FIXED_MAX];    /* of each: enum sweep_moment */
    uint32_t source[SWEEP_FIXED_MAX + 1]; /* of each, and then of the varied strike: number in `sources` */
    uint32_t from;   /* the varied strike comes after `from` to `last` ticks, and no later than the sleep */
    uint32_t last;
    uint32_t window; /* address where the window begins; the host has put a BKPT there */
    uint32_t limit;  /* ticks from the last strike until a run that has not settled is a runaway */
    uint32_t guard;  /* opening: ticks in which the program must have come to the window */
    uint32_t call;   /* address of the program's semihosting BKPT */
    uint32_t wfi[SWEEP_WFI_MAX];     /* addresses of its WFIs; unused: 0xffffffff */
    uint32_t ports[SWEEP_PORTS_MAX]; /* base addresses of the sources' ports; unused: 0 */
    uint32_t irq;    /* the NVIC line of the lab's button */
    struct sweep_source sources[SWEEP_SOURCES_MAX];
    uint32_t memory; /* the program's .data and .bss: address and bytes */
    uint32_t memory_size;
    uint32_t stack_end; /* its initial stack pointer */
    uint32_t relive;    /* 1: after it has settled, one more press of the lab's button must be answered */
    uint32_t priorities[SWEEP_PRIORITIES]; /* opening: to begin with; else as they are to stay. 0 is the harness's */
    char line[SWEEP_TEXT]; /* the line of a press */
    uint32_t chosen;       /* 1: strike only at the boundaries in the map, and at sleeps */
    uint8_t map[SWEEP_MAP];
    uint8_t plain[SWEEP_MAP]; /* instructions after which, and before which, there is nothing to strike for: see skip() */
    uint8_t told[SWEEP_MAP];  /* where a handler of the program has told the task already */
};

/* One placement. */
struct sweep_record {
    uint32_t ticks;
    uint32_t pc : 28;
    uint32_t outcome : 4;
    uint8_t moment;
    uint8_t lines;
    uint8_t presses;
    uint8_t nested; /* struck in a handler of the program */
};

/* What of the harness's the program has changed; bits. */
enum sweep_tampering {
    SWEEP_TAMPERED_VECTORS = 1,
    SWEEP_TAMPERED_TIMERS = 2,
    SWEEP_TAMPERED_PRIORITIES = 4,
    SWEEP_TAMPERED_MEMORY = 8, /* where the run is saved; of the rest the host takes care */
};

/* Read by the host after the end. */
struct sweep_result {
    uint32_t opened;   /* opening: enum sweep_outcome */
    uint32_t place;    /* opening: where the program was if it was not opened */
    uint32_t tampered; /* enum sweep_tampering */
    uint32_t runs;
    uint32_t counts[SWEEP_OUTCOMES];
    uint32_t records; /* how many of sweep_records are valid */
    uint32_t full;    /* 1: there was no room for all records */
    uint32_t places[SWEEP_FIXED_MAX]; /* where the fixed strikes came */
    uint32_t ended;   /* 1: the last placement was the sleep, so nothing is left in this window */
};

#endif
