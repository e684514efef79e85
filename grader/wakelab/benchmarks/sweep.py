"""Measure: the sweep inside the guest, against the same placements made from outside."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from wakebench.sweep import Placement
from wakelab.benchmarks.reference import LAB, Reference
from wakelab.benchmarks.row import Row, Step, part
from wakelab.build import MAIN_LEVEL
from wakelab.errors import InfraError
from wakelab.schedule import Schedule, play
from wakelab.subject import Subject
from wakelab.sweeping import Search, Swept

SINGLES_S, PAIRS_S, REDUCED_S = 0.1, 5.0, 0.3
RUN_US = 25.0
"""40,000 runs a second in one process."""
REPEATS = 3
MACHINES = 2
FRESH, AGAIN = 8, 40
"""Placements made from outside: on a fresh QEMU each, and after a reset each."""
STEPS = 4 * REPEATS + FRESH + AGAIN


@dataclass(frozen=True)
class Speed:
    """What was done, and in how many seconds of searching; medians. `fresh`, `again`: seconds for
    one placement from outside, on a QEMU of its own and after a reset."""

    singles: Swept
    reduced: Swept
    one: Swept
    two: Swept
    fresh: float
    again: float


def measure_sweep(reference: Reference, step: Step) -> Speed:
    """All on the same image, one after the other. Raises InfraError where the reference fails."""
    with _subject(reference) as subject:
        singles = _median(_of(subject, 1, lambda search: search.singles()), step)
        reduced = _median(_of(subject, MACHINES, lambda search: search.pairs()), step)
        one = _median(_of(subject, 1, lambda search: search.pairs(every=True)), step)
        two = _median(_of(subject, MACHINES, lambda search: search.pairs(every=True)), step)
        with Search(subject, MAIN_LEVEL, 1) as search:
            places = search.placements()
        again = median(_outside(subject, places, AGAIN, step))
    fresh = []
    for place in _some(places, FRESH):
        began = time.monotonic()
        with _subject(reference) as subject:
            _play(subject, place)
        fresh.append(time.monotonic() - began)
        step()
    return Speed(singles, reduced, one, two, median(fresh), again)


def _subject(reference: Reference) -> Subject:
    """With one machine: at the level where most is done."""
    elfs = tuple(elf for elf in reference.build.elfs if elf.level == MAIN_LEVEL)
    build = type(reference.build)(elfs, (), ())
    return Subject(reference.lab, reference.submission, build, reference.qemu)


def _of(subject: Subject, machines: int, do: Callable[[Search], Swept]) -> Callable[[], Swept]:
    def measured() -> Swept:
        with Search(subject, MAIN_LEVEL, machines) as search:
            swept = do(search)
        if swept.failing or swept.coverage < 100:
            raise InfraError(
                f"the sweep of the reference of lab {LAB} finds {swept.failing} failures",
                next_step=f"make sweep LAB={LAB} SUBMISSION=solution",
            )
        return swept

    return measured


def _median(measured: Callable[[], Swept], step: Step) -> Swept:
    found = []
    for _ in range(REPEATS):
        found.append(measured())
        step()
    return sorted(found, key=lambda swept: swept.seconds)[REPEATS // 2]


def _some(places: Sequence[Placement], count: int) -> list[Placement]:
    """That many, spread over all."""
    return [places[at * len(places) // count] for at in range(count)]


def _outside(subject: Subject, places: Sequence[Placement], count: int, step: Step) -> list[float]:
    """Seconds for each of `count` placements, each after a reset."""
    times = []
    for place in _some(places, count):
        began = time.monotonic()
        _play(subject, place)
        times.append(time.monotonic() - began)
        step()
    return times


def _play(subject: Subject, placement: Placement) -> None:
    if play(Schedule(LAB, MAIN_LEVEL, (placement.place,)), subject) is not None:
        raise InfraError(f"the reference of lab {LAB} loses a press")


def sweep_rows(speed: Speed) -> list[Row]:
    """For the table."""
    singles, reduced, one, two = speed.singles, speed.reduced, speed.one, speed.two
    run = one.seconds / one.runs
    return [
        Row(
            f"sweep, {singles.boundaries} singles",
            f"{1e3 * singles.seconds:.0f} ms",
            singles.seconds,
            SINGLES_S,
            "s",
        ),
        Row(
            f"sweep, {two.later:,} pairs, {MACHINES} processes",
            f"{two.seconds:.2f} s",
            two.seconds,
            PAIRS_S,
            "s",
        ),
        part("runs a second", f"{two.runs / two.seconds:,.0f}"),
        Row("a run, in one process", f"{1e6 * run:.1f} µs", 1e6 * run, RUN_US, "µs"),
        part("runs a second", f"{1 / run:,.0f}"),
        part("by QEMU's processor time", f"{one.runs / one.processor_s:,.0f}"),
        part(
            "to a reset for each placement", f"{speed.again / run:,.0f} ({1 / speed.again:.0f}/s)"
        ),
        part("to a QEMU for each placement", f"{speed.fresh / run:,.0f} ({1 / speed.fresh:.0f}/s)"),
        Row(
            f"sweep, {reduced.later:,} pairs for classes",
            f"{reduced.seconds:.2f} s",
            reduced.seconds,
            REDUCED_S,
            "s",
        ),
    ]
