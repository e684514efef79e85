"""A recorded run, walked instruction by instruction: what each of them touched, and what memory and
the button's line were before it.

The run itself is QEMU's record (wakebench.recording). Memory and line are computed from what its
instructions write, and compared with the machine's at each sleep: a difference in memory is an
error of the bench; one in the line is said, and the run not relied on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from wakebench.board import Board, Ended, Unmet
from wakebench.core import SRAM, SRAM_SIZE
from wakebench.decode import Access, Decoder, Does, Masks
from wakebench.errors import BenchError
from wakebench.footprint import Footprint, Step, TraceError
from wakebench.line import Line, Wire, line_of
from wakebench.marks import Trail
from wakebench.probe import Registers
from wakebench.recording import is_entry

Bytes = bytes | memoryview

STEPS = 4_000
"""Instructions that are looked at in one run."""

KNOWN = b"\xff"
"""Of a byte: its value is known; else 0."""

Prospect = tuple[bytes, Line]
"""Memory (from SRAM on) and line as a handler would find them."""


class _Memory:
    """The program's memory, kept up to date from what its instructions write. What lies on the
    stack and has not been written since anybody else may have written there is not known: no
    program can rely on it, so states that differ in that alone are the same."""

    def __init__(self, board: Board) -> None:
        image = board.image
        self._board = board
        self._data = (image.value("__data_start__"), image.value("__bss_end__"))
        self._stack = (image.value("__stack_start__"), image.value("__stack_end__"))
        self._bytes = bytearray(SRAM_SIZE)
        self._known = bytearray(SRAM_SIZE)
        self.bytes = memoryview(self._bytes).toreadonly()
        self._copy: bytes | None = None

    def load(self, sp: int) -> None:
        """Read what is in use: variables, and the stack from `sp` up."""
        areas = self._data, (sp, self._stack[1])
        for (start, _), found in zip(areas, self._read(*areas), strict=True):
            self._set(start - SRAM, found)

    def _set(self, at: int, data: bytes) -> None:
        self._copy = None
        self._bytes[at : at + len(data)] = data
        self._known[at : at + len(data)] = KNOWN * len(data)

    def _read(self, *areas: tuple[int, int]) -> list[bytes]:
        """What the machine has now, between two addresses each."""
        found = self._board.read_each(*((start, end - start) for start, end in areas))
        if None in found:
            raise TraceError("the program's stack pointer leaves its memory")
        return [each for each in found if each is not None]

    def apply(self, access: Access, stored: bool) -> None:
        """Take a write over. `stored`: an exclusive one has not failed."""
        if not access.write or not stored or not SRAM <= access.address < SRAM + SRAM_SIZE:
            return
        at, data = access.address - SRAM, access.data
        if access.bit >= 0:
            data = bytes([self._bytes[at] & ~(1 << access.bit) | data[0] << access.bit])
        self._set(at, data)

    def put(self, values: Mapping[int, int]) -> None:
        """Take bytes over, by address from SRAM on."""
        for at, value in values.items():
            self._set(at, bytes([value]))

    def forget_below(self, sp: int) -> None:
        """An interrupt has used the stack below `sp`."""
        self.forget(self._stack[0], sp)

    def forget(self, start: int, end: int) -> None:
        """This part of the stack is free. Nothing, if it is none of the stack."""
        first, last = self._stack
        if first <= start < end <= last:
            self._known[start - SRAM : end - SRAM] = bytes(end - start)

    def known(self, sp: int) -> bytes:
        """Of each byte of the stack from `sp` up, whether it is known."""
        return bytes(self._known[sp - SRAM : self._stack[1] - SRAM])

    def forget_unknown(self, sp: int, known: bytes) -> None:
        """Take over what `known` said of the same stack in another run."""
        for at, sure in enumerate(known, sp):
            if not sure:
                self.forget(at, at + 1)

    def copy(self) -> bytes:
        """All of it, from the address SRAM on. The same object until something changes."""
        if self._copy is None:
            self._copy = bytes(self._bytes)
        return self._copy

    def in_use(self, sp: int) -> tuple[bytes, bytes]:
        """The variables and the stack, in which what is not known is 0."""
        start, end = self._data
        variables = bytes(self._bytes[start - SRAM : end - SRAM])
        stack, known = self._bytes[sp - SRAM : self._stack[1] - SRAM], self.known(sp)
        sure = int.from_bytes(stack, "little") & int.from_bytes(known, "little")
        return variables, sure.to_bytes(len(stack), "little")

    def variables(self) -> bytes:
        """The variables as the machine has them now."""
        return self._read(self._data)[0]

    def is_as_seen(self, sp: int) -> bool:
        """Whether the machine has the same now, as far as it is known."""
        variables, stack = self.in_use(sp)
        now, found = self._read(self._data, (sp, self._stack[1]))
        known = self.known(sp)
        return variables == now and all(
            ours == theirs or not sure
            for ours, theirs, sure in zip(stack, found, known, strict=True)
        )


class HandlerRun(NamedTuple):
    """A run of a handler is decided by what it reads: `line` is the state that it found, `needs`
    are the bytes that it read before it wrote them, `left` those that it wrote (address from SRAM
    on, value). `path`: its instructions; `looks`: where in it a press may matter, as numbers in the
    path, and for each whether it would change the line; `after`: line and masks when it has
    returned."""

    line: Line
    needs: Mapping[int, int]
    left: Mapping[int, int]
    footprint: Footprint
    path: tuple[int, ...]
    looks: tuple[tuple[int, bool], ...]
    after: tuple[Line, Masks]

    def again(self, memory: Bytes, line: Line) -> bool:
        """Whether a handler that starts with this memory would do the very same."""
        return line == self.line and all(memory[at] == value for at, value in self.needs.items())


@dataclass
class Walker:
    """Walks what a board does from where it stands, in thread mode: `watch` runs it, then `step`,
    `handler` and `pass_handler` go along its record."""

    board: Board
    decoder: Decoder
    wire: Wire
    masks: Masks
    memory: _Memory = field(init=False)
    line: Line = field(init=False)
    steps: int = 0

    def __post_init__(self) -> None:
        self._entries = frozenset(self.board.image.handlers().values())
        self._record: list[Registers] = [self.board.registers]
        self._at = 0
        self.trail = Trail(self._record, self.decoder)
        """The walk's ways, from where it began."""
        self._outer = 0
        self._problem: Exception | None = None
        self.memory = _Memory(self.board)
        self.memory.load(self.board.registers.sp)
        self.line = line_of(self.board, self.wire)
        self._pressed = _pressed(self.line)

    def pressed(self) -> None:
        """Somebody has pressed."""
        self.line = line_of(self.board, self.wire)

    def watch(self, run: Callable[[], object]) -> None:
        """Have the board run on, and add that to the record, of which the walk is at the end. A run
        that ends otherwise is walked as far as it goes; the end of that walk raises."""
        try:
            with self.board.recording(2 * STEPS) as lines:
                run()
        except (Ended, Unmet) as problem:
            self._problem = problem
        self._record[-1:] = lines

    def let_run(self, run: Callable[[], object]) -> None:
        """Have the board run on, and look at nothing of it."""
        try:
            run()
        except (Ended, Unmet) as problem:
            self._problem = problem

    # -- where the walk is -----------------------------------------------------------------------

    @property
    def here(self) -> Registers:
        """The registers before the next instruction."""
        return self._record[self._at]

    @property
    def record(self) -> Sequence[Registers]:
        """The registers before each instruction, and where the board is now."""
        return self._record

    @property
    def passed(self) -> int:
        """How many lines of the record lie behind."""
        return self._at

    def arrival(self, at: int) -> tuple[Registers, int]:
        """A line of the record, and how many times the core has come to its instruction by then."""
        line = self._record[at]
        return line, sum(before.pc == line.pc for before in self._record[: at + 1])

    @property
    def at_end(self) -> bool:
        """Whether the record ends here."""
        if self._at < len(self._record) - 1:
            return False
        if self._problem is not None:
            raise self._problem
        return True

    @property
    def whole(self) -> bool:
        """Whether the record goes to where the board was to run."""
        return self._problem is None

    @property
    def enters_next(self) -> bool:
        """Whether the button's handler comes before the next instruction."""
        return is_entry(self.here, self._entries) and self.here.exception == self.wire.exception

    @property
    def handler_ahead(self) -> bool:
        """Whether the button's handler comes in what is left of the record."""
        return any(
            line.exception == self.wire.exception and is_entry(line, self._entries)
            for line in self._record[self._at :]
        )

    @property
    def at_plain(self) -> bool:
        """Whether the next instruction works on the core's registers alone."""
        return self.decoder.at(self.here.pc).plain

    @property
    def masked(self) -> bool:
        """Whether the button's interrupt would have to wait here, whatever the NVIC says."""
        return self.masks.hold(self.line.priority) or self.here.exception != 0

    def prospect(self) -> Prospect | None:
        """Memory and line as the handler of a press now would find them; None if it would not start
        at once."""
        if self.masked:
            return None
        found = self._after_press().entered
        return (self.memory.copy(), found) if found is not None else None

    @property
    def press_changes(self) -> bool:
        """Whether the line would be another after a press now."""
        return self._after_press().changes

    def _after_press(self) -> _Pressed:
        if self._pressed.line is not self.line:
            self._pressed = _pressed(self.line)
        return self._pressed

    def state(self) -> tuple[object, ...]:
        """All that decides about what comes."""
        return (self.here, self.masks, self.line, *self.memory.in_use(self.here.sp))

    def machine(self) -> tuple[Line, bytes]:
        """Line and variables as the machine has them at the end of the record."""
        return line_of(self.board, self.wire), self.memory.variables()

    def check(self) -> None:
        """At the end: nothing was missed on the way."""
        if not self.memory.is_as_seen(self.here.sp):
            raise BenchError("memory changed otherwise than the instructions say")
        if line_of(self.board, self.wire) != self.line:
            raise TraceError("the button's port changed otherwise than the instructions say")

    def known_stack(self) -> bytes:
        """Of each byte of the stack in use, whether it is known."""
        return self.memory.known(self.here.sp)

    def forget_unknown(self, known: bytes) -> None:
        """Take over what `known_stack` said at the same place in another run."""
        self.memory.forget_unknown(self.here.sp, known)

    # -- along the record ------------------------------------------------------------------------

    def step(self) -> Step:
        """One instruction."""
        self.steps += 1
        if self.steps > STEPS:
            raise TraceError(f"more than {STEPS} instructions without a sleep")
        before = self.here
        instruction = self.decoder.at(before.pc)
        accesses = instruction.accesses(before)
        step = Step(
            before.pc,
            self.masked,
            tuple(map(Access.place, accesses)),
            before.exception,
            instruction.exclusive or instruction.does in (Does.MASKS, Does.SLEEPS),
            self.masks.closed,
        )
        self.masks = instruction.masks(before, self.masks)
        self._at += 1
        for access in accesses:
            self.memory.apply(access, instruction.stored(self.here))
            if access.device:
                self.line = self.line.after(access)
        if instruction.does is not Does.MASKS and self.here.exception == before.exception:
            self.memory.forget(before.sp, self.here.sp)  # a frame that is left, if it has risen
        return step

    def sleep(self) -> Step:
        """At the end: the WFI, which the core has not left."""
        here = self.here
        return Step(here.pc, self.masked, (), here.exception, True, self.masks.closed)

    def handler(self) -> tuple[list[Step], HandlerRun]:
        """The handler that begins here, to its return."""
        back, begin = self._return(), self._at
        found, line = self.memory.copy(), self.line.entered()
        self.line = line
        lowest, steps, looks = self.here.sp, [], []
        while self._at < back:
            changes = self.press_changes
            steps.append(self.step())
            # At the end an edge that merges may be one too many; another is as good as one that
            # comes when the handler has returned.
            if self.wire.decides(steps[-1].accesses) or (self._at == back and not changes):
                looks.append((len(steps) - 1, changes))
            lowest = min(lowest, self.here.sp)
        own = range(lowest, self.here.sp)
        shared = [s._replace(accesses=_outside(s.accesses, own)) for s in steps]
        left = {at: self.memory.bytes[at] for at in _written(shared)}
        needs = dict(_needs(shared, found))
        self.memory.forget_below(self.here.sp)
        self.line = self.line.left()
        after = self.line, self.masks
        touched = Footprint().with_steps(shared)
        path = self._path(begin, back)
        return shared, HandlerRun(line, needs, left, touched, path, tuple(looks), after)

    def pass_handler(self, known: HandlerRun) -> None:
        """The same without looking at its instructions, which are known."""
        back = self._return()
        if self._path(self._at, back) != known.path:
            # A record that ends where it was full may end in the middle of a handler.
            raise self._problem or BenchError(
                "the same handler did something else: the machine is not exact"
            )
        self.memory.put(known.left)
        self.line, self.masks = known.after
        self._at = back
        self.memory.forget_below(self.here.sp)

    def _path(self, begin: int, end: int) -> tuple[int, ...]:
        return tuple(line.pc for line in self._record[begin:end])

    def _return(self) -> int:
        """Where in the record the handler that begins here has returned. It may begin again at
        once."""
        outer = self._record[self._at - 1].exception if self._at else 0
        if outer != self.wire.exception:
            self._outer = outer
        for at in range(self._at + 1, len(self._record)):
            line = self._record[at]
            again = line.exception == self.wire.exception and is_entry(line, self._entries)
            if line.exception == self._outer or again:
                return at
        raise self._problem or TraceError("the handler does not return")


class _Pressed(NamedTuple):
    """What a press does to a line: whether it changes it, and the line as the handler that it
    starts at once would find it."""

    line: Line
    changes: bool
    entered: Line | None


def _pressed(line: Line) -> _Pressed:
    after = line.pressed()
    return _Pressed(line, after != line, after.entered() if after.calls else None)


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
