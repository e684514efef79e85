"""The board as a person would use it: wait, press, look. The words of stimulus scripts are its
methods.

    with Machine(elf, find_qemu()) as machine:
        board = Board(machine, Image(elf), Points(poll="button_future_poll"))
        board.reset()
        board.wait_asleep()
        board.press("SELECT")
        board.wait_line("Interrupt fired!")

Time is the bench's: it stands still while the core runs and advances only while it sleeps. WFI and
semihosting calls are executed by the bench, so "just before the sleep" and "during the sleep" are
two exact moments, and every address that asks the host for something is known.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from wakebench import console
from wakebench.core import ICSR, SRAM, SRAM_PAINT, SRAM_SIZE, Budget, Core
from wakebench.display import Picture
from wakebench.exceptions import FAULTS, exception_name
from wakebench.image import BKPT_SEMIHOSTING, RING_SIZE, WFI_NARROW, WFI_WIDE, Image
from wakebench.machine import Machine
from wakebench.pin_names import BUTTONS, LED, Pin, pin
from wakebench.pins import Edge, PortState
from wakebench.probe import LR, NO_REGISTERS, Area, ConnectionLost, Registers, Stop, Why
from wakebench.recording import executed, is_entry
from wakebench.trace import Event, Kind, Trace
from wakebench.when import When

if TYPE_CHECKING:
    from wakebench.decode import Decoder

BRANCH_TO_SELF = 0xE7FE

EXC_RETURN_THREAD, EXC_RETURN_PSP = 1 << 3, 1 << 2
"""Bits of it: the exception interrupted thread mode; its frame is on the process stack."""

ICSR_VECTPENDING = 0x1FF << 12
DEAD_STACK = 512
"""Bytes below the stack pointer that are overwritten at every sleep."""
CFSR, HFSR, MMFAR, BFAR = 0xE000_ED28, 0xE000_ED2C, 0xE000_ED34, 0xE000_ED38
CFSR_NOT_STACKED = 1 << 4 | 1 << 12
"""MSTKERR, STKERR: no frame was written, so where the fault happened is not known."""


class Ending(StrEnum):
    """Why a run cannot go on."""

    FAULT = "fault"
    UNHANDLED = "unhandled interrupt"
    EXIT = "exit"
    FORBIDDEN = "forbidden"
    LOOP = "loop"
    """The budget of instructions was spent without any sign."""
    POLLING = "polling"
    """Polled again and again without ever sleeping."""
    STORM = "storm"
    """The same handler again and again, and not one instruction of the program in between."""
    MASKED = "masked"
    """An interrupt is pending, WFI returns at once again and again, and the handler never runs."""
    HIDDEN_SLEEP = "hidden sleep"
    """Asleep in a WFI that is not in flash, or was come to past its bell: where the bench cannot
    take it over."""
    FLOOD = "flood"
    """More output than anybody wants to read."""
    RESTART = "restart"
    """The core came to the reset handler again."""
    TRESPASS = "trespass"
    """It read or wrote what it was watched for; see Board.guarding."""
    DIED = "died"
    """QEMU itself gave up on what the program did (a lockup, for example)."""


class Fault(NamedTuple):
    """A fault, decoded from the frame that the core stacked and the fault status registers."""

    name: str
    pc: int
    lr: int
    cfsr: int
    hfsr: int
    address: int | None


class Ended(Exception):
    """The run is over: nothing that the script does can change that."""

    def __init__(self, ending: Ending, detail: str, pc: int, fault: Fault | None = None) -> None:
        super().__init__(f"{ending}: {detail}")
        self.ending = ending
        self.detail = detail
        self.pc = pc
        self.fault = fault


class Unmet(Exception):
    """Something that was waited for or expected did not come."""

    def __init__(self, expected: str, seen: str) -> None:
        super().__init__(f"expected {expected}; seen: {seen}")
        self.expected = expected
        self.seen = seen


@dataclass(frozen=True)
class Points:
    """Functions of the program to write down, by role. An absent function is not traced."""

    roles: Mapping[str, str] = field(default_factory=dict)
    """Role (`poll`, `wake`, `register`, ...) to function name."""


@dataclass(frozen=True)
class Limits:
    """Counted limits, the same on every host."""

    budget: Budget = field(default_factory=Budget)
    polls: int = 64
    """Polls without a sleep or a new edge in between."""
    storm: int = 32
    """Entries of a handler at one and the same place of the program."""
    stops: int = 4000
    """Anything that is written down, without a sleep in between."""
    lines: int = 1000
    """Lines printed without a sleep in between."""
    console_bytes: int = 64 * 1024
    sleep_ms: int = 60_000
    """How long a wait lets a sleeping program's clock run on."""


class _At(Enum):
    RUNNING = "somewhere in the program"
    WFI = "before a WFI"
    ASLEEP = "asleep in a WFI"


class _Active(NamedTuple):
    """A handler that has not returned."""

    number: int
    name: str


class _Waker(NamedTuple):
    """What the waker in a poll's context would call; a copy, because the context goes with poll.
    `address` is where the original lay.
    """

    address: int
    function: int
    data: int


class OpenCall(NamedTuple):
    """A call from outside that is under way; see Board.begin_call."""

    saved: Registers
    resume_at: int


class _Open(NamedTuple):
    """A traced call that has not returned."""

    name: str
    role: str
    return_pc: int
    sp: int


class Board:
    """One image on one machine. `reset` starts a run; use from one thread."""

    def __init__(
        self, machine: Machine, image: Image, points: Points, limits: Limits | None = None
    ) -> None:
        self.image = image
        self.limits = limits or Limits()
        self._points = points
        self._core = Core(machine, self.limits.budget)
        self._handlers = image.handlers()
        self._entries = set(self._handlers.values())
        self._reset_handler = image.vectors[1] & ~1
        self._traced = self._resolve(points)
        host_call = image.symbol("semihosting_call")
        self._host_call = host_call if host_call and host_call.is_function else None
        self._rung = frozenset(ring + RING_SIZE for ring in image.rings)
        """Sites at which the core stops when the program comes to them: it has rung the bell."""
        if image.bell is not None:
            self._core.hear_bell(image.bell, image.rings)
        self._core.fix_breakpoints(
            [*image.sites.keys() - self._rung, *self._entries, *self._traced, self._reset_handler]
        )
        self._untraced = self._traced
        self._spared: set[int] = set()
        self._trace_at_reset = False
        self._guarded: dict[int, Area] = {}
        self._at_power_on: Registers | None = None
        """What the registers hold then; the same each time."""
        self._kept: int | None = None
        self._start()

    def _resolve(self, points: Points) -> dict[int, tuple[str, str]]:
        found = {}
        for role, name in {**points.roles, "todo": "lab_todo"}.items():
            symbol = self.image.symbol(name)
            if symbol and symbol.is_function:
                found[symbol.address] = (name, role)
        return found

    def _start(self) -> None:
        self.trace = Trace(keep=self._kept)
        self.ms = 0
        self._waker: _Waker | None = None
        self._at = _At.RUNNING
        self._here = NO_REGISTERS
        self._moves = 0
        self._unexecuted: set[tuple[int, int, int]] = set()
        self._injected = False
        self._touched = False
        self._active: list[_Active] = []
        self._open: list[_Open] = []
        self._woken: dict[int, tuple[str, str]] = {}
        self._ended: Ended | None = None
        self._partial = b""
        self._printed = 0
        self._line_mark = 0
        self._polls = self._stops = self._masked = self._lines = 0
        self._last_entry: tuple[int, int, int] | None = None
        self._same_entries = 0
        self._latched: dict[Pin, list[int]] = {}

    # -- starting and ending ---------------------------------------------------------------------

    @contextmanager
    def untraced(self) -> Iterator[None]:
        """For who does not read the trace: neither the functions of `points` are written down, nor
        handlers, nor a restart, and the core does not stop for them. Faults and interrupts without
        a handler still end a run. Begin and end it before a reset."""
        self._stop_tracing(handlers=True)
        try:
            yield
        finally:
            with suppress(ConnectionLost):  # QEMU has died; nothing can be traced any more
                self._trace_again()

    def trace_no_more(self, *, but_handlers: bool = False) -> None:
        """The same until the next reset, with handlers or without; the last call counts. Where no
        traced function and no handler is under way."""
        if self._trace_at_reset:
            self._trace_again()
        self._trace_at_reset = True
        self._core.remove_breakpoint(*self._woken)
        self._woken.clear()
        self._stop_tracing(handlers=not but_handlers)

    def _stop_tracing(self, *, handlers: bool) -> None:
        self._untraced = self._traced
        self._spared = {*self._traced}
        self._traced = {}
        if handlers:
            faults = {at for number, at in self._handlers.items() if number in FAULTS}
            self._spared |= self._entries - faults | {self._reset_handler}
        else:
            self._spared -= self._entries
        self._spared -= {self.image.default_handler} | self.image.sites.keys()
        self._core.unfix_breakpoints(self._spared)

    def _trace_again(self) -> None:
        self._trace_at_reset = False
        self._traced = self._untraced
        self._core.fix_breakpoints(self._spared)

    @contextmanager
    def guarding(self, areas: Sequence[Area]) -> Iterator[None]:
        """Within, a program that reads or writes one of the areas ends as TRESPASS."""
        self._guarded = {area.start: area for area in areas}
        try:
            with self._core.guarding(areas):
                yield
        finally:
            self._guarded = {}

    def keep_no_more_than(self, events: int) -> None:
        """For runs of any length: from the next reset on the trace has the last `events` only, and
        whether the program goes round for ever cannot be told any more (see Core.remember_nothing).
        """
        self._kept = events
        self._core.remember_nothing()

    def reset(self) -> None:
        """Power on and forget the last run. The core stands at the first instruction of Reset."""
        if self._trace_at_reset:
            self._trace_again()
        self._start()
        self._core.reset()
        if self._at_power_on is None:
            self._at_power_on = self._core.registers()
        self._here = self._at_power_on
        self._unexecuted.add(self._key())
        self._note(Kind.RESET)

    def paint_memory(self, paint: int) -> None:
        """At power on memory may hold anything: have each byte hold this. Right after `reset`."""
        self._core.fill(SRAM, SRAM_SIZE, paint)

    def _note(
        self, kind: Kind, name: str = "", value: int = 0, note: str = "", pc: int = -1
    ) -> None:
        where, exception = self._here.pc if pc < 0 else pc, self._here.exception
        self.trace.add(Event(self.ms, kind, where, name, value, note, exception))

    def _end(self, ending: Ending, detail: str, fault: Fault | None = None, pc: int = -1) -> None:
        where = self._here.pc if pc < 0 else pc
        self._note(Kind.END, ending, note=detail, pc=where)
        self._ended = Ended(ending, detail, where, fault)
        raise self._ended

    @property
    def qemu_version(self) -> str:
        """The version of the QEMU that this board runs on."""
        return self._core.qemu_version

    @cached_property
    def decoder(self) -> Decoder:
        """Of the image's instructions; each is decoded once."""
        from wakebench.decode import Decoder  # capstone takes a while to import

        return Decoder(self.image)

    @property
    def clock_runs(self) -> bool:
        """Whether the program has switched SysTick and its interrupt on."""
        return self._core.tick_on

    @property
    def pc(self) -> int:
        """Address of the instruction that the core executes next."""
        return self._here.pc

    @property
    def open_roles(self) -> tuple[str, ...]:
        """Roles of the traced calls that have not returned, the outermost first."""
        return tuple(call.role for call in self._open)

    @property
    def gone(self) -> bool:
        """Whether QEMU has ended, by itself or by somebody else's hand."""
        return self._core.gone

    @property
    def died(self) -> bool:
        """Whether QEMU has given up, so that this board cannot be reset."""
        return self._ended is not None and self._ended.ending is Ending.DIED

    @property
    def waker_address(self) -> int:
        """Where the waker lay that the last poll got in its context; 0 before the first poll."""
        return self._waker.address if self._waker else 0

    @property
    def wakes(self) -> frozenset[int]:
        """Addresses of the functions by which wakers that polls have shown wake their tasks; where
        no poll has shown one, of the function by which the handler tells the task."""
        notifies = (at for at, (_, role) in self._traced.items() if role == "notify")
        return frozenset(self._woken or notifies)

    @property
    def asleep(self) -> bool:
        """Whether the core sleeps."""
        return self._at is _At.ASLEEP

    @property
    def at_rest(self) -> bool:
        """Whether the core sleeps, and nothing that has come since is about to wake it."""
        return self._ended is None and self._at_sleep()

    # -- waiting ---------------------------------------------------------------------------------

    def wait_asleep(self) -> None:
        """Run until the core sleeps, which it does at a WFI with nothing pending."""
        while not self._at_sleep():
            self._advance()

    def wait_before_sleep(self) -> None:
        """Run until the core is about to execute a WFI that would sleep. A sleep that nothing is
        about to end does not count: only an interrupt could bring the core to another WFI.
        """
        if self._at_sleep():
            raise Unmet("the program to be on its way to a sleep", "it sleeps already")
        while not (self._at is _At.WFI and not self._would_wake()):
            self._advance()

    def wait_ms(self, ms: int) -> None:
        """Let `ms` milliseconds pass, which they do while the core sleeps."""
        end = self.ms + ms
        self.wait_asleep()
        while self.ms < end:
            self._pass_ms(end - self.ms)

    def wait_instructions(self, count: int) -> None:
        """Execute `count` instructions, as `execute` does. Raises Unmet where the core falls asleep
        before."""
        done = self.execute(count)
        if done < count:
            raise Unmet(f"{count} instructions", f"the program sleeps after {done}")

    def _pass_ms(self, most: int) -> None:
        """Sleep on: one tick if the program's clock runs, else `most` milliseconds at once."""
        if not self._core.tick_on:
            self.ms += most
            return
        self.ms += 1
        self._core.tick()
        self._injected = True
        self.wait_asleep()

    def wait_events(self, count: int) -> None:
        """Run until the trace has at least `count` events: the way back to a moment seen before."""
        self._run_until(
            lambda: len(self.trace) >= count, f"{count} events", lambda: f"{len(self.trace)}"
        )

    def wait_handler(self, number: int) -> None:
        """Run until the handler of exception `number` starts (again)."""
        before = len(self.trace)

        def entered() -> bool:
            new = self.trace.since(before)
            return any(e.kind is Kind.ENTER and e.value == number for e in new)

        self._run_until(
            entered, f"the handler of {exception_name(number)}", lambda: "it did not run"
        )

    def wait_line(self, text: str) -> None:
        """Run until the program prints a line that contains `text`, later than the last one so
        found.
        """

        def found() -> bool:
            for index in range(self._line_mark, len(self.trace)):
                event = self.trace[index]
                if event.kind is Kind.LINE and text in event.name:
                    self._line_mark = index + 1
                    return True
            return False

        self._run_until(found, f"a line with {text!r}", lambda: _quoted(self.trace.lines()))

    def wait_pin(self, name: str | Pin, level: int) -> None:
        """Run until a pin has a level."""
        where, name = _pin(name)
        self._run_until(
            lambda: self._core.pins.read(where) == level,
            f"pin {name} at {level}",
            lambda: f"it stays at {1 - level}",
        )

    def wait_symbol(self, name: str) -> None:
        """Run until the core is at the first instruction of function `name`."""
        symbol = self.image.symbol(name)
        if symbol is None or not symbol.is_function:
            raise Unmet(f"a function {name} in the program", "there is none")
        self.wait_address(symbol.address, name)

    def wait_address(self, address: int, name: str = "", *, awake: bool = False) -> None:
        """Run until the core is about to execute the instruction at `address`. `awake`: before it
        sleeps, so that no time passes."""
        self.wait_any({address}, name or f"0x{address:x}", awake=awake)

    def wait_any(self, addresses: Collection[int], name: str, *, awake: bool = False) -> int:
        """Run until the core is about to execute the instruction at one of `addresses`: which?"""
        if self._here.pc in addresses and self._at is _At.RUNNING:
            self._unexecuted.add(self._key())
        if not self._here.exception:
            # Nothing is interrupted: what else was left to execute has been, with no breakpoint.
            self._unexecuted &= {self._key()}
        before = self._moves
        self._core.breakpoint(*addresses)
        try:
            self._run_until(
                lambda: self._here.pc in addresses and self._moves != before,
                f"the program to reach {name}",
                lambda: "it never did",
                awake=awake,
            )
        finally:
            if self._ended is None:
                self._core.remove_breakpoint(*addresses)
        return self._here.pc

    def wait_touched(self, area: Area, past: int | None = None) -> bool:
        """Run until the core is about to execute an instruction that touches the area, or sleeps:
        whether one does. A breakpoint costs more: after a stop at one QEMU translates all that it
        executes anew. `past`: an address to which the core has to come before, or it is no use.
        """
        try:
            with self._core.awaiting(area):
                if past is not None:
                    self.wait_address(past, awake=True)
                    if self._touched:
                        return False
                self._run_until(lambda: False, "", str, awake=True)
            return self._touched
        except Unmet:
            return False
        finally:
            self._touched = False

    def _run_until(
        self, done: Callable[[], bool], what: str, seen: Callable[[], str], *, awake: bool = False
    ) -> None:
        latest = self.ms + self.limits.sleep_ms
        while not (self._touched or done()):
            if not self._at_sleep():
                self._advance()
            elif self._core.tick_on and not awake and self.ms < latest:
                self._pass_ms(1)
            else:
                raise Unmet(what, f"{seen()}; the program sleeps, and nothing will wake it")

    # -- pins ------------------------------------------------------------------------------------

    def press(self, button: str, when: When = When.NOW) -> Edge:
        """Press a button: its pin goes to 0."""
        return self.set_pin(_button(button), 0, when)

    def release(self, button: str, when: When = When.NOW) -> Edge:
        """Release a button: its pin goes to 1."""
        return self.set_pin(_button(button), 1, when)

    def pulse(self, button: str, ms: int, when: When = When.NOW) -> None:
        """Press, hold for `ms` milliseconds, release."""
        self.press(button, when)
        self.wait_ms(ms)
        self.release(button)

    def bounce(self, button: str, times: int, ms: int, when: When = When.NOW) -> None:
        """Press as a worn button does: `times` presses `ms` milliseconds apart, and it stays
        pressed.
        """
        self.press(button, when)
        for _ in range(times - 1):
            self.release(button)
            self.wait_ms(ms)
            self.press(button)

    def set_pin(self, name: str | Pin, level: int, when: When = When.NOW) -> Edge:
        """Set the level outside a pin, and say what the port made of it."""
        if when is When.ASLEEP:
            self.wait_asleep()
        elif when is When.BEFORE_SLEEP:
            self.wait_before_sleep()
        self._check_ended()
        where, name = _pin(name)
        edge = self._core.edge(where, level)
        self._injected = True
        self._polls = self._same_entries = 0
        if edge is Edge.LATCHED:
            self._latched.setdefault(where, []).append(level)
        self._note(Kind.EDGE, name, level, edge)
        return edge

    def tick(self) -> None:
        """A millisecond passes where the program stands: SysTick, if the program has switched it
        and its interrupt on, becomes pending."""
        self._check_ended()
        self.ms += 1
        if self._core.tick_on:
            self._core.tick()
            self._injected = True
            self._polls = self._same_entries = 0
        self._note(Kind.TICK, note="" if self._core.tick_on else "nobody waits for it")

    def port(self, name: str) -> PortState:
        """The interrupt registers of a pin's port; for diagnosis."""
        return self._core.pins.port(pin(name))

    def pin_level(self, name: str | Pin) -> int:
        """The level of a pin, as it is outside."""
        return self._core.pins.read(_pin(name)[0])

    def picture(self) -> Picture:
        """What the display shows."""
        return self._core.picture()

    def read_word(self, address: int) -> int:
        """A device register; for diagnosis."""
        return self._core.read_word(address)

    def read_words(self, *addresses: int) -> list[int]:
        """Several of them, in that order; for diagnosis."""
        return self._core.read_words(*addresses)

    def read_memory(self, address: int, length: int) -> bytes | None:
        """Memory of the program; for diagnosis."""
        return self._core.read(address, length)

    def read_each(self, *areas: tuple[int, int]) -> list[bytes | None]:
        """The same of several areas, address and length of each; for diagnosis."""
        return self._core.read_each(*areas)

    # -- looking ---------------------------------------------------------------------------------

    def count_lines(self, text: str) -> int:
        """How many lines with `text` the program has printed so far."""
        return sum(text in line for line in self.trace.lines())

    def presses(self) -> int:
        """Presses that the program has taken: sensed by the port, and acknowledged."""
        taken = 0
        for where, levels in self._latched.items():
            pending = self._core.pins.port(where).raw >> where.number & 1
            taken += (levels[:-1] if pending else levels).count(0)
        return taken

    def expect_line(self, text: str, times: int | None = None) -> None:
        """The program has printed a line with `text`: at least once, or exactly `times` times."""
        seen = self.count_lines(text)
        if seen != times if times is not None else seen == 0:
            wanted = f"{times} lines" if times is not None else "a line"
            raise Unmet(f"{wanted} with {text!r} so far", _quoted(self.trace.lines()))

    def forbid_line(self, text: str) -> None:
        """The program has printed no line with `text`."""
        if self.count_lines(text):
            raise Unmet(f"no line with {text!r}", _quoted(self.trace.lines()))

    def expect_pin(self, name: str | Pin, level: int) -> None:
        """A pin has a level."""
        where, name = _pin(name)
        seen = self._core.pins.read(where)
        if seen != level:
            raise Unmet(f"pin {name} at {level}", f"it is at {seen}")

    def forbid_pin(self, name: str | Pin, level: int) -> None:
        """A pin does not have a level."""
        where, name = _pin(name)
        if self._core.pins.read(where) == level:
            raise Unmet(f"pin {name} not at {level}", f"it is at {level}")

    def expect_presses(self, count: int) -> None:
        """The program has taken exactly `count` presses so far."""
        if self.presses() != count:
            raise Unmet(f"{count} presses taken", str(self.presses()))

    def forbid_presses(self, count: int) -> None:
        """The program has not taken exactly `count` presses."""
        if self.presses() == count:
            raise Unmet(f"other than {count} presses taken", str(count))

    def reprogrammed(self, image: Image) -> Board:
        """Another program on the same machine, which is at power on then: a machine takes ten times
        as long to start. This board is of no use afterwards, but for its trace. Raises BenchError.
        """
        before = len(self.image.flash_content)
        machine = self._core.reprogram(image.flash_content.ljust(before, b"\0"))
        return Board(machine, image, self._points, self.limits)

    # -- single steps ----------------------------------------------------------------------------

    @property
    def registers(self) -> Registers:
        """The core registers where the program stands."""
        return self._here

    def primask(self) -> bool:
        """Whether PRIMASK is set; to be asked in thread mode only."""
        return self._core.primask()

    def would_wake(self) -> bool:
        """Whether an enabled exception is pending, masked or not."""
        return self._would_wake()

    def step_instruction(self) -> Registers:
        """Execute the next instruction and nothing else: interrupts are held back. What the bench
        executes in the core's place (a call of the host; a WFI, which returns at once) is one, too.
        """
        self._check_ended()
        here, site = self._here, self.image.sites.get(self._here.pc)
        if site == "bkpt":
            self._answer_host_call()
        elif site is not None:
            self._leave_wfi()
        else:
            stop = self._step_over()
            if stop.watched is not None:
                self._core.let_be_written(stop.watched)
            self._here = self._core.registers()
        self._note_step(here.exception)
        return self._here

    def _note_step(self, exception: int) -> None:
        """Write down what a step came to, if anybody would want to know."""
        here = self._here
        if self._key() in self._unexecuted:  # a handler has returned to what is known
            self._close_handlers()
            self._close_calls()
        elif here.pc in self.image.sites and self.image.sites[here.pc] == "bkpt":
            self._at = _At.RUNNING
        elif here.exception != exception or self._stops_at(here.pc):
            self._observe()

    def execute(self, count: int) -> int:
        """Execute `count` instructions one by one, and let interrupts in where the core does: those
        of a handler count, too, its entry and return do not. So does a WFI, when the core leaves
        it. A core that sleeps, and is not about to be woken, executes nothing: how many it was."""
        for done in range(count):
            if not self._execute_one():
                return done
        return count

    def _execute_one(self) -> bool:
        if self._at_sleep():
            return False
        if self._at is _At.ASLEEP:
            self._leave_wfi()
            return True
        while self._would_wake() and self._let_in():
            pass
        if self._at is not _At.WFI:
            self.step_instruction()
            return True
        if not self._would_wake():
            self._fall_asleep()
            return False
        self._leave_wfi()  # masked: what is pending ends the sleep before it begins
        return True

    def _let_in(self) -> bool:
        """Let the interrupt in that is pending, if nothing holds it back: whether it has come."""
        before, at = self._key(), self._at
        self._injected = False
        self._core.breakpoint(self._here.pc)
        with self.stopping_at_handlers():
            self._go_once()
        self._core.remove_breakpoint(before[0])
        if self._key() == before:
            self._at = at
            return False
        self._observe()
        return True

    def enter_handler(self) -> Registers:
        """Let the interrupt in that is pending, instead of the next instruction; it is not masked.
        The core then stands at the first instruction of the handler."""
        self._check_ended()
        self._injected = False
        self._unexecuted.discard(self._key())  # its return to here is news
        with self.stopping_at_handlers():
            self._go_once()
        self._observe()
        if not self._entering():
            raise Unmet("the pending interrupt's handler", self.image.name_at(self._here.pc))
        return self._here

    @contextmanager
    def stopping_at_handlers(self) -> Iterator[None]:
        """Within, handlers are seen also where they are not traced. Whoever is interrupted at an
        instruction and comes back to it has not moved, unless somebody sees the handler."""
        missing = [each for each in self._entries if not self._core.has_breakpoint(each)]
        if missing:
            self._core.breakpoint(*missing)
        yield
        if missing:
            self._core.remove_breakpoint(*missing)

    @contextmanager
    def recording(self, limit: int = 0) -> Iterator[list[Registers]]:
        """Fills the list, when the block ends, with the registers before each instruction that was
        executed in it, what the bench executes included, and with where the program stands then.
        What comes after the last stop of a run that ended is not in it; but with a `limit` a run
        that goes on for about so many instructions ends as a loop, and all those are."""
        self._check_ended()
        found: list[Registers] = []
        lines: list[Registers] = []
        try:
            with self._core.recording(self._here, limit) as lines:
                yield found
        finally:
            found += executed(lines, self._entries)

    # -- for a debugger --------------------------------------------------------------------------

    def run_to(self, addresses: Collection[int]) -> bool:
        """Run until the core is about to execute the instruction at one of `addresses`, or sleeps
        with nothing to wake it: whether it came to one."""
        try:
            self.wait_any(addresses, "a breakpoint", awake=True)
        except Unmet:
            return False
        return True

    def next_ms(self) -> None:
        """A millisecond has passed in the sleep: the program's clock, if it runs, has ticked."""
        self._check_ended()
        self.ms += 1
        if self._core.tick_on:
            self._core.tick()
            self._injected = True

    def poke(self, address: int, value: int) -> None:
        """Write a word of the program's memory."""
        self._core.write_word(address, value)

    def ask_stub(self, packet: bytes) -> bytes:
        """The answer of QEMU's gdbstub to a packet that only looks."""
        return self._core.ask_stub(packet)

    def change_by_stub(self, packet: bytes) -> bytes:
        """Have QEMU's gdbstub change registers or memory."""
        answer = self._core.change_by_stub(packet)
        before = self._key()
        self._here = self._core.registers()
        if self._key() != before:
            self._moves += 1
            self._at = _At.RUNNING
        return answer

    # -- calling into the program ----------------------------------------------------------------

    def call(self, function: str, *arguments: int) -> int:
        """Let the program call one of its functions, in thread mode, and return its result. It
        sleeps, or is about to; the core then leaves the WFI, as it may at any time. Or it is at
        the first instruction of a function, and is there again afterwards.
        """
        return self.end_call(self.begin_call(function, *arguments))

    def begin_call(self, function: str, *arguments: int) -> OpenCall:
        """Have the core at the first instruction of a function, as `call` does; `end_call` lets it
        return, whatever has been done in between."""
        symbol = self.image.symbol(function)
        if symbol is None:
            raise Unmet(f"a function {function} in the program", "there is none")
        return self._begin_call(symbol.address, *arguments)

    def end_call(self, call: OpenCall) -> int:
        """Run until the function that was called has returned; its result."""
        while not self.has_returned(call):
            if self._at_sleep():
                raise Unmet("the function to return", "the core sleeps in it, for good")
            self._advance()
        self._core.remove_breakpoint(call.resume_at)
        result = self._here[0]
        for number in (*range(13), LR):
            if self._here[number] != call.saved[number]:
                self._core.set_register(number, call.saved[number])
        self._here = call.saved.at(call.resume_at)
        self._unexecuted.add(self._key())
        return result

    def has_returned(self, call: OpenCall) -> bool:
        """Whether the function that was called has returned."""
        return (self._here.pc, self._here.sp) == (call.resume_at, call.saved.sp)

    def _begin_call(self, address: int, *arguments: int) -> OpenCall:
        saved = self._here
        if self._at is not _At.RUNNING:
            self._leave_wfi()
        elif saved.exception or not self._at_a_function():
            raise Unmet("the program at a WFI or at the start of a function", "it runs")
        self._unexecuted.discard(self._key())  # the return to here is news
        resume_at = self._here.pc
        for number, value in enumerate(arguments):
            self._core.set_register(number, value)
            self._here = self._here.with_value(number, value)
        self._core.set_register(LR, resume_at | 1)
        self._here = self._here.with_value(LR, resume_at | 1)
        self._core.breakpoint(resume_at)
        self._polls = self._stops = 0
        self._set_pc(address)
        return OpenCall(saved, resume_at)

    def leave_sleep(self) -> None:
        """Let the WFI return for no reason, as it may at any time (ARM DDI 0403, B1.5.19)."""
        self.wait_asleep()
        self._leave_wfi()

    def revive(self) -> None:
        """After LOOP or POLLING: go back to the last thing seen, so that a pin can change there."""
        if self._ended is None or self._ended.ending not in (Ending.LOOP, Ending.POLLING):
            raise Unmet("a run that ended in a loop", str(self._ended or "it goes on"))
        in_loop = self._core.ran_out
        self._ended = None
        self.trace.drop_last()
        self._polls = self._stops = 0
        if in_loop:
            self._core.rewind()
            self._here = self._core.registers()

    def _at_a_function(self) -> bool:
        symbol = self.image.symbol_at(self._here.pc)
        return symbol is not None and symbol.is_function and symbol.address == self._here.pc

    def spurious_wake(self) -> bool:
        """Wake the task that polled last, for no reason, through its own waker.

        False where no poll has shown a waker yet.
        """
        if self._waker is None:
            return False
        self.wait_asleep()
        self.end_call(self._begin_call(self._waker.function, self._waker.data))
        return True

    # -- the engine ------------------------------------------------------------------------------

    def _check_ended(self) -> None:
        if self._ended is not None:
            raise self._ended

    def _key(self) -> tuple[int, int, int]:
        return self._here.pc, self._here.sp, self._here.exception

    def _set_pc(self, address: int) -> None:
        self._moves += 1
        self._core.set_pc(address)
        self._here = self._here.at(address)
        self._at = _At.RUNNING

    def _would_wake(self) -> bool:
        """Whether the core would leave a WFI: an enabled exception is pending. PRIMASK does not
        count.

        (ARM DDI 0403, B1.5.19.)
        """
        return bool(self._core.read_word(ICSR) & ICSR_VECTPENDING)

    def _at_sleep(self) -> bool:
        """Whether the core sleeps now and nothing will end that by itself."""
        self._check_ended()
        return self._at is _At.ASLEEP and not (self._injected and self._would_wake())

    def _leave_wfi(self) -> None:
        wide = self.image.sites[self._here.pc] == "wfi.w"
        if self._at is _At.ASLEEP:
            self._note(Kind.WAKE_UP)
        self._set_pc(self._here.pc + (4 if wide else 2))

    def _advance(self) -> None:
        """Go on to the next thing that happens. Not to be called when the core sleeps for good."""
        self._check_ended()
        if self._at is _At.ASLEEP:
            self._injected = False
            self._leave_wfi()
        elif self._at is _At.WFI:
            if not self._would_wake():
                self._fall_asleep()
                return
            # With interrupts enabled the handler runs now and returns to this WFI; with PRIMASK set
            # nothing runs, the core is back here at once, and WFI lets it through.
            self._injected = False
            before = self._key()
            with self.stopping_at_handlers():
                self._go_once()
            if self._key() != before:
                self._observe()
                return
            self._masked += 1
            if self._masked > self.limits.storm:
                self._end(Ending.MASKED, f"WFI returned at once {self._masked} times")
            self._leave_wfi()
        self._go()
        self._observe()

    def _fall_asleep(self) -> None:
        self._at = _At.ASLEEP
        self._injected = False
        self._polls = self._stops = self._masked = self._lines = 0
        self._paint_dead_stack()
        self._note(Kind.SLEEP)

    def _paint_dead_stack(self) -> None:
        """Overwrite what lies below the stack pointer, as any interrupt may do at any time. Without
        this, a pointer into a stack frame that is gone often works by luck.

        Only on the main stack, which begins at the address in the vector table: a process stack may
        be small, and what lies below it somebody else's.
        """
        sp = self._here.sp
        if sp > self.image.vectors[0]:
            return
        length = min(DEAD_STACK, sp - SRAM)
        if 0 < length and sp <= SRAM + SRAM_SIZE:
            self._core.fill(sp - length, length, SRAM_PAINT)

    def _step_over(self) -> Stop:
        self._unexecuted.discard(self._key())
        self._at = _At.RUNNING
        return self._core.step()

    def _pass_breakpoint(self) -> None:
        """Execute the instruction at a breakpoint. At the beginning of a function it is a PUSH as a
        rule; where that cannot fault and nobody watches it, the bench does it."""
        numbers, size = self.image.pushes(self._here.pc)
        lowest, highest = (self.image.value(f"__stack_{end}__") for end in ("start", "end"))
        sp = self._here.sp
        if numbers and not self._guarded and lowest + DEAD_STACK <= sp <= highest and sp % 4 == 0:
            self._core.push(self._here, numbers, size)
        else:
            self._step_over()

    def _go(self) -> None:
        """Run to the next stop that is news.

        Where the core stands at a breakpoint already told of, its instruction is stepped over
        first; unless something was injected: then the interrupt comes before that instruction.
        """
        while True:
            if self._key() in self._unexecuted and not self._injected:
                if self._here.pc in self.image.rings:
                    # Stepped over, the core would stand at the site, and the bell be behind it.
                    self._unexecuted.discard(self._key())
                    self._set_pc(self._here.pc + RING_SIZE)
                    return
                if self._core.has_breakpoint(self._here.pc):
                    self._pass_breakpoint()
                self._unexecuted.discard(self._key())
            self._injected = False
            self._go_once()
            if self._key() not in self._unexecuted:
                return

    def _stops_at(self, address: int) -> bool:
        """Whether the core does, when it comes there by itself."""
        return self._core.has_breakpoint(address) or address in self._rung

    def _go_once(self) -> None:
        self._at = _At.RUNNING
        self._moves += 1
        if self._here.pc in self._rung and not self._core.has_breakpoint(self._here.pc):
            # The bell is behind it. If an interrupt comes now, its handler returns to here.
            self._core.breakpoint(self._here.pc)
        while True:
            stop, self._here = self._core.go()
            if stop.why is Why.GONE:
                self._end(Ending.DIED, self._core.last_words())
            if stop.why is Why.WATCHDOG:
                self._end_in_loop()
            if stop.why is Why.FULL:
                self._end(Ending.LOOP, "as many instructions as are recorded")
            if stop.watched is None:
                return
            if self._core.is_awaited(stop.watched):
                self._touched = True
                return
            self._count_stop()
            if (area := self._guarded.get(stop.watched)) is not None:
                self._end(Ending.TRESPASS, area.name)
            self._core.let_be_written(stop.watched)

    def _count_stop(self) -> None:
        self._stops += 1
        if self._stops > self.limits.stops:
            self._end(Ending.LOOP, f"{self._stops} events without a sleep")

    def _end_in_loop(self) -> None:
        """Say where the core goes round: the lowest address of a few hundred steps.

        A step would not come back from a WFI, nor from a call of the host.
        """
        lowest = self._here.pc
        if self._after_hidden_wfi(lowest):
            known = lowest - RING_SIZE in self._rung
            why = "whose bell was not rung" if known else "which is not in flash"
            self._end(Ending.HIDDEN_SLEEP, f"in a WFI before 0x{lowest:08x}, {why}")
        for _ in range(200):
            pc = self._core.registers().pc
            lowest = min(lowest, pc)
            if pc in self.image.sites:
                break
            self._core.step()
        name = self.image.name_at(lowest)
        self._end(
            Ending.LOOP, f"{self.limits.budget.instructions} instructions in {name}", pc=lowest
        )

    def _after_hidden_wfi(self, pc: int) -> bool:
        if self._halfword(pc - 2) == WFI_NARROW:
            return pc - 2 not in self.image.sites or pc - 2 in self._rung
        wide = (self._halfword(pc - 4), self._halfword(pc - 2)) == WFI_WIDE
        return wide and pc - 4 not in self.image.sites

    def _observe(self) -> None:
        """Write down what the core stopped for."""
        self._close_handlers()
        self._close_calls()
        here = self._here.pc
        site = self.image.sites.get(here)
        if site == "bkpt":
            self._answer_host_call()
        elif site is not None:
            self._at = _At.WFI
            self._same_entries = 0
        elif here == self._reset_handler:
            self._end(Ending.RESTART, "the program started all over")
        else:
            if self._core.has_breakpoint(here):
                self._unexecuted.add(self._key())
            if not self._touched:  # who waits for that traces nothing
                self._note_entry(here)
        self._count_stop()

    def _note_entry(self, here: int) -> None:
        if self._entering():
            self._enter_handler()
        point = self._traced.get(here) or self._woken.get(here)
        if point:
            self._enter_call(*point)

    def _close_handlers(self) -> None:
        """A handler has returned when the core is seen outside; nothing traced lies in between."""
        now = self._interrupted() if self._entering() else self._here.exception
        while self._active and self._active[-1].number != now:
            done = self._active.pop()
            self._note(Kind.EXIT, done.name, done.number)

    def _entering(self) -> bool:
        """Whether the core is at the first instruction of a handler, by way of an exception."""
        return is_entry(self._here, self._entries)

    def _interrupted(self) -> int:
        """At a handler's first instruction: what the core was handling before (0: thread mode)."""
        return 0 if self._here.lr & EXC_RETURN_THREAD else self._frame()[7] & 0x1FF

    def _enter_handler(self) -> None:
        number = self._here.exception
        name = self.image.name_at(self._here.pc)
        frame = self._frame()
        self._masked = 0
        self._active.append(_Active(number, name))
        self._note(Kind.ENTER, name, number, pc=frame[6])
        if number in FAULTS:
            self._end_in_fault(exception_name(number), frame)
        if self._here.pc == self.image.default_handler:
            self._end(Ending.UNHANDLED, f"{exception_name(number)} has no handler", pc=frame[6])
        entry = (number, frame[6], self._here.sp)
        self._same_entries = self._same_entries + 1 if entry == self._last_entry else 1
        self._last_entry = entry
        if self._same_entries > self.limits.storm:
            if self._halfword(self._here.pc) == BRANCH_TO_SELF:
                self._end(Ending.LOOP, f"{name} begins with a loop without an end")
            self._end(Ending.STORM, f"{name} entered {self._same_entries} times in a row")

    def _frame(self) -> tuple[int, ...]:
        """r0-r3, r12, lr, pc, xpsr as the core stacked them; zeros where there is no memory."""
        on_process_stack = self._here.lr & EXC_RETURN_PSP
        sp = self._core.process_sp() if on_process_stack else self._here.sp
        raw = self._core.read(sp, 32)
        return struct.unpack("<8I", raw) if raw and len(raw) == 32 else (0,) * 8

    def _end_in_fault(self, name: str, frame: tuple[int, ...]) -> None:
        cfsr, hfsr = self._core.read_word(CFSR), self._core.read_word(HFSR)
        if not cfsr and self._halfword(frame[6]) == BKPT_SEMIHOSTING:
            reply = console.answer(frame[0], frame[1], False, self._core.read)
            assert isinstance(reply, console.Refused)
            self._refuse(reply.request, pc=frame[6])
        address = None
        if cfsr & 1 << 7:
            address = self._core.read_word(MMFAR)
        elif cfsr & 1 << 15:
            address = self._core.read_word(BFAR)
        fault = Fault(name, frame[6], frame[5], cfsr, hfsr, address)
        where = self.image.name_at(frame[6])
        if cfsr & CFSR_NOT_STACKED:
            self._end(Ending.FAULT, f"{name}: no room on the stack", fault, pc=frame[6])
        self._end(Ending.FAULT, f"{name} at 0x{frame[6]:08x} in {where}", fault, pc=frame[6])

    def _enter_call(self, name: str, role: str) -> None:
        if role == "todo":
            self._note(Kind.TODO, value=self._here[0])
            return
        back = self._here.lr & ~1
        self._note(Kind.CALL, name, self._here[0], role, pc=max(back - 2, 0))
        if role in ("poll", "register") and self._here.lr & 1 and back < 0xF000_0000:
            self._core.breakpoint(back)
            self._open.append(_Open(name, role, back, self._here.sp))
        if role == "poll":
            self._see_poll()

    def _see_poll(self) -> None:
        """Remember the waker in the context, and count."""
        address = self._word(self._here[1])
        waker = self._core.read(address, 8) or bytes(8)
        vtable, data = struct.unpack("<2I", waker)
        function = self._word(vtable) & ~1
        symbol = self.image.symbol_at(function)
        if symbol and symbol.is_function and symbol.address == function:
            self._waker = _Waker(address, function, data)
            if function not in self._woken:
                self._core.breakpoint(function)
                self._woken[function] = (symbol.name, "woken")
        self._polls += 1
        if self._polls > self.limits.polls:
            self._end(Ending.POLLING, f"{self._polls} polls without a sleep")

    def _halfword(self, address: int) -> int:
        raw = self._core.read(address, 2)
        return int.from_bytes(raw, "little") if raw else 0

    def _word(self, address: int) -> int:
        raw = self._core.read(address, 4)
        return int.from_bytes(raw, "little") if raw else 0

    def _close_calls(self) -> None:
        while self._open and self._here.sp > self._open[-1].sp:
            # Left by another way than a return; nothing to tell.
            self._core.remove_breakpoint(self._open.pop().return_pc)
        while self._open and (self._here.pc, self._here.sp) == (
            self._open[-1].return_pc,
            self._open[-1].sp,
        ):
            done = self._open.pop()
            self._core.remove_breakpoint(done.return_pc)
            self._note(Kind.RETURN, done.name, self._here[0], done.role)

    def _answer_host_call(self) -> None:
        here = self._here
        from_board = self._host_call is not None and self._host_call.holds(here.pc)
        reply = console.answer(here[0], here[1], from_board, self._core.read)
        match reply:
            case console.Printed(data):
                self._print(data)
                self._core.set_register(0, 0)
                self._here = here.with_value(0, 0)
                self._set_pc(here.pc + 2)
            case console.Exited():
                self._end(Ending.EXIT, "the program said that it is done")
            case console.Refused(request):
                self._refuse(request)

    def _refuse(self, request: str, pc: int = -1) -> None:
        self._note(Kind.FORBIDDEN, request, pc=pc)
        self._end(Ending.FORBIDDEN, request, pc=pc)

    def _print(self, data: bytes) -> None:
        self._printed += len(data)
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            text = line.decode("utf-8", "backslashreplace")
            self._note(Kind.LINE, text)
        self._lines += len(lines)
        if self._lines > self.limits.lines:
            self._end(Ending.FLOOD, f"more than {self.limits.lines} lines without a sleep")
        if self._printed > self.limits.console_bytes:
            self._end(Ending.FLOOD, f"more than {self.limits.console_bytes} bytes printed")


def _pin(name: str | Pin) -> tuple[Pin, str]:
    """The pin, and the name that people know it by."""
    where = pin(name) if isinstance(name, str) else name
    return where, _NAMES.get(where, where.name)


_NAMES = {where: name for name, where in (*BUTTONS.items(), ("LED", LED))}


def _button(name: str) -> str:
    if name not in BUTTONS:
        raise Unmet(f"a button ({', '.join(BUTTONS)})", name)
    return name


def _quoted(lines: list[str]) -> str:
    """The last lines of the console, short enough to read."""
    if not lines:
        return "no line at all"
    shown = ", ".join(repr(line[:60]) for line in lines[-4:])
    return f"{len(lines)} lines" + (", the last: " if len(lines) > 4 else ": ") + shown
