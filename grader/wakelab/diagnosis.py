"""Sentences for runs that came to an end, whatever the lab."""

from __future__ import annotations

from wakebench.board import Ended, Ending, Fault, Unmet
from wakelab.checking import Finding
from wakelab.report import Verdict


def explain_ending(ended: Ended, expected: str = "the program to go on") -> Finding:
    """A finding for a run that cannot go on."""
    verdict, diagnosis, why, hint = _ENDINGS[ended.ending]
    seen = f"{ended.ending}: {ended.detail}"
    if ended.fault is not None:
        why = _explain_fault(ended.fault)
    return Finding(verdict, expected, seen, why=why, hint=hint, diagnosis=diagnosis, pc=ended.pc)


def explain_unmet(unmet: Unmet) -> Finding:
    """A finding for something that did not come, where a check has no better words for it."""
    return Finding(Verdict.WRONG, unmet.expected, unmet.seen)


_ENDINGS: dict[Ending, tuple[Verdict, str, str, str]] = {
    Ending.FAULT: (
        Verdict.FAULT,
        "fault",
        "",
        "The place is where the core was when it faulted. What does that line read, write or call?",
    ),
    Ending.UNHANDLED: (
        Verdict.WRONG,
        "no-handler",
        "The interrupt came, and its slot of the vector table holds Default_Handler: no function of"
        " the expected name was linked. The linker does not complain of a misspelt handler.",
        "Compare the name of your handler, letter by letter, with the list in"
        " lab/board/startup.c. Is it static?",
    ),
    Ending.EXIT: (
        Verdict.WRONG,
        "exit",
        "main returned, or the program called exit. Firmware has nowhere to return to.",
        "Does executor_run come last in main?",
    ),
    Ending.FORBIDDEN: (
        Verdict.FORBIDDEN,
        "host-call",
        "A program may print on its console and nothing else. It asked the host for more, or not"
        " through lab/board/semihosting.c; the request was refused.",
        "Remove the call. Use info() to print.",
    ),
    Ending.LOOP: (
        Verdict.LOOP,
        "loop",
        "The program went round and round and gave no sign: no sleep, no poll, no line.",
        "What does that loop wait for, and who could change it while it waits?",
    ),
    Ending.POLLING: (
        Verdict.BUSY,
        "busy-polling",
        "The future was polled again and again, and the core never slept. Pending does not mean"
        " “ask again soon”: whoever has news wakes the task.",
        "Who causes the next poll: the interrupt, through the waker, or a loop?",
    ),
    Ending.STORM: (
        Verdict.LOOP,
        "no-acknowledge",
        "An interrupt storm: the handler returns, the request is still there, the handler runs"
        " again. The program itself does not get a single instruction.",
        "Who tells the port that the edge has been seen?",
    ),
    Ending.MASKED: (
        Verdict.LOOP,
        "left-masked",
        "An interrupt is pending but masked, so WFI returns at once and the handler never runs:"
        " somebody set PRIMASK and did not restore it.",
        "For every interrupts_mask(): where is the interrupts_restore() that belongs to it?",
    ),
    Ending.HIDDEN_SLEEP: (
        Verdict.FORBIDDEN,
        "code-in-ram",
        "The core sleeps at an instruction that the program has written into RAM itself. What"
        " happens there cannot be watched, so nothing that comes after it counts.",
        "Sleep with sleep_until_pending(), or leave it to the executor.",
    ),
    Ending.FLOOD: (
        Verdict.WRONG,
        "flood",
        "The program prints without end.",
        "What should stop the loop that prints?",
    ),
    Ending.DIED: (
        Verdict.FAULT,
        "lockup",
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
