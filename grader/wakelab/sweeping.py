"""Searching for the moment at which a press gets lost: the sweep of one program at one level.

The search runs inside the guest (wakebench.sweep), on as many machines as there are cores. Its
answer is confirmed from outside (wakelab.schedule) before anybody is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from typing import NamedTuple

from wakebench.footprint import Exploration, TraceError, chosen, coverage
from wakebench.sweep import (
    TICK,
    Outcome,
    Place,
    Placement,
    Sweep,
    SweepError,
    Window,
    build_harness,
    ranked,
)
from wakelab.build import MAIN_LEVEL
from wakelab.labs import Lab, checkout_root
from wakelab.schedule import Schedule
from wakelab.subject import Subject

SHOWN = 32
"""Failing placements that are tried from outside before the search is called unconfirmed."""

Progress = Callable[[int, int, int], None]
"""Told after each first strike, or each first two: how many are done, how many there are, runs so
far."""


class Swept(NamedTuple):
    """What a search came to.

    boundaries  places for one strike, over all interrupts: boundaries, and the sleep
    later       places for a second strike, and a third, over all before them
    failing     places, one to three, at which the program did not do what it must
    statement   what was explored, in words
    coverage    percent of the boundaries that the independent trace has, and the search met
    masked      addresses of masked accesses to the port: to be tried from outside
    seconds     of searching; machines started and window measured before it are not counted
    processor_s  the same, of the machines' processor time
    found       the earliest of those with the fewest presses
    outside     places at which it did not, without the harness, when the reduction was looked for
    runs        executions of the program
    """

    level: str
    boundaries: int
    later: int
    runs: int
    failing: int
    found: tuple[tuple[Place, ...], ...]
    statement: str = ""
    seconds: float = 0.0
    processor_s: float = 0.0
    coverage: float = 100.0
    masked: tuple[int, ...] = ()
    outside: tuple[tuple[Place, ...], ...] = ()

    @property
    def places(self) -> int:
        """Placements tried."""
        return self.boundaries + self.later

    def expect_whole(self) -> None:
        """Raises SweepError where boundaries were missed, so that nothing can be said of them."""
        if self.coverage < 100:
            raise SweepError(
                f"the sweep met only {self.coverage:.0f} % of the program's boundaries"
            )


class Search:
    """The machines of the search of one program at one level. Close it, or use it in a `with`.

    Uses the subject's board at that level, too: not while a check is in the middle of a run on it.
    `others`: what strikes beside the lab's button, if not what the lab says; where the program's
    clock runs its tick is always among them. Raises SweepError where the program cannot be swept.
    """

    def __init__(
        self,
        subject: Subject,
        level: str,
        machines: int,
        others: Collection[str] | None = None,
        presses: int = 2,
        *,
        first_asleep: bool = False,
    ) -> None:
        """presses: how many are explored beforehand; with 1, or with `first_asleep`, only singles
        can be searched."""
        plan = subject.lab.sweep
        if plan is None:
            raise SweepError(_without_window(subject.lab))
        start = subject.image(level).symbol(plan.window)
        if start is None:
            raise SweepError(f"the program has no function {plan.window}")
        self._level, self._presses, self._first_asleep = level, presses, first_asleep
        self._plan = plan
        self._subject = subject
        self._start = start.address
        self._others = tuple(plan.others if others is None else others)
        self._seen: Exploration | None = None
        self._took: _Took | None = None
        self._found: dict[str, list[Placement]] = {}
        self._tried_pairs: dict[bool, _Pairs] = {}
        """By whether every pair was tried."""
        self._trouble: Exception | None = None
        """Why nothing could be searched while the exploration went on."""
        self._owned = ExitStack()
        harness = build_harness(checkout_root() / ".cache")
        image = subject.image(level)
        window = Window(start.address, subject.button, subject.line, (), plan.limit)
        try:
            self._sweeps = [
                self._owned.enter_context(Sweep(image, window, harness, subject.qemu, number))
                for number in range(machines)
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

    # -- before ----------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Explore the program on the subject's board, if nobody has. Each search begins with it:
        its trace is part of what each check has seen."""
        try:
            seen = self._subject.exploration(
                self._level,
                self._presses,
                first_asleep=self._first_asleep,
                meanwhile=self._search_meanwhile,
            )
        except TraceError as lost:
            raise SweepError(str(lost)) from lost
        if self._trouble is not None:
            raise self._trouble
        self._learn(seen)

    def _search_meanwhile(self, seen: Exploration) -> None:
        """Try the pairs before the exploration's second presses, and look up what is shared, so
        that its helper makes more of those."""
        try:
            self._learn(seen)
            singles = self.placements()
            if not self._first_asleep and all(each.outcome is Outcome.OK for each in singles):
                self._try_pairs(bool(seen.gaps), None)
                self._subject.racy(self._level, seen)
        except Exception as trouble:  # nothing of the exploration's
            self._trouble = trouble

    def _learn(self, seen: Exploration) -> None:
        """Once for the machines; what an exploration says at its end is more than meanwhile."""
        told, self._seen = self._seen is not None, seen
        if told:
            return
        if seen.settings.clock_runs and TICK not in self._others:
            self._others += (TICK,)
        for each in self._sweeps:
            each.tell(seen.told, self._others, ranked(seen.settings.priorities))

    @property
    def _interrupts(self) -> tuple[str, ...]:
        return ("", *self._others)

    def _said(self) -> str:
        """What strikes, for a statement; nothing where it is the lab's button alone."""
        names = [self._subject.button, *self._others]
        return f", for each of {', '.join(names[:-1])} and {names[-1]}" if self._others else ""

    # -- one, two, three -------------------------------------------------------------------------

    def singles(self) -> Swept:
        """One strike, at every boundary."""
        self.prepare()
        found = self.placements()
        failing = [(p.place,) for p in found if p.outcome is not Outcome.OK]
        count = len(found) // len(self._interrupts)
        statement = f"{count} boundaries, all explored{self._said()}"
        return self._swept([], failing, statement, self._took, 1)

    def placements(self) -> list[Placement]:
        """Every placement of one strike, and how it ended."""
        if self._seen is None:
            self.prepare()
        if not self._found:
            self._sweeps[0].open()
            took = _Took(self._sweeps)
            found = {name: self._sweeps[0].singles(interrupt=name) for name in self._interrupts}
            self._took = took.stop()
            if not any(p.place.pc == self._start for p in found[""]):
                name = self._plan.window
                raise SweepError(f"the program never came to {name} with interrupts enabled")
            self._found = found
        return [placement for found in self._found.values() for placement in found]

    def after(self, first: Placement) -> list[Placement]:
        """Every placement of another strike of the lab's button after that one."""
        self.placements()
        return self._sweeps[0].placements((first,), None)

    def pairs(self, *, every: bool = False, progress: Progress | None = None) -> Swept:
        """Two strikes: all placements, or only those that stand for a class of equivalent ones.
        Where one alone fails, that is the answer: nobody needs two.
        """
        self.prepare()
        singles = self.placements()
        if any(single.outcome is not Outcome.OK for single in singles):
            return self.singles()
        return self._pairs(every, progress)

    def _pairs(self, every: bool, progress: Progress | None) -> Swept:
        explored = self._explored()
        reduction = explored.reduction
        every = every or bool(reduction.gaps)
        results, took = self._try_pairs(every, progress)
        whole = f"{len(self._found[''])} boundaries, all explored, two at a time{self._said()}"
        statement = whole if every else reduction.statement() + self._selection()
        swept = self._swept(_tried(results), _failing(results), statement, took, 2)
        return swept._replace(masked=tuple(explored.masked_device_places()))

    def _try_pairs(self, every: bool, progress: Progress | None) -> _Pairs:
        if every not in self._tried_pairs:
            tasks = self._all_pairs() if every else self._some_pairs(self._explored())
            took = _Took(self._sweeps)
            results = list(_later(self._sweeps, tasks, progress))
            self._tried_pairs[every] = results, took.stop()
        return self._tried_pairs[every]

    def _all_pairs(self) -> list[_Task]:
        return [
            _Task((first,), None, name) for first in self.placements() for name in self._interrupts
        ]

    def _some_pairs(self, explored: Exploration) -> list[_Task]:
        """One for each class, as far as the lab's button strikes. The classes are those of its
        handlers; what another interrupt's handler touches is not known, so that one strikes
        everywhere, and each instruction that only comes with it is struck at."""
        dependent = explored.reduction.dependent
        end = self._subject.image(self._level).end_of_flash()
        careful = frozenset(range(0, end, 2)) - ({s.pc for s in explored.steps} - dependent)
        plain = self._plain(explored)
        firsts = chosen(self._found[""], dependent)
        tasks = [_Task((first,), dependent, "", plain) for first in firsts]
        for other in self._others:
            tasks += [_Task((first,), careful) for first in self._found[other]]
            tasks += [_Task((first,), None, other) for first in chosen(self._found[""], dependent)]
            for again in self._others:
                some = chosen(self._found[other], careful)
                tasks += [_Task((first,), careful, again) for first in some]
        return tasks

    def _plain(self, explored: Exploration) -> frozenset[int]:
        """Straight instructions that touch nothing that a handler or a device has part in."""
        seen = {step.pc for step in explored.steps} - explored.reduction.dependent
        return self._subject.image(self._level).straight & seen

    def _selection(self) -> str:
        if not self._others:
            return ""
        others = " and ".join(self._others)
        return f"; with {others}: a selection, ALL=1 explores all"

    def _explored(self) -> Exploration:
        assert self._seen is not None
        return self._seen

    def triples(self, *, progress: Progress | None = None) -> Swept:
        """Three presses of the lab's button, where something that a handler touches is about to
        happen. Less than all, and the statement says so. Where two fail, that is the answer.
        """
        pairs = self.pairs(progress=progress)
        if pairs.failing:
            return pairs
        explored = self._explored()
        only, plain = explored.reduction.dependent, self._plain(explored)
        took = _Took(self._sweeps)
        firsts = chosen(self._found[""], only)
        seconds = list(_later(self._sweeps, [_Task((p,), only, "", plain) for p in firsts], None))
        both = [(*before, second) for before, found in seconds for second in found]
        open_both = [each for each in both if not each[-1].nested]
        results = list(
            _later(self._sweeps, [_Task(each, only, "", plain) for each in open_both], progress)
        )
        unsaved = len(both) - len(open_both)
        statement = (
            f"{pairs.statement}; three presses: {len(firsts)} places for the first,"
            f" {len(open_both):,} for the first two, all explored: a selection, for the classes"
            f" are those of two presses; not: a third one after a second one in a handler"
            f" ({unsaved:,})"
        )
        if self._others:
            statement += f", or three with {' or '.join(self._others)}"
        failing, tried = _failing(results), _tried(results)
        return pairs._replace(
            later=pairs.later + len(tried),
            runs=_runs(self._sweeps),
            failing=len(failing),
            found=tuple(failing[:SHOWN]),
            statement=statement,
            seconds=pairs.seconds + took.seconds,
            processor_s=pairs.processor_s + took.processor_s,
        )

    def _swept(
        self,
        later: Sequence[Placement],
        failing: Sequence[tuple[Place, ...]],
        statement: str,
        took: _Took | None,
        presses: int,
    ) -> Swept:
        assert took is not None
        seen = self._explored()
        met = [coverage(seen.window, _anonymous(found)).percent for found in self._found.values()]
        return Swept(
            level=self._level,
            boundaries=sum(map(len, self._found.values())),
            later=len(later),
            runs=_runs(self._sweeps),
            failing=len(failing),
            found=tuple(failing[:SHOWN]),
            statement=statement,
            seconds=took.seconds,
            processor_s=took.processor_s,
            coverage=min(met, default=0.0),
            outside=tuple(places for places in seen.failing if len(places) <= presses)[:SHOWN],
        )


class _Took:
    """What a search takes, from here on until it is asked for, or stopped."""

    def __init__(self, sweeps: Sequence[Sweep]) -> None:
        self._sweeps = sweeps
        self._began = self._now()
        self._ended: tuple[float, float] | None = None

    def _now(self) -> tuple[float, float]:
        return time.monotonic(), sum(each.processor_s() for each in self._sweeps)

    def stop(self) -> _Took:
        """It ends here."""
        self._ended = self._now()
        return self

    @property
    def seconds(self) -> float:
        """Time of day."""
        return (self._ended or self._now())[0] - self._began[0]

    @property
    def processor_s(self) -> float:
        """Processor time of the machines."""
        return (self._ended or self._now())[1] - self._began[1]


class _Task(NamedTuple):
    """Strikes that are fixed, and the one to try after them: where, if not everywhere; what; and
    where nothing can come (see Sweep.placements)."""

    fixed: tuple[Placement, ...]
    only: Collection[int] | None
    interrupt: str = ""
    plain: Collection[int] = ()


_Tried = tuple[tuple[Placement, ...], list[Placement]]
"""Strikes that were fixed, and all that were tried after them."""

_Pairs = tuple[list[_Tried], _Took]
"""All of a search, and what it took."""


def _tried(results: Sequence[_Tried]) -> list[Placement]:
    return [last for _, found in results for last in found]


def _failing(results: Sequence[_Tried]) -> list[tuple[Place, ...]]:
    return [
        tuple(p.place for p in (*before, last))
        for before, found in results
        for last in found
        if last.outcome not in (Outcome.OK, Outcome.UNSAVED)
    ]


def _anonymous(found: Sequence[Placement]) -> list[Placement]:
    """Without what struck."""
    return [p._replace(place=p.place._replace(interrupt="")) for p in found]


def _without_window(lab: Lab) -> str:
    """Why there is nothing to search, and where what there is has been searched."""
    if not lab.swept_calls:
        return f"lab {lab.number} has neither a window nor calls to sweep"
    return (
        f"lab {lab.number} has no window of a run to sweep. Its checks sweep calls of"
        f" {' and '.join(lab.swept_calls)}: make grade LAB={lab.number}"
    )


def main_search(subject: Subject) -> AbstractContextManager[Search]:
    """The search at the main level, which several checks go on with. Raises SweepError."""
    singles = not {"pairs", "triples"} & set(subject.modes)
    return subject.lent("search", lambda: Search(subject, MAIN_LEVEL, 1, first_asleep=singles))


def singles_at(subject: Subject, level: str) -> Swept:
    """One press at one boundary of each class, from outside; where the classes are not known, at
    every boundary, from inside. Raises SweepError."""
    try:
        seen = subject.exploration(level, presses=1)
    except TraceError as lost:
        raise SweepError(str(lost)) from lost
    if seen.gaps:
        with Search(subject, level, 1, presses=1) as search:
            return search.singles()
    found, reduction = seen.failing[:SHOWN], seen.reduction
    return Swept(
        level, reduction.boundaries, 0, seen.runs, len(found), found, reduction.statement()
    )


def _later(
    sweeps: Sequence[Sweep], tasks: Sequence[_Task], progress: Progress | None
) -> Iterator[_Tried]:
    """The tasks, in their order, on all machines."""
    idle = list(sweeps)

    def work(task: _Task) -> _Tried:
        machine = idle.pop()
        try:
            return task.fixed, machine.placements(task.fixed, task.only, task.interrupt, task.plain)
        finally:
            idle.append(machine)

    with ThreadPoolExecutor(len(sweeps)) as pool:
        for done, result in enumerate(pool.map(work, tasks), 1):
            if progress is not None:
                progress(done, len(tasks), _runs(sweeps))
            yield result


def _runs(sweeps: Sequence[Sweep]) -> int:
    return sum(each.runs for each in sweeps)


def schedules(swept: Swept, lab: str) -> list[Schedule]:
    """What was found, the earliest first, as schedules to be confirmed; then what was found from
    outside."""
    found = dict.fromkeys((*swept.found, *swept.outside))
    return [Schedule(lab, swept.level, places) for places in found]
