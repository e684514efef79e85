"""What there is to see of a program: its counterexample, its window, a press, the check that fails.

The report tells what was found; the program is run again to see it, which is the same each time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from wakebench.board import Board, Ended, Unmet
from wakebench.errors import BenchError
from wakebench.footprint import TraceError
from wakebench.probe import Registers
from wakebench.sweep import Moment, Outcome, Place, Placement, SweepError
from wakebench.trace import Trace, story
from wakelab.build import MAIN_LEVEL
from wakelab.checking import Finding, checks_in
from wakelab.counterexample import instructions_around
from wakelab.pictures.events import marks
from wakelab.report import CheckResult, Report, Verdict
from wakelab.running import checks_of
from wakelab.schedule import Schedule, parse_id, play, tell_interrupt
from wakelab.subject import Subject
from wakelab.sweeping import Search

ID = re.compile(r"make replay ID=([0-9A-Za-z.-]+)")

ROWS_BEFORE, MOST_ROWS, LAST_ROWS = 8, 70, 20
"""Of the two lanes: before the first press; in all; at the end, where some are left out."""

SHOWN_NAMES = 3
"""Functions of given code, in a row."""

MOST_EVENTS = 3000
"""Of a time line."""

SAID = {
    Outcome.OK: ("fine", "the press is answered"),
    Outcome.LOST: ("lost", "the press is lost"),
    Outcome.TWICE: ("twice", "one line too many"),
    Outcome.RUNAWAY: ("runaway", "it does not come to rest"),
    Outcome.FAULT: ("fault", "a fault"),
    Outcome.SLEPT: ("fine", "it sleeps"),
    Outcome.UNSAVED: ("fine", "the press is answered"),
}
"""How a cell of the map is marked, and what that means."""

_WHEN = {
    Moment.BOUNDARY: "before",
    Moment.BEFORE_SLEEP: "just before the sleep, at",
    Moment.ASLEEP: "during the sleep, at",
}


@dataclass(frozen=True)
class Line:
    """A line of the student's: where it is, and its text. Of code that was given, only through
    which functions it goes, for as long as it stays there; its `line` is 0."""

    function: str
    file: str = ""
    line: int = 0
    text: str = ""


@dataclass(frozen=True)
class Row:
    """Instructions of one line of C, on one side, in the order in which they were executed.
    `presses`: what came just before them; `left_out`: so many rows are not shown here."""

    side: str
    at: Line
    instructions: tuple[str, ...]
    presses: tuple[str, ...] = ()
    left_out: int = 0


@dataclass(frozen=True)
class TimeLine:
    """A run, to be drawn, and to be read."""

    title: str
    marks: list[dict[str, object]]
    story: tuple[str, ...]


@dataclass(frozen=True)
class Counterexample:
    """A schedule, how it went, and its two lanes."""

    id: str
    places: tuple[str, ...]
    rows: tuple[Row, ...]
    run: TimeLine


@dataclass(frozen=True)
class Cell:
    """A place for a press: how it is marked, the instruction, and what happens."""

    mark: str
    instruction: str
    words: str


@dataclass(frozen=True)
class Map:
    """Every boundary of the window in order, by lines of C, and what a press there comes to."""

    title: str
    lines: tuple[tuple[Line, tuple[Cell, ...]], ...]

    def count(self, mark: str) -> int:
        """Cells that are marked so."""
        return sum(cell.mark == mark for _, cells in self.lines for cell in cells)


@dataclass(frozen=True)
class Scenes:
    """All of it. `notes`: what could not be shown, and why."""

    counterexample: Counterexample | None = None
    maps: tuple[Map, ...] = ()
    runs: tuple[TimeLine, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class _Gathering:
    maps: list[Map] = field(default_factory=list)
    runs: list[TimeLine] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def scenes_of(root: Path, subject: Subject, report: Report) -> Scenes:
    """Run the program again, for what the report is about. `report`: as who looks may see it."""
    found = _Gathering()
    failed = next((each for each in report.checks if _failed(each)), None)
    schedule = _schedule_of(failed)
    counterexample = None
    if schedule is not None and schedule.level == MAIN_LEVEL:
        try:
            counterexample = _counterexample(subject, schedule)
        except (Unmet, BenchError) as problem:
            found.notes.append(f"{schedule.id} could not be shown: {problem}")
    elif schedule is not None:
        found.notes.append(
            f"{schedule.id} is about -{schedule.level}; make replay ID={schedule.id} tells it"
        )
    elif failed is not None and failed.level in ("", MAIN_LEVEL):
        found.runs += _failing_run(root, subject, failed)
    try:
        found.maps += _maps(subject, schedule)
    except (SweepError, TraceError, BenchError) as unfit:
        found.notes.append(f"no map of the window: {unfit}")
    found.runs.append(_one_press(subject))
    return Scenes(counterexample, tuple(found.maps), tuple(found.runs), tuple(found.notes))


def _failed(check: CheckResult) -> bool:
    return check.verdict not in (Verdict.PASS, Verdict.SKIPPED)


def _schedule_of(check: CheckResult | None) -> Schedule | None:
    named = ID.search(check.seen) if check is not None else None
    return parse_id(named[1]) if named else None


def time_line(title: str, trace: Trace) -> TimeLine:
    """A trace; the last events of a long one."""
    events = list(trace)[-MOST_EVENTS:]
    return TimeLine(title, marks(events, len(trace) - len(events)), tuple(story(events)))


# -- runs ------------------------------------------------------------------------------------------


def _one_press(subject: Subject) -> TimeLine:
    board = subject.board()
    try:
        board.wait_asleep()
        board.wait_ms(20)
        board.press(subject.button)
        board.wait_asleep()
        board.wait_ms(80)
        board.release(subject.button)
        board.wait_asleep()
    except Ended:
        pass  # that is what there is to see
    return time_line(f"From the reset: one press of {subject.button}, held for 80 ms", board.trace)


def _failing_run(root: Path, subject: Subject, failed: CheckResult) -> Iterator[TimeLine]:
    for spec, function in checks_in(checks_of(root, subject.lab)):
        if spec.id != failed.id or spec.levels:
            continue
        try:
            function(subject)
        except (Finding, Ended, Unmet):
            pass
        board = subject.latest_board
        if board is not None and len(board.trace) > 1:
            yield time_line(f"The check that fails: {failed.title}", board.trace)


# -- the counterexample ----------------------------------------------------------------------------


def _counterexample(subject: Subject, schedule: Schedule) -> Counterexample:
    record: list[Registers] = []

    @contextmanager
    def recorded(board: Board) -> Iterator[None]:
        with board.recording() as lines:
            yield
        record.extend(lines)

    play(schedule, subject, recorded)
    board = subject.latest_board
    assert board is not None
    lines = Lines(subject)
    return Counterexample(
        schedule.id,
        tuple(_place(subject, place, number) for number, place in enumerate(schedule.places, 1)),
        tuple(_rows(record, schedule, subject, lines)),
        time_line("The counterexample, from the reset", board.trace),
    )


def _place(subject: Subject, place: Place, number: int) -> str:
    what = tell_interrupt(place.interrupt, subject.button).removeprefix("a ")
    times = "" if place.nth == 1 else f", time {place.nth}"
    name = subject.image(MAIN_LEVEL).name_at(place.pc)
    return f"{what} {number} comes {_WHEN[place.moment]} {place.pc:x} in {name}{times}"


def _rows(
    record: Sequence[Registers], schedule: Schedule, subject: Subject, lines: Lines
) -> Iterator[Row]:
    """From a little before the first press to the end."""
    presses = _presses_in(record, schedule, subject)
    rows: list[Row] = []
    first = 0
    for (handler, _, _), group in groupby(
        enumerate(record), lambda n: (bool(n[1].exception), lines.key(n[1].pc), presses.get(n[0]))
    ):
        steps = list(group)
        came = tuple(presses.get(steps[0][0], ()))
        if came and not first:
            first = len(rows)
        side = "interrupt" if handler else "task"
        pcs = [each.pc for _, each in steps]
        words = tuple(map(lines.instruction, pcs))
        rows.append(Row(side, lines.through(pcs), words, came))
    shown = rows[max(0, first - ROWS_BEFORE) :]
    if len(shown) <= MOST_ROWS:
        yield from shown
        return
    yield from shown[: MOST_ROWS - LAST_ROWS]
    yield Row("task", Line(""), (), (), len(shown) - MOST_ROWS)
    yield from shown[-LAST_ROWS:]


def _presses_in(
    record: Sequence[Registers], schedule: Schedule, subject: Subject
) -> dict[int, list[str]]:
    """Before which instructions of the record a press comes. A place counts from the window's
    beginning, or from the press before."""
    plan = subject.lab.sweep
    window = subject.image(MAIN_LEVEL).symbol(plan.window if plan else subject.lab.trace["poll"])
    start = window.address if window else 0
    at = next((n for n, line in enumerate(record) if line.pc == start), 0)
    found: dict[int, list[str]] = {}
    for number, place in enumerate(schedule.places, 1):
        nth = 1 if place.moment is not Moment.BOUNDARY else place.nth
        come = [n for n in range(at, len(record)) if record[n].pc == place.pc][:nth]
        if not come:
            break
        at = come[-1]
        here = record[at].exception
        while place.moment is Moment.BOUNDARY and at and record[at - 1].exception not in (0, here):
            at -= 1  # what it interrupted is executed when the handler has returned
        when = " during the sleep" if place.moment is Moment.ASLEEP else ""
        what = tell_interrupt(place.interrupt, subject.button).removeprefix("a ")
        found.setdefault(at, []).append(f"{what} {number}{when}")
        at += place.moment is not Moment.BOUNDARY
    return found


class Lines:
    """Lines of C and instructions by their address."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._image = subject.image(MAIN_LEVEL)
        self._lines: dict[int, Line] = {}
        self._instructions: dict[int, str] = {}

    def at(self, pc: int) -> Line:
        """The line of the instruction there."""
        if pc not in self._lines:
            function = self._image.name_at(pc).split("+")[0]
            line = self._image.line(pc)
            if line is None or line.file not in self._subject.lab.files:
                self._lines[pc] = Line(function)
            else:
                text = self._subject.source_line(line.file, line.line).strip()
                self._lines[pc] = Line(function, line.file, line.line, text)
        return self._lines[pc]

    def key(self, pc: int) -> Line | None:
        """Equal for what is told as one: a line of the student's, or code that was given."""
        line = self.at(pc)
        return line if line.line else None

    def through(self, pcs: Sequence[int]) -> Line:
        """The line of all of these, which have one key."""
        first = self.at(pcs[0])
        if first.line:
            return first
        names = list(dict.fromkeys(self.at(pc).function for pc in pcs))
        more = f", and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
        return Line(", ".join(names[:SHOWN_NAMES]) + more)

    def instruction(self, pc: int) -> str:
        """Address, mnemonic, operands."""
        if pc not in self._instructions:
            self._instructions[pc] = instructions_around(self._image, pc)[1]
        return self._instructions[pc]


# -- the map ---------------------------------------------------------------------------------------


def _maps(subject: Subject, schedule: Schedule | None) -> Iterator[Map]:
    if subject.lab.sweep is None:
        return
    lines = Lines(subject)
    with Search(subject, MAIN_LEVEL, 1) as search:
        singles = [p for p in search.placements() if not p.place.interrupt]
        yield _map("One press, at each boundary of the wait", singles, lines)
        if schedule is None or len(schedule.places) != 2:
            return
        first = next((p for p in singles if p.place == schedule.places[0]), None)
        if first is not None:
            later = search.after(first)
            yield _map("A second press, the first being that of the counterexample", later, lines)


def _map(title: str, placements: Sequence[Placement], lines: Lines) -> Map:
    found = []
    for _, group in groupby(placements, lambda p: lines.key(p.place.pc)):
        some = list(group)
        line = lines.through([each.place.pc for each in some])
        found.append((line, tuple(_cell(each, lines) for each in some)))
    return Map(title, tuple(found))


def _cell(placement: Placement, lines: Lines) -> Cell:
    mark, words = SAID[placement.outcome]
    place = placement.place
    instruction = lines.instruction(place.pc)
    times = "" if place.nth == 1 else f", time {place.nth}"
    return Cell(mark, instruction, f"{_WHEN[place.moment]} {instruction}{times}: {words}")
