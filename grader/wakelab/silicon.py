"""What QEMU forgives and the chip does not, from the accesses to devices that were observed.

Nothing here looks at the source text. Each rule names its reason in the data sheet ("DS": TI,
LM3S6965 Microcontroller) or in the architecture ("ARM": ARMv7-M, DDI 0403). What is not on the way
from the reset over one press to the next sleep is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from wakebench.accesses import DeviceAccess, Observed, observe
from wakebench.board import Ended, Unmet
from wakebench.pin_names import BUTTONS, Pin
from wakebench.pins import PORT_IRQ
from wakelab.checking import Finding, counted
from wakelab.diagnosis import Mistake
from wakelab.report import Verdict
from wakelab.subject import Subject

LIMIT = 20_000
"""Instructions that are looked at, before and after the start of the clock."""

CLOCK_START = "clock_start"
"""A function of the board that waits for the crystal, half a million instructions; it is passed."""

RCGC0, RCGC1, RCGC2 = 0x400F_E100, 0x400F_E104, 0x400F_E108
NVIC_ICER, NVIC_ICPR, NVIC_IPR, NVIC_IPR_END = 0xE000_E180, 0xE000_E280, 0xE000_E400, 0xE000_E4F0

GATES: dict[int, tuple[str, int, int]] = {
    **{0x4000_4000 + 0x1000 * n: (f"GPIO port {'ABCD'[n]}", RCGC2, n) for n in range(4)},
    **{0x4002_4000 + 0x1000 * n: (f"GPIO port {'EFG'[n]}", RCGC2, 4 + n) for n in range(3)},
    **{0x4000_C000 + 0x1000 * n: (f"UART{n}", RCGC1, n) for n in range(3)},
    **{0x4003_0000 + 0x1000 * n: (f"timer {n}", RCGC1, 16 + n) for n in range(4)},
    0x4000_8000: ("SSI0", RCGC1, 4),
    0x4002_0000: ("I2C0", RCGC1, 12),
    0x4002_1000: ("I2C1", RCGC1, 14),
    0x4002_8000: ("PWM", RCGC0, 20),
    0x4003_8000: ("ADC", RCGC0, 16),
    0x4003_C000: ("the comparators", RCGC1, 24),
    0x4000_0000: ("the watchdog", RCGC0, 3),
}
"""Base address of a peripheral: its name, the register and the bit of its clock gate (DS "System
Control", RCGC0 to RCGC2)."""

WITHOUT_GATE = (0x4002_C000, 0x4002_D000, 0x4004_8000, 0x400F_C000, 0x400F_D000, 0x400F_E000)
"""The other blocks of 4 KiB that there are: QEI0, QEI1, Ethernet, hibernation, flash, system
control (DS "Memory Map"). Their gates are not looked at."""

PERIPHERALS = range(0x4000_0000, 0x4200_0000)
"""Before the alias region of bit-banding."""

GPIO = range(0x4000_4000, 0x4000_8000), range(0x4002_4000, 0x4002_7000)
PORTS = {base: name[-1] for base, (name, gates, _) in GATES.items() if gates == RCGC2}
DIR, IS, IBE, IEV, IM, ICR = 0x400, 0x404, 0x408, 0x40C, 0x410, 0x41C
PUR, DEN = 0x510, 0x51C
GPIO_RESERVED = (range(0x424, 0x500), range(0x528, 0xFD0))

CLOCKS = 3
"""System clocks between a gate's opening and the first access (DS "System Control", "Clock
Control"). An instruction takes one at least."""

NEAR = 12
"""Instructions between the load and the store of one statement."""

PRIORITY_BITS = 0xE0
"""The bits of a priority that the chip keeps (DS "Interrupts": eight levels)."""


class Fault(NamedTuple):
    """Something that would go wrong on the chip."""

    mistake: Mistake
    pc: int
    expected: str
    seen: str
    why: str
    hint: str


@dataclass
class _State:
    """Registers as written so far, by address; what was never written is 0 after the reset."""

    words: dict[int, int] = field(default_factory=dict)
    opened: dict[int, int] = field(default_factory=dict)
    """Clock gates, by peripheral: the instruction that opened them."""

    def word(self, address: int) -> int:
        return self.words.get(address, 0)


def faults_of(observed: Observed, button: str) -> Iterator[Fault]:
    """In the order in which they were seen. `button`: the lab's."""
    state = _State()
    reads: dict[int, DeviceAccess] = {}
    told: set[tuple[Mistake, int]] = set()
    for access in observed.accesses:
        for rule in RULES:
            fault = rule(access, state, reads)
            if fault is not None and (fault.mistake, fault.pc) not in told:
                told.add((fault.mistake, fault.pc))
                yield fault
        _remember(access, state, reads)
    yield from _pins(state, observed, button)
    yield from _sleeps(observed, state, button)


def _remember(access: DeviceAccess, state: _State, reads: dict[int, DeviceAccess]) -> None:
    if not access.write:
        reads[access.address] = access
        return
    before = state.word(access.address)
    state.words[access.address] = access.value
    if access.address in (RCGC0, RCGC1, RCGC2):
        for base, (_, register, bit) in GATES.items():
            if register == access.address and access.value & ~before & 1 << bit:
                state.opened[base] = access.step


# -- rules: each looks at one access, and at what came before it ----------------------------------

_Rule = Callable[[DeviceAccess, _State, dict[int, DeviceAccess]], Fault | None]


def _clock(access: DeviceAccess, state: _State, _: dict[int, DeviceAccess]) -> Fault | None:
    """DS "System Control", RCGCn: an access to a module without its clock is a bus fault."""
    base = access.address & ~0xFFF
    if base not in GATES:
        return None
    name, register, bit = GATES[base]
    gate = f"RCGC{(register - RCGC0) // 4} bit {bit}"
    if base not in state.opened:
        return Fault(
            Mistake.NO_CLOCK,
            access.pc,
            f"the clock of {name} to be on ({gate}) before anything is done to it",
            "an access without it",
            "It works here, because QEMU knows no clock gates. On the chip a peripheral without its"
            " clock answers with a bus fault.",
            "Which register of system control switches clocks on?",
        )
    if access.step - state.opened[base] <= CLOCKS - 1:
        return Fault(
            Mistake.CLOCK_TOO_SOON,
            access.pc,
            f"{CLOCKS} clocks between switching {name} on ({gate}) and the first access",
            f"{counted(access.step - state.opened[base] - 1, 'instruction')} between the two",
            "It works here, because QEMU knows no clock gates. On the chip the module is not there"
            " yet: the access is a bus fault, or is lost.",
            "What could the program do meanwhile that takes a few clocks? A read, for example.",
        )
    return None


def _unmapped(access: DeviceAccess, _: _State, __: dict[int, DeviceAccess]) -> Fault | None:
    """DS "Memory Map": reserved space answers with a bus fault."""
    base = access.address & ~0xFFF
    if access.address not in PERIPHERALS or base in GATES or base in WITHOUT_GATE:
        return None
    return Fault(
        Mistake.UNMAPPED,
        access.pc,
        "only addresses at which there is something",
        f"an access to 0x{access.address:08x}",
        "There is nothing at that address. QEMU reads 0 and takes no notice of a write; the chip"
        " answers with a bus fault.",
        "Compare the address with the data sheet's memory map, digit by digit.",
    )


def _reserved(access: DeviceAccess, _: _State, __: dict[int, DeviceAccess]) -> Fault | None:
    """DS "GPIOs", register map: there is nothing at these offsets."""
    if not any(access.address in area for area in GPIO):
        return None
    offset = access.address & 0xFFF
    if not any(offset in area for area in GPIO_RESERVED):
        return None
    return Fault(
        Mistake.RESERVED_REGISTER,
        access.pc,
        "only registers that there are",
        f"an access to offset 0x{offset:x} of port {PORTS[access.address & ~0xFFF]}",
        "There is no register at that offset. QEMU reads 0 and takes no notice of a write; the chip"
        " promises neither.",
        "Compare the offset with the data sheet's register map, digit by digit.",
    )


def _write_one_to_clear(
    access: DeviceAccess, _: _State, reads: dict[int, DeviceAccess]
) -> Fault | None:
    """DS "GPIOs", GPIOICR; ARM B3.4, NVIC_ICER and NVIC_ICPR: each 1 that is written acts."""
    port = any(access.address in area for area in GPIO) and access.address & 0xFFF == ICR
    icer, icpr = (range(base, base + 0x20) for base in (NVIC_ICER, NVIC_ICPR))
    if not access.write or not (port or access.address in icer or access.address in icpr):
        return None
    read = reads.get(access.address)
    if read is None or access.step - read.step > NEAR:
        return None
    name = "GPIOICR" if port else "ICER" if access.address in icer else "ICPR"
    return Fault(
        Mistake.READ_MODIFY_CLEAR,
        access.pc,
        f"{name} to be written, and not read before",
        f"{name} is read, changed and written back",
        "In this register each 1 that is written clears something, and zeros do nothing. Reading it"
        " first and writing all of it back clears what others have not seen yet.",
        "What is the least that has to be written, and is |= a write?",
    )


def _priority(access: DeviceAccess, _: _State, __: dict[int, DeviceAccess]) -> Fault | None:
    """DS "Interrupts": priorities are in the top three bits of their byte."""
    if not access.write or not NVIC_IPR <= access.address < NVIC_IPR_END:
        return None
    values = [access.value >> 8 * n & 0xFF for n in range(access.size)]
    bad = next((n for n, value in enumerate(values) if value & ~PRIORITY_BITS), None)
    if bad is None:
        return None
    irq = access.address - NVIC_IPR + bad
    kept = values[bad] & PRIORITY_BITS
    return Fault(
        Mistake.PRIORITY_BITS,
        access.pc,
        "a priority in the top three bits of its byte",
        f"0x{values[bad]:02x} for interrupt {irq}; the chip keeps 0x{kept:02x}",
        "The chip has eight priorities, in the bits 7 to 5; the others are not there. The interrupt"
        " gets another priority than the one that was meant.",
        "How does nvic_set_priority() do it?",
    )


RULES: tuple[_Rule, ...] = (_clock, _unmapped, _reserved, _write_one_to_clear, _priority)


# -- at the end ------------------------------------------------------------------------------------


def _pins(state: _State, observed: Observed, button: str) -> Iterator[Fault]:
    """DS "GPIOs", "Initialization and Configuration"; board schematic: buttons have no resistor."""
    for base, port in PORTS.items():
        armed = state.word(base + IM) if base + IM in state.words else 0
        armed |= _ever_unmasked(observed, base)
        for number in range(8):
            bit = 1 << number
            if not armed & bit:
                continue
            pin = f"P{port}{number}"
            pc = _last_write(observed, base + IM)
            if not state.word(base + DEN) & bit:
                yield Fault(
                    Mistake.NOT_DIGITAL,
                    pc,
                    f"GPIODEN bit {number} of port {port} to be set before {pin} is used",
                    "it is 0",
                    "It works here, because QEMU's pins are always digital. On the chip the pin"
                    " reads nothing until its digital function is on, and there is no edge.",
                    "Which registers does button_setup() write, and which of them did you?",
                )
            named = [name for name, where in BUTTONS.items() if where == Pin(port, number)]
            if named and not state.word(base + PUR) & bit:
                yield Fault(
                    Mistake.NO_PULL_UP,
                    pc,
                    f"GPIOPUR bit {number} of port {port} to be set: {named[0]} is a button",
                    "it is 0",
                    "It works here, because the bench drives the pin. On the board a button only"
                    " connects its pin to ground: released, it floats, and reads what it likes.",
                    "What makes a 1 of a button that nobody presses?",
                )


def _ever_unmasked(observed: Observed, base: int) -> int:
    """One-shot programs mask the pin again."""
    values = (a.value for a in observed.accesses if a.write and a.address == base + IM)
    ever = 0
    for value in values:
        ever |= value
    return ever


def _last_write(observed: Observed, address: int) -> int:
    return next(a.pc for a in reversed(observed.accesses) if a.write and a.address == address)


def _sleeps(observed: Observed, state: _State, button: str) -> Iterator[Fault]:
    """ARM B1.5.19: WFI ends when an interrupt is pending that BASEPRI lets through, whatever
    PRIMASK says. QEMU ends it for any."""
    irq = PORT_IRQ[BUTTONS[button].port]
    for sleep in observed.sleeps:
        basepri = sleep.masks.basepri
        priority = _priority_of(state, irq)
        if basepri and priority >= basepri:
            yield Fault(
                Mistake.BASEPRI_SLEEP,
                sleep.pc,
                "no BASEPRI at the WFI that keeps the button's interrupt back",
                f"BASEPRI is 0x{basepri:02x}, and interrupt {irq} has priority 0x{priority:02x}",
                "It works here, because QEMU wakes for any pending interrupt. On the chip a WFI"
                " does not see interrupts that BASEPRI keeps back: it sleeps for ever.",
                "Which of the core's mask registers does WFI look past?",
            )
            return


def _priority_of(state: _State, irq: int) -> int:
    byte = NVIC_IPR + irq
    if byte in state.words:
        return state.word(byte) & 0xFF
    return state.word(byte & ~3) >> 8 * (byte & 3) & 0xFF


# -- for checks ------------------------------------------------------------------------------------


def faults(subject: Subject) -> list[Fault]:
    """What would go wrong on the chip, from the reset over one press to the sleep after it."""
    board = subject.board()
    seen = Observed()
    if board.image.symbol(CLOCK_START):
        seen = observe(board, lambda: board.wait_symbol(CLOCK_START), LIMIT)
        with suppress(Ended, Unmet):
            board.wait_address(board.registers.lr & ~1)

    def press() -> None:
        board.wait_asleep()
        board.press(subject.button)
        board.wait_asleep()

    with suppress(Ended):  # which is told elsewhere
        seen = seen.then(observe(board, press, LIMIT))
    return list(faults_of(seen, subject.button))


def expect_silicon(subject: Subject) -> None:
    """Raise the first of them as a Finding."""
    found = faults(subject)
    if not found:
        return
    first = found[0]
    more = f"; and {len(found) - 1} more" if len(found) > 1 else ""
    raise Finding(
        Verdict.WRONG,
        first.expected,
        first.seen + more,
        why=first.why,
        hint=first.hint,
        diagnosis=first.mistake,
        pc=first.pc,
        story=(),
    )
