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
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from wakebench.board import Board, Ended, Ending, Unmet
from wakebench.decode import Decoder, Masks
from wakebench.errors import BenchError
from wakebench.exceptions import FIRST_IRQ
from wakebench.footprint import (
    Contact,
    Exploration,
    Footprint,
    Settings,
    Step,
    TraceError,
    WindowTrace,
    is_dependent,
)
from wakebench.line import ISER, Line, line_of, wire_of
from wakebench.pins import Edge
from wakebench.sweep import SEEN_OF_IT, Moment, Place, priority_register
from wakebench.trace import Kind
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
    def __init__(self, board: Board, start: int, button: str, line: str, presses: int) -> None:
        self._board, self._start, self._wire = board, start, wire_of(button)
        self._line, self._depth = line, presses
        self._prospects: dict[int, Prospect | None] = {}
        self._wakes: frozenset[int] = frozenset()
        self._told: tuple[int, ...] = ()
        self._failing: list[_Presses] = []
        self._settings = Settings()
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
        with self._board.untraced():
            self._run((asleep,))
            self._look_once_more()
            self._run((before,))
            self._explore_from(window)
        order = {place: at for at, (place, _) in enumerate(window.unmasked())}
        self._failing.sort(key=lambda presses: order.get(presses[0], len(order)))
        return Exploration(
            window,
            frozenset(self._steps),
            tuple(self._contacts()),
            self._footprint,
            len(self._done),
            tuple(self._gaps),
            self._depth,
            self._told,
            tuple(self._failing),
            self._settings,
        )

    def _first_window(self) -> WindowTrace:
        _go_to_window(self._board, self._start)
        walker = self._walker(Masks(self._board.primask()))

        def step(walker: Walker) -> Step:
            before = walker.prospect()
            made = self._step(walker)
            self._prospects[id(made)] = before
            return made

        window = _to_sleep(walker, step)
        self._sleep_masks = walker.masks
        self._wakes = self._board.wakes
        return window

    def _explore_from(self, window: WindowTrace) -> None:
        while waiting := self._new_places(window) or self._new_second():
            for presses, found in waiting:
                if len(self._done) == RUNS:
                    self._gaps.append(f"more than {RUNS} runs")
                    return
                self._run(presses, found)

    def _look_once_more(self) -> None:
        """Where the program sleeps after its first press, and for the length of one more: a program
        may wait for its second press before it shows what it does."""
        board = self._board
        try:
            board.wait_asleep()
            self._settings = Settings(_priorities(board), board.clock_runs)
            board.release(self._wire.button)
            board.press(self._wire.button)
            board.wait_asleep()
        except (Ended, Unmet) as problem:
            _expect_no_trespass(problem)
            self._gaps.append(f"a second press cannot be followed: {problem}")

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

    def _new_places(self, window: WindowTrace) -> list[tuple[_Presses, Prospect | None]]:
        """Representatives of the first window's classes that no run has begun at, and what a
        handler would find there."""
        return [
            ((place,), self._prospects[id(step)])
            for place, step in window.unmasked()
            if (place,) not in self._done
            and place.pc != window.sleep
            and is_dependent(step, self._footprint)
        ]

    def _new_second(self) -> list[tuple[_Presses, None]]:
        """One second press whose handler is still not known."""
        while self._later:
            later = self._later.pop()
            if later.presses not in self._done and not self._knows(later.memory, later.line):
                return [(later.presses, None)]
        return []

    def _run(self, presses: _Presses, found: Prospect | None = None) -> None:
        if presses in self._done:
            return
        self._done.add(presses)
        try:
            if self._depth == 1 and found is not None and self._knows(*found):
                self._press_unseen(presses)
            else:
                self._press_at(presses)
        except (Ended, Unmet, TraceError) as problem:
            _expect_no_trespass(problem)
            place = presses[-1]
            self._gaps.append(f"a press at 0x{place.pc:x} cannot be followed: {problem}")

    def _press_at(self, presses: _Presses) -> None:
        first, *later = presses
        _go_to_window(self._board, self._start)
        walker = self._walker(self._go_to(first))
        may_be_none = not walker.line.set_up
        walker.press()
        if later:
            self._go_to_second(walker, first, later[0])
            self._handler_of_second()
            return
        walker.watch(self._board.wait_asleep)
        if not (walker.whole and self._is_answered(may_be_none)):
            self._failing.append(presses)
        if first.moment is Moment.ASLEEP and not walker.at_end:  # it has been woken
            self._steps.add(walker.step())
        self._follow(walker, first)

    def _press_unseen(self, presses: _Presses) -> None:
        """A press whose handler is known, and nothing after it is asked for: is it answered?"""
        board, button = self._board, self._wire.button
        _go_to_window(board, self._start)
        self._go_to(presses[0])
        may_be_none = not line_of(board, self._wire).set_up
        board.release(button)
        board.press(button)
        try:
            board.wait_asleep()
        except (Ended, Unmet):
            self._failing.append(presses)
            raise
        if not self._is_answered(may_be_none):
            self._failing.append(presses)

    def _is_answered(self, may_be_none: bool) -> bool:
        """Whether the press has its line, and no more; docs/contributors/sweep.md has the rules.
        `may_be_none`: nobody has asked for presses yet."""
        if not self._line:
            return True
        edges = self._board.trace.of(Kind.EDGE)
        presses = sum(e.value == 0 and e.note == Edge.LATCHED for e in edges)
        lines = self._board.count_lines(self._line)
        return presses - may_be_none <= lines <= presses

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
            if self._depth == 1:
                if not walker.handler_ahead:
                    return
                self._step(walker)
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
        if not self._handlers:
            self._told = _told(run.path, self._wakes)
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


def _told(path: Sequence[int], wakes: Collection[int]) -> tuple[int, ...]:
    """What a handler executes from its first wake on, and not before."""
    at = next((at for at, pc in enumerate(path) if pc in wakes), len(path))
    before = frozenset(path[:at])
    return tuple(dict.fromkeys(pc for pc in path[at:] if pc not in before))


def _priorities(board: Board) -> dict[int, int]:
    """The priorities of the exceptions that may come."""
    enabled = board.read_word(ISER) | board.read_word(ISER + 4) << 32
    exceptions = [FIRST_IRQ + irq for irq in range(48) if enabled >> irq & 1]
    if board.clock_runs:
        exceptions.append(FIRST_IRQ - 1)
    registers = {exception: priority_register(exception) for exception in exceptions}
    return {
        exception: board.read_word(address) >> shift & 0xFF
        for exception, (address, shift) in registers.items()
    }


def _expect_no_trespass(problem: Exception) -> None:
    """A program that uses what is the sweep's is no longer looked at."""
    if isinstance(problem, Ended) and problem.ending is Ending.TRESPASS:
        raise TraceError(f"the program uses {problem.detail}") from problem


def explore(board: Board, start: int, button: str, line: str = "", presses: int = 2) -> Exploration:
    """Everything that a press of `button` and the program can do to each other, in the window from
    the first time at `start` to the sleep, and, with two `presses`, in the one that a first press
    there opens. A press owes one `line`; without one, nothing is judged.

    A program that looks whether it is being swept could be right only then. It would have to look
    here, too, where it is alone: so whoever touches what is the sweep's is refused.

    Raises TraceError.
    """
    with board.guarding(SEEN_OF_IT):
        return _Explorer(board, start, button, line, presses).explore()
