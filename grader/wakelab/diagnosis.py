"""Sentences for runs that came to an end, whatever the lab."""

from __future__ import annotations

from enum import StrEnum

from wakebench.board import Ended, Ending, Fault, Unmet
from wakebench.sweep import SweepError
from wakelab.checking import Finding
from wakelab.report import Verdict


class Mistake(StrEnum):
    """The mistakes that a finding can name. docs/instructors/mistakes.md tells of each, and
    grader/corpus/ has a program that makes it.
    """

    # Between the pin and the handler.
    NOTHING_ARMED = "nothing-armed"
    PIN_MASKED = "pin-masked"
    NVIC_OFF = "nvic-off"
    IRQ_NUMBER = "irq-number"
    WRONG_BUTTON = "wrong-button"
    PIN_DEAF = "pin-deaf"
    RISING_EDGE = "rising-edge"
    BOTH_EDGES = "both-edges"
    LEVEL_SENSITIVE = "level-sensitive"
    STALE_EDGE = "stale-edge"
    NEVER_REARMED = "never-rearmed"
    LEFT_MASKED = "left-masked"
    NO_HANDLER = "no-handler"

    # In the handler.
    NO_ACKNOWLEDGE = "no-acknowledge"
    LATE_ACKNOWLEDGE = "late-acknowledge"
    LATE_MASK = "late-mask"
    DEFERRED_ACKNOWLEDGE = "deferred-acknowledge"
    DOUBLE_INTERRUPT = "double-interrupt"
    PENDS_ITSELF = "pends-itself"
    BLOCKS_IN_HANDLER = "blocks-in-handler"
    PRINTS_IN_HANDLER = "prints-in-handler"
    POLLS_IN_HANDLER = "polls-in-handler"
    NEVER_WAKES = "never-wakes"
    OTHER_SLOT = "other-slot"

    # On the real chip.
    NO_CLOCK = "no-clock"
    CLOCK_TOO_SOON = "clock-too-soon"
    NOT_DIGITAL = "not-digital"
    NO_PULL_UP = "no-pull-up"
    UNMAPPED = "unmapped"
    RESERVED_REGISTER = "reserved-register"
    READ_MODIFY_CLEAR = "read-modify-clear"
    PRIORITY_BITS = "priority-bits"
    BASEPRI_SLEEP = "basepri-sleep"

    # In the future.
    NEVER_REGISTERS = "never-registers"
    REGISTERS_ONCE = "registers-once"
    CHECK_THEN_REGISTER = "check-then-register"
    STALE_WAKER = "stale-waker"
    FLAG_UNSEEN = "flag-unseen"
    READY_UNCHECKED = "ready-unchecked"
    NEVER_CONSUMED = "never-consumed"
    DOUBLE_REPORT = "double-report"
    CLEARED_IN_POLL = "cleared-in-poll"
    ONE_BIT_MEMORY = "one-bit-memory"
    INIT_FORGETS = "init-forgets"
    SELF_WAKE = "self-wake"
    BLOCKS_IN_POLL = "blocks-in-poll"
    SLEEPS_IN_POLL = "sleeps-in-poll"

    # In main.
    BUSY_POLLING = "busy-polling"
    ASKS_IN_A_LOOP = "asks-in-a-loop"
    POLLS_UNWOKEN = "polls-unwoken"
    SLEEPS_UNCHECKED = "sleeps-unchecked"
    WAKE_FORGOTTEN = "wake-forgotten"
    WRONG_WAKER = "wrong-waker"
    NOT_AWAITED_AGAIN = "not-awaited-again"
    LINE_WITHOUT_PRESS = "line-without-press"
    NO_LINE = "no-line"
    DOUBLE_LINE = "double-line"
    EXIT = "exit"
    FLOOD = "flood"
    LOOP = "loop"
    DEAD_AFTERWARDS = "dead-afterwards"

    # Anywhere.
    FAULT = "fault"
    STACK_OVERFLOW = "stack-overflow"
    LOCKUP = "lockup"
    RESTART = "restart"
    HOST_CALL = "host-call"
    CODE_IN_RAM = "code-in-ram"
    ONE_LEVEL = "one-level"
    WARNINGS = "warnings"


def explain_ending(ended: Ended, expected: str = "the program to go on") -> Finding:
    """A finding for a run that cannot go on."""
    verdict, diagnosis, why, hint = _ENDINGS[ended.ending]
    seen = f"{ended.ending}: {ended.detail}"
    if ended.fault is not None:
        why = _explain_fault(ended.fault)
        if ended.fault.cfsr & MSTKERR:
            return _stack_overflow(expected, seen, ended.pc)
    return Finding(verdict, expected, seen, why=why, hint=hint, diagnosis=diagnosis, pc=ended.pc)


def explain_unfit(unfit: SweepError) -> Finding:
    """A finding for a program that cannot be swept."""
    return Finding(
        Verdict.WRONG,
        "a program that can be swept",
        str(unfit),
        why="The sweep puts presses between the instructions of your program while it runs. This"
        " one does not let it.",
        hint="Is that meant? Timers 0 and 1, VTOR and the memory from 0x20008000 on are the"
        " sweep's; the rest of the checks do without.",
        story=(),  # what ran last has nothing to do with it, and is another run in each lane
    )


def explain_unmet(unmet: Unmet) -> Finding:
    """A finding for something that did not come, where a check has no better words for it."""
    return Finding(Verdict.WRONG, unmet.expected, unmet.seen)


def _stack_overflow(expected: str, seen: str, pc: int) -> Finding:
    return Finding(
        Verdict.FAULT,
        expected,
        seen,
        why="The stack ran out, and below it is no memory. A function that calls itself without end"
        " does that, or a local array that is larger than the stack.",
        hint="Which local variables are large, and which function calls itself?",
        diagnosis=Mistake.STACK_OVERFLOW,
        pc=pc,
    )


MSTKERR = 1 << 4
"""The bit of CFSR that says: the core could not save its registers on the stack."""

_ENDINGS: dict[Ending, tuple[Verdict, Mistake, str, str]] = {
    Ending.FAULT: (
        Verdict.FAULT,
        Mistake.FAULT,
        "",
        "The place is where the core was when it faulted. What does that line read, write or call?",
    ),
    Ending.UNHANDLED: (
        Verdict.WRONG,
        Mistake.NO_HANDLER,
        "The interrupt came, and its slot of the vector table holds Default_Handler: no function of"
        " the expected name was linked. The linker does not complain of a misspelt handler.",
        "Compare the name of your handler, letter by letter, with the list in"
        " lab/board/startup.c. Is it static?",
    ),
    Ending.EXIT: (
        Verdict.WRONG,
        Mistake.EXIT,
        "main returned, or the program called exit. Firmware has nowhere to return to.",
        "Does executor_run come last in main?",
    ),
    Ending.FORBIDDEN: (
        Verdict.FORBIDDEN,
        Mistake.HOST_CALL,
        "A program may print on its console and nothing else. It asked the host for more, or not"
        " through lab/board/semihosting.c; the request was refused.",
        "Remove the call. Use info() to print.",
    ),
    Ending.LOOP: (
        Verdict.LOOP,
        Mistake.LOOP,
        "The program went round and round and gave no sign: no sleep, no poll, no line.",
        "What does that loop wait for, and who could change it while it waits?",
    ),
    Ending.POLLING: (
        Verdict.BUSY,
        Mistake.BUSY_POLLING,
        "The future was polled again and again, and the core never slept. Pending does not mean"
        " “ask again soon”: whoever has news wakes the task.",
        "Who causes the next poll: the interrupt, through the waker, or a loop?",
    ),
    Ending.STORM: (
        Verdict.LOOP,
        Mistake.NO_ACKNOWLEDGE,
        "An interrupt storm: the handler returns, the request is still there, the handler runs"
        " again. The program itself does not get a single instruction.",
        "Who tells the port that the edge has been seen?",
    ),
    Ending.MASKED: (
        Verdict.LOOP,
        Mistake.LEFT_MASKED,
        "An interrupt is pending but masked, so WFI returns at once and the handler never runs:"
        " somebody set PRIMASK and did not restore it.",
        "For every interrupts_mask(): where is the interrupts_restore() that belongs to it?",
    ),
    Ending.HIDDEN_SLEEP: (
        Verdict.FORBIDDEN,
        Mistake.CODE_IN_RAM,
        "The core sleeps at an instruction that the program has written into RAM itself, or has"
        " come to past the bell (lab/board/bell.h). What happens there cannot be watched, so"
        " nothing that comes after it counts.",
        "Sleep with sleep_until_pending(), or leave it to the executor.",
    ),
    Ending.FLOOD: (
        Verdict.WRONG,
        Mistake.FLOOD,
        "The program prints without end.",
        "What should stop the loop that prints?",
    ),
    Ending.RESTART: (
        Verdict.WRONG,
        Mistake.RESTART,
        "The program started all over, by a reset that it asked for or by a jump to Reset_Handler."
        " Everything that it had in memory is lost.",
        "Who calls Reset_Handler, or writes SCB->AIRCR?",
    ),
    Ending.DIED: (
        Verdict.FAULT,
        Mistake.LOCKUP,
        "The emulator gave up on the program: a fault inside the fault handler, or an instruction"
        " that no core can carry out.",
        "Does the stack pointer point into memory? Does a handler jump into data?",
    ),
}

_CFSR_BITS = (
    (0, "it executed from memory where code may not run (IACCVIOL)"),
    (1, "it accessed memory that it may not: below the stack, for example (DACCVIOL)"),
    (4, "the stack ran out while an exception was entered (MSTKERR)"),
    (8, "it jumped to an address where there is no code (IBUSERR)"),
    (9, "it accessed an address where there is nothing (PRECISERR)"),
    (10, "a store went to an address where there is nothing (IMPRECISERR)"),
    (12, "the stack was not in memory when an exception was entered (STKERR)"),
    (16, "it came to something that is not an instruction (UNDEFINSTR)"),
    (17, "it jumped to an address without the Thumb bit: not a function pointer (INVSTATE)"),
    (18, "an exception return was not one (INVPC)"),
    (24, "it accessed a word at an address that is not aligned (UNALIGNED)"),
    (25, "it divided by zero (DIVBYZERO)"),
)


def _explain_fault(fault: Fault) -> str:
    """The fault status registers in words (ARM DDI 0403, B3.2.15)."""
    reasons = [text for bit, text in _CFSR_BITS if fault.cfsr >> bit & 1]
    sentence = "; ".join(reasons) or "the core does not say more"
    if fault.address is not None:
        sentence += f"; the address was 0x{fault.address:08x}"
    return sentence[0].upper() + sentence[1:] + "."
