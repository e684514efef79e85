"""Where the program says that it is about to sleep, or to call the host: the bell (bell.h)."""

from __future__ import annotations

import pytest
from firmwares import Bench, Build

from wakebench.board import Ended, Ending
from wakebench.image import RING_SIZE


def test_who_rings_it(build: Build) -> None:
    """In front of each WFI and BKPT of the board's files, and of no other."""
    image = build("sleep_first")
    rung = {image.name_at(ring): image.sites[ring + RING_SIZE] for ring in image.rings}
    assert rung == {"semihosting_call": "bkpt", "board_stop": "wfi"}
    assert {"wfi", "wfi.w"} <= {image.sites[at] for at in image.sites if at - 2 not in image.rings}


def test_whoever_writes_to_it_goes_on(bench: Bench) -> None:
    board = bench("bell", HOW="WRITES")
    board.wait_asleep()
    assert board.trace.lines() == ["begin", "1 written", "2 written", "3 written"]


def test_it_is_stepped_over(bench: Bench) -> None:
    """Instruction by instruction, the program comes to the same."""
    board = bench("bell", HOW="WRITES")
    board.wait_symbol("main")
    done = board.execute(100_000)
    assert 100 < done < 100_000
    assert board.asleep
    assert board.trace.lines() == ["begin", "1 written", "2 written", "3 written"]


def test_every_arrival_at_it_counts_once(bench: Bench) -> None:
    board = bench("bell", HOW="WRITES")
    call = board.image.symbol("semihosting_call")
    assert call is not None
    [ring] = (at for at in board.image.rings if call.holds(at))
    for lines in range(4):
        board.wait_address(ring)
        assert len(board.trace.lines()) == lines
    board.wait_asleep()
    assert len(board.trace.lines()) == 4


@pytest.mark.parametrize("how", ["PASSES_BY", "RINGS_ANOTHER"])
def test_a_sleep_that_is_not_heard_is_none(bench: Bench, how: str) -> None:
    board = bench("bell", HOW=how)
    with pytest.raises(Ended) as ended:
        board.wait_asleep()
    assert ended.value.ending is Ending.HIDDEN_SLEEP
    assert board.image.name_at(ended.value.pc) == "sleep_unheard"
    assert "whose bell was not rung" in ended.value.detail
    assert board.trace.lines() == ["begin"]


def test_a_call_that_is_not_heard_is_refused(bench: Bench) -> None:
    """Or a program could print lines in the board's name."""
    board = bench("bell", HOW="CALLS_BEHIND_IT")
    with pytest.raises(Ended, match="not through the board's console") as ended:
        board.wait_asleep()
    assert ended.value.ending is Ending.FORBIDDEN
    assert board.trace.lines() == ["begin"]
