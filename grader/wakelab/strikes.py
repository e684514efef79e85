"""Calls into a program from outside, and an interrupt before every instruction of one.

For labs whose exercise is a function and not a whole program: the checks call it while the program
sleeps, in thread mode, on the objects that the lab's main.c has for that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from wakebench.board import Board, Unmet
from wakebench.trace import Kind


@dataclass(frozen=True)
class Spot:
    """Before an instruction of a call: its address, and which time it gets there, from 1."""

    pc: int
    visit: int


@dataclass(frozen=True)
class Struck:
    """A call that was interrupted.

    spot     where the interrupt was asked for
    result   of the function
    waited   instructions that were executed before the handler came; more than none where they are
             masked. None: it did not come during the call
    """

    spot: Spot
    result: int
    waited: int | None


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
    start = address(board, function)
    with board.recording() as steps:
        board.call(function, *arguments)
    own = [each.pc for each in steps[:-1] if not each.exception]
    seen: Counter[int] = Counter()
    found = []
    for pc in own[own.index(start) :]:
        seen[pc] += 1
        found.append(Spot(pc, seen[pc]))
    return found


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
    strike()
    return board.end_call(call)


def sweep_call(
    board: Board, strike: Callable[[], object], function: str, *arguments: int
) -> Iterator[Struck]:
    """Call a function once for each of its spots, and strike there; each when asked for. What has
    to be put back between two calls is the caller's business."""
    way = spots(board, function, *arguments)
    at = {spot: number for number, spot in enumerate(way)}
    for spot in way:
        before = len(board.trace)
        try:
            result = call_struck(board, spot, strike, function, *arguments)
        except Unmet:
            continue  # another way this time; that one is met at other spots
        entered = [e for e in board.trace.since(before) if e.kind is Kind.ENTER]
        waited = None
        if entered:
            later = [n for each, n in at.items() if each.pc == entered[0].pc and n >= at[spot]]
            waited = min(later) - at[spot] if later else len(way) - at[spot]
        yield Struck(spot, result, waited)
