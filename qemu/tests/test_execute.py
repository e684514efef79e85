"""Execution instruction by instruction comes to the same as a run, interrupts included."""

from __future__ import annotations

import pytest
from firmwares import Bench

from wakebench.board import Board, Ended, Ending, Points, Unmet
from wakebench.pin_names import Pin
from wakebench.play import play
from wakebench.script import (
    MAX_STEPS,
    Press,
    Release,
    ScriptError,
    SetPin,
    WaitAsleep,
    WaitInstructions,
    WaitMs,
    parse_script,
    script_text,
)
from wakebench.trace import Event, Kind, Trace

TASK = Points({"poll": "task_poll", "register": "keep"})


def lines(board: Board) -> list[str]:
    """The trace; but a handler's return is written down when the core is next looked at, and step
    by step that is at once."""
    return [
        e._replace(pc=0, exception=0).canonical() if e.kind is Kind.EXIT else e.canonical()
        for e in board.trace
    ]


@pytest.mark.parametrize("at_once", [1, 7, 10_000])
def test_to_the_sleep_and_through_a_press(bench: Bench, at_once: int) -> None:
    """Also where the steps end in the middle of a handler."""
    ran, stepped = bench("sleeper", TASK), bench("sleeper", TASK)
    for press in range(3):
        if press:
            for board in (ran, stepped):
                board.release("SELECT")
                board.press("SELECT")
        ran.wait_asleep()
        while stepped.execute(at_once) == at_once:
            pass
        assert stepped.asleep
        assert lines(stepped) == lines(ran)
    assert ran.trace.lines()[-1] == "press 2"
    assert stepped.execute(5) == 0, "it sleeps"
    assert lines(stepped) == lines(ran)


def test_a_press_in_between_comes_before_the_next_instruction(bench: Bench) -> None:
    """At each of many places: the handler interrupts just that instruction."""
    for count in range(1, 200, 13):
        board = bench("sleeper")
        board.wait_asleep()
        board.press("SELECT")
        assert board.execute(count) == count
        here, masked = board.pc, board.registers.exception != 0 or board.primask()
        board.release("SELECT")
        board.press("SELECT")
        assert board.execute(1) == 1
        entered = board.trace.of(Kind.ENTER)[1:]
        if masked:
            assert entered == [] or entered[0].pc != here
        else:
            assert entered[0].pc == here


def test_a_wfi_with_something_pending_is_an_instruction(bench: Bench) -> None:
    board = bench("sleeper")
    board.wait_before_sleep()
    wfi = board.pc
    board.press("SELECT")
    assert board.primask(), "or the handler comes first"
    assert board.execute(1) == 1
    assert board.pc == wfi + 2 and not board.asleep


def test_the_script_says_what_it_would_not_do(bench: Bench) -> None:
    board = bench("sleeper")
    board.wait_asleep()
    board.press("SELECT")
    with pytest.raises(Unmet, match="100000 instructions; seen: the program sleeps after"):
        board.wait_instructions(100_000)


def test_what_ends_a_run_ends_it_here_too(bench: Bench) -> None:
    ended = []
    for run in (Board.wait_asleep, lambda board: board.execute(1_000_000)):
        board = bench("faults", HOW="UNDEFINED")
        board.wait_asleep()
        board.press("SELECT")
        with pytest.raises(Ended) as end:
            run(board)
        assert end.value.ending is Ending.FAULT
        ended.append((end.value.pc, lines(board)))
    assert ended[0] == ended[1]


def test_a_script_of_it(bench: Bench) -> None:
    steps = (
        WaitAsleep(line=4),
        Press("SELECT", line=5),
        WaitInstructions(30, line=6),
        Release("SELECT", line=7),
        WaitMs(5, line=8),
    )
    script = parse_script(script_text('a "name"', steps), "x")
    assert (script.name, script.steps) == ('a "name"', steps)
    board = bench("sleeper")
    assert play(script, board) is None
    assert board.ms == 5


@pytest.mark.parametrize("count", ["0", "1000001", "1.5", "many", "{}"])
def test_a_count_that_is_none(count: str) -> None:
    text = f"wakelab: 1\nsteps:\n  - wait: {{instructions: {count}}}\n"
    with pytest.raises(ScriptError, match="a whole number, 1 to 1000000"):
        parse_script(text, "x")


def test_instructions_stand_alone() -> None:
    with pytest.raises(ScriptError):
        parse_script("wakelab: 1\nsteps:\n  - wait: {instructions: 3, ms: 1}\n", "x")


def test_what_is_not_written_by_hand() -> None:
    with pytest.raises(ScriptError, match="10001 steps are more"):
        script_text("x", [WaitMs(1, line=0)] * (MAX_STEPS + 1))
    with pytest.raises(AssertionError):
        script_text("x", [SetPin(Pin("A", 0), 1, line=0)])


def test_a_long_trace_forgets_and_keeps_its_hash() -> None:
    events = [Event(n, Kind.TICK, n) for n in range(100)]
    whole, short = Trace(), Trace(keep=10)
    for number, event in enumerate(events, 1):
        whole.add(event)
        short.add(event)
        assert (len(short), short.digest()) == (len(whole), whole.digest())
        assert len(list(short)) <= 20
        assert short[number - 1] == short[-1] == event
    assert short.since(95) == events[95:]
    assert short.since(0) == events[-len(list(short)) :]
    short.drop_last()
    assert short.digest() == Trace(events[:-1]).digest()
