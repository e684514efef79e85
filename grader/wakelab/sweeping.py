"""Searching for the moment at which a press gets lost: the sweep of one program at one level.

The search runs inside the guest (wakebench.sweep), on as many machines as there are cores. Its
answer is confirmed from outside (wakelab.schedule) before anybody is told.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from wakebench.sweep import Outcome, Place, Placement, Sweep, SweepError, Window, build_harness
from wakebench.trace import Kind
from wakelab.labs import SweepPlan, checkout_root
from wakelab.press import PressTest
from wakelab.schedule import Schedule
from wakelab.subject import Subject

LONGEST_HANDLER = 400
"""Instructions of a handler that are looked at; what comes later is not known to have told."""

SHOWN = 8
"""Failing placements that are tried from outside before the search is called unconfirmed."""

Progress = Callable[[int, int, int], None]
"""Told after each first press: how many are done, how many there are, runs so far."""


@dataclass(frozen=True)
class Swept:
    """What a search came to.

    boundaries  places for one press: boundaries that an interrupt can come at, and the sleep
    pairs       places for a second press, over all first ones; 0 where only singles were asked for
    failing     places, one press or two, at which the program did not do what it must
    seconds     of searching; machines started and window measured before it are not counted
    found       the earliest of those with the fewest presses
    runs        executions of the program
    """

    level: str
    boundaries: int
    pairs: int
    runs: int
    failing: int
    found: tuple[tuple[Place, ...], ...]
    statement: str = ""
    seconds: float = 0.0

    @property
    def places(self) -> int:
        """Placements tried."""
        return self.boundaries + self.pairs


def sweep(
    subject: Subject,
    level: str,
    *,
    pairs: bool,
    every: bool = False,
    progress: Progress | None = None,
) -> Swept:
    """Search the program at `level`. Raises SweepError where it cannot be swept."""
    plan = subject.lab.sweep
    if plan is None:
        raise SweepError("the lab declares no window to sweep")
    image = subject.image(level)
    window = _window(subject, level, plan)
    only: Collection[int] | None = None
    harness = build_harness(checkout_root() / ".cache")
    with ExitStack() as machines:
        count = (os.cpu_count() or 1) if pairs else 1
        sweeps = [
            machines.enter_context(Sweep(image, window, harness, subject.qemu))
            for _ in range(count)
        ]
        began = time.monotonic()
        singles = sweeps[0].singles(only)
        failing = [(p.place,) for p in singles if p.outcome is not Outcome.OK]
        if not any(p.place.pc == window.start for p in singles):
            raise SweepError(f"the program never came to {plan.window} with interrupts enabled")
        if not pairs or failing:
            seconds = time.monotonic() - began
            runs = _runs(sweeps)
            found = tuple(failing[:SHOWN])
            return Swept(level, len(singles), 0, runs, len(failing), found, "", seconds)
        results = list(_seconds(sweeps, singles, only, progress))
        total = sum(len(seconds) for _, seconds in results)
        bad = [
            (first.place, second.place)
            for first, seconds in results
            for second in seconds
            if second.outcome not in (Outcome.OK, Outcome.UNSAVED)
        ]
        seconds = time.monotonic() - began
        found = tuple(bad[:SHOWN])
        return Swept(level, len(singles), total, _runs(sweeps), len(bad), found, "", seconds)


def _window(subject: Subject, level: str, plan: SweepPlan) -> Window:
    start = subject.image(level).symbol(plan.window)
    if start is None:
        raise SweepError(f"the program has no function {plan.window}")
    told = told_addresses(PressTest(subject, subject.board(level)))
    return Window(start.address, subject.button, subject.line, told, plan.limit)


def told_addresses(test: PressTest) -> tuple[int, ...]:
    """Addresses that the handler executes after it has told the task of a press."""
    board = test.board
    board.wait_asleep()
    start = len(board.trace)
    board.press(test.button)
    while not any(e.note == "woken" and e.exception for e in board.trace.since(start)):
        board.wait_events(len(board.trace) + 1)
        if board.trace[-1].kind is Kind.SLEEP:
            return ()
    told = []
    for _ in range(LONGEST_HANDLER):
        registers = board.step_instruction()
        if not registers.exception:
            break
        told.append(registers.pc)
    return tuple(dict.fromkeys(told))


def _seconds(
    sweeps: Sequence[Sweep],
    firsts: Sequence[Placement],
    only: Collection[int] | None,
    progress: Progress | None,
) -> Iterator[tuple[Placement, list[Placement]]]:
    """For each first press its second ones, in the order of the firsts, on all machines."""
    idle = list(sweeps)

    def work(first: Placement) -> tuple[Placement, list[Placement]]:
        machine = idle.pop()
        try:
            return first, machine.seconds(first, only)
        finally:
            idle.append(machine)

    with ThreadPoolExecutor(len(sweeps)) as pool:
        for done, result in enumerate(pool.map(work, firsts), 1):
            if progress is not None:
                progress(done, len(firsts), _runs(sweeps))
            yield result


def _runs(sweeps: Sequence[Sweep]) -> int:
    return sum(each.runs for each in sweeps)


def schedules(swept: Swept, lab: str) -> list[Schedule]:
    """What was found, the earliest first, as schedules to be confirmed."""
    return [Schedule(lab, swept.level, places) for places in swept.found]
