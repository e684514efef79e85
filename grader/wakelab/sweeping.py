"""Searching for the moment at which a press gets lost: the sweep of one program at one level.

The search runs inside the guest (wakebench.sweep), on as many machines as there are cores. Its
answer is confirmed from outside (wakelab.schedule) before anybody is told.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import takewhile

from wakebench.board import Board, Ended, Unmet
from wakebench.footprint import TraceError, chosen, coverage
from wakebench.sweep import Outcome, Place, Placement, Sweep, SweepError, Window, build_harness
from wakebench.trace import Kind
from wakelab.labs import checkout_root
from wakelab.press import PressTest
from wakelab.schedule import Schedule
from wakelab.subject import Subject

SHOWN = 32
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


class ClockRuns(SweepError):
    """Ticks come between the presses, and the sweep does not place them yet: nobody's fault."""


class Search:
    """The machines of the search of one program at one level. Close it, or use it in a `with`.

    Uses the subject's board at that level, too: not while a check is in the middle of a run on it.
    Raises SweepError where the program cannot be swept.
    """

    def __init__(self, subject: Subject, level: str, machines: int) -> None:
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
        self._prepared = False
        self._seconds = 0.0
        self._found: list[Placement] | None = None
        self._owned = ExitStack()
        harness = build_harness(checkout_root() / ".cache")
        image = subject.image(level)
        window = Window(start.address, subject.button, subject.line, (), plan.limit)
        try:
            self._sweeps = [
                self._owned.enter_context(Sweep(image, window, harness, subject.qemu))
                for _ in range(machines)
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

    def singles(self) -> Swept:
        """One press, at every boundary."""
        found = self._singles()
        failing = [(p.place,) for p in found if p.outcome is not Outcome.OK]
        statement = f"{len(found)} boundaries, all explored"
        return self._swept([], failing, statement, self._seconds)

    def prepare(self) -> None:
        """Watch one press on the subject's board; `singles` and `pairs` do it if nobody has."""
        if self._prepared:
            return
        test = PressTest(self._subject, self._subject.board(self._level))
        try:
            told = told_addresses(test)
        except (Ended, Unmet) as never:
            raise SweepError(f"the program does not come to rest: {never}") from never
        if test.board.clock_runs:
            raise ClockRuns("the program's clock runs; the sweep knows no time")
        for each in self._sweeps:
            each.tell(told)
        self._prepared = True

    def _singles(self) -> list[Placement]:
        self.prepare()
        if self._found is None:
            began = time.monotonic()
            self._found = self._sweeps[0].singles()
            self._seconds = time.monotonic() - began
            if not any(p.place.pc == self._start for p in self._found):
                name = self._plan.window
                raise SweepError(f"the program never came to {name} with interrupts enabled")
        return self._found

    def pairs(self, *, every: bool = False, progress: Progress | None = None) -> Swept:
        """Two presses: all placements, or only those that stand for a class of equivalent ones.
        Where one press alone fails, that is the answer: nobody needs two.
        """
        singles = self._singles()
        if any(single.outcome is not Outcome.OK for single in singles):
            return self.singles()
        try:
            explored = self._subject.exploration(self._level)
        except TraceError as lost:
            raise SweepError(str(lost)) from lost
        reduction = explored.reduction
        every = every or bool(reduction.gaps)
        only = None if every else reduction.dependent
        firsts = singles if only is None else chosen(singles, only)
        began = time.monotonic()
        results = list(_seconds(self._sweeps, firsts, only, progress))
        searched = time.monotonic() - began
        failing = [
            (first.place, second.place)
            for first, seconds in results
            for second in seconds
            if second.outcome not in (Outcome.OK, Outcome.UNSAVED)
        ]
        whole = f"{len(singles)} boundaries, all explored"
        tried = [second for _, seconds in results for second in seconds]
        swept = self._swept(tried, failing, whole if every else reduction.statement(), searched)
        return replace(
            swept,
            coverage=coverage(explored.window, singles).percent,
            masked=tuple(explored.masked_device_places()),
        )

    def _swept(
        self,
        seconds: Sequence[Placement],
        failing: Sequence[tuple[Place, ...]],
        statement: str,
        searched: float,
    ) -> Swept:
        return Swept(
            level=self._level,
            boundaries=len(self._found or ()),
            pairs=len(seconds),
            runs=_runs(self._sweeps),
            failing=len(failing),
            found=tuple(failing[:SHOWN]),
            statement=statement,
            seconds=searched,
        )


def sweep_singles(subject: Subject, levels: Sequence[str]) -> list[Swept]:
    """One press at every boundary, at several levels at once. Raises SweepError."""
    with ExitStack() as stack:
        searches = [stack.enter_context(Search(subject, level, 1)) for level in levels]
        for search in searches:  # one after the other, so that the traces are in order
            search.prepare()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(Search.singles, searches))


def told_addresses(test: PressTest) -> tuple[int, ...]:
    """Addresses that the handler executes after it has told the task of a press, and only then: a
    handler that goes round a loop comes to some both before and after."""
    board = test.board
    board.wait_asleep()
    board.press(test.button)
    try:
        board.wait_handler(test.exception)
    except Unmet:
        return ()
    entered = len(board.trace)

    def told() -> bool:
        return any(e.note == "woken" and e.exception for e in board.trace.since(entered))

    before = _of_handler(board, told)
    if not told():
        return ()
    after = _of_handler(board, lambda: False)
    return tuple(pc for pc in dict.fromkeys(after) if pc not in before)


def _of_handler(board: Board, enough: Callable[[], bool]) -> list[int]:
    """Addresses of the instructions that the handler executes until then, or until it returns."""
    left = len(board.trace)
    with board.recording() as executed, suppress(Ended, Unmet):
        while not enough() and not any(e.kind is Kind.EXIT for e in board.trace.since(left)):
            board.wait_events(len(board.trace) + 1)
    return [r.pc for r in takewhile(lambda registers: registers.exception, executed[:-1])]


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
