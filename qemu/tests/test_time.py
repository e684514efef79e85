"""Bench time: it passes while the program sleeps, and only then, a millisecond at a time. And with
it the promise that all else stands on: the same script gives the same trace, always."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from firmwares import Bench, Build, qemus

from wakebench.board import Board, Limits, Points, Unmet
from wakebench.machine import Machine, Qemu, find_qemu
from wakebench.trace import Kind
from wakebench.when import When

TASK = Points({"poll": "task_poll", "register": "keep"})


def ticks(board: Board) -> list[int]:
    """When SysTick's handler was entered."""
    return [e.ms for e in board.trace.of(Kind.ENTER) if e.name == "SysTick_Handler"]


# -- ticks ---------------------------------------------------------------------------------------


def test_a_hundred_ticks(bench: Bench) -> None:
    """One entry of SysTick's handler for each millisecond, and not a storm."""
    board = bench("ticker")
    board.wait_ms(100)
    assert ticks(board) == list(range(1, 101))
    assert board.ms == 100
    assert board.trace.lines() == ["100 ms"]
    [line] = board.trace.of(Kind.LINE)
    assert line.ms == 100


def test_presses_between_ticks(bench: Bench) -> None:
    board = bench("ticker")
    board.wait_ms(5)
    board.press("SELECT")
    board.wait_asleep()
    assert board.ms == 5
    board.release("SELECT")
    board.wait_ms(3)
    board.press("SELECT")
    board.wait_ms(2)
    assert board.trace.lines() == ["press 1 at 5 ms", "press 2 at 8 ms"]
    assert ticks(board) == list(range(1, 11))


def test_wait_for_a_line_lets_time_pass(bench: Bench) -> None:
    board = bench("ticker")
    board.wait_line("200 ms")
    assert board.ms == 200
    board.wait_line("300 ms")
    assert board.ms == 300


def test_a_wait_for_what_never_comes_ends(bench: Bench) -> None:
    board = bench("ticker", limits=Limits(sleep_ms=50))
    board.wait_ms(7)
    with pytest.raises(Unmet, match="nothing will wake it"):
        board.wait_line("no such line")
    assert board.ms == 57


def test_time_without_a_clock(bench: Bench) -> None:
    """A program that sleeps without one sleeps an hour at once."""
    board = bench("sleeper")
    board.wait_ms(3_600_000)
    board.press("SELECT")
    board.wait_asleep()
    assert board.ms == 3_600_000
    assert told(board) == [(0, "reset"), (0, "sleep")] + [(3_600_000, kind) for kind in PRESS]


PRESS = ("edge", "wake-up", "enter", "exit", "line", "sleep")


def told(board: Board) -> list[tuple[int, str]]:
    """Time and kind of each event."""
    return [(e.ms, str(e.kind)) for e in board.trace]


def test_time_stands_still_while_the_program_runs(bench: Bench) -> None:
    """A loop of 1.5 million instructions takes no time; no tick comes before it sleeps."""
    board = bench("slow")
    board.wait_line("end")
    assert board.ms == 0
    board = bench("ticker")
    board.wait_symbol("clock_start")
    board.wait_before_sleep()
    assert board.ms == 0
    assert ticks(board) == []


def test_wait_of_nothing(bench: Bench) -> None:
    board = bench("ticker")
    board.wait_ms(0)
    assert board.asleep
    assert ticks(board) == []


def test_a_pending_tick_survives_a_write_to_the_timer(bench: Bench) -> None:
    """The bench takes back only the tick that such a write itself may make."""
    board = bench("restarter")
    board.wait_ms(20)
    assert ticks(board) == list(range(1, 21))
    assert len(board.trace.of(Kind.LINE)) == 20


def test_a_stopped_clock_ticks_no_more(bench: Bench) -> None:
    board = bench("restarter", STOP_AT=7)
    board.wait_ms(1000)
    assert ticks(board) == list(range(1, 8))
    assert board.ms == 1000


def test_reset_turns_the_clock_back(bench: Bench) -> None:
    board = bench("ticker")
    board.wait_ms(10)
    board.reset()
    assert board.ms == 0
    board.wait_ms(3)
    assert ticks(board) == [1, 2, 3]


# -- the same script, the same trace -------------------------------------------------------------


def mixed(board: Board) -> str:
    """Presses at all three moments, bounces, ticks; the digest of the trace."""
    board.reset()
    for when in When:
        board.press("SELECT", when)
        board.wait_ms(2)
        board.release("SELECT")
        board.leave_sleep()
    board.press("SELECT", When.ASLEEP)
    board.release("SELECT", When.BEFORE_SLEEP)
    board.press("SELECT", When.BEFORE_SLEEP)
    board.release("SELECT")
    board.bounce("SELECT", 3, 1)
    board.leave_sleep()
    board.wait_ms(2)
    return board.trace.digest()


def spurious(board: Board) -> str:
    """Presses, wakes and calls for no reason, on a task."""
    board.reset()
    for when in When:
        board.press("SELECT", when)
        board.wait_asleep()
        board.release("SELECT")
        board.spurious_wake()
        board.press("SELECT", When.BEFORE_SLEEP)
        board.wait_asleep()
        board.release("SELECT")
        board.call("add", 1, 2)
        board.leave_sleep()
    board.wait_asleep()
    return board.trace.digest()


SCENARIOS = [("ticker", mixed, Points()), ("task", spurious, TASK)]


@pytest.mark.load
@pytest.mark.usefixtures("load")
@pytest.mark.parametrize(("firmware", "scenario", "points"), SCENARIOS, ids=["ticks", "task"])
def test_twenty_runs_one_trace(
    build: Build, firmware: str, scenario: Callable[[Board], str], points: Points
) -> None:
    """On every QEMU at hand, in fresh machines and after resets, while all cores are busy."""
    image = build(firmware)
    digests = []
    for command in qemus():
        for _ in range(2):
            with Machine(image.path, find_qemu(command)) as machine:
                board = Board(machine, image, points)
                digests += [scenario(board) for _ in range(5 if len(qemus()) > 1 else 10)]
    assert len(digests) == 20
    assert len(set(digests)) == 1


def test_the_version_is_told(build: Build, qemu: Qemu) -> None:
    image = build("sleeper")
    with Machine(image.path, qemu) as machine:
        version = Board(machine, image, Points()).qemu_version
    assert [part.isdigit() for part in version.split(".")] == [True] * 3
