"""What labs with a sweep check: a press before every instruction, two of them, and, where it is
asked for, three.

Found from inside the guest, confirmed from outside.
"""

from __future__ import annotations

from wakebench.board import Board, Unmet
from wakebench.sweep import Moment, Place
from wakelab.build import MAIN_LEVEL
from wakelab.checking import counted
from wakelab.counterexample import explain
from wakelab.schedule import Schedule, confirm, play
from wakelab.shared import finding_of, unprotected
from wakelab.subject import Subject
from wakelab.sweeping import Swept, main_search, schedules, singles_at

INSTRUCTIONS_A_SECOND = 10_000_000
"""About as many as the board's core executes, at 12.5 MHz and 1.25 cycles for each."""


def expect_singles(subject: Subject) -> None:
    """One press at every instruction boundary of the wait."""
    with main_search(subject) as search:
        swept = search.singles()
    _expect_nothing(subject, swept)


def expect_sharing(subject: Subject) -> None:
    """No object that both the interrupt and the task touch is left without protection."""
    found = unprotected(subject, MAIN_LEVEL)
    if found:
        raise finding_of(found, subject, MAIN_LEVEL)


def expect_pairs(subject: Subject) -> None:
    """Two presses, each at every boundary that matters of the wait and of all that follows."""
    with main_search(subject) as search:
        swept = search.pairs()
    _expect_nothing(subject, swept)
    for address in swept.masked:
        # The sweep's timer waits while interrupts are masked; a pin does not.
        place = Place(address, Moment.BOUNDARY, 1)
        schedule = Schedule(subject.lab.number, swept.level, (place,))
        try:
            with subject.board(swept.level).untraced():
                finding = play(schedule, subject)
            if finding is not None:  # once more, for its story
                finding = play(schedule, subject)
        except Unmet:
            continue  # not on the way to the first sleep
        if finding is not None:
            raise explain(schedule, finding, subject)


def certify(subject: Subject) -> None:
    """What the sweep has tried, what a press costs, and how much of its time the core sleeps."""
    with main_search(subject) as search:
        singles, pairs = search.singles(), search.pairs()
    with subject.board().untraced():
        board = subject.board()
        _click(board, subject.button)  # the first may be another matter
        with board.recording() as steps:
            _click(board, subject.button)
    executed = len(steps) - 1  # the last is where the core stands
    poll = board.image.symbol(subject.lab.trace.get("poll", ""))
    polls = sum(poll is not None and step.pc == poll.address for step in steps[:executed])
    asleep = 100 * (1 - executed / INSTRUCTIONS_A_SECOND)
    subject.remark(
        f"{pairs.statement}; {singles.places} placements of one press and {pairs.places} of one and"
        f" two tried, 0 failed. A press costs {counted(polls, 'poll')} and {executed}"
        f" instructions; pressed once a second, the core would sleep {asleep:.3f} % of the time."
    )


def _click(board: Board, button: str) -> None:
    """Press and release while the core sleeps, and wait until it sleeps again."""
    board.wait_asleep()
    board.press(button)
    board.wait_asleep()
    board.release(button)
    board.wait_asleep()


def expect_triples(subject: Subject) -> None:
    """Three presses, where something that a handler touches is about to happen."""
    with main_search(subject) as search:
        swept = search.triples()
    _expect_nothing(subject, swept)


def expect_singles_levels(subject: Subject, level: str) -> None:
    """One press before every instruction of the wait that matters, at another level."""
    _expect_nothing(subject, singles_at(subject, level))


def _expect_nothing(subject: Subject, swept: Swept) -> None:
    """Raise the first of what was found that is seen from outside, too; and where the sweep did not
    see everything, that."""
    for schedule in schedules(swept, subject.lab.number):
        confirmed = confirm(schedule, subject)
        if confirmed is not None:
            raise explain(*confirmed, subject)
    swept.expect_whole()
