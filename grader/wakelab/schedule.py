"""A schedule: when to press, exactly; its short id; and how it goes, seen from outside.

What the sweep finds inside the guest is only a hint. Here it is done again on the unmodified
grading build, by the probe, with the pins driven from outside; what counts is what that run shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

from wakebench.board import Board, Ended, Unmet
from wakebench.sweep import INTERRUPTS, TICK, Place
from wakebench.sweep import Moment as At
from wakelab.checking import Finding, counted
from wakelab.errors import UserError
from wakelab.moments import Moment, expect_alive, press_and_judge
from wakelab.press import PressTest, is_ready
from wakelab.report import Verdict
from wakelab.subject import Subject

_MARKS = {At.BOUNDARY: "", At.BEFORE_SLEEP: "b", At.ASLEEP: "s"}
_NAMES = {name: name.upper() for name in INTERRUPTS}
_WORD = r"([0-9a-f]+)\.(\d+)([bs]?)([A-Z]*)"
_ID = re.compile(rf"(\d\d)-(O0|Og|O2|Os)((?:-{_WORD}){{1,3}})")

NEIGHBOURS = (0, 1, -1)
"""Inside and outside may count a place differently by one, where the core comes to it masked."""


class Schedule(NamedTuple):
    """One to three presses, or other interrupts, at exact places, at one optimisation level of one
    lab."""

    lab: str
    level: str
    places: tuple[Place, ...]

    @property
    def id(self) -> str:
        """The schedule in a word, for `make replay ID=...`: it holds all there is to know."""
        words = (
            f"{p.pc:x}.{p.nth}{_MARKS[p.moment]}{_NAMES.get(p.interrupt, '')}" for p in self.places
        )
        return "-".join((self.lab, self.level, *words))


def parse_id(text: str) -> Schedule:
    """The schedule with that id. Raises UserError."""
    found = _ID.fullmatch(text.strip())
    if found is None:
        raise _no_id(text)
    places = []
    for pc, nth, mark, name in re.findall(_WORD, found[3]):
        interrupt = next((known for known, said in _NAMES.items() if said == name), "")
        if name and not interrupt:
            raise _no_id(text)
        moment = next(moment for moment, known in _MARKS.items() if known == mark)
        places.append(Place(int(pc, 16), moment, int(nth), interrupt))
    return Schedule(found[1], found[2], tuple(places))


def _no_id(text: str) -> UserError:
    return UserError(
        f"{text!r} is not the id of a schedule",
        next_step="copy it from the report; it looks like 08-Og-9a2.1 or 08-Og-9a2.1-b04.2",
    )


def confirm(schedule: Schedule, subject: Subject) -> tuple[Schedule, Finding] | None:
    """The schedule as it really is, and what it shows; None where nothing goes wrong outside."""
    for candidate in _candidates(schedule):
        try:
            finding = play(candidate, subject)
        except Unmet:
            continue
        if finding is not None:
            return candidate, finding
    return None


def _candidates(schedule: Schedule) -> Iterator[Schedule]:
    last = schedule.places[-1]
    for shift in NEIGHBOURS:
        if last.nth + shift > 0:
            place = last._replace(nth=last.nth + shift)
            yield schedule._replace(places=(*schedule.places[:-1], place))


def play(
    schedule: Schedule,
    subject: Subject,
    around: Callable[[Board], AbstractContextManager[object]] = nullcontext,
) -> Finding | None:
    """Press as the schedule says, on the grading build, from outside: what goes wrong, if anything.
    `around`: entered for the run, from the reset on.

    Raises Unmet where the program does not come to one of the places.
    """
    test = PressTest(subject, subject.board(schedule.level))
    with around(test.board):
        return _play(schedule, subject, test)


def _play(schedule: Schedule, subject: Subject, test: PressTest) -> Finding | None:
    strikes = Strikes(test)
    try:
        start = _go_to_last(strikes, schedule, subject)
        others = dict.fromkeys(place.interrupt for place in schedule.places if place.interrupt)
        if others:
            _strike_and_judge(strikes, schedule.places[-1], others)
        else:
            strikes.release(test.button)
            moment = _moment(test, start)
            press_and_judge(test, moment, again=len(schedule.places) > 1)
            expect_alive(test, moment)
    except Ended as ended:
        return test.explain(ended)
    except Finding as finding:
        return finding
    return None


class Strikes:
    """Presses of any button, and ticks, on the board of a test. A button that is down is released
    just before it is pressed again, and no sooner."""

    def __init__(self, test: PressTest) -> None:
        self.test = test
        self._down: set[str] = set()

    def strike(self, interrupt: str = "") -> None:
        """Strike where the program stands: one of INTERRUPTS, or nothing for the lab's button."""
        button = interrupt or self.test.button
        if interrupt == TICK:
            self.test.board.tick()
            return
        self.release(button)
        self._down.add(button)
        if button == self.test.button:
            self.test.strike()
        else:
            self.test.board.press(button)

    def release(self, button: str) -> None:
        """Release a button, if it is down."""
        if button in self._down:
            self._down.discard(button)
            self.test.board.release(button)


def _strike_and_judge(strikes: Strikes, last: Place, others: Collection[str]) -> None:
    """What is not the lab's button owes no line; but the presses before it keep theirs, and one
    that comes when all is over is answered as ever."""
    test = strikes.test
    what = " and ".join(tell_interrupt(other, test.button) for other in others)
    try:
        strikes.strike(last.interrupt)
        test.settle()
        test.compare(f"with {what} at that moment")
        strikes.strike()
        test.settle()
        test.compare(f"pressed once more, after {what}")
    except Finding as finding:
        if test.lines >= test.presses:
            raise
        raise Finding(
            Verdict.LOST_WAKE,
            finding.expected,
            f"{counted(test.lines, 'line')}; the program sleeps, and the press is lost",
            why=f"A press alone is answered. With {what} it is not: the two get into each other's"
            " way.",
            hint="What does the other handler write that a press needs, too, and in how many"
            " instructions does it?",
        ) from finding


def tell_interrupt(interrupt: str, button: str) -> str:
    """What strikes, in words."""
    if interrupt == TICK:
        return "a tick"
    return f"a press of {interrupt}" if interrupt and interrupt != button else "a press"


def go_to_last(schedule: Schedule, subject: Subject) -> Strikes:
    """Press as the schedule says, but for the last press: the program stands where that comes.

    Raises Unmet where the program does not come to one of the places.
    """
    strikes = Strikes(PressTest(subject, subject.board(schedule.level)))
    _go_to_last(strikes, schedule, subject)
    return strikes


def _go_to_last(strikes: Strikes, schedule: Schedule, subject: Subject) -> int:
    """As `go_to_last`; returns the number of the event with which the window begins."""
    board = strikes.test.board
    board.wait_symbol(subject.lab.sweep.window if subject.lab.sweep else subject.lab.trace["poll"])
    start = len(board.trace)
    *before, last = schedule.places
    for number, place in enumerate(before):
        _go_to(board, place, at_start=not number)
        strikes.strike(place.interrupt)
    _go_to(board, last, at_start=not before)
    return start


def _go_to(board: Board, place: Place, *, at_start: bool) -> None:
    if place.moment is At.BEFORE_SLEEP:
        board.wait_before_sleep()
        return
    if place.moment is At.ASLEEP:
        board.wait_asleep()
        return
    here = at_start and board.pc == place.pc
    for _ in range(place.nth - here):
        board.wait_address(place.pc, awake=True)


def _moment(test: PressTest, start: int) -> Moment:
    """Where the program stands, as a moment of the way since event number `start`."""
    trace = test.board.trace
    way = trace.since(start)
    before = way[-1] if way else trace[-1]
    return Moment(len(way), before, any(map(is_ready, way)), test.board.pc, 1)
