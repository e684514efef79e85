"""The second of two presses, at each place where it matters: made by the process that has found
the places, or by two, of which each takes what the other has not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from wakebench.answers import Answers, Missed, expect_no_trespass
from wakebench.board import Board, Ended, Ending, Unmet
from wakebench.footprint import TraceError
from wakebench.line import wire_of
from wakebench.marks import Arrival, Way
from wakebench.probe import ConnectionLost
from wakebench.sweep import SEEN_OF_IT, Place

Presses = tuple[Place, ...]
"""Where the presses of a run come: the first counted from the window's start, the second from the
first."""


class Second(NamedTuple):
    """A place for a second press; `told`: the handler that is under way has told the task. `way`:
    to the first press, if one is known; `arrival`: from there to the second."""

    presses: Presses
    way: Way
    arrival: Arrival
    told: bool


class Made(NamedTuple):
    """What came of two presses: each was answered, and one more; or why nobody knows; or what of
    the sweep's the program has used."""

    right: bool = True
    gap: str = ""
    trespass: str = ""


class Helper(Protocol):
    """Another process with a board that has the same program."""

    def offer(self, seconds: Sequence[Second]) -> None:
        """Have it take some of these, as soon as it has time. Once."""

    def claim(self, number: int) -> bool:
        """Whether that one of them is not the other process's; then it is this one's."""

    def made(self) -> Mapping[int, Made]:
        """Of those that the other process has claimed, by their numbers: those that it has made.
        Waits for it. To be called when all are claimed."""


def make_all(
    answers: Answers, seconds: Sequence[Second], helper: Helper | None = None
) -> Iterator[Made]:
    """What comes of each, in their order."""
    if helper is None:
        yield from (_make(answers, each) for each in seconds)
        return
    made = {
        number: _make(answers, each) for number, each in enumerate(seconds) if helper.claim(number)
    }
    made.update(helper.made())
    for number, each in enumerate(seconds):
        yield made[number] if number in made else _make(answers, each)


def make_some(
    board: Board,
    start: int,
    button: str,
    line: str,
    seconds: Sequence[Second],
    claim: Callable[[int], bool],
) -> Iterator[tuple[int, Made]]:
    """The helper's part: of those that it can claim, from the last on, the number and what came of
    it. Raises BenchError, and then there are no more; what is missing the other process makes."""
    with board.guarding(SEEN_OF_IT), board.untraced():
        answers = Answers(board, start, wire_of(button), line)
        for number in reversed(range(len(seconds))):
            if not claim(number):
                break
            yield number, _make(answers, seconds[number])


def _make(answers: Answers, second: Second) -> Made:
    """Raises BenchError for a program that brings the machine down: whoever made it could make no
    other one, and what is told must not depend on who that was."""
    first, place = second.presses
    come = False
    try:
        answers.go_to(first, second.way)
        answers.press(first)
        answers.go_on_to(place, second.arrival)
        answers.press(told=second.told)
        come = True
        return Made(answers.are_right() and answers.live_on())
    except Missed:
        return _make(answers, second._replace(arrival=second.arrival._replace(way=())))
    except (Ended, Unmet, TraceError) as problem:
        if isinstance(problem, Ended) and problem.ending is Ending.DIED:
            raise ConnectionLost from problem
        try:
            expect_no_trespass(problem)
        except TraceError as trespass:
            return Made(trespass=str(trespass))
        if come and not isinstance(problem, TraceError):
            return Made(right=False)
        return Made(gap=str(problem))
