"""How a run comes to an instruction without a breakpoint: by what the instruction touches.

After a stop at a breakpoint QEMU throws away what it has translated, and in a page with one it
translates instruction by instruction; a stop at a watchpoint costs neither. Where a press matters
the next instruction mostly reads or writes something, and a record of the run tells what, and
whether anything else does so before.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from wakebench.decode import RAM, Access, Decoder
from wakebench.pins import PORTS
from wakebench.probe import Area, Registers, Touch
from wakebench.sweep import HARNESS_SRAM

MOST = 4
"""Marks on a way. Affects speed, no verdict."""

_PORT_SIZE = 0x1000
_PORTS = frozenset(PORTS.values())


class Mark(NamedTuple):
    """An instruction: the registers before it, and what it touches first."""

    here: Registers
    area: Area


Way = tuple[Mark, ...]
"""Marks on the way to an instruction, of which the last one is that: from each to the next, nothing
else touches what that touches. Empty: no way is known."""


class Arrival(NamedTuple):
    """How a core comes to an instruction of a run: the registers there, by which way, if one is
    known, and otherwise at which stop at its address: the `nth` with these registers, of `stops`
    (0: it stands there). The registers alone do not tell: interrupts may have been masked before.
    """

    here: Registers
    way: Way = ()
    nth: int = 1
    stops: int = 1


class Trail:
    """A recorded run, in which ways are looked for."""

    def __init__(
        self,
        record: Sequence[Registers],
        decoder: Decoder,
        begin: int = 0,
        *,
        by_mark: bool = False,
    ) -> None:
        """`record`: the registers before each instruction; it may grow. The core stands at number
        `begin` of it; `by_mark`: it comes there by the mark of that, which begins each way."""
        self._record, self._decoder = record, decoder
        self._begin = self._end = begin
        self._by_mark = by_mark
        self._last: dict[tuple[Touch, int], int] = {}
        """Where each word has last been read, and written."""
        self._marked: list[int] = []
        """Numbers of the instructions to which there is a way."""
        self._parts: dict[int, _Part] = {}

    def way(self, at: int) -> Way:
        """To the instruction of that number."""
        while self._end <= at:
            self._pass_one()
        way: list[Mark] = []
        while at in self._parts:
            way.append(self._parts[at].mark)
            at = self._parts[at].before
        return tuple(reversed(way))

    def arrival(self, at: int) -> Arrival:
        """At the instruction of that number, from where the core stands."""
        here, passed = self._record[at], self._record[self._begin + 1 : at + 1]
        stops = sum(line.pc == here.pc for line in passed)
        return Arrival(here, self.way(at), passed.count(here), stops)

    def _pass_one(self) -> None:
        at, here = self._end, self._record[self._end]
        self._end += 1
        accesses = _accesses(self._decoder, here)
        mark = mark_of(here, accesses)
        if mark is not None:
            self._find_way(at, mark)
        for each in accesses:
            for word in _words(each.address, each.size):
                if each.write:
                    self._last[Touch.WRITES, word] = at
                if not each.write or each.exclusive:  # QEMU's STREX reads before it writes
                    self._last[Touch.READS, word] = at

    def _find_way(self, at: int, mark: Mark) -> None:
        """The shortest, whose last part begins behind whatever touches the same."""
        words = _words(mark.area.start, mark.area.length)
        other = max(self._last.get((mark.area.touch, word), -1) for word in words)
        if other < 0 and (at == self._begin or not self._by_mark):
            self._add(at, _Part(mark))
        elif after := self._marked[bisect(self._marked, other) :]:
            before = min(after, key=lambda number: self._parts[number].marks)
            marks = self._parts[before].marks + 1
            if marks <= MOST:
                self._add(at, _Part(mark, before, marks))

    def _add(self, at: int, part: _Part) -> None:
        self._parts[at] = part
        self._marked.append(at)


class _Part(NamedTuple):
    """The last mark of a way, the number of the instruction with the one before (-1: none), and how
    many there are."""

    mark: Mark
    before: int = -1
    marks: int = 1


def mark_of(here: Registers, accesses: Sequence[Access]) -> Mark | None:
    """None where nothing is touched that can be waited for."""
    if not accesses or not all(map(_can_be_watched, accesses)):
        return None
    first = accesses[0]
    touch = Touch.WRITES if first.write else Touch.READS
    return Mark(here, Area("a mark", first.address, first.size, touch))


def landmarks(record: Sequence[Registers], decoder: Decoder) -> Iterator[tuple[int, Mark]]:
    """Instructions of a record that read what none before has touched, with their numbers. What has
    come before the record has mostly only written there, as who sets memory to zero."""
    seen: set[int] = set()
    for at, here in enumerate(record):
        accesses = _accesses(decoder, here)
        mark = mark_of(here, accesses)
        touched = {word for each in accesses for word in _words(each.address, each.size)}
        if mark is not None and mark.area.touch is Touch.READS and seen.isdisjoint(touched):
            yield at, mark
        seen |= touched


def _accesses(decoder: Decoder, here: Registers) -> tuple[Access, ...]:
    instruction = decoder.at(here.pc)
    return () if instruction.plain else instruction.accesses(here)


def _can_be_watched(access: Access) -> bool:
    """The program's memory, or a port, which nobody else watches, but for the bell; and not the
    alias of something else."""
    port = access.address - access.address % _PORT_SIZE
    own = RAM <= access.address < HARNESS_SRAM or port in _PORTS
    return own and access.bit < 0 and not _rings(access)


def _rings(access: Access) -> bool:
    """See lab/board/bell.h."""
    return access.write and access.data == access.address.to_bytes(4, "little")


def _words(start: int, length: int) -> range:
    return range(start >> 2, (start + length - 1 >> 2) + 1)
