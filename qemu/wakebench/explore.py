"""What a press and the program can do to each other, found by pressing.

`explore` finds what the handlers of a press touch, in every state in which a press can find the
program, and with that the instructions that such a press does not commute with. Only the boundaries
before those need a press; docs/contributors/reduction.md says why.

How it ends: a run is left as soon as it comes to a state of the machine (registers, memory, line,
masks) that an earlier run went on from; a handler is looked at only when the memory that its known
runs read has other values than they found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from wakebench.board import Board, Ended, Unmet
from wakebench.decode import Decoder, Masks
from wakebench.errors import BenchError
from wakebench.footprint import (
    Contact,
    Exploration,
    Footprint,
    Step,
    TraceError,
    WindowTrace,
    is_dependent,
)
from wakebench.line import Line, wire_of
from wakebench.sweep import Moment, Place
from wakebench.walk import Bytes, HandlerRun, Prospect, Walker

RUNS = 400
"""Runs of one exploration."""

# -- windows -------------------------------------------------------------------------------------


def trace_window(
    board: Board, start: int, button: str, decoder: Decoder | None = None
) -> WindowTrace:
    """Reset, run to the first time at `start`, and watch every instruction from there to the first
    sleep. Raises TraceError where there is none."""
    _go_to_window(board, start)
    wire, known = wire_of(button), decoder or Decoder(board.image)
    return _to_sleep(Walker(board, known, wire, Masks(board.primask())))


def _go_to_window(board: Board, start: int) -> None:
    board.reset()
    try:
        board.wait_address(start)
    except (Ended, Unmet) as never:
        raise TraceError(f"the program does not come to the window: {never}") from never


def _to_sleep(walker: Walker, step: Callable[[Walker], Step] = Walker.step) -> WindowTrace:
    """Run to the first sleep, and look at every instruction; `step` takes one."""
    steps: list[Step] = []
    walker.watch(walker.board.wait_asleep)
    try:
        while not walker.at_end:
            if walker.enters_next:
                raise TraceError("an interrupt comes before anybody has pressed")
            steps.append(step(walker))
    except (Ended, Unmet) as ended:
        raise TraceError(f"the program does not come to a sleep: {ended}") from ended
    walker.check()
    return WindowTrace(tuple(steps), walker.sleep(), walker.wire.button)


# -- exploration ---------------------------------------------------------------------------------

_Presses = tuple[Place, ...]
"""Where the presses of a run come: the first counted from the window's start, the second from the
first."""


@dataclass(frozen=True)
class _Later:
    """A second press whose handler was not known when its place was passed, and what that handler
    would find."""

    presses: _Presses
    memory: bytes
    line: Line


@dataclass(frozen=True)
class _Meeting:
    """A step, and what the handler of a press before or after it would find, if it would start."""

    step: Step
    before: Prospect | None
    after: Prospect | None


class _Explorer:
    def __init__(self, board: Board, start: int, button: str) -> None:
        self._board, self._start, self._wire = board, start, wire_of(button)
        self._decoder = Decoder(board.image)
        self._seen: dict[tuple[object, ...], int] = {}
        self._ends: dict[int, object] = {}
        self._handlers: list[HandlerRun] = []
        self._steps: set[Step] = set()
        self._footprint = Footprint()
        self._done: set[_Presses] = set()
        self._waiting: list[_Presses] = []
        self._later: list[_Later] = []
        self._gaps: list[str] = []
        self._meetings: list[_Meeting] = []

    def explore(self) -> Exploration:
        """To the fixpoint: neither footprint nor dependent instructions grow any more."""
        window = self._first_window()
        *_, before, asleep = window.moments()
        self._waiting = [(asleep,), (before,)]
        while self._waiting:
            while self._waiting and len(self._done) < RUNS:
                self._run(self._waiting.pop())
            if self._waiting:
                self._gaps.append(f"more than {RUNS} runs")
                break
            self._waiting = self._new_places(window) or self._new_second()
        return Exploration(
            window,
            frozenset(self._steps),
            tuple(self._contacts()),
            self._footprint,
            len(self._done),
            tuple(self._gaps),
        )

    def _first_window(self) -> WindowTrace:
        _go_to_window(self._board, self._start)
        walker = self._walker(Masks(self._board.primask()))
        window = _to_sleep(walker, self._step)
        self._sleep_masks = walker.masks
        return window

    def _step(self, walker: Walker) -> Step:
        """One step of the task, noted."""
        before = walker.prospect()
        step = walker.step()
        self._steps.add(step)
        if step.accesses and not step.masked:
            self._meetings.append(_Meeting(step, before, walker.prospect()))
        return step

    def _contacts(self) -> Iterator[Contact]:
        """What the handlers of the meetings touch, now that all handlers are known."""
        for meeting in self._meetings:
            before, after = self._touched(meeting.before), self._touched(meeting.after)
            yield Contact(meeting.step, before, after)

    def _touched(self, found: Prospect | None) -> Footprint:
        if found is None:
            return Footprint()
        run = self._knows(*found)
        return run.footprint if run else self._footprint

    def _walker(self, masks: Masks) -> Walker:
        return Walker(self._board, self._decoder, self._wire, masks)

    def _new_places(self, window: WindowTrace) -> list[_Presses]:
        """Representatives of the first window's classes that no run has begun at."""
        found = [
            (place,)
            for place, step in window.unmasked()
            if place.pc != window.sleep and is_dependent(step, self._footprint)
        ]
        return [presses for presses in found if presses not in self._done]

    def _new_second(self) -> list[_Presses]:
        """One second press whose handler is still not known."""
        while self._later:
            later = self._later.pop()
            if later.presses not in self._done and not self._knows(later.memory, later.line):
                return [later.presses]
        return []

    def _run(self, presses: _Presses) -> None:
        if presses in self._done:
            return
        self._done.add(presses)
        try:
            self._press_at(presses)
        except (Ended, Unmet, TraceError) as problem:
            place = presses[-1]
            self._gaps.append(f"a press at 0x{place.pc:x} cannot be followed: {problem}")

    def _press_at(self, presses: _Presses) -> None:
        first, *later = presses
        _go_to_window(self._board, self._start)
        walker = self._walker(self._go_to(first))
        walker.press()
        if later:
            self._go_to_second(walker, first, later[0])
            self._handler_of_second()
            return
        walker.watch(self._board.wait_asleep)
        if first.moment is Moment.ASLEEP and not walker.at_end:  # it has been woken
            self._steps.add(walker.step())
        self._follow(walker, first)

    def _go_to(self, place: Place) -> Masks:
        if place.moment is Moment.ASLEEP:
            self._board.wait_asleep()
            return self._sleep_masks
        if place.moment is Moment.BEFORE_SLEEP:
            self._board.wait_before_sleep()
            return self._sleep_masks
        arrivals = place.nth - (place.pc == self._start)
        for _ in range(arrivals):
            self._board.wait_address(place.pc)
        return Masks()

    def _follow(self, walker: Walker, first: Place) -> None:
        """To the next sleep, or to a state that is known."""
        run = len(self._done)
        arrivals: Counter[int] = Counter()
        while not walker.at_end:
            if walker.enters_next:
                self._take_interrupt(walker)
                continue
            state = walker.state()
            if state in self._seen:
                self._ends_as(walker, self._seen[state])
                return
            self._seen[state] = run
            pc = walker.here.pc
            arrivals[pc] += 1
            self._consider_second(walker, first, Place(pc, Moment.BOUNDARY, arrivals[pc]))
            self._step(walker)
        walker.check()
        self._ends[run] = walker.machine()

    def _ends_as(self, walker: Walker, run: int) -> None:
        """From a known state on the machine has done what it did in that earlier run, if it was let
        run so far."""
        if walker.whole and run in self._ends and walker.machine() != self._ends[run]:
            raise BenchError("the same run came to another end: the machine is not exact")

    def _take_interrupt(self, walker: Walker) -> None:
        known = self._knows(walker.memory.bytes, walker.line.entered())
        if known:
            walker.pass_handler(known)
            return
        steps, run = walker.handler()
        self._handlers.append(run)
        self._steps.update(steps)
        self._footprint = self._footprint.with_steps(steps)

    def _consider_second(self, walker: Walker, first: Place, here: Place) -> None:
        """A second press here would start a handler: has it been seen to do the same before?"""
        found = walker.prospect()
        if found is not None and not self._knows(*found):
            self._later.append(_Later((first, here), *found))

    def _knows(self, memory: Bytes, line: Line) -> HandlerRun | None:
        """A run that a handler which starts now will repeat."""
        return next((run for run in self._handlers if run.again(memory, line)), None)

    def _go_to_second(self, walker: Walker, first: Place, second: Place) -> None:
        """From the first press on, at full speed."""
        board = self._board
        if first.moment is not Moment.ASLEEP and walker.line.calls and not walker.masked:
            _let_handler_run(board)
        arrivals = int(first.moment is not Moment.ASLEEP and board.pc == second.pc)
        while arrivals < second.nth:
            board.wait_address(second.pc)
            arrivals += not board.registers.exception

    def _handler_of_second(self) -> None:
        walker = self._walker(Masks())
        walker.press()
        walker.watch(lambda: _let_handler_run(self._board))
        if not walker.enters_next:
            raise TraceError("its handler does not start")
        self._take_interrupt(walker)


def _let_handler_run(board: Board) -> None:
    """From where the core stands, through the handler that is pending, and back there."""
    back = board.pc
    board.enter_handler()
    while board.registers.exception:
        board.wait_address(back)


def explore(board: Board, start: int, button: str) -> Exploration:
    """Everything that a press of `button` and the program can do to each other, in the window from
    the first time at `start` to the sleep, and in the one that a first press there opens."""
    with board.untraced():
        return _Explorer(board, start, button).explore()
