/* The sweep's part inside the guest: places presses at the instruction boundaries of a program that knows
 * nothing of it, many thousand times a second.
 *
 * The program is the grading build, bit for bit, except that each WFI is replaced by a BKPT (the host does
 * that), so that the harness executes it as the bench does. The harness lies above it in flash and SRAM
 * (sweep.ld), takes the vector table over (VTOR), gives the program's handlers back to it, and keeps for itself:
 *
 *   HardFault and the other faults   a semihosting call, a WFI, or a real fault
 *   GPTM 0 (IRQ 19), priority 0      the one-shot timer that strikes between two instructions
 *   SVCall                           the way back into a saved run
 *
 * What one run does, in time:
 *
 *   start ── fixed strikes ── varied strike ── settled
 *     │      release, press   release, press   no work, at a WFI: the run's outcome is known
 *     │      └─ after the last of them the run is saved: all placements of the varied strike start there
 *     └─ reset of the devices, program's own Reset_Handler
 *
 * Singles have no fixed strike, pairs one, triples two.
 *
 * The presses are edges of the pin as the port makes them: switched to output, driven, switched back. That works
 * in QEMU's model of the PL061 and on no silicon. */
#ifndef SWEEP_H
#define SWEEP_H

#include <stdbool.h>
#include <stdint.h>

enum {
    SWEEP_FIXED_MAX = 2,
    SWEEP_WFI_MAX = 8,
    SWEEP_TEXT = 96,
    SWEEP_RUNAWAYS_MAX = 16,
    SWEEP_RECORDS = 1024,
    SWEEP_IMAGE = 4096, /* bytes of the program's memory that can be saved */
    SWEEP_MAP = 2048,   /* bytes of a map with a bit for each halfword of flash, from 0 on */
};

/* Where a press comes if not between two instructions. */
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
    SWEEP_TAMPERED, /* the program changed what belongs to the harness */
    SWEEP_UNSAVED,  /* the last fixed strike came in a handler, or there was no room to save the run */
};

/* Written by the host before the start. */
struct sweep_job {
    uint32_t fixed;       /* how many strikes are fixed */
    uint32_t ticks[SWEEP_FIXED_MAX];  /* of each, from the start or the strike before; at a sleep: later than it */
    uint32_t moment[SWEEP_FIXED_MAX]; /* of each: enum sweep_moment */
    uint32_t from;        /* the varied strike comes after `from` to `last` ticks, and no later than the sleep */
    uint32_t last;
    uint32_t window;      /* with no strike fixed: placements count from the first at this address on; 0: all */
    uint32_t limit;       /* ticks from the last strike until a run that has not settled is a runaway */
    uint32_t call;        /* address of the program's semihosting BKPT */
    uint32_t wfi[SWEEP_WFI_MAX]; /* addresses of its WFIs; unused: 0xffffffff */
    uint32_t port;        /* base address of the button's port */
    uint32_t mask;        /* its pin */
    uint32_t irq;         /* its line in the NVIC */
    uint32_t memory;      /* the program's .data and .bss: address and bytes */
    uint32_t memory_size;
    uint32_t stack_end;   /* its initial stack pointer */
    uint32_t relive;      /* 1: after it has settled, one more press must be answered too */
    char line[SWEEP_TEXT]; /* the line of a press */
    uint32_t chosen;       /* 1: press only at the boundaries in the map, and at sleeps */
    uint8_t map[SWEEP_MAP];
    uint8_t told[SWEEP_MAP]; /* where a handler of the program has told the task already */
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

/* Read by the host after the end. */
struct sweep_result {
    uint32_t runs;
    uint32_t counts[7]; /* by enum sweep_outcome */
    uint32_t records;   /* how many of sweep_records are valid */
    uint32_t full;      /* 1: there was no room for all records */
    uint32_t places[SWEEP_FIXED_MAX]; /* where the fixed strikes came */
    uint32_t ended;     /* 1: the last placement was the sleep, so nothing is left in this window */
};

#endif
