"""A schedule: when to press, exactly; its short id; and how it goes, seen from outside.

What the sweep finds inside the guest is only a hint. Here it is done again on the unmodified
grading build, by the probe, with the pins driven from outside; what counts is what that run shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from wakebench.board import Ended, Unmet
from wakebench.sweep import Moment as At
from wakebench.sweep import Place
from wakelab.checking import Finding
from wakelab.errors import UserError
from wakelab.moments import Moment, press_and_judge
from wakelab.press import PressTest, is_ready
from wakelab.subject import Subject

_MARKS = {At.BOUNDARY: "", At.BEFORE_SLEEP: "b", At.ASLEEP: "s"}
_ID = re.compile(r"(\d\d)-(O0|Og|O2|Os)-([0-9a-f]+\.\d+[bs]?)(?:-([0-9a-f]+\.\d+[bs]?))?")

NEIGHBOURS = (0, 1, -1)
"""Inside and outside may count a place differently by one, where the core comes to it masked."""


@dataclass(frozen=True)
class Schedule:
    """One or two presses at exact places, at one optimisation level of one lab."""

    lab: str
    level: str
    places: tuple[Place, ...]

    @property
    def id(self) -> str:
        """The schedule in a word, for `make replay ID=...`: it holds all there is to know."""
        words = (f"{p.pc:x}.{p.nth}{_MARKS[p.moment]}" for p in self.places)
        return "-".join((self.lab, self.level, *words))


def parse_id(text: str) -> Schedule:
    """The schedule with that id. Raises UserError."""
    found = _ID.fullmatch(text.strip())
    if found is None:
        raise UserError(
            f"{text!r} is not the id of a schedule",
            next_step="copy it from the report; it looks like 08-Og-9a2.1 or 08-Og-9a2.1-b04.2",
        )
    lab, level, *words = found.groups()
    return Schedule(lab, level, tuple(_place(word) for word in words if word))


def _place(word: str) -> Place:
    mark = word[-1] if word[-1] in "bs" else ""
    moment = next(moment for moment, known in _MARKS.items() if known == mark)
    address, nth = word.rstrip("bs").split(".")
    return Place(int(address, 16), moment, int(nth))


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
            place = replace(last, nth=last.nth + shift)
            yield replace(schedule, places=(*schedule.places[:-1], place))


def play(schedule: Schedule, subject: Subject) -> Finding | None:
    """Press as the schedule says, on the grading build, from outside: what goes wrong, if anything.

    Raises Unmet where the program does not come to one of the places.
    """
    test = PressTest(subject, subject.board(schedule.level))
    try:
        start = _go_to_last(test, schedule, subject)
        press_and_judge(test, _moment(test, start), again=len(schedule.places) > 1)
    except Ended as ended:
        return test.explain(ended)
    except Finding as finding:
        return finding
    return None


def go_to_last(schedule: Schedule, subject: Subject) -> PressTest:
    """Press as the schedule says, but for the last press: the program stands where that comes.

    Raises Unmet where the program does not come to one of the places.
    """
    test = PressTest(subject, subject.board(schedule.level))
    _go_to_last(test, schedule, subject)
    return test


def _go_to_last(test: PressTest, schedule: Schedule, subject: Subject) -> int:
    """As `go_to_last`; returns the number of the event with which the window begins."""
    board = test.board
    board.wait_symbol(subject.lab.sweep.window if subject.lab.sweep else subject.lab.trace["poll"])
    start = len(board.trace)
    for number, place in enumerate(schedule.places):
        if number:
            test.strike()
        _go_to(test, place, at_start=not number)
        if number:
            board.release(test.button)
    return start


def _go_to(test: PressTest, place: Place, *, at_start: bool) -> None:
    if place.moment is At.BEFORE_SLEEP:
        test.board.wait_before_sleep()
        return
    if place.moment is At.ASLEEP:
        test.board.wait_asleep()
        return
    here = at_start and test.board.pc == place.pc
    for _ in range(place.nth - here):
        test.board.wait_address(place.pc)


def _moment(test: PressTest, start: int) -> Moment:
    """Where the program stands, as a moment of the way since event number `start`."""
    trace = test.board.trace
    way = trace.since(start)
    before = way[-1] if way else trace[-1]
    return Moment(len(way), before, any(map(is_ready, way)), test.board.pc, 1)
