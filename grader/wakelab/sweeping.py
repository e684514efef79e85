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
from dataclasses import dataclass, replace

from wakebench.board import Board, Points
from wakebench.footprint import Coverage, chosen, coverage, explore
from wakebench.machine import Machine
from wakebench.sweep import Outcome, Place, Placement, Sweep, SweepError, Window, build_harness
from wakebench.trace import Kind
from wakelab.labs import checkout_root
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
    statement   what was explored, in words
    coverage    percent of the boundaries that the independent trace has, and the search met
    masked      addresses of masked accesses to the port: to be tried from outside
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
    coverage: float = 100.0
    masked: tuple[int, ...] = ()

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
    with Search(subject, level, pairs=pairs, every=every) as search:
        return search.run(progress)


class Search:
    """The machines of one search. Make it in the main thread, then `run` it, once, in any.

    `every`: all placements of pairs; else only those that stand for a class of equivalent ones.
    """

    def __init__(self, subject: Subject, level: str, *, pairs: bool, every: bool = False) -> None:
        plan = subject.lab.sweep
        if plan is None:
            raise SweepError("the lab declares no window to sweep")
        start = subject.image(level).symbol(plan.window)
        if start is None:
            raise SweepError(f"the program has no function {plan.window}")
        self._level = level
        self._plan = plan
        self._subject = subject
        self._start = start.address
        self._pairs = pairs
        self._reduce = pairs and not every
        self._owned = ExitStack()
        try:
            self._witness = self._owned.enter_context(Witness(subject, level))
            harness = build_harness(checkout_root() / ".cache")
            image = subject.image(level)
            window = Window(start.address, subject.button, subject.line, (), plan.limit)
            self._sweeps = [
                self._owned.enter_context(Sweep(image, window, harness, subject.qemu))
                for _ in range((os.cpu_count() or 1) if pairs else 1)
            ]
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the machines."""
        self._owned.close()

    def __enter__(self) -> Search:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, progress: Progress | None = None) -> Swept:
        """Search. Raises SweepError where the program cannot be swept."""
        told = told_addresses(PressTest(self._subject, self._witness.board()))
        for each in self._sweeps:
            each.tell(told)
        began = time.monotonic()
        singles = self._sweeps[0].singles()
        searched = time.monotonic() - began
        if not any(p.place.pc == self._start for p in singles):
            name = self._plan.window
            raise SweepError(f"the program never came to {name} with interrupts enabled")
        failing = [p for p in singles if p.outcome is not Outcome.OK]
        if failing or not self._pairs:
            return self._swept(singles, [], [(p.place,) for p in failing], "", searched)
        only, statement, covered = self._classes(singles)
        firsts = singles if only is None else chosen(singles, only)
        began = time.monotonic()
        results = list(_seconds(self._sweeps, firsts, only, progress))
        searched += time.monotonic() - began
        bad = [
            (first.place, second.place)
            for first, seconds in results
            for second in seconds
            if second.outcome not in (Outcome.OK, Outcome.UNSAVED)
        ]
        tried = [second for _, seconds in results for second in seconds]
        swept = self._swept(singles, tried, bad, statement, searched)
        return replace(swept, coverage=covered.percent, masked=self._masked)

    _masked: tuple[int, ...] = ()

    def _classes(
        self, singles: Sequence[Placement]
    ) -> tuple[Collection[int] | None, str, Coverage]:
        """What stands for all (None: everything is to be tried), in words, and the coverage."""
        explored = explore(self._witness.board(), self._start, self._subject.button)
        self._masked = tuple(explored.masked_device_places())
        covered = coverage(explored.window, singles)
        reduction = explored.reduction
        if not self._reduce or reduction.gaps:
            return None, f"{len(singles)} boundaries, all explored", covered
        return reduction.dependent, reduction.statement(), covered

    def _swept(
        self,
        singles: Sequence[Placement],
        seconds: Sequence[Placement],
        bad: Sequence[tuple[Place, ...]],
        statement: str,
        searched: float,
    ) -> Swept:
        return Swept(
            level=self._level,
            boundaries=len(singles),
            pairs=len(seconds),
            runs=_runs(self._sweeps),
            failing=len(bad),
            found=tuple(bad[:SHOWN]),
            statement=statement or f"{len(singles)} boundaries, all explored",
            seconds=searched,
        )


class Witness:
    """A machine of the ordinary kind, without the harness, for a search alone."""

    def __init__(self, subject: Subject, level: str) -> None:
        image = subject.image(level)
        self._machine = Machine(image.path, subject.qemu)
        self._image = image
        self._points = Points(dict(subject.lab.trace))
        self._board: Board | None = None

    def board(self) -> Board:
        """Its board, freshly reset."""
        if self._board is None:
            self._board = Board(self._machine, self._image, self._points)
        self._board.reset()
        return self._board

    def __enter__(self) -> Witness:
        return self

    def __exit__(self, *_: object) -> None:
        self._machine.close()


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
