"""A guarded area: whoever reads or writes it ends there; outside of the guard nobody minds."""

from __future__ import annotations

import pytest
from firmwares import Bench

from wakebench.board import Board, Ended, Ending
from wakebench.probe import Area, Touch

RAM = Area("memory", 0x2000_8000, 0x8000)
TIMERS = Area("the timers", 0x4003_0000, 0x4000)
PRIORITIES = Area("priorities", 0xE000_E400, 0xF0, Touch.READS)
AREAS = (RAM, TIMERS, PRIORITIES)


def press(board: Board) -> None:
    board.wait_asleep()
    board.press("SELECT")
    board.wait_asleep()


@pytest.mark.parametrize(
    ("at", "writes", "named"),
    [
        (0x2000_8000, False, "memory"),
        (0x2000_FFFC, True, "memory"),
        (0x4003_0018, False, "the timers"),
        (0x4003_000C, True, "the timers"),
        (0xE000_E41C, False, "priorities"),
    ],
)
def test_an_access_to_a_guarded_area_ends_the_run(
    bench: Bench, at: int, writes: bool, named: str
) -> None:
    board = bench("trespasses", AT=hex(at), **({"WRITES": 1} if writes else {}))
    with pytest.raises(Ended) as caught, board.guarding(AREAS):
        press(board)
    assert (caught.value.ending, caught.value.detail) == (Ending.TRESPASS, named)
    board.reset()
    press(board)  # no longer guarded


@pytest.mark.parametrize("at", [0x2000_7FFC, 0x4003_4000, 0xE000_E4F0])
def test_what_lies_beside_is_not_guarded(bench: Bench, at: int) -> None:
    board = bench("trespasses", AT=hex(at))
    with board.guarding(AREAS):
        press(board)


def test_what_must_not_be_read_may_be_written(bench: Bench) -> None:
    board = bench("trespasses", AT="0xe000e41c", WRITES=1)
    with board.guarding(AREAS):
        press(board)
