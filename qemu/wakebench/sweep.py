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
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path

from wakebench.errors import BenchError
from wakebench.image import Image
from wakebench.machine import Machine, Qemu, Wiring
from wakebench.pin_names import BUTTONS
from wakebench.pins import PORT_IRQ, PORTS, Pins
from wakebench.probe import PC, Probe, Why
from wakebench.qtest import Qtest

SOURCES = Path(__file__).resolve().parents[1] / "sweep"
BOARD = Path(__file__).resolve().parents[2] / "lab" / "board"

SHIFT = 7
"""2^7 ns an instruction, a little more than the harness's tick: every boundary is met."""

# The same numbers as in sweep.h and sweep.ld.
HARNESS_FLASH, HARNESS_SRAM = 0x0003_0000, 0x2000_8000
FIXED_MAX = 2
WFI_MAX, TEXT, RECORDS, IMAGE, MAP = 8, 96, 1024, 4096, 2048
UNUSED = 0xFFFF_FFFF
BKPT = b"\x00\xbe"

LIMIT = 20_000
"""A run that has not settled so many instructions after its last press never will."""
LAST_TICK = 20_000
"""Of a strike. A program that has not come to its sleep by then is not swept further."""
RESULT_WORDS = 13
JOB_TIMEOUT_S = 60.0
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
    TAMPERED = 5
    UNSAVED = 6


@dataclass(frozen=True)
class Place:
    """A place in a run: the `nth` time (from 1) that the core comes to `pc`, counted from the start
    of
    the window or, for a second press, from the first one."""

    pc: int
    moment: Moment
    nth: int


@dataclass(frozen=True)
class Placement:
    """A place, how a run with a press there ended, and the harness's own way to get there again."""

    place: Place
    outcome: Outcome
    lines: int
    presses: int
    nested: bool
    ticks: int


@dataclass(frozen=True)
class Window:
    """What is swept: the way from the first time at `start` to the sleep, and what is expected."""

    start: int
    button: str
    line: str
    told: tuple[int, ...] = ()
    """Addresses in the handler at which it has told the task already."""
    limit: int = LIMIT
    """Instructions after the last press in which a run must settle."""
    relive: bool = False
    """Whether a run that has settled well must answer one more press."""


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
        argv += ["-T", str(SOURCES / "sweep.ld"), *map(str, SOURCES.glob("*.c"))]
        argv += ["-lgcc", "-o", str(made)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"the sweep's harness does not build: {done.stderr[-500:]}")
        made.chmod(0o644)  # for a sandbox's own user
        os.replace(made, target)
    return target


class Sweep:
    """The harness beside one image, on a machine of its own. Close it, or use it in a `with`."""

    def __init__(self, image: Image, window: Window, harness: Path, qemu: Qemu) -> None:
        self._image = image
        self._window = window
        self._fixed = self._fixed_part()
        self._harness = Image(harness)
        self._connected = False
        self._machine = Machine(image.path, qemu, Wiring(SHIFT, harness))

    def _connect(self) -> None:
        """Take hold of the machine, once it has come up."""
        self._connected = True
        self._probe = Probe(self._machine.connection("gdb"))
        self._qtest = Qtest(self._machine.connection("qtest"))
        Pins(self._probe, self._qtest).idle()
        for address, kind in self._image.instruction_sites.items():
            if kind != "bkpt":
                self._probe.patch(address, BKPT)
        self._probe.add_breakpoint(self._symbol("sweep_done"))

    def tell(self, told: Collection[int]) -> None:
        """Set the addresses in the handler at which it has told the task already."""
        self._window = replace(self._window, told=tuple(told))

    def close(self) -> None:
        """End the machine."""
        self._machine.close()

    def __enter__(self) -> Sweep:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what the harness has to know ------------------------------------------------------------

    def _symbol(self, name: str) -> int:
        found = self._harness.symbol(name)
        if found is None:
            raise BenchError(f"the sweep's harness has no {name}")
        return found.address

    def _call_site(self) -> int:
        call = self._image.symbol("semihosting_call")
        sites = [a for a, kind in self._image.instruction_sites.items() if kind == "bkpt"]
        return next((a for a in sites if call is not None and call.holds(a)), UNUSED)

    def _fixed_part(self) -> bytes:
        """The part of the job that is the same for every run."""
        image, window = self._image, self._window
        sleeps = [a for a, kind in image.instruction_sites.items() if kind != "bkpt"]
        if any(kind == "wfi.w" for kind in image.instruction_sites.values()):
            raise SweepError("the program sleeps by a wide WFI, which the sweep does not know")
        if len(sleeps) > WFI_MAX or not sleeps:
            raise SweepError(f"the program has {len(sleeps)} WFIs; the sweep knows 1 to {WFI_MAX}")
        start, end = image.value("__data_start__"), image.value("__bss_end__")
        stack = image.value("__stack_end__")
        if image.end_of_flash() > HARNESS_FLASH or end > HARNESS_SRAM or end - start > IMAGE // 2:
            raise SweepError("the program is larger than the sweep's window allows")
        pin = BUTTONS[window.button]
        line = window.line.encode()[: TEXT - 1]
        words = [self._call_site(), *_padded(sleeps, WFI_MAX)]
        words += [
            PORTS[pin.port],
            1 << pin.number,
            PORT_IRQ[pin.port],
            start,
            end - start,
            stack,
            window.relive,
        ]
        return struct.pack(f"<{len(words)}I", *words) + line.ljust(TEXT, b"\0")

    # -- jobs ------------------------------------------------------------------------------------

    def placements(
        self, fixed: Sequence[Placement] = (), only: Collection[int] | None = None
    ) -> list[Placement]:
        """Press at each of `fixed`, and then once more: at every boundary that is left, one run for
        each, and at the sleep. With `only`: at the boundaries with these addresses, and at the
        sleep. Without `fixed` the window's start is where the boundaries begin.

        A placement in a handler cannot be the last of `fixed`: then the one result is UNSAVED.
        """
        if not self._connected:
            self._connect()
        records: list[tuple[int, ...]] = []
        ended = False
        while not ended:
            after = records[-1][0] if records else 0
            more, ended = self._job(fixed, only, after + 1)
            records += more
        return list(_placements(records))

    def _job(
        self, fixed: Sequence[Placement], only: Collection[int] | None, ticks: int
    ) -> tuple[list[tuple[int, ...]], bool]:
        """One job of the harness, from `ticks` on: its records, and whether nothing is left."""
        self._write_job(fixed, only, ticks)
        stop = self._probe.run(JOB_TIMEOUT_S)
        if stop is None:
            self._probe.interrupt()
        if stop is None or stop.why is not Why.BREAK:
            raise SweepError("the program took the machine away from the sweep")
        raw = self._qtest.read_block(self._symbol("sweep_result"), 4 * RESULT_WORDS)
        result = struct.unpack(f"<{RESULT_WORDS}I", raw)
        runs, count, full, ended = result[0], result[8], result[9], result[12]
        places = result[10 : 10 + len(fixed)]
        if count > RECORDS or bool(full) == bool(ended) or (full and count < RECORDS):
            raise SweepError("the program overwrote the sweep's records")
        if count and places != tuple(p.place.pc for p in fixed):
            raise BenchError("the sweep's fixed press came elsewhere: the machine is not exact")
        self.runs += runs
        raw = self._qtest.read_block(self._symbol("sweep_records"), 12 * count) if count else b""
        return list(struct.iter_unpack("<2I4B", raw)), bool(ended)

    def _write_job(
        self, fixed: Sequence[Placement], only: Collection[int] | None, ticks: int
    ) -> None:
        asleep = [p.place.moment is not Moment.BOUNDARY for p in fixed]
        fixed_ticks = [LAST_TICK if s else p.ticks for s, p in zip(asleep, fixed, strict=True)]
        moments = [int(p.place.moment) for p in fixed]
        head = [len(fixed), *_padded(fixed_ticks, FIXED_MAX), *_padded(moments, FIXED_MAX)]
        head += [ticks, LAST_TICK, self._window.start if ticks == 1 else 0, self._window.limit]
        job = struct.pack(f"<{len(head)}I", *head) + self._fixed
        job += struct.pack("<I", only is not None) + _map(only or ())
        job += _map(self._window.told)
        self._qtest.write_block(self._symbol("sweep_job"), job)
        self._probe.set_register(PC, self._symbol("sweep_start"))

    runs = 0
    """Runs made so far, in all."""

    def singles(self, only: Collection[int] | None = None) -> list[Placement]:
        """One press at every boundary from the window's start to the sleep, and at the sleep."""
        return self.placements((), only)

    def seconds(self, first: Placement, only: Collection[int] | None = None) -> list[Placement]:
        """With the first press at `first`, a second at every boundary after it, to the sleep."""
        return self.placements((first,), only)


def _map(addresses: Iterable[int]) -> bytes:
    """A bit for each halfword of flash."""
    bits = bytearray(MAP)
    for address in addresses:
        halfword = address // 2
        if halfword // 8 < MAP:
            bits[halfword // 8] |= 1 << halfword % 8
    return bytes(bits)


def _padded(values: Iterable[int], length: int) -> list[int]:
    known = list(values)[:length]
    return known + [UNUSED] * (length - len(known))


def _placements(records: Iterable[Sequence[int]]) -> Iterable[Placement]:
    """Records to placements. Strikes that met the same boundary as the one before are left out."""
    seen: Counter[tuple[int, int]] = Counter()
    previous: tuple[int, int] | None = None
    before = 0
    for ticks, word, moment, lines, presses, nested in records:
        pc, outcome = word & 0x0FFF_FFFF, word >> 28
        key = (pc, moment)
        # With only some places chosen, the next time round a loop follows on the last one.
        if key != previous or ticks != before + 1:
            seen[key] += 1
            yield Placement(
                Place(pc, Moment(moment), seen[key]),
                Outcome(outcome),
                lines,
                presses,
                bool(nested),
                ticks,
            )
        previous, before = key, ticks
