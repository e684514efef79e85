"""The board by hand, with a thread of its own: it is told what to do, and tells what happens.

The bench's time passes only while the core sleeps. Here it then follows the host's clock: tick by
tick where the program has a clock, otherwise all at once when something is done. After a minute in
which nobody does anything it stands still.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from wakebench.board import Ended, Ending
from wakebench.display import DARK, Picture
from wakebench.errors import BenchError
from wakebench.pin_names import BUTTONS, LED
from wakebench.script import ScriptError, script_text
from wakebench.trace import Event
from wakelab.byhand.hand import KEPT_EVENTS, Hand
from wakelab.counterexample import instructions_around
from wakelab.diagnosis import explain_ending
from wakelab.errors import UserError
from wakelab.signals import left_to_this_thread
from wakelab.subject import Subject

IDLE_S = 60.0
"""Nobody has done anything for so long: time stands still until somebody does."""

LOOK_S = 0.25
"""How often to look whether QEMU is still there, while nothing happens."""

TICK_S = 0.01
"""How often the bench's time catches up, where the program has a clock."""

SLOW_S = 0.04
"""How often the core goes on in slow motion."""

FASTEST = 5_000
"""Instructions a second that slow motion manages on a slow host."""

MOST_AGAIN = 100_000
"""Instructions between a press and the next one."""

QUEUED = 256
"""Commands that may wait; more come from somebody who is not a person."""


# -- what it is told -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Press:
    """Press a button, of BUTTONS, and hold it."""

    button: str


@dataclass(frozen=True)
class Release:
    """Let go of it."""

    button: str


@dataclass(frozen=True)
class PressAgain:
    """Press now, and again so many instructions later."""

    button: str
    instructions: int


@dataclass(frozen=True)
class Pause:
    """Stop the core where it is."""


@dataclass(frozen=True)
class Resume:
    """Let it run again."""


@dataclass(frozen=True)
class Step:
    """Execute so many instructions, and pause."""

    count: int = 1


@dataclass(frozen=True)
class Pace:
    """Slow motion, in instructions a second; None: as fast as it goes."""

    instructions: int | None


@dataclass(frozen=True)
class Restart:
    """Power on again. `paused`: and stop at the first instruction."""

    paused: bool = False


Command = Press | Release | PressAgain | Pause | Resume | Step | Pace | Restart


# -- what it tells ---------------------------------------------------------------------------------


class Mode(StrEnum):
    """What the core is doing."""

    ASLEEP = "asleep"
    RUNNING = "running"
    """In slow motion; at full speed it sleeps, or the run has ended, before anybody can look."""
    PAUSED = "paused"
    ENDED = "ended"


@dataclass(frozen=True)
class Where:
    """The instruction that the core executes next: its function, its line (empty where it is not
    known), the text of the line where it is the student's, and the instruction itself."""

    function: str
    file: str
    line: int
    text: str
    instruction: str


@dataclass(frozen=True)
class State:
    """The board as it stands.

    ms       the bench's time
    why      after the end: why, in sentences; else empty
    where    None before there is a board
    pressed  the buttons that are down
    paused   it goes on only step by step (also where it sleeps)
    pace     of the slow motion, None at full speed
    idle     time stands still, since nobody does anything
    steps    how many the script has so far
    picture  what the display shows (wakebench.display); empty while it is dark
    """

    mode: Mode
    ms: int = 0
    why: str = ""
    where: Where | None = None
    pressed: tuple[str, ...] = ()
    led: bool = False
    paused: bool = False
    pace: int | None = None
    idle: bool = False
    steps: int = 0
    picture: bytes = b""


@dataclass(frozen=True)
class Look:
    """What there is to see. `run` counts restarts; `first` is the number, in that run, of the first
    of `events`: larger than was asked for where older ones have been forgotten."""

    version: int
    run: int
    first: int
    events: tuple[Event, ...]
    state: State
    closed: bool

    @property
    def next(self) -> int:
        """The number of the event after these."""
        return self.first + len(self.events)


@dataclass
class _Seen:
    """The published side, for any thread; guarded by `changed`."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    version: int = 0
    run: int = 0
    first: int = 0
    events: list[Event] = field(default_factory=list)
    state: State = field(default_factory=lambda: State(Mode.PAUSED))
    steps: tuple[object, ...] = ()
    closed: bool = False


class Session:
    """Use it in `with`: the thread, and all that it has started, ends with it.

    `send`, `look` and `script` may be called from any thread.
    """

    def __init__(
        self,
        open_subject: Callable[[], AbstractContextManager[Subject]],
        level: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`open_subject` builds the program; it is called in the session's own thread, which is the
        one that QEMU must be started in. `clock`: of the host, in seconds."""
        self._open = open_subject
        self._level = level
        self._clock = clock
        self._commands: queue.Queue[Command | None] = queue.Queue(QUEUED)
        self._seen = _Seen()
        self._listeners: list[Callable[[], None]] = []
        self._problem: BaseException | None = None
        self._ready = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="by hand", daemon=True)

    # -- for others ------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Raises UserError where the program cannot be built or run."""
        with left_to_this_thread():
            self._thread.start()
        try:
            while not self._ready.wait(LOOK_S):
                pass
        except BaseException:
            self.close()
            raise
        if self._problem is not None:
            self.close()
            raise self._problem
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it. May be called twice."""
        self._closing.set()
        try:
            self._commands.put_nowait(None)
        except queue.Full:
            pass  # so it is not asleep, and sees that it is to end
        self._thread.join()

    def send(self, command: Command) -> bool:
        """Have it done. False where too many wait already: it is not done then."""
        try:
            self._commands.put_nowait(command)
        except queue.Full:
            return False
        return True

    def look(self, run: int = 0, after: int = 0, version: int = -1, timeout_s: float = 0) -> Look:
        """What there is to see: of run `run` the events from number `after` on, of another run all.
        Waits until there is something newer than `version`, or `timeout_s` is over."""
        seen = self._seen
        with seen.changed:
            seen.changed.wait_for(lambda: seen.version > version or seen.closed, timeout_s)
            begin = max(after - seen.first, 0) if run == seen.run else 0
            events = tuple(seen.events[begin:])
            first = seen.first + min(begin, len(seen.events))
            return Look(seen.version, seen.run, first, events, seen.state, seen.closed)

    def tell(self, changed: Callable[[], None]) -> None:
        """Have `changed` called, in the session's thread, whenever there is something new."""
        self._listeners.append(changed)

    def script(self, name: str) -> str:
        """All that was done since the last restart, as a stimulus script. Raises UserError where it
        is too long for one."""
        with self._seen.changed:
            steps = self._seen.steps
        try:
            return script_text(name, steps)  # type: ignore[arg-type]
        except ScriptError as error:
            raise UserError(str(error)) from error

    # -- the thread ------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            with self._open() as subject:
                _Hands(subject, self._level, self._clock, self._publish).work(
                    self._commands, self._closing, self._ready
                )
        except BaseException as problem:
            self._problem = problem
        finally:
            with self._seen.changed:
                self._seen.closed = True
                self._seen.changed.notify_all()
            self._ready.set()
            self._call_listeners()

    def _call_listeners(self) -> None:
        for changed in self._listeners:
            changed()

    def _publish(self, hand: Hand, state: State, restarted: bool) -> None:
        seen, trace = self._seen, hand.board.trace
        with seen.changed:
            if restarted:
                seen.run += 1
                seen.first, seen.events = 0, []
            known = seen.first + len(seen.events)
            new = trace.since(known)
            if len(trace) - known > len(new):  # some were forgotten before they were seen
                seen.first, seen.events = len(trace) - len(new), []
            seen.events += new
            if len(seen.events) > 2 * KEPT_EVENTS:
                seen.first += len(seen.events) - KEPT_EVENTS
                del seen.events[:-KEPT_EVENTS]
            if not restarted and not new and state == seen.state:
                return
            seen.state, seen.steps = state, tuple(hand.steps)
            seen.version += 1
            seen.changed.notify_all()
        self._call_listeners()


def _shown(picture: Picture) -> bytes:
    return b"" if picture == DARK else picture.pixels


class _Hands:
    """The thread's side: a hand, and the host's clock."""

    def __init__(
        self,
        subject: Subject,
        level: str,
        clock: Callable[[], float],
        publish: Callable[[Hand, State, bool], None],
    ) -> None:
        self._subject = subject
        self._clock = clock
        self._tell = publish
        self._hand = Hand(subject, level)
        self._paused = False
        self._pace: int | None = None
        self._touched = self._caught_up = clock()
        self._why: tuple[Ended, str] | None = None
        self._restarted = True

    def work(
        self,
        commands: queue.Queue[Command | None],
        closing: threading.Event,
        ready: threading.Event,
    ) -> None:
        """Until it is to end."""
        self._guarded(self._go_on)
        self._publish()
        ready.set()
        while not closing.is_set():
            try:
                command = commands.get(timeout=self._patience())
            except queue.Empty:
                command = None
            if closing.is_set():
                return
            self._guarded(lambda command=command: self._turn(command))  # type: ignore[misc]
            self._publish()

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except BenchError as problem:
            self._hand.fail(problem)

    def _patience(self) -> float:
        hand = self._hand
        if hand.ended is not None or self._paused or self._is_idle():
            return LOOK_S
        if self._pace is not None and not hand.board.at_rest:
            return SLOW_S
        return TICK_S if hand.board.clock_runs else LOOK_S

    def _is_idle(self) -> bool:
        return self._clock() - self._touched > IDLE_S

    def _turn(self, command: Command | None) -> None:
        if self._hand.ended is None and self._hand.board.gone:
            self._hand.fail(BenchError("QEMU was ended by somebody else"))
        if command is not None:
            was_idle, self._touched = self._is_idle(), self._clock()
            if was_idle:
                self._caught_up = self._touched
        self._catch_up(all_of_it=command is not None)
        if command is not None:
            self._obey(command)
        self._go_on()

    def _catch_up(self, *, all_of_it: bool) -> None:
        """The host's clock has gone on."""
        now, hand = self._clock(), self._hand
        passed = now - self._caught_up
        if hand.ended is not None or self._paused or self._is_idle():
            self._caught_up = now
            return
        if self._pace is not None and not hand.board.at_rest:
            self._caught_up = now
            hand.execute(max(1, round(min(passed, 2 * SLOW_S) * self._pace)))
            return
        ms = int(passed * 1000)
        if ms and hand.board.at_rest and (hand.board.clock_runs or all_of_it):
            self._caught_up += ms / 1000
            # A host that is too slow for the program's clock lets it go slow.
            hand.pass_ms(min(ms, 100) if hand.board.clock_runs else ms)
            if ms > 100:
                self._caught_up = now

    def _obey(self, command: Command) -> None:
        hand = self._hand
        match command:
            case Press(button):
                hand.press(button)
            case Release(button):
                hand.release(button)
            case PressAgain(button, instructions):
                hand.press_again(button, instructions)
            case Pause():
                self._paused = True
            case Resume():
                self._paused = False
            case Step(count):
                self._paused = True
                hand.execute(count)
            case Pace(instructions):
                self._pace = instructions
            case Restart(paused):
                self._paused = paused
                hand.restart()
                self._restarted = True
        self._caught_up = self._clock()

    def _go_on(self) -> None:
        """At full speed: to the sleep."""
        if self._hand.ended is None and not self._paused and self._pace is None:
            self._hand.run()

    # -- telling ---------------------------------------------------------------------------------

    def _publish(self) -> None:
        hand = self._hand
        try:
            state = self._state()
        except BenchError as problem:
            hand.fail(problem)
            state = self._state()
        self._tell(hand, state, self._restarted)
        self._restarted = False

    def _state(self) -> State:
        hand, board = self._hand, self._hand.board
        ended = hand.ended
        gone = ended is not None and ended.ending is Ending.DIED
        return State(
            mode=self._mode(),
            ms=board.ms,
            why="" if ended is None else self._reason(ended),
            where=self._where(board.pc if ended is None else ended.pc),
            pressed=tuple(name for name in BUTTONS if name in hand.pressed),
            led=not gone and board.pin_level(LED) == 1,
            paused=self._paused,
            pace=self._pace,
            idle=self._is_idle() and not self._paused and ended is None,
            steps=len(hand.steps),
            picture=b"" if gone else _shown(board.picture()),
        )

    def _mode(self) -> Mode:
        if self._hand.ended is not None:
            return Mode.ENDED
        if self._hand.board.at_rest:
            return Mode.ASLEEP
        return Mode.PAUSED if self._paused else Mode.RUNNING

    def _reason(self, ended: Ended) -> str:
        """Made once for each end."""
        if self._why is None or self._why[0] is not ended:
            finding = explain_ending(ended)
            place = self._subject.place(ended.pc, self._hand.level)
            where = f" ({place.file}:{place.line})" if place else ""
            self._why = ended, " ".join(filter(None, [f"{finding.seen}{where}.", finding.why]))
        return self._why[1]

    def _where(self, pc: int) -> Where:
        image = self._subject.image(self._hand.level)
        line = image.line(pc)
        file, number = (line.file, line.line) if line else ("", 0)
        own = file in self._subject.lab.files
        return Where(
            image.name_at(pc),
            file,
            number,
            self._subject.source_line(file, number).strip() if own else "",
            instructions_around(image, pc)[1],
        )
