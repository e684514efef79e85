"""The sweep: a press at every instruction boundary of a program, from inside the guest.

The harness (qemu/sweep/) runs beside the unmodified image and does many thousand runs a second;
this module starts it, hands it jobs and reads its records. What the harness reports is a list of
places to look at. It is no evidence by itself: the program under test shares the machine with it. A
mark rests on what the probe sees from outside, on a machine without the harness (see
grader/wakelab/schedule.py).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import NamedTuple

from wakebench.errors import BenchError
from wakebench.exceptions import FIRST_IRQ
from wakebench.image import Image, Symbol
from wakebench.machine import Machine, Qemu, Wiring
from wakebench.pin_names import BUTTONS
from wakebench.pins import PORT_IRQ, PORTS, Pins
from wakebench.probe import PC, Area, Probe, Touch, Why
from wakebench.qtest import Qtest

SOURCES = Path(__file__).resolve().parents[1] / "sweep"
BOARD = Path(__file__).resolve().parents[2] / "lab" / "board"

SHIFT = 7
"""2^7 ns an instruction, a little more than the harness's tick: every boundary is met."""

# The same numbers as in sweep.h and sweep.ld.
HARNESS_FLASH, HARNESS_SRAM = 0x0003_0000, 0x2000_8000
FIXED_MAX, SOURCES_MAX, PORTS_MAX = 2, 6, 2
WFI_MAX, TEXT, RECORDS, IMAGE, MAP = 8, 96, 1024, 4096, 2048
UNUSED = 0xFFFF_FFFF
BKPT = b"\x00\xbe"
VECTORS = 4 * 64

TICK = "tick"
"""The name of the interrupt of SysTick; the others are called as their buttons."""
INTERRUPTS = (*BUTTONS, TICK)

SHPR1, IPR0 = 0xE000_ED18, 0xE000_E400
PRIORITY_REGISTERS = (*(SHPR1 + 4 * n for n in range(3)), *(IPR0 + 4 * n for n in range(12)))
"""Of the system exceptions from 4 on, and of IRQ 0 to 47 (ARM DDI 0403, B3.2 and B3.4)."""
HIGHEST, LEVELS = 0x20, range(0x20, 0x100, 0x20)
"""Priorities that a program may have: 0 is the harness's, and the chip keeps the top three bits."""
OURS = (FIRST_IRQ + 19, FIRST_IRQ + 21)
"""Timers 0 and 1; with them faults and SVCall have the harness's priority."""

SEEN_OF_IT = (
    Area("the sweep's code in flash, above 0x30000", HARNESS_FLASH, 0x1_0000),
    Area("the sweep's memory, above 0x20008000", HARNESS_SRAM, 0x8000),
    Area("the timers", 0x4003_0000, 0x4000),
    Area("the vector table's address (VTOR)", 0xE000_ED08, 4),
    Area("interrupt priorities", 0xE000_E400, 0xF0, Touch.READS),
    Area("system handler priorities", 0xE000_ED18, 12, Touch.READS),
    Area("the clock's register RCC2", 0x400F_E070, 4, Touch.READS),
)
"""By what a program could know that it is being swept, or keep the sweep from its work."""

LIMIT = 20_000
"""A run that has not settled so many instructions after its last press never will."""
LAST_TICK = 20_000
"""Of a strike. A program that has not come to its sleep by then is not swept further."""
OPENING_TICKS = 8_000_000
"""In which the program must have come to the window; its clock's start-up alone takes 500,000."""
OUTCOMES = 7
OVERWRITES = "the program overwrites memory that is not its own: the sweep's"
RESULT_WORDS = 4 + OUTCOMES + 5
RECORD = struct.Struct("<2I4B")
"""struct sweep_record."""
JOB_TIMEOUT_S = 20.0
"""Protects the host only."""


class Moment(IntEnum):
    """Where a press comes."""

    BOUNDARY = 0
    """Before the instruction at the address executes."""
    BEFORE_SLEEP = 1
    """Before the WFI at the address executes."""
    ASLEEP = 2
    """In the sleep that the WFI at the address began."""


class Outcome(IntEnum):
    """How a run ended."""

    OK = 0
    LOST = 1
    TWICE = 2
    RUNAWAY = 3
    FAULT = 4
    SLEPT = 5
    """Only of a start: the program sleeps, and has not come to the window."""
    UNSAVED = 6
    """The place was in a handler, or there was no room to save the run."""


MOMENTS, ALL_OUTCOMES = tuple(Moment), tuple(Outcome)
"""By their numbers."""


class Tampered(IntFlag):
    """What of the harness's the program has changed."""

    VECTORS = 1
    TIMERS = 2
    PRIORITIES = 4
    MEMORY = 8


class Place(NamedTuple):
    """A place in a run: the `nth` time (from 1) that the core comes to `pc`, counted from the start
    of the window or, for a later strike, from the one before it; and what strikes there, one of
    INTERRUPTS or, for the lab's button, nothing."""

    pc: int
    moment: Moment
    nth: int
    interrupt: str = ""


class Placement(NamedTuple):
    """A place, how a run with a press there ended, and the harness's own way to get there again."""

    place: Place
    outcome: Outcome
    lines: int
    presses: int
    nested: bool
    ticks: int


class Window(NamedTuple):
    """What is swept: the way from the first time at `start` to the sleep, and what is expected."""

    start: int
    button: str
    line: str
    told: tuple[int, ...] = ()
    """Addresses in the handler at which it has told the task already."""
    limit: int = LIMIT
    """Instructions after the last press in which a run must settle."""
    relive: bool = False
    """Whether a run that has settled well must answer one more press. Where something else than
    the lab's button strikes it must in any case."""
    others: tuple[str, ...] = ()
    """What else may strike: of INTERRUPTS, without the lab's button."""


class SweepError(Exception):
    """The program cannot be swept; the sentence says why. The rest of a report still stands."""


def build_harness(cache: Path, compiler: str = "arm-none-eabi-gcc") -> Path:
    """The harness as an ELF file, compiled when it is not in `cache` yet."""
    sources = sorted([*SOURCES.glob("*.[ch]"), SOURCES / "sweep.ld", BOARD / "lm3s6965.h"])
    flags = ["-std=c11", "-O2", "-mcpu=cortex-m3", "-mthumb", "-ffreestanding", "-nostdlib"]
    key = hashlib.sha256(" ".join([compiler, *flags]).encode())
    for source in sources:
        key.update(source.read_bytes())
    target = cache / "harness" / f"{key.hexdigest()[:16]}.elf"
    if target.exists():
        return target
    found = shutil.which(compiler)
    if found is None:
        raise BenchError(f"{compiler} was not found. `make doctor` says how to get it.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / "sweep.elf"
        argv = [found, *flags, "-fno-tree-loop-distribute-patterns", f"-I{BOARD}"]
        argv += ["-T", str(SOURCES / "sweep.ld"), *map(str, sorted(SOURCES.glob("*.c")))]
        argv += ["-lgcc", "-o", str(made)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"the sweep's harness does not build: {done.stderr[-500:]}")
        made.chmod(0o644)  # for a sandbox's own user
        os.replace(made, target)
    return target


class Sweep:
    """The harness beside one image, on a machine of its own. Close it, or use it in a `with`."""

    def __init__(
        self, image: Image, window: Window, harness: Path, qemu: Qemu, number: int = 0
    ) -> None:
        self._image = image
        self._window = window
        self._number = number
        self._sources = _sources(window)
        self._ranks: Mapping[int, int] = {}
        self._memory = self._program()
        self._harness = Image(harness)
        self._symbols = {name: self._symbol(name) for name in _SYMBOLS}
        self._vectors = self._harness.value("__sweep_vectors")
        self._priorities = _default_priorities()
        self._places: dict[str, dict[tuple[int, int, int], Place]] = {}
        self._opened = False
        self._kept = b""
        self._machine = Machine(image.path, qemu, Wiring(SHIFT, harness, counts=False))

    def _connect(self) -> None:
        """Take hold of the machine, once it has come up."""
        self._qtest = Qtest(self._machine.connection("qtest"))
        self._probe = Probe(self._machine.connection("gdb"), self._qtest.flush)
        self._machine.give_way(self._number)
        Pins(self._probe, self._qtest).idle()
        for address, kind in self._image.instruction_sites.items():
            if kind != "bkpt":
                self._probe.patch(address, BKPT)
        self._probe.add_watch(Area("done", self._symbols["sweep_done"], 4, Touch.WRITES))

    def tell(
        self,
        told: Collection[int],
        others: Collection[str] | None = None,
        ranks: Mapping[int, int] | None = None,
    ) -> None:
        """What was seen from outside, before the window is opened: the addresses in the handler at
        which it has told the task already; what else may strike, if not what the window says; and
        the priorities of the program's exceptions (see `ranked`), if not as it sets them."""
        if others is None:
            others = self._window.others
        self._window = self._window._replace(told=tuple(told), others=tuple(others))
        self._sources = _sources(self._window)
        self._ranks = dict(ranks or {})

    def processor_s(self) -> float:
        """Processor time that the machine has used."""
        return self._machine.cpu_s()

    def close(self) -> None:
        """End the machine."""
        self._machine.close()

    def __enter__(self) -> Sweep:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the window ------------------------------------------------------------------------------

    def open(self) -> None:
        """Start the program, and hold it where it comes to the window: all runs begin there.
        `placements` does it, if nobody has. Raises SweepError.
        """
        if self._opened:
            return
        self._opened = True
        start = self._window.start
        self._connect()
        code = self._image.flash(start, 2)
        if code is None:
            raise SweepError("the window does not begin in the program's flash")
        self._probe.patch(start, BKPT)
        result = self._run(self._job(opening=True))
        self._probe.patch(start, code)
        if result.opened is not Outcome.OK:
            raise SweepError(_not_opened(result, self._image))
        self._set_priorities()
        self._kept = self._constants()

    def _set_priorities(self) -> None:
        """The program's own priorities stay; but 0 is the harness's."""
        table = bytearray()
        for address in PRIORITY_REGISTERS:
            table += self._qtest.read_word(address).to_bytes(4, "little")
        for exception, at in _priority_bytes():
            table[at] = self._ranks.get(exception, max(table[at], HIGHEST))
        self._priorities = bytes(table)
        for at, address in enumerate(PRIORITY_REGISTERS):
            word = int.from_bytes(table[4 * at : 4 * at + 4], "little")
            self._qtest.write_word(address, word)

    def _constants(self) -> bytes:
        """What of the harness's memory no job changes."""
        size = self._symbol_of("sweep_base").size
        base = self._qtest.read_block(self._symbols["sweep_base"], size)
        return self._qtest.read_block(self._vectors, VECTORS) + base

    # -- what the harness has to know ------------------------------------------------------------

    def _symbol(self, name: str) -> int:
        return self._symbol_of(name).address

    def _symbol_of(self, name: str) -> Symbol:
        found = self._harness.symbol(name)
        if found is None:
            raise BenchError(f"the sweep's harness has no {name}")
        return found

    def _call_site(self) -> int:
        call = self._image.symbol("semihosting_call")
        sites = [a for a, kind in self._image.instruction_sites.items() if kind == "bkpt"]
        return next((a for a in sites if call is not None and call.holds(a)), UNUSED)

    def _program(self) -> tuple[int, int, int]:
        """Where its variables begin, how many bytes they have, and where its stack ends."""
        image = self._image
        sleeps = self._sleeps()
        if any(kind == "wfi.w" for kind in image.instruction_sites.values()):
            raise SweepError("the program sleeps by a wide WFI, which the sweep does not know")
        if len(sleeps) > WFI_MAX or not sleeps:
            raise SweepError(f"the program has {len(sleeps)} WFIs; the sweep knows 1 to {WFI_MAX}")
        start, end = image.value("__data_start__"), image.value("__bss_end__")
        for used, most, what in (
            (image.end_of_flash(), HARNESS_FLASH, "bytes of code and constants"),
            (end - start, IMAGE // 2, "bytes of variables"),
        ):
            if used > most:
                raise SweepError(
                    f"the program is too large for the sweep: it has {used:,} {what}, and the"
                    f" harness beside it leaves room for {most:,}"
                )
        return start, end - start, image.value("__stack_end__")

    def _sleeps(self) -> list[int]:
        return [a for a, kind in self._image.instruction_sites.items() if kind != "bkpt"]

    def _job(
        self,
        fixed: Sequence[Placement] = (),
        only: Collection[int] | None = None,
        ticks: int = 0,
        interrupt: str = "",
        plain: Collection[int] = (),
        *,
        opening: bool = False,
    ) -> bytes:
        """A job as the harness reads it; struct sweep_job."""
        window = self._window
        button = BUTTONS[window.button]
        struck = [*(p.place.interrupt for p in fixed), interrupt]
        asleep = [p.place.moment is not Moment.BOUNDARY for p in fixed]
        fixed_ticks = [LAST_TICK if s else p.ticks for s, p in zip(asleep, fixed, strict=True)]
        moments = [int(p.place.moment) for p in fixed]
        ports = sorted(
            {BUTTONS[name or window.button].port for name in self._sources if name != TICK}
        )
        words = [
            opening,
            len(fixed),
            *_padded(fixed_ticks, FIXED_MAX),
            *_padded(moments, FIXED_MAX),
        ]
        words += _padded(map(self._sources.index, struck), FIXED_MAX + 1)
        words += [ticks, LAST_TICK, window.start, window.limit]
        words += [OPENING_TICKS]
        words += [self._call_site(), *_padded(self._sleeps(), WFI_MAX)]
        words += _padded((PORTS[port] for port in ports), PORTS_MAX, 0) + [PORT_IRQ[button.port]]
        for name in (*self._sources, *[None] * (SOURCES_MAX - len(self._sources))):
            words += _source(window.button if name == "" else name, ports)
        words += [*self._memory, window.relive or any(struck)]
        chosen = struct.pack("<I", only is not None)
        chosen += _map(only or ()) + _map(plain) + _map(window.told)
        line = window.line.encode()[: TEXT - 1].ljust(TEXT, b"\0")
        return struct.pack(f"<{len(words)}I", *words) + self._priorities + line + chosen

    # -- jobs ------------------------------------------------------------------------------------

    def placements(
        self,
        fixed: Sequence[Placement] = (),
        only: Collection[int] | None = None,
        interrupt: str = "",
        plain: Collection[int] = (),
    ) -> list[Placement]:
        """Strike at each of `fixed`, and then once more: at every boundary that is left, one run
        for each, and at the sleep. With `only`: at the boundaries with these addresses, and at the
        sleep. Without `fixed` the window's start is where the boundaries begin. `interrupt`: what
        strikes then, one of the window's `others`, or nothing for the lab's button. `plain`: with
        `only`, addresses of straight instructions that make no interrupt come, as touching a device
        may: what is not to be struck at is found faster with them.

        A placement in a handler cannot be the last of `fixed`: then the one result is UNSAVED.
        """
        self.open()
        records, ended = self._some(fixed, only, 1, interrupt, plain)
        while not ended:
            # The last one once more: by it the harness knows what meets the same boundary again.
            last = records[-RECORD.size :]
            more, ended = self._some(fixed, only, RECORD.unpack(last)[0], interrupt, plain)
            if not more.startswith(last):
                raise BenchError("the sweep's runs do not repeat: the machine is not exact")
            records += more[RECORD.size :]
        return list(_placements(records, interrupt, self._places.setdefault(interrupt, {})))

    def _some(
        self,
        fixed: Sequence[Placement],
        only: Collection[int] | None,
        ticks: int,
        interrupt: str,
        plain: Collection[int],
    ) -> tuple[bytes, bool]:
        """One job of the harness, from `ticks` on: its records, and whether nothing is left."""
        job = self._job(fixed, only, ticks, interrupt, plain)
        result = self._run(job)
        kept = self._qtest.read_block(self._symbols["sweep_job"], len(job))
        count = result.records
        if kept != job or self._constants() != self._kept:
            raise SweepError(OVERWRITES)
        if result.tampered:
            raise SweepError(_changed(result.tampered))
        if not (result.full or result.ended):
            raise SweepError(f"the program was not back at its sleep after {LAST_TICK:,} ticks")
        places = result.places[: len(fixed)]
        if count and places != tuple(p.place.pc for p in fixed):
            raise BenchError("the sweep's fixed press came elsewhere: the machine is not exact")
        self.runs += result.runs
        size = RECORD.size * count
        raw = self._qtest.read_block(self._symbols["sweep_records"], size) if count else b""
        if not _tally(raw, result.counts):
            raise SweepError(OVERWRITES)
        return raw, result.ended

    def _run(self, job: bytes) -> _Result:
        """Let the harness do a job."""
        self._qtest.write_block(self._symbols["sweep_job"], job)
        self._probe.set_register(PC, self._symbols["sweep_start"])
        stop = self._probe.run(JOB_TIMEOUT_S)
        if stop is None:
            self._probe.interrupt()
            raise SweepError("the program keeps every interrupt out for ever, the sweep's too")
        if stop.why is not Why.BREAK:
            raise SweepError(
                f"the program has brought the machine down: {self._machine.last_words()}"
            )
        raw = self._qtest.read_block(self._symbols["sweep_result"], 4 * RESULT_WORDS)
        words = struct.unpack(f"<{RESULT_WORDS}I", raw)
        runs, counts = words[3], words[4 : 4 + OUTCOMES]
        records, full, *places, ended = words[4 + OUTCOMES :]
        if (
            not runs == sum(counts) == records <= RECORDS
            or max(words[0] - OUTCOMES + 2, full, ended) > 1
        ):
            raise SweepError(OVERWRITES)
        return _Result(
            Outcome(words[0]),
            words[1],
            Tampered(words[2] & 15),
            runs,
            counts,
            records,
            bool(full),
            tuple(places),
            bool(ended),
        )

    runs = 0
    """Runs made so far, in all."""

    def singles(self, only: Collection[int] | None = None, interrupt: str = "") -> list[Placement]:
        """One strike at every boundary from the window's start to the sleep, and at the sleep."""
        return self.placements((), only, interrupt)

    def seconds(
        self, first: Placement, only: Collection[int] | None = None, interrupt: str = ""
    ) -> list[Placement]:
        """With the first strike at `first`, a second at every boundary after it, to the sleep."""
        return self.placements((first,), only, interrupt)


_SYMBOLS = (
    "sweep_start",
    "sweep_done",
    "sweep_job",
    "sweep_result",
    "sweep_records",
    "sweep_base",
)


class _Result(NamedTuple):
    """struct sweep_result."""

    opened: Outcome
    place: int
    tampered: Tampered
    runs: int
    counts: tuple[int, ...]
    records: int
    full: bool
    places: tuple[int, ...]
    ended: bool


def _sources(window: Window) -> tuple[str, ...]:
    """What may strike, the lab's button first and without a name."""
    return ("", *(name for name in window.others if name != window.button))


def _source(name: str | None, ports: Sequence[str]) -> tuple[int, int]:
    """struct sweep_source."""
    if name is None:
        return (0, 0)
    if name == TICK:
        return (PORTS_MAX, 1)
    return (ports.index(BUTTONS[name].port), 1 << BUTTONS[name].number)


def _priority_bytes() -> Iterator[tuple[int, int]]:
    """PendSV, SysTick and each IRQ of the program's, and where its priority stands in a table."""
    for exception in (14, 15, *range(FIRST_IRQ, FIRST_IRQ + 48)):
        if exception not in OURS:
            yield exception, exception - 4


def priority_register(exception: int) -> tuple[int, int]:
    """The word that holds an exception's priority, and how far up in it the byte is."""
    if exception >= FIRST_IRQ:
        exception -= FIRST_IRQ
        return IPR0 + (exception & ~3), 8 * (exception & 3)
    return SHPR1 + (exception - 4 & ~3), 8 * (exception & 3)


def _default_priorities() -> bytes:
    """What the program starts with: the highest that it may have."""
    table = bytearray(4 * len(PRIORITY_REGISTERS))
    for _, at in _priority_bytes():
        table[at] = HIGHEST
    return bytes(table)


def ranked(priorities: Mapping[int, int]) -> dict[int, int]:
    """Priorities of a program's exceptions, by number, as they are on the bare machine, made fit
    for the sweep: the same order, and none the harness's own. They stay what they are, but where 0
    and its neighbours are in use those move down. Raises SweepError where there is no room.
    """
    moved: dict[int, int] = {}
    lowest = 0
    for old in sorted(set(priorities.values())):
        new = max(old, lowest + HIGHEST)
        if new not in LEVELS:
            raise SweepError("the program uses all eight priorities; the sweep needs the highest")
        moved[old] = lowest = new
    return {exception: moved[priority] for exception, priority in priorities.items()}


def _not_opened(result: _Result, image: Image) -> str:
    where = image.name_at(result.place)
    match result.opened:
        case Outcome.SLEPT:
            return "the program sleeps before it has come to the place where the sweep begins"
        case Outcome.FAULT:
            return f"the program faults in {where} before it has come to where the sweep begins"
        case Outcome.UNSAVED:
            return "the sweep begins in a handler, or the program uses too much stack there"
        case _:
            return (
                f"the program has not come to where the sweep begins in {OPENING_TICKS:,} ticks;"
                f" it is in {where}"
            )


def _changed(what: Tampered) -> str:
    said = {
        Tampered.VECTORS: "moves the vector table (VTOR)",
        Tampered.TIMERS: "reprograms general-purpose timer 0 or 1, which the sweep needs",
        Tampered.PRIORITIES: "changes priorities while it is swept",
        Tampered.MEMORY: "overwrites memory that is not its own: the sweep's",
    }
    return "the program " + " and ".join(text for flag, text in said.items() if flag in what)


def _map(addresses: Iterable[int]) -> bytes:
    """A bit for each halfword of flash."""
    bits = bytearray(MAP)
    for address in addresses:
        halfword = address // 2
        if halfword // 8 < MAP:
            bits[halfword // 8] |= 1 << halfword % 8
    return bytes(bits)


def _padded(values: Iterable[int], length: int, filler: int = UNUSED) -> list[int]:
    known = list(values)[:length]
    return known + [filler] * (length - len(known))


def _tally(records: bytes, counts: Sequence[int]) -> bool:
    """Whether there are as many records of each outcome."""
    found = [0] * 16
    for byte, times in Counter(records[7 :: RECORD.size]).items():
        found[byte >> 4] += times
    return found[:OUTCOMES] == list(counts)


def _placements(
    records: bytes, interrupt: str, places: dict[tuple[int, int, int], Place]
) -> Iterator[Placement]:
    """Records to placements. The harness leaves out strikes that meet the same boundary again.
    `places`: made before, with the same interrupt; there are few, and tens of thousands of records.
    """
    seen: Counter[tuple[int, int]] = Counter()
    for ticks, word, moment, lines, presses, nested in RECORD.iter_unpack(records):
        pc = word & 0x0FFF_FFFF
        if moment >= len(MOMENTS):
            raise SweepError(OVERWRITES)
        seen[pc, moment] += 1
        nth = seen[pc, moment]
        place = places.get((pc, moment, nth))
        if place is None:
            place = places[pc, moment, nth] = Place(pc, MOMENTS[moment], nth, interrupt)
        yield Placement(place, ALL_OUTCOMES[word >> 28], lines, presses, nested != 0, ticks)
