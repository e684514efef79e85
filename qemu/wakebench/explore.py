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
from contextlib import suppress
from functools import cached_property, partial
from itertools import islice
from typing import NamedTuple

from wakebench.answers import Answers, expect_no_trespass, let_handler_run
from wakebench.board import Board, Ended, Unmet
from wakebench.core import SRAM_PAINT
from wakebench.decode import Masks
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
from wakebench.line import ISER, Line, wire_of
from wakebench.marks import Arrival, Trail, Way, landmarks
from wakebench.probe import Registers
from wakebench.seconds import Helper, Presses, Second, make_all
from wakebench.sweep import SEEN_OF_IT, Moment, Place, priority_register
from wakebench.trace import Kind
from wakebench.walk import Bytes, HandlerRun, Prospect, Walker

RUNS = 400
"""Runs of one exploration."""

ASTRAY = 6
"""Instructions off the way of the first window, in which most runs come to a state that is known.
Affects speed, no verdict."""

LANDMARKS = 3
"""So many are tried. Affects speed, no verdict."""

OTHER_PAINT = 0x5A
"""Other contents of memory at power on."""


def _to_sleep(walker: Walker, step: Callable[[Walker], Step]) -> WindowTrace:
    """Run to the first sleep, and look at every instruction; `step` takes one."""
    steps: list[Step] = []
    walker.watch(walker.board.wait_asleep)
    try:
        while not walker.at_end:
            if walker.enters_next:
                raise TraceError("an interrupt comes before anybody has pressed")
            steps.append(step(walker))
    except (Ended, Unmet) as ended:
        expect_no_trespass(ended)
        raise TraceError(f"the program does not come to a sleep: {ended}") from ended
    walker.check()
    return WindowTrace(tuple(steps), walker.sleep(), walker.wire.button)


class _Later(NamedTuple):
    """A second press whose handler was not known when its place was passed, and what that handler
    would find."""

    presses: Presses
    memory: bytes
    line: Line


class _Candidate(NamedTuple):
    """A place for a second press, in a state that no other run has come to: `here` are the core's
    registers there; in thread mode `step` comes next, and a press `calls` a handler at once or, if
    not, at least `changes` the line. `told`: the handler that is under way has told the task. It is
    number `at` of the `trail` that the run has left."""

    presses: Presses
    here: Registers
    step: Step | None = None
    calls: bool = False
    changes: bool = True
    told: bool = False
    trail: Trail | None = None
    at: int = 0

    def second(self, way: Way) -> Second:
        """What is to be made; `way`: to the first press."""
        trail = self.trail
        arrival = Arrival(self.here) if trail is None else trail.arrival(self.at)
        return Second(self.presses, way, arrival, self.told)


class _Meeting(NamedTuple):
    """A step, and what the handler of a press before or after it would find, if it would start."""

    step: Step
    before: Prospect | None
    after: Prospect | None


class _Explorer:
    def __init__(
        self,
        board: Board,
        start: int,
        button: str,
        line: str,
        presses: int,
        first_asleep: bool,
        helper: Helper | None,
        meanwhile: Callable[[Exploration], object],
    ) -> None:
        self._board, self._start, self._wire = board, start, wire_of(button)
        self._answers = Answers(board, start, self._wire, line)
        self._depth, self._first_asleep = presses, first_asleep
        self._helper, self._meanwhile = helper, meanwhile
        self._opens_windows = presses > 1 and not first_asleep
        """Whether the window is followed that a press opens, wherever it comes."""
        self._prospects: dict[int, Prospect | None] = {}
        self._usual: frozenset[int] = frozenset()
        """The addresses of the first window."""
        self._landmarks: set[int] = set()
        """Addresses that runs have come to when they had been off it for ASTRAY instructions."""
        self._known: dict[Place, bytes] = {}
        """What of the stack is known at the places of the first window."""
        self._numbers: dict[Place, int] = {}
        """Of these places, in the window's record."""
        self._record: Sequence[Registers] = ()
        self._wakes: frozenset[int] = frozenset()
        self._told: tuple[int, ...] = ()
        self._failing: list[Presses] = []
        self._settings: Settings | None = None
        self._decoder = board.decoder
        self._seen: dict[tuple[object, ...], int] = {}
        self._ends: dict[int, object] = {}
        self._handlers: list[HandlerRun] = []
        self._steps: set[Step] = set()
        self._footprint = Footprint()
        self._done: set[Presses] = set()
        self._later: list[_Later] = []
        self._gaps: list[str] = []
        self._meetings: list[_Meeting] = []
        self._seconds: list[_Candidate] = []

    def explore(self) -> Exploration:
        """To the fixpoint: neither footprint nor dependent instructions grow any more."""
        window = self._first_window()
        *_, before, asleep = window.moments()
        with self._board.untraced():
            self._run((asleep,))
            self._run((before,))
            self._explore_from(window)
            if self._depth > 1 and not self._failing:
                self._press_twice(window)
        order = {place: at for at, (place, _) in enumerate(window.unmasked())}
        self._failing.sort(key=lambda all_: (len(all_), order.get(all_[0], len(order))))
        return self._found_in(window)

    def _found_in(self, window: WindowTrace) -> Exploration:
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
            self._settings or Settings(),
            self._first_asleep,
        )

    def _first_window(self) -> WindowTrace:
        walker = self._walker_at_start()
        known: dict[int, tuple[bytes, int]] = {}

        def step(walker: Walker) -> Step:
            before = None if walker.at_plain else walker.prospect()
            found = walker.known_stack(), walker.passed
            made = self._step(walker)
            self._prospects[id(made)], known[id(made)] = before, found
            return made

        window = _to_sleep(walker, step)
        known[id(window.wfi)] = walker.known_stack(), walker.passed
        *_, before_sleep, asleep = window.moments()
        places = [*window.unmasked(), (before_sleep, window.wfi), (asleep, window.wfi)]
        for place, made in places:
            self._known[place], self._numbers[place] = known[id(made)]
        self._record = walker.record
        self._usual = frozenset(step.pc for step in window.steps)
        self._sleep_masks = walker.masks
        self._wakes = self._board.wakes
        return window

    def _walker_at_start(self) -> Walker:
        """At the window's start. Of the stack, what holds there what it held at power on, whatever
        that was, is not known: nobody has written it."""
        other = self._stack_at_start(OTHER_PAINT) if self._opens_windows else b""
        stack = self._stack_at_start(SRAM_PAINT)
        walker = self._walker(Masks(self._board.primask()))
        if len(stack) == len(other):
            unwritten = (SRAM_PAINT, OTHER_PAINT)
            both = zip(stack, other, strict=True)
            walker.forget_unknown(bytes(pair != unwritten for pair in both))
        return walker

    def _stack_at_start(self, paint: int) -> bytes:
        self._answers.begin(paint)
        sp, end = self._board.registers.sp, self._board.image.value("__stack_end__")
        return self._board.read_each((sp, max(0, end - sp)))[0] or b""

    def _way(self, place: Place) -> Way:
        """To a place of the first window."""
        if place.moment is not Moment.BOUNDARY or self._trail is None:
            return ()
        return self._trail.way(self._numbers[place])

    @cached_property
    def _trail(self) -> Trail | None:
        """The first window, from a landmark on."""
        found = landmarks(self._record, self._decoder)
        for at, mark in islice(found, LANDMARKS):
            if self._answers.is_landmark(mark):
                return Trail(self._record, self._decoder, at, by_mark=True)
        return None

    def _explore_from(self, window: WindowTrace) -> None:
        while waiting := self._new_places(window) or self._new_second():
            firsts = (presses[0] for presses, _ in waiting)
            self._answers.look_ahead([first.pc for first in firsts if not self._way(first)])
            for presses, found in waiting:
                if len(self._done) == RUNS:
                    self._gaps.append(f"more than {RUNS} runs")
                    return
                known = not self._opens_windows and found is not None and self._knows(*found)
                self._run(presses, partial(self._press_unseen, presses) if known else None)

    def _step(self, walker: Walker) -> Step:
        """One step of the task, noted."""
        before = None if not self._opens_windows or walker.at_plain else walker.prospect()
        step = walker.step()
        self._steps.add(step)
        if self._opens_windows and step.accesses and not step.masked:
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

    def _new_places(self, window: WindowTrace) -> list[tuple[Presses, Prospect | None]]:
        """Representatives of the first window's classes that no run has begun at, and what a
        handler would find there."""
        return [
            ((place,), self._prospects[id(step)])
            for place, step in window.unmasked()
            if (place,) not in self._done
            and place.pc != window.sleep
            and is_dependent(step, self._footprint)
        ]

    def _new_second(self) -> list[tuple[Presses, None]]:
        """One second press whose handler is still not known."""
        while self._later:
            later = self._later.pop()
            if later.presses not in self._done and not self._knows(later.memory, later.line):
                return [(later.presses, None)]
        return []

    def _run(self, presses: Presses, press: Callable[[], None] | None = None) -> None:
        """Once: `press`, or press and follow."""
        if presses not in self._done:
            self._done.add(presses)
            self._try(presses, press or partial(self._press_at, presses))

    def _try(self, presses: Presses, press: Callable[[], None]) -> None:
        try:
            press()
        except (Ended, Unmet, TraceError) as problem:
            expect_no_trespass(problem)
            self._gaps.append(_gap(presses, problem))

    def _is_whole(self, first: Place) -> bool:
        """Whether the window is followed that this press opens; else its handlers are."""
        return self._opens_windows or (self._depth > 1 and first.moment is Moment.ASLEEP)

    def _run_through_handler(self, walker: Walker) -> None:
        """From a press until its handler has returned; to the sleep, where none comes."""
        board = self._board
        if walker.line.calls and not walker.masked:
            let_handler_run(board)
        elif board.run_to({board.image.handlers()[self._wire.exception]}):
            back = board.trace.of(Kind.ENTER)[-1].pc
            while board.registers.exception:
                board.wait_address(back)

    def _sees_handler(self, run: Callable[[], object]) -> bool:
        """Whether one starts meanwhile."""
        before = len(self._board.trace)
        with self._board.stopping_at_handlers():
            run()
        return any(event.kind is Kind.ENTER for event in self._board.trace.since(before))

    def _press_at(self, presses: Presses, *, to_sleep: bool = False) -> None:
        """Press, and look at what it does. It is recorded until its handler has returned, which is
        all that most have to say; `to_sleep`, and where the window is followed: to the sleep."""
        first, *later = presses
        self._answers.go_to(first, self._way(first))
        walker = self._walker(Masks() if first.moment is Moment.BOUNDARY else self._sleep_masks)
        walker.forget_unknown(self._known[first])
        self._answers.press(first)
        walker.pressed()
        if later:
            self._go_to_second(walker, first, later[0])
            self._handler_of_second()
            return
        judge = partial(self._expect, presses, self._answers.are_right)
        if self._is_whole(first):
            self._follow_window(walker, first, judge)
        else:
            walker.watch(judge if to_sleep else partial(self._run_through_handler, walker))
            self._wake(walker, first)
            self._follow_handlers(walker)
            if not to_sleep and self._sees_handler(judge):
                self._press_at(presses, to_sleep=True)
                return
        if self._settings is None:
            self._settings = Settings(_priorities(self._board), self._board.clock_runs)
        self._expect(presses, self._answers.live_on)

    def _expect(self, presses: Presses, holds: Callable[[], bool]) -> None:
        """Note presses after which that does not hold, or the program does not come to a sleep."""
        if presses in self._failing:
            return
        try:
            right = holds()
        except (Ended, Unmet):
            self._failing.append(presses)
            raise
        if not right:
            self._failing.append(presses)

    def _press_unseen(self, presses: Presses) -> None:
        """A press whose handler is known, and nothing after it is asked for."""
        self._answers.go_to(presses[0], self._way(presses[0]))
        self._answers.press(presses[0])
        self._expect(presses, self._answers.are_right)
        self._expect(presses, self._answers.live_on)

    def _wake(self, walker: Walker, first: Place) -> None:
        """What a press in the sleep does first."""
        if first.moment is Moment.ASLEEP and not walker.at_end:
            self._steps.add(walker.step())

    def _follow_handlers(self, walker: Walker) -> None:
        """To the end of the record, or until no handler comes any more."""
        while not walker.at_end:
            if walker.enters_next:
                self._take_interrupt(walker)
            elif walker.handler_ahead:
                self._step(walker)
            else:
                return

    def _follow_window(self, walker: Walker, first: Place, judge: Callable[[], None]) -> None:
        """From a press to the sleep, where the run is judged. What comes after a state that is
        known is known, too, so the rest of such a run is not recorded: that would take three times
        as long. Most come to one when their handler has returned, or a little later."""
        run, arrivals = len(self._done), Counter[int]()
        known = self._come_to_known(walker, first, arrivals)
        if known is None:
            walker.watch(judge)
            self._wake(walker, first)
            known = self._walk(walker, first, arrivals)
        elif known in self._ends:
            walker.let_run(judge)
        elif walker.whole:  # it may never come to a sleep, which is sooner known of a record
            walker.watch(judge)
        if known is not None:
            self._end_as(walker, known, run)
            return
        walker.check()
        self._ends[run] = walker.machine()
        sleeps = (Moment.BEFORE_SLEEP, Moment.ASLEEP) if walker.passed else (Moment.ASLEEP,)
        ends = [Place(walker.here.pc, moment, 1) for moment in sleeps]
        self._seconds += [_Candidate((first, place), walker.here) for place in ends]

    def _come_to_known(self, walker: Walker, first: Place, arrivals: Counter[int]) -> int | None:
        """Have so much of a run recorded, and walk along, that it comes to a state that an earlier
        one went on from: which? None where it comes to none soon."""
        known = self._seen.get(walker.state())
        for part in self._parts(walker):
            if known is not None:
                break
            walker.watch(partial(self._expect, (first,), partial(_goes_on, part)))
            known = self._walk(walker, first, arrivals)
            if known is None:
                known = self._seen.get(walker.state())
        return known

    def _parts(self, walker: Walker) -> Iterator[Callable[[], object]]:
        """How a run begins, if there are others: through the handler; and on to where another one
        has been, and the first window not."""
        if self._seen:
            yield partial(self._run_through_handler, walker)
            if not self._board.at_rest:
                yield self._run_to_landmark

    def _run_to_landmark(self) -> None:
        """In no handler; or to the sleep."""
        while self._board.run_to(self._landmarks) and self._board.registers.exception:
            pass

    def _walk(self, walker: Walker, first: Place, arrivals: Counter[int]) -> int | None:
        """To the end of the record, or to a state that is known: in which run?"""
        astray = 0
        while not walker.at_end:
            if walker.enters_next:
                begin = walker.passed
                run_of_it = self._take_interrupt(walker)
                self._seconds += self._seconds_in(walker, first, begin, run_of_it)
                continue
            state = walker.state()
            if state in self._seen:
                return self._seen[state]
            self._seen[state] = len(self._done)
            here = walker.here
            astray = 0 if here.pc in self._usual else astray + 1
            if astray == ASTRAY:
                self._landmarks.add(here.pc)
            arrivals[here.pc] += 1
            place = Place(here.pc, Moment.BOUNDARY, arrivals[here.pc])
            calls = self._consider_second(walker, first, place)
            changes, at = walker.press_changes, walker.passed
            step = self._step(walker)
            self._seconds.append(
                _Candidate(*((first, place), here, step, calls, changes), trail=walker.trail, at=at)
            )
        return None

    def _end_as(self, walker: Walker, known: int, run: int) -> None:
        """From a known state on the machine has done what it did in that earlier run, if it was let
        run so far."""
        if not walker.whole or known not in self._ends:
            return
        self._ends[run] = walker.machine()
        if self._ends[run] != self._ends[known]:
            raise BenchError("the same run came to another end: the machine is not exact")

    def _take_interrupt(self, walker: Walker) -> HandlerRun:
        known = self._knows(walker.memory.bytes, walker.line.entered())
        if known:
            walker.pass_handler(known)
            return known
        steps, run = walker.handler()
        if not self._handlers:
            self._told = _told(run.path, self._wakes)
        self._handlers.append(run)
        self._steps.update(steps)
        self._footprint = self._footprint.with_steps(steps)
        return run

    def _consider_second(self, walker: Walker, first: Place, here: Place) -> bool:
        """Would a second press here start a handler? If it has not been seen to do the same before,
        it will be."""
        found = walker.prospect()
        if found is not None and not self._knows(*found):
            self._later.append(_Later((first, here), *found))
        return found is not None

    def _press_twice(self, window: WindowTrace) -> None:
        """Press a second time in each state in which it matters."""
        matter = [
            each.second(self._way(each.presses[0])) for each in filter(self._matters, self._seconds)
        ]
        if len(matter) > RUNS:
            self._gaps.append(f"more than {RUNS} second presses")
        seconds = matter[:RUNS]
        if self._helper is not None:
            self._helper.offer(seconds)
            self._meanwhile(self._found_in(window))
        for second, made in zip(
            seconds, make_all(self._answers, seconds, self._helper), strict=True
        ):
            if made.trespass:
                raise TraceError(made.trespass)
            if second.presses in self._failing:
                continue
            if not made.right:
                self._failing.append(second.presses)
            elif made.gap:
                self._gaps.append(_gap(second.presses, made.gap))

    def _seconds_in(
        self, walker: Walker, first: Place, begin: int, run: HandlerRun
    ) -> Iterator[_Candidate]:
        """Where a second press may matter in a handler's run that begins there in the record."""
        for at, changes in run.looks:
            here, nth = walker.arrival(begin + at)
            place = Place(here.pc, Moment.BOUNDARY, nth)
            told = here.pc in self._told
            yield _Candidate(
                *((first, place), here),
                changes=changes,
                told=told,
                trail=walker.trail,
                at=begin + at,
            )

    def _matters(self, second: _Candidate) -> bool:
        """A press that starts no handler changes the line, and nothing else: only who looks at
        that, or decides about it, can tell whether it has come."""
        step = second.step
        if step is None:
            return second.changes or second.told
        if second.calls:
            return is_dependent(step, self._footprint)
        return second.changes and self._wire.decides(step.accesses)

    def _knows(self, memory: Bytes, line: Line) -> HandlerRun | None:
        """A run that a handler which starts now will repeat."""
        return next((run for run in self._handlers if run.again(memory, line)), None)

    def _go_to_second(self, walker: Walker, first: Place, second: Place) -> None:
        """From the first press on, at full speed."""
        board = self._board
        if first.moment is not Moment.ASLEEP and walker.line.calls and not walker.masked:
            let_handler_run(board)
        arrivals = int(first.moment is not Moment.ASLEEP and board.pc == second.pc)
        while arrivals < second.nth:
            board.wait_address(second.pc)
            arrivals += not board.registers.exception

    def _handler_of_second(self) -> None:
        walker = self._walker(Masks())
        self._answers.press()
        walker.pressed()
        walker.watch(lambda: let_handler_run(self._board))
        if not walker.enters_next:
            raise TraceError("its handler does not start")
        self._take_interrupt(walker)


def _goes_on(part: Callable[[], object]) -> bool:
    """Have a part of a run done. Where it does not come to its end as it should, the rest shows
    what comes of that; one that has ended raises."""
    with suppress(Unmet):
        part()
    return True


def _gap(presses: Presses, problem: object) -> str:
    return f"a press at 0x{presses[-1].pc:x} cannot be followed: {problem}"


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


def explore(
    board: Board,
    start: int,
    button: str,
    line: str = "",
    presses: int = 2,
    *,
    first_asleep: bool = False,
    helper: Helper | None = None,
    meanwhile: Callable[[Exploration], object] = lambda _: None,
) -> Exploration:
    """Everything that a press of `button` and the program can do to each other, in the window from
    the first time at `start` to the sleep, and, with two `presses`, in the one that a first press
    there opens; with `first_asleep` in the one alone that a press in the sleep opens. A press owes
    one `line`; without one, nothing is judged.

    helper: who takes some of the second presses. meanwhile: what to do first where there is one;
    it gets all but what those presses will tell, and has nothing to do with the board.

    A program that looks whether it is being swept could be right only then. It would have to look
    here, too, where it is alone: so whoever touches what is the sweep's is refused.

    Raises TraceError.
    """
    with board.guarding(SEEN_OF_IT):
        return _Explorer(
            board, start, button, line, presses, first_asleep, helper, meanwhile
        ).explore()
