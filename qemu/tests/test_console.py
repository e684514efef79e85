"""The console: what a program may ask of the host is to print and to end, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from firmwares import Bench

from wakebench.board import Board, Ended, Ending
from wakebench.console import (
    EXIT,
    EXIT_EXTENDED,
    LONGEST_STRING,
    OPERATIONS,
    WRITE0,
    WRITEC,
    Exited,
    Printed,
    Refused,
    answer,
)
from wakebench.trace import Kind

PERMITTED = {WRITEC, WRITE0, EXIT, EXIT_EXTENDED}
EVERY_OPERATION = [*range(0x41), 0x100, 0x104, 0xFFFF_FFFF]


def memory(content: bytes, base: int = 0x2000_0000) -> Callable[[int, int], bytes | None]:
    """A reader of `content` at `base`; anything beyond is nowhere, as the probe would say."""

    def read(address: int, length: int) -> bytes | None:
        offset = address - base
        if offset < 0 or offset + length > len(content):
            return None
        return content[offset : offset + length]

    return read


# -- the decision, operation by operation -------------------------------------------------------


@pytest.mark.parametrize("operation", EVERY_OPERATION)
def test_what_the_board_may_ask(operation: int) -> None:
    got = answer(operation, 0x2000_0000, True, memory(b"hi\0" + bytes(256)))
    match operation:
        case 0x04:
            assert got == Printed(b"hi")
        case 0x03:
            assert got == Printed(b"h")
        case 0x18 | 0x20:
            assert got == Exited()
        case _:
            assert isinstance(got, Refused)
            assert OPERATIONS.get(operation, f"0x{operation:x}") in got.request


@pytest.mark.parametrize("operation", EVERY_OPERATION)
def test_nobody_else_may_ask_for_anything(operation: int) -> None:
    """Not even print; and its memory is not even looked at."""

    def read(address: int, length: int) -> bytes | None:
        raise AssertionError("read memory for a call that is refused anyway")

    got = answer(operation, 0x2000_0000, False, read)
    assert isinstance(got, Refused)
    assert got.request.endswith("not through the board's console")


@pytest.mark.parametrize("offset", [0, 1, 63, 64, 65])
@pytest.mark.parametrize("length", [0, 1, 62, 63, 64, 65, 127, 128, 1000])
def test_strings_across_chunks(offset: int, length: int) -> None:
    text = bytes(1 + n % 255 for n in range(length))
    content = bytes(offset) + text + b"\0" + b"behind" * 100
    got = answer(WRITE0, 0x2000_0000 + offset, True, memory(content))
    assert got == Printed(text)


def test_strings_that_do_not_end() -> None:
    endless = memory(b"x" * 65536)
    assert answer(WRITE0, 0x2000_0000, True, endless) == Printed(b"x" * LONGEST_STRING)
    assert answer(WRITE0, 0x2000_0001, True, endless) == Printed(b"x" * LONGEST_STRING)
    at_the_edge = memory(b"x" * 128)
    assert answer(WRITE0, 0x2000_0000, True, at_the_edge) == Printed(b"x" * 128)


def test_strings_nowhere() -> None:
    assert answer(WRITE0, 0, True, memory(b"")) == Printed(b"")
    assert answer(WRITEC, 0, True, memory(b"")) == Printed(b"")


def test_addresses_do_not_leave_the_address_space() -> None:
    asked = []

    def read(address: int, length: int) -> bytes | None:
        asked.append((address, length))
        return b"x" * length

    answer(WRITE0, 0xFFFF_FFF0, True, read)
    assert all(0 <= at and at + length <= 1 << 32 for at, length in asked)


# -- on the board -------------------------------------------------------------------------------


def press(board: Board) -> None:
    board.wait_asleep()
    board.press("SELECT")
    board.wait_asleep()


REQUESTS = {
    "open": {"OPERATION": 0x01},
    "remove": {"OPERATION": 0x0E},
    "time": {"OPERATION": 0x11},
    "system": {"OPERATION": 0x12, "PARAMETER": "&to_run"},
    "command line": {"OPERATION": 0x15},
    "unknown": {"OPERATION": 0x77},
}


@pytest.mark.parametrize("way", ["BOARD", "OWN", "RAM"])
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=list(REQUESTS))
def test_requests_are_refused(
    request_: dict[str, int | str],
    way: str,
    bench: Bench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By name, with the address that asked; nothing happens on the host; the run is over."""
    monkeypatch.chdir(tmp_path)
    board = bench("asks", WAY=way, **request_)
    with pytest.raises(Ended) as ended:
        press(board)
    assert ended.value.ending is Ending.FORBIDDEN
    operation = int(request_["OPERATION"])
    assert OPERATIONS.get(operation, f"0x{operation:x}") in ended.value.detail
    assert ("not through the board's console" in ended.value.detail) == (way != "BOARD")
    where = {"BOARD": "semihosting_call", "OWN": "own_bkpt", "RAM": "code"}[way]
    assert board.image.name_at(ended.value.pc) == where
    [told] = board.trace.of(Kind.FORBIDDEN)
    assert (told.name, told.pc) == (ended.value.detail, ended.value.pc)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Ended):
        board.press("SELECT")
    board.reset()
    board.wait_asleep()


@pytest.mark.parametrize("way", ["OWN", "RAM"])
@pytest.mark.parametrize("operation", [WRITEC, WRITE0, EXIT, EXIT_EXTENDED])
def test_own_prints_and_exits_are_refused(bench: Bench, operation: int, way: str) -> None:
    """Or a program could fake the console's lines, and nobody would know who wrote them."""
    board = bench("asks", WAY=way, OPERATION=operation, PARAMETER="path")
    with pytest.raises(Ended) as ended:
        press(board)
    assert ended.value.ending is Ending.FORBIDDEN
    assert board.trace.lines() == []


PRINTED = {
    "bytes": ["ok \\xff\\xfe\\xc3( end"],
    "escapes": ["\x1b[2J\x1b]0;owned\x07red\r"],
    "0xf0000000": [],
    "0xffffffff": [],
    "half": [],
}


@pytest.mark.parametrize("what", PRINTED)
def test_what_is_printed(bench: Bench, what: str) -> None:
    """As it is; what is not UTF-8 as escapes, what is nowhere as nothing, half a line later."""
    board = bench("asks", WAY="BOARD", OPERATION=WRITE0, PARAMETER=what)
    press(board)
    rest = "half a lineanswer 0" if what == "half" else "answer 0"
    assert board.trace.lines() == [*PRINTED[what], rest]


def test_string_without_an_end(bench: Bench) -> None:
    board = bench("asks", WAY="BOARD", OPERATION=WRITE0, PARAMETER="endless")
    press(board)
    assert board.trace.lines() == ["x" * LONGEST_STRING + "answer 0"]


def test_one_character(bench: Bench) -> None:
    board = bench("asks", WAY="BOARD", OPERATION=WRITEC, PARAMETER="path")
    press(board)
    assert board.trace.lines() == ["wanswer 0"]


def test_exit(bench: Bench) -> None:
    board = bench("exits")
    with pytest.raises(Ended) as ended:
        board.wait_asleep()
    assert ended.value.ending is Ending.EXIT
    assert board.trace.lines() == ["PASS"]


def test_flood(bench: Bench) -> None:
    board = bench("floods")
    with pytest.raises(Ended) as ended:
        board.wait_asleep()
    assert ended.value.ending is Ending.FLOOD
    printed = sum(len(line) + 1 for line in board.trace.lines())
    assert board.limits.console_bytes < printed <= board.limits.console_bytes + 120
