"""Calls into a program from outside, and an interrupt before every instruction of one.

For labs whose exercise is a function and not a whole program: the checks call it while the program
sleeps, in thread mode, on the objects that the lab's main.c has for that.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from wakebench.board import Board, Unmet
from wakebench.core import SRAM
from wakebench.decode import Does
from wakebench.probe import Registers
from wakebench.trace import Kind

MARK = "from_here"
"""A function of for_checks.h that does nothing: the next call is the one to be interrupted."""


@dataclass(frozen=True)
class Spot:
    """Before an instruction of a call: its address, and which time it gets there, from 1.

    half: words that the instruction has stored already. The core may be interrupted within an
    instruction that stores several, and begins it again afterwards (ARM DDI 0403, B1.5.10); QEMU
    never is, so the bench does it in its place.
    """

    pc: int
    visit: int
    half: int = 0


@dataclass(frozen=True)
class Struck:
    """A call that was interrupted.

    spot        where the interrupt was asked for
    result      of the function
    waited      instructions that were executed before the handler came; more than none where they
                are masked. None: it did not come during the call
    stands_for  so many spots, this one included
    """

    spot: Spot
    result: int
    waited: int | None
    stands_for: int


def address(board: Board, name: str) -> int:
    """Of an object of the program. Raises Unmet where there is none."""
    symbol = board.image.symbol(name)
    if symbol is None:
        raise Unmet(f"{name} in the program", "there is none")
    return symbol.address


def words(board: Board, name: str, count: int, start: int = 0) -> list[int]:
    """`count` words of an object of the program, from word `start` on."""
    data = board.read_memory(address(board, name) + 4 * start, 4 * count) or bytes(4 * count)
    return [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]


def word(board: Board, name: str, index: int = 0) -> int:
    """One word of an object of the program."""
    return words(board, name, 1, index)[0]


def spots(board: Board, function: str, *arguments: int) -> list[Spot]:
    """Every place at which an interrupt can come in a call of a function, in order, from before its
    first instruction on. Calls it once."""
    return [spot for spot, _ in _way(board, function, function, *arguments)]


def _way(board: Board, called: str, function: str, *arguments: int) -> list[tuple[Spot, bool]]:
    """The spots of a call of `function`, which may be made by `called`, and whether each matters.
    It does not where the instruction touches nothing but registers and the stack: a handler sees
    neither, and gives them back as they were, so an interrupt before that instruction does what one
    after it does.
    """
    with board.recording() as steps:
        board.call(called, *arguments)
    own = [each for each in steps[:-1] if not each.exception]
    marked = 0 if called == function else _first(board, MARK, own)
    begins = _first(board, function, own, marked)
    ends = len(own) if called == function else _returns(own, begins)
    seen = Counter(each.pc for each in own[:begins])
    found = []
    for here in own[begins:ends]:
        seen[here.pc] += 1
        found.append((Spot(here.pc, seen[here.pc]), _matters(board, here)))
        for half in range(1, len(_stored(board, here.pc))):
            found.append((Spot(here.pc, seen[here.pc], half), _matters(board, here)))
    return found


def _first(board: Board, function: str, steps: Sequence[Registers], after: int = 0) -> int:
    start = address(board, function)
    return next(at for at in range(after, len(steps)) if steps[at].pc == start)


def _returns(steps: Sequence[Registers], begin: int) -> int:
    """Where the call has returned that begins there; the end, where it was the caller's last one
    and they returned together."""
    back = steps[begin].lr & ~1, steps[begin].sp
    later = range(begin, len(steps))
    return next((at for at in later if (steps[at].pc, steps[at].sp) == back), len(steps))


def _matters(board: Board, here: Registers) -> bool:
    code = board.decoder.at(here.pc)
    if code.exclusive or code.does is not Does.NOTHING:
        return True
    stack = range(SRAM, board.image.vectors[0])  # lowest in memory: lab/board/lm3s6965.ld
    return any(access.address not in stack for access in code.accesses(here))


_REGISTERS = {**{f"r{n}": n for n in range(13)}, "sb": 9, "sl": 10, "fp": 11, "ip": 12, "lr": 14}
_SEVERAL = re.compile(r"(?:stm\S* \w+!?, \{(?P<list>[^}]*)\}|strd\S* (?P<one>\w+), (?P<two>\w+),)")


def _stored(board: Board, pc: int) -> list[int]:
    """The registers that an instruction stores, if it stores several, and not onto the stack."""
    text = board.decoder.at(pc).text
    match = _SEVERAL.match(text)
    if match is None or text.startswith("stmdb"):
        return []
    names = match["list"] or f"{match['one']}, {match['two']}"
    return [_REGISTERS[name] for name in names.split(", ")]


def _store_some(board: Board, spot: Spot) -> None:
    """Do the first of what the instruction will do."""
    here = board.registers
    places = board.decoder.at(spot.pc).accesses(here)
    for place, register in list(zip(places, _stored(board, spot.pc), strict=True))[: spot.half]:
        board.poke(place.address, here[register])


def call_struck(
    board: Board, spot: Spot, strike: Callable[[], object], function: str, *arguments: int
) -> int:
    """Call a function, and `strike` when it comes to `spot`; its result. Raises Unmet where it does
    not come there."""
    call = board.begin_call(function, *arguments)
    first = board.registers.pc == spot.pc
    for _ in range(spot.visit - first):
        board.wait_any({spot.pc, call.resume_at}, f"0x{spot.pc:x}", awake=True)
        if board.has_returned(call):
            board.end_call(call)
            raise Unmet(f"{function} to come to 0x{spot.pc:x}", "it returned")
    if spot.half:
        _store_some(board, spot)
    strike()
    return board.end_call(call)


def _nothing() -> None:
    return None


def sweep_call(
    board: Board,
    strike: Callable[[], object],
    function: str,
    *arguments: int,
    by: str = "",
    prepare: Callable[[], object] = _nothing,
    timed: bool = True,
) -> Iterator[Struck]:
    """Call a function, and strike; once for each spot that matters, which stands for those before
    it that do not. Before each call, and one more at the beginning, `prepare`.

    by: a function of main.c that prepares, calls from_here(), then the function, and looks at what
    has come of it. It is called in its place: the arguments are its, and so is the result. A
    program does in a microsecond what takes the bench a millisecond for each call.
    timed: say how long the interrupt had to wait; without, that is faster.

    From here to the board's next reset nothing is traced but, where it is timed, handlers.
    """
    board.trace_no_more(but_handlers=timed)
    called = by or function
    prepare()
    way = _way(board, called, function, *arguments)
    at = {spot: number for number, (spot, _) in enumerate(way)}
    stands_for = 0
    for spot, matters in way:
        stands_for += 1
        if not matters and spot != way[-1][0]:
            continue
        prepare()
        before = len(board.trace)
        try:
            result = call_struck(board, spot, strike, called, *arguments)
        except Unmet:
            continue  # another way this time; that one is met at other spots
        entered = [e for e in board.trace.since(before) if e.kind is Kind.ENTER]
        waited = None
        if entered:
            later = [n for each, n in at.items() if each.pc == entered[0].pc and n >= at[spot]]
            waited = min(later) - at[spot] if later else len(way) - at[spot]
        yield Struck(spot, result, waited, stands_for)
        stands_for = 0


@dataclass
class Tally:
    """How much a sweep has covered."""

    placements: int = 0
    relevant: int = 0

    def count(self, struck: Struck) -> None:
        """One more that was struck, and found right."""
        self.placements += struck.stands_for
        self.relevant += 1

    def __str__(self) -> str:
        return f"{self.placements} placements, {self.relevant} of them relevant, 0 failed."
