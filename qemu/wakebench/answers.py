"""Does each press get its line? Presses at exact places of a window, from outside, at full speed;
docs/contributors/sweep.md has the rules by which a press counts.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from wakebench.board import Board, Ended, Ending, Unmet
from wakebench.core import SRAM_PAINT
from wakebench.footprint import TraceError
from wakebench.line import Wire, line_of
from wakebench.marks import Arrival, Mark, Way
from wakebench.pins import Edge
from wakebench.sweep import Moment, Place
from wakebench.trace import Kind


def expect_no_trespass(problem: Exception) -> None:
    """Raises TraceError for a program that has ended because it uses what is the sweep's."""
    if isinstance(problem, Ended) and problem.ending is Ending.TRESPASS:
        raise TraceError(f"the program uses {problem.detail}") from problem


def let_handler_run(board: Board) -> None:
    """From where the core stands, through the handler that is pending, and back there."""
    back = board.pc
    board.enter_handler()
    while board.registers.exception:
        board.wait_address(back)


class Missed(Exception):
    """A way has not led where it should: what it was for is to be done without it."""


class Answers:
    """Runs on one board, each from `begin` to `are_right`."""

    def __init__(self, board: Board, start: int, wire: Wire, line: str) -> None:
        """start: where the window begins; line: what a press owes."""
        self._board, self._start, self._wire, self._line = board, start, wire, line
        self._before_set_up: dict[Place, bool] = {}
        self._before: dict[int, int] = {}
        """How many times the core comes to an address between the reset and the window."""
        self._early = 0
        self._swallowed = 0
        self._down = False
        """Whether the button is."""
        self._right = False
        """Whether the run has come to an end, and was right."""
        self._first_sleep: tuple[object, ...] | None = None
        """The state of the machine in its first sleep, before any press."""
        self._alive: set[tuple[object, ...]] = set()
        """States of the machine in the sleep from which one more press is answered."""

    def begin(self, paint: int = SRAM_PAINT) -> None:
        """Reset, with that in each byte of memory, and run to the window. Raises TraceError where
        the program does not come there."""
        self._reset()
        if paint != SRAM_PAINT:
            self._board.paint_memory(paint)
        try:
            self._board.wait_address(self._start)
        except (Ended, Unmet) as never:
            expect_no_trespass(never)
            raise TraceError(f"the program does not come to the window: {never}") from never

    def _reset(self) -> None:
        self._board.reset()
        self._early = self._swallowed = 0
        self._down = self._right = False

    def is_landmark(self, mark: Mark) -> bool:
        """Whether a run comes from the reset to this mark in the window, and to nothing before that
        touches the same: then ways to places of the first press may begin with it."""
        self._reset()
        with suppress(Ended):
            return self._board.wait_touched(mark.area, self._start) and self._is_at(mark)
        return False

    def _follow(self, way: Way) -> bool:
        """Does it lead there? The program has been seen to go it."""
        with suppress(Ended):
            return all(self._board.wait_touched(mark.area) and self._is_at(mark) for mark in way)
        return False

    def _is_at(self, mark: Mark) -> bool:
        return self._board.registers == mark.here

    def go_to(self, place: Place, way: Way = ()) -> None:
        """Reset, and run to the place of the first press, which is counted from the window's start;
        the first sleep comes after that. `way`: to there, if one is known. Raises Ended, Unmet."""
        if place.moment is Moment.ASLEEP and self._sleeps_as_at_first():
            return
        self._reset()
        if way:
            if self._follow(way):
                return
            self._reset()  # a breakpoint will do
        if self._is_at_sleep(place):
            if place.moment is Moment.ASLEEP and self._first_sleep is None:
                self._first_sleep = self._state()
            return
        if place.pc not in self._before:
            self._before[place.pc] = self._count_to_window({place.pc})[place.pc]
            come = int(place.pc == self._start)
        else:
            come = -self._before[place.pc]
        for _ in range(place.nth - come):
            self._board.wait_address(place.pc)

    def look_ahead(self, addresses: Collection[int]) -> None:
        """Of who is about to press at these for the first time, in the window: with this, each run
        to one of them needs no stop where the window begins. Nothing is lost without."""
        unknown = set(addresses) - self._before.keys()
        if len(unknown) > 1:
            self._reset()
            with suppress(Ended, Unmet):
                self._before |= self._count_to_window(unknown)

    def _count_to_window(self, addresses: Collection[int]) -> dict[int, int]:
        """Run there from the reset, and count how often the core comes to each before."""
        count = dict.fromkeys(addresses, 0)
        while (at := self._board.wait_any({self._start, *addresses}, "the window")) != self._start:
            count[at] += 1
        return count

    def go_on_to(self, place: Place, arrival: Arrival) -> None:
        """From the first press to the place of the second. Raises Missed where the way does not
        lead there, and TraceError where the program does not come there."""
        board, left = self._board, arrival.nth
        if self._is_at_sleep(place):
            return
        if arrival.way:
            if not self._follow(arrival.way):
                raise Missed
            return
        if board.pc == place.pc and not arrival.here.exception and board.would_wake():
            let_handler_run(board)  # where it comes back to, nothing has been executed yet
            left -= board.registers == arrival.here
        for _ in range(arrival.stops):
            if not left:
                return
            board.wait_address(place.pc, awake=True)
            left -= board.registers == arrival.here
        if left:
            raise TraceError("the program does not come there again as it did")

    def _sleeps_as_at_first(self) -> bool:
        """After a run that was right: the button comes up, and the program sleeps as it did before
        the first press. Then it need not be started anew, which takes much of a run's time."""
        if not self._right or self._first_sleep is None:
            return False
        printed = len(self._board.trace.lines())
        try:
            self._release()
            self._board.wait_asleep()
        except (Ended, Unmet):
            return False
        return len(self._board.trace.lines()) == printed and self._state() == self._first_sleep

    def _release(self) -> None:
        if self._down:
            self._board.release(self._wire.button)
            self._down = False

    def _is_at_sleep(self, place: Place) -> bool:
        if place.moment is Moment.ASLEEP:
            self._board.wait_asleep()
        elif place.moment is Moment.BEFORE_SLEEP:
            self._board.wait_before_sleep()
        return place.moment is not Moment.BOUNDARY

    def press(self, first: Place | None = None, *, told: bool = False) -> None:
        """The button comes up, and is pressed. `first`: where, if this is the run's first press.
        `told`: the handler is under way and has told the task, so that an edge which merges with
        the one before it is a press that will be lost."""
        if first is not None:
            if first not in self._before_set_up:
                self._before_set_up[first] = not line_of(self._board, self._wire).set_up
            self._early += self._before_set_up[first]
        self._release()
        edge = self._board.press(self._wire.button)
        self._down, self._right = True, False
        self._swallowed += told and edge is Edge.MERGED

    def are_right(self) -> bool:
        """Run to the sleep: has each press its line, which no handler has printed, and no more?
        Raises Ended, Unmet."""
        self._board.wait_asleep()
        if any(line.exception for line in self._board.trace.of(Kind.LINE)):
            return False
        edges = self._board.trace.of(Kind.EDGE)
        presses = sum(e.value == 0 and e.note == Edge.LATCHED for e in edges) + self._swallowed
        lines = self._board.count_lines(self._line)
        return not self._line or presses - self._early <= lines <= presses

    def live_on(self) -> bool:
        """In the sleep after a run that was right: will one more press be answered? Raises Ended,
        Unmet."""
        state = self._state()
        if self._line and state not in self._alive:
            before = self._board.count_lines(self._line)
            self.press()
            self._board.wait_asleep()
            if self._board.count_lines(self._line) != before + 1:
                return False
            self._alive.add(state)
        self._right = True
        return True

    def _state(self) -> tuple[object, ...]:
        """All that decides about what a press does, as far as the bench knows."""
        board, here = self._board, self._board.registers
        start, end = (board.image.value(name) for name in ("__data_start__", "__bss_end__"))
        stack = max(0, board.image.value("__stack_end__") - here.sp)
        return (
            here,
            line_of(board, self._wire),
            *board.read_each((start, end - start), (here.sp, stack)),
        )
