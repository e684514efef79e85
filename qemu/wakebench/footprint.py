"""What a program touches between two sleeps, seen from outside, one instruction at a time.

The sweep (wakebench.sweep) presses at every instruction boundary from inside the guest. This module
is its witness and its economist, on a plain machine without the harness:

* `trace_window` lists the instructions of a window. `coverage` holds the sweep against that list.
* `explore` finds what the handlers of a press touch, in every state in which a press can find the
  program, and with that the instructions that such a press does not commute with. Only the
  boundaries before those need a press; docs/contributors/reduction.md says why.

How the exploration ends: a run is left as soon as it comes to a state of the machine (registers,
memory, port, masks) that an earlier run went on from; a handler is traced only when the memory that
its known runs read has other values than they found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from wakebench.board import Board, Ended, Unmet
from wakebench.core import SRAM, SRAM_SIZE
from wakebench.decode import Access, Decoder, Does, Instruction, Masks
from wakebench.errors import BenchError
from wakebench.exceptions import FIRST_IRQ
from wakebench.pin_names import BUTTONS
from wakebench.pins import PORT_IRQ, PORTS, PortState
from wakebench.probe import Registers
from wakebench.sweep import Moment, Place, Placement

Bytes = bytes | memoryview

PORT_SIZE = 0x1000
IPR = 0xE000_E400
BLOCK = 1024
"""Bytes that the gdbstub gives at a time."""

STEPS = 4_000
"""Instructions that are watched in one run."""
RUNS = 400
"""Runs of one exploration."""


class TraceError(Exception):
    """The window cannot be traced; the sentence says why. The rest of a report still stands."""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction as it was executed. `masked`: an interrupt before it would have had to wait.
    `accesses`: what it read and wrote, flash and a handler's own stack left out. `exception`: 0 in
    thread mode. `always`: it is dependent whatever it touches (it changes masks, sleeps, or is
    exclusive)."""

    pc: int
    masked: bool
    accesses: tuple[Access, ...]
    exception: int
    always: bool


@dataclass(frozen=True)
class WindowTrace:
    """A run from the start of a window to the sleep at the WFI at `sleep`, without a press.
    `sleep_masked`: interrupts are masked there, as they should be."""

    steps: tuple[Step, ...]
    sleep: int
    sleep_masked: bool
    button: str

    def open_steps(self) -> list[tuple[Place, Step]]:
        """The places before an instruction at which an interrupt is let in, in order, and the
        instruction; the WFI is one if it is not masked."""
        wfi = Step(self.sleep, self.sleep_masked, (), 0, always=True)
        return [each for each in _placed((*self.steps, wfi)) if not each[1].masked]

    def boundaries(self) -> list[Place]:
        """Those places."""
        return [place for place, _ in self.open_steps()]

    def moments(self) -> list[Place]:
        """Those, and the two at the sleep."""
        sleeps = (Moment.BEFORE_SLEEP, Moment.ASLEEP)
        return [*self.boundaries(), *(Place(self.sleep, moment, 1) for moment in sleeps)]


def _placed(steps: Iterable[Step]) -> Iterator[tuple[Place, Step]]:
    """Each step with its place. An instruction that follows itself is one boundary, as for the
    sweep, which cannot tell it from a timer that struck twice."""
    seen: Counter[int] = Counter()
    previous = None
    for step in steps:
        if step.pc != previous or step.masked:
            seen[step.pc] += 1
            yield Place(step.pc, Moment.BOUNDARY, seen[step.pc]), step
        previous = step.pc


# -- footprints ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Footprint:
    """Bytes, of memory and of devices, that handlers read and write."""

    reads: frozenset[int] = frozenset()
    writes: frozenset[int] = frozenset()

    def meets(self, access: Access) -> bool:
        """Whether the two touch the same byte, and one of them writes it."""
        if not access.write:
            return not self.writes.isdisjoint(access.bytes())
        touched = access.bytes()
        return not (self.writes.isdisjoint(touched) and self.reads.isdisjoint(touched))

    def with_steps(self, steps: Iterable[Step]) -> Footprint:
        """This, and what `steps` touch, devices too."""
        accesses = [a for step in steps for a in step.accesses]
        reads = {b for a in accesses if not a.write for b in a.bytes()}
        writes = {b for a in accesses if a.write for b in a.bytes()}
        return Footprint(self.reads | reads, self.writes | writes)


def is_dependent(step: Step, footprint: Footprint) -> bool:
    """Whether it matters if a press comes before or after this instruction."""
    if step.always:
        return True
    return any(a.device or a.exclusive or footprint.meets(a) for a in step.accesses)


@dataclass(frozen=True)
class Reduction:
    """Which boundaries of a window stand for all.

    boundaries   of the window's first run, with the two moments at the sleep
    classes      of placements that are equivalent; each ends before a dependent instruction
    dependent    addresses of the dependent instructions in both windows and in the handlers
    gaps         what could not be followed: then the reduction is not to be relied on
    """

    boundaries: int
    classes: int
    dependent: frozenset[int]
    gaps: tuple[str, ...] = ()

    def statement(self) -> str:
        """The reduction in one line."""
        said = f"{self.boundaries} boundaries, {self.classes} classes, all explored"
        return f"{said}, except: {'; '.join(self.gaps)}" if self.gaps else said


@dataclass(frozen=True)
class Contact:
    """A step of the task that touches memory or a device, and what a press just before it and just
    after it would make its handler touch: nothing where no handler would start at once."""

    step: Step
    before: Footprint
    after: Footprint


@dataclass(frozen=True)
class Exploration:
    """Everything that was seen: the first window, every step of thread and handlers (each kind of
    step once), the meetings of the two, and what the handlers touch."""

    window: WindowTrace
    steps: frozenset[Step]
    contacts: tuple[Contact, ...]
    footprint: Footprint
    runs: int
    gaps: tuple[str, ...] = ()

    @property
    def reduction(self) -> Reduction:
        """Which placements stand for all."""
        open_steps = [step for _, step in self.window.open_steps()]
        classes = sum(is_dependent(step, self.footprint) for step in open_steps)
        dependent = frozenset(s.pc for s in self.steps if is_dependent(s, self.footprint))
        return Reduction(len(open_steps) + 2, classes + 2, dependent, self.gaps)

    def masked_device_places(self) -> list[int]:
        """Addresses, in any window, of masked accesses to the button's port."""
        port = _port_range(self.window.button)
        return sorted({s.pc for s in self.steps if s.masked and _touches(s, port)})


def masked_device_places(trace: WindowTrace) -> list[Place]:
    """The masked boundaries before an access to the button's port. An edge there waits, as at every
    masked boundary, but the access may see it; and no timer in the guest can strike there."""
    port = _port_range(trace.button)
    return [p for p, step in _placed(trace.steps) if step.masked and _touches(step, port)]


def _port_range(button: str) -> range:
    base = PORTS[BUTTONS[button].port]
    return range(base, base + PORT_SIZE)


def _touches(step: Step, addresses: range) -> bool:
    return any(access.address in addresses for access in step.accesses)


# -- coverage ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Coverage:
    """The sweep's placements against the independent trace."""

    wanted: int
    missing: tuple[Place, ...]
    extra: tuple[Place, ...]
    masked: int
    """Boundaries at which an interrupt has to wait, which no timer can strike."""
    in_order: bool

    @property
    def percent(self) -> float:
        """Share of the boundaries that were struck."""
        return 100.0 * (self.wanted - len(self.missing)) / self.wanted if self.wanted else 100.0

    @property
    def complete(self) -> bool:
        """Whether the sweep struck at every boundary, in the program's order, and nowhere else."""
        return not self.missing and not self.extra and self.in_order


def coverage(trace: WindowTrace, placements: Sequence[Placement]) -> Coverage:
    """Compare where a sweep of single presses struck with where it should have."""
    wanted, struck = trace.moments(), [placement.place for placement in placements]
    wanted_set, struck_set = set(wanted), set(struck)
    common = [place for place in struck if place in wanted_set]
    return Coverage(
        len(wanted),
        tuple(place for place in wanted if place not in struck_set),
        tuple(place for place in struck if place not in wanted_set),
        sum(step.masked for step in trace.steps),
        common == [place for place in wanted if place in struck_set],
    )


# -- memory as the steps make it -----------------------------------------------------------------


class _Memory:
    """The program's memory, kept up to date from what its instructions write."""

    def __init__(self, board: Board) -> None:
        image = board.image
        self._board = board
        self._data = (image.value("__data_start__"), image.value("__bss_end__"))
        self._stack_end = image.value("__stack_end__")
        self._bytes = bytearray(SRAM_SIZE)
        self.bytes = memoryview(self._bytes).toreadonly()
        self._copy: bytes | None = None

    def load(self, sp: int) -> None:
        """Read what is in use: variables, and the stack from `sp` up."""
        self._copy = None
        for start, end in (self._data, (sp, self._stack_end)):
            self._bytes[start - SRAM : end - SRAM] = self._read(start, end)

    def _read(self, start: int, end: int) -> bytes:
        blocks = [
            self._board.read_memory(at, min(BLOCK, end - at)) for at in range(start, end, BLOCK)
        ]
        if any(block is None for block in blocks):
            raise TraceError("the program's stack pointer leaves its memory")
        return b"".join(block or b"" for block in blocks)

    def apply(self, access: Access) -> None:
        """Take a write over. An exclusive one may have failed: look."""
        if not access.write or not SRAM <= access.address < SRAM + SRAM_SIZE:
            return
        end = access.address + access.size
        data = access.data
        if access.exclusive or not data:
            data = self._read(access.address, end)
        self._copy = None
        self._bytes[access.address - SRAM : end - SRAM] = data

    def copy(self) -> bytes:
        """All of it, from the address SRAM on. The same object until something changes."""
        if self._copy is None:
            self._copy = bytes(self._bytes)
        return self._copy

    def in_use(self, sp: int) -> tuple[bytes, bytes]:
        """The variables and the stack."""
        start, end = self._data
        variables = bytes(self._bytes[start - SRAM : end - SRAM])
        return variables, bytes(self._bytes[sp - SRAM : self._stack_end - SRAM])

    def check(self, sp: int) -> None:
        """The decoder has missed no write: raise BenchError if it has."""
        seen = self._read(*self._data), self._read(sp, self._stack_end)
        if seen != self.in_use(sp):
            raise BenchError("memory changed otherwise than the instructions say")


# -- one run, step by step -----------------------------------------------------------------------


@dataclass(frozen=True)
class _HandlerRun:
    """A run of a handler is decided by what it reads: `port` is the state that it found, `needs`
    are the bytes that it read before it wrote them, `left` those that it wrote (address from SRAM
    on, value)."""

    port: PortState
    needs: Mapping[int, int]
    left: Mapping[int, int]
    footprint: Footprint

    def again(self, memory: Bytes, port: PortState) -> bool:
        """Whether a handler that starts with this memory would do the very same."""
        return port == self.port and all(memory[at] == value for at, value in self.needs.items())


_Prospect = tuple[bytes, PortState]
"""Memory (from SRAM on) and port as a handler would find them."""


@dataclass
class _Walker:
    """Walks a board from where it stands, in thread mode, and knows at each step the masks, the
    memory and the port."""

    board: Board
    decoder: Decoder
    button: str
    masks: Masks
    memory: _Memory = field(init=False)
    port: PortState = field(init=False)
    pending: bool = field(init=False)
    steps: int = 0

    def __post_init__(self) -> None:
        irq = PORT_IRQ[BUTTONS[self.button].port]
        self.exception = irq + FIRST_IRQ
        self._priority = self.board.read_word(IPR + irq & ~3) >> 8 * (irq % 4) & 0xFF
        self._bit = 1 << BUTTONS[self.button].number
        self._port_range = _port_range(self.button)
        self.memory = _Memory(self.board)
        self.look()

    def look(self) -> None:
        """Read memory and port afresh."""
        self.memory.load(self.board.registers.sp)
        self.look_at_port()

    def look_at_port(self) -> None:
        """Read the port afresh, and whether an interrupt is pending."""
        self.port = self.board.port(self.button)
        self.pending = self.board.would_wake()

    @property
    def masked(self) -> bool:
        """Whether the button's interrupt would have to wait here."""
        return self.masks.hold(self._priority) or self.board.registers.exception != 0

    @property
    def enters_next(self) -> bool:
        """Whether a handler comes before the next instruction."""
        return self.pending and not self.masked

    @property
    def would_enter(self) -> bool:
        """Whether a press now would start the handler at once."""
        return not self.masked and bool(self.port.mask & self._bit)

    def prospect(self) -> _Prospect | None:
        """Memory and port as the handler of a press now would find them; None if it would not start
        at once."""
        if not self.would_enter:
            return None
        return self.memory.copy(), replace(self.port, raw=self.port.raw | self._bit)

    @property
    def asleep(self) -> bool:
        """Whether the core is at a WFI that nothing is about to end."""
        site = self.board.image.sites.get(self.board.registers.pc)
        return site in ("wfi", "wfi.w") and not self.pending

    def state(self) -> tuple[object, ...]:
        """All that decides about what comes."""
        here = self.board.registers
        return (here.values, self.masks, self.port, self.pending, *self.memory.in_use(here.sp))

    def step(self) -> Step:
        """Execute one instruction."""
        self.steps += 1
        if self.steps > STEPS:
            raise TraceError(f"more than {STEPS} instructions without a sleep")
        before = self.board.registers
        instruction = self.decoder.at(before.pc)
        accesses = instruction.accesses(before)
        step = Step(
            before.pc,
            self.masked,
            tuple(replace(access, data=b"") if access.data else access for access in accesses),
            before.exception,
            instruction.exclusive or instruction.does in (Does.MASKS, Does.SLEEPS),
        )
        self.masks = instruction.masks(before, self.masks)
        after = self.board.step_instruction()
        self._follow(instruction, accesses, before, after)
        return step

    def _follow(
        self,
        instruction: Instruction,
        accesses: tuple[Access, ...],
        before: Registers,
        after: Registers,
    ) -> None:
        for access in accesses:
            self.memory.apply(access)
        if any(access.address in self._port_range for access in accesses):
            self.look_at_port()
        elif any(a.device for a in accesses) or before.exception != after.exception:
            self.pending = self.board.would_wake()

    def press(self) -> None:
        """A press, as the sweep makes it: the button comes up first."""
        self.board.release(self.button)
        self.board.press(self.button)
        self.look_at_port()

    def handler(self) -> tuple[list[Step], _HandlerRun]:
        """The pending interrupt's handler, from its entry to its return."""
        interrupted, found, port = self.board.registers.sp, self.memory.copy(), self.port
        entered = self.board.enter_handler()
        self.look_at_port()
        lowest, steps = entered.sp, []
        while self.board.registers.exception:
            steps.append(self.step())
            lowest = min(lowest, self.board.registers.sp)
        own = range(lowest, interrupted)
        shared = [replace(s, accesses=_outside(s.accesses, own)) for s in steps]
        left = {at: self.memory.bytes[at] for at in _written(shared)}
        needs = dict(_needs(shared, found))
        return shared, _HandlerRun(port, needs, left, Footprint().with_steps(shared))

    def pass_handler(self, known: _HandlerRun) -> None:
        """The same without looking at its steps, which are known."""
        back = self.board.registers.pc
        self.board.enter_handler()
        while self.board.registers.exception:
            self.board.wait_address(back)
        self.look()
        if any(self.memory.bytes[at] != value for at, value in known.left.items()):
            raise BenchError("the same handler did something else: the machine is not exact")


def _outside(accesses: tuple[Access, ...], own: range) -> tuple[Access, ...]:
    return tuple(access for access in accesses if access.address not in own)


def _written(steps: Iterable[Step]) -> set[int]:
    writes = (a for step in steps for a in step.accesses if a.in_ram and a.write)
    return {at - SRAM for access in writes for at in access.bytes() if at - SRAM < SRAM_SIZE}


def _needs(steps: Iterable[Step], found: bytes) -> Iterator[tuple[int, int]]:
    """The bytes of memory that were read before they were written, and their values."""
    written: set[int] = set()
    for access in (a for step in steps for a in step.accesses if a.in_ram):
        for address in access.bytes():
            if not access.write and address not in written and address - SRAM < SRAM_SIZE:
                yield address - SRAM, found[address - SRAM]
        if access.write:
            written.update(access.bytes())


# -- windows -------------------------------------------------------------------------------------


def trace_window(
    board: Board, start: int, button: str, decoder: Decoder | None = None
) -> WindowTrace:
    """Reset, run to the first time at `start`, and watch every instruction from there to the first
    sleep. Raises TraceError where there is none."""
    _go_to_window(board, start)
    walker = _Walker(board, decoder or Decoder(board.image), button, Masks(board.primask()))
    return _to_sleep(walker)


def _go_to_window(board: Board, start: int) -> None:
    board.reset()
    try:
        board.wait_address(start)
    except (Ended, Unmet) as never:
        raise TraceError(f"the program does not come to the window: {never}") from never


def _to_sleep(walker: _Walker, step: Callable[[_Walker], Step] = _Walker.step) -> WindowTrace:
    """Watch until the core sleeps; `step` makes one step."""
    steps: list[Step] = []
    try:
        while not walker.asleep:
            if walker.enters_next:
                raise TraceError("an interrupt comes before anybody has pressed")
            steps.append(step(walker))
    except Ended as ended:
        raise TraceError(f"the program does not come to a sleep: {ended}") from ended
    walker.memory.check(walker.board.registers.sp)
    return WindowTrace(tuple(steps), walker.board.registers.pc, walker.masked, walker.button)


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
    port: PortState


@dataclass(frozen=True)
class _Meeting:
    """A step, and what the handler of a press before or after it would find, if it would start."""

    step: Step
    before: _Prospect | None
    after: _Prospect | None


class _Explorer:
    def __init__(self, board: Board, start: int, button: str) -> None:
        self._board, self._start, self._button = board, start, button
        self._decoder = Decoder(board.image)
        self._seen: set[tuple[object, ...]] = set()
        self._handlers: list[_HandlerRun] = []
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

    def _step(self, walker: _Walker) -> Step:
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

    def _touched(self, found: _Prospect | None) -> Footprint:
        if found is None:
            return Footprint()
        run = self._knows(*found)
        return run.footprint if run else self._footprint

    def _walker(self, masks: Masks) -> _Walker:
        return _Walker(self._board, self._decoder, self._button, masks)

    def _new_places(self, window: WindowTrace) -> list[_Presses]:
        """Representatives of the first window's classes that no run has begun at."""
        found = [
            (place,)
            for place, step in window.open_steps()
            if place.pc != window.sleep and is_dependent(step, self._footprint)
        ]
        return [presses for presses in found if presses not in self._done]

    def _new_second(self) -> list[_Presses]:
        """One second press whose handler is still not known."""
        while self._later:
            later = self._later.pop()
            if later.presses not in self._done and not self._knows(later.memory, later.port):
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
        masks = self._go_to(first)
        walker = self._walker(masks)
        walker.press()
        if first.moment is Moment.ASLEEP:
            self._steps.add(walker.step())
        if later:
            self._handler_of_second(walker, later[0])
        else:
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

    def _follow(self, walker: _Walker, first: Place) -> None:
        """To the next sleep, or to a state that is known."""
        arrivals: Counter[int] = Counter()
        while not walker.asleep:
            if walker.enters_next:
                self._take_interrupt(walker)
                continue
            state = walker.state()
            if state in self._seen:
                return
            self._seen.add(state)
            pc = self._board.registers.pc
            arrivals[pc] += 1
            self._consider_second(walker, first, Place(pc, Moment.BOUNDARY, arrivals[pc]))
            self._step(walker)
        walker.memory.check(self._board.registers.sp)

    def _take_interrupt(self, walker: _Walker) -> None:
        known = self._knows(walker.memory.bytes, walker.port)
        if known:
            walker.pass_handler(known)
            return
        steps, run = walker.handler()
        self._handlers.append(run)
        self._steps.update(steps)
        self._footprint = self._footprint.with_steps(steps)

    def _consider_second(self, walker: _Walker, first: Place, here: Place) -> None:
        """A second press here would start a handler: has it been seen to do the same before?"""
        found = walker.prospect()
        if found is not None and not self._knows(*found):
            self._later.append(_Later((first, here), *found))

    def _knows(self, memory: Bytes, port: PortState) -> _HandlerRun | None:
        """A run that a handler which starts now will repeat."""
        return next((run for run in self._handlers if run.again(memory, port)), None)

    def _handler_of_second(self, walker: _Walker, second: Place) -> None:
        arrivals = 0
        while True:
            if walker.enters_next:
                self._take_interrupt(walker)
                continue
            arrivals += self._board.registers.pc == second.pc
            if arrivals == second.nth:
                break
            if walker.asleep:
                raise TraceError("the second press's place is gone")
            self._steps.add(walker.step())
        walker.press()
        if walker.enters_next:
            self._take_interrupt(walker)


def explore(board: Board, start: int, button: str) -> Exploration:
    """Everything that a press of `button` and the program can do to each other, in the window from
    the first time at `start` to the sleep, and in the one that a first press there opens."""
    return _Explorer(board, start, button).explore()


def chosen(placements: Sequence[Placement], dependent: Collection[int]) -> list[Placement]:
    """The placements that stand for all: those before a dependent instruction, and at a sleep."""
    return [
        p for p in placements if p.place.moment is not Moment.BOUNDARY or p.place.pc in dependent
    ]
