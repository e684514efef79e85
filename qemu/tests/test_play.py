"""Scripts on a board: every word does what it says, and a failure names the line and what was
seen."""

from __future__ import annotations

import textwrap

import pytest
from firmwares import Bench

from wakebench import script as words
from wakebench.board import Board, Limits, Points
from wakebench.core import Budget
from wakebench.pin_names import Pin
from wakebench.play import Failure, play
from wakebench.script import parse_script
from wakebench.trace import Kind
from wakebench.when import When


def run(board: Board, steps: str) -> Failure | None:
    """Play the steps on a board."""
    head = "wakelab: 1\nname: test\nsteps:\n"
    return play(parse_script(head + textwrap.indent(textwrap.dedent(steps), "  "), "test"), board)


FIRST = 4
"""The line of the first step."""


def test_every_word_on_a_sleeper(bench: Bench) -> None:
    board = bench("sleeper")
    steps = """\
        - wait: before-sleep
        - press: {button: SELECT, when: before-sleep}
        - wait: {line: press 1}
        - release: SELECT
        - press: {button: SELECT, when: asleep}
        - wait: {symbol: info}
        - wait: asleep
        - expect: {line: press 2, times: 1}
        - release: {button: SELECT, when: asleep}
        - pulse: {button: SELECT, ms: 50}
        - bounce: {button: SELECT, times: 3, ms: 2}
        - wait: {ms: 10}
        - set: {pin: PF1, level: 1}
        - set: {pin: SELECT, level: 0, when: asleep}
        - wait: {pin: PF1, level: 0}
        - wait: asleep
        - expect: {line: press}
        - expect: {line: press, times: 7}
        - expect: {presses: 7}
        - expect: {pin: SELECT, level: 0}
        - forbid: {line: PASS}
        - forbid: {presses: 8}
        - forbid: {pin: SELECT, level: 1}
    """
    assert run(board, steps) is None
    assert board.ms == 50 + 4 + 10
    assert len(board.trace.of(Kind.EDGE)) == 2 + 2 + 2 + 5 + 2


def test_pins_and_symbols(bench: Bench) -> None:
    steps = """\
        - wait: asleep
        - press: SELECT
        - wait: {symbol: shine}
        - expect: {pin: LED, level: 0}
        - wait: {pin: LED, level: 1}
        - forbid: {pin: PF0, level: 0}
    """
    assert run(bench("led"), steps) is None


def test_time(bench: Bench) -> None:
    board = bench("ticker")
    steps = """\
        - wait: {ms: 30}
        - press: SELECT
        - wait: {line: press 1 at 30 ms}
        - wait: {line: 100 ms}
    """
    assert run(board, steps) is None
    assert board.ms == 100


def test_a_script_is_the_python_words(bench: Bench) -> None:
    """The same trace, to the byte."""
    board = bench("sleeper")
    steps = "- press: {button: SELECT, when: asleep}\n- bounce: {button: UP, times: 2, ms: 3}\n"
    assert run(board, steps) is None
    by_script = board.trace.digest()
    board.reset()
    board.press("SELECT", When.ASLEEP)
    board.bounce("UP", 2, 3)
    assert board.trace.digest() == by_script


FAILURES = {
    "wait: {line: nothing}": ("a line with 'nothing'", "1 lines: 'press 1'; the program sleeps"),
    "wait: {pin: LED, level: 1}": ("pin LED at 1", "it stays at 0; the program sleeps"),
    "wait: {symbol: main}": ("the program to reach main", "it never did; the program sleeps"),
    "wait: {symbol: nothing}": ("a function nothing in the program", "there is none"),
    "wait: before-sleep": ("on its way to a sleep", "it sleeps already"),
    "press: {button: SELECT, when: before-sleep}": ("on its way to a sleep", "sleeps already"),
    "expect: {line: nothing}": ("a line with 'nothing' so far", "1 lines: 'press 1'"),
    "expect: {line: press, times: 2}": ("2 lines with 'press' so far", "1 lines: 'press 1'"),
    "expect: {pin: SELECT, level: 1}": ("pin SELECT at 1", "it is at 0"),
    "expect: {presses: 2}": ("2 presses taken", "1"),
    "forbid: {line: press}": ("no line with 'press'", "1 lines: 'press 1'"),
    "forbid: {pin: SELECT, level: 0}": ("pin SELECT not at 0", "it is at 0"),
    "forbid: {presses: 1}": ("other than 1 presses taken", "1"),
}


@pytest.mark.parametrize("step", FAILURES)
def test_failures(bench: Bench, step: str) -> None:
    """By line; what comes behind is not played."""
    board = bench("sleeper")
    lines = ["wait: asleep", "press: SELECT", "wait: asleep", step, "release: SELECT"]
    failure = run(board, "".join(f"- {line}\n\n" for line in lines))
    assert failure is not None
    assert failure.line == FIRST + 6
    expected, seen = FAILURES[step]
    assert expected in failure.expected
    assert seen in failure.seen
    assert len(board.trace.of(Kind.EDGE)) == 1


ENDS = {
    "exits": ("wait: asleep", "exit: the program said that it is done"),
    "spinner": ("wait: {line: freed}", "loop: 200000 instructions in main"),
    "storm": ("pulse: {button: SELECT, ms: 5, when: asleep}", "storm: GPIOF_IRQHandler entered"),
    "resets": ("bounce: {button: SELECT, times: 2, ms: 5, when: asleep}", "restart: the program"),
}


@pytest.mark.parametrize("firmware", ENDS)
def test_ends(bench: Bench, firmware: str) -> None:
    """A run that cannot go on is a failure of the step under way."""
    step, seen = ENDS[firmware]
    board = bench(firmware, Points(), Limits(Budget(200_000)))
    failure = run(board, f"- {step}\n- wait: asleep\n")
    assert failure is not None
    assert (failure.line, failure.expected) == (FIRST, "the program to go on")
    assert failure.seen.startswith(seen)


def test_every_step_of_the_language_can_be_played(bench: Bench) -> None:
    """Each class of step, on a board where it holds or not: none is without a meaning."""
    samples: list[words.Step] = [
        words.WaitAsleep(line=1),
        words.WaitBeforeSleep(line=1),
        words.WaitLine("x", line=1),
        words.WaitPin(Pin("F", 1), 1, line=1),
        words.WaitSymbol("main", line=1),
        words.WaitMs(1, line=1),
        words.WaitInstructions(1, line=1),
        words.Press("UP", line=1),
        words.Release("UP", line=1),
        words.Pulse("UP", 1, line=1),
        words.Bounce("UP", 1, 1, line=1),
        words.SetPin(Pin("A", 0), 1, line=1),
        words.ExpectLine("x", line=1),
        words.ExpectPin(Pin("F", 1), 1, line=1),
        words.ExpectPresses(0, line=1),
        words.ForbidLine("x", line=1),
        words.ForbidPin(Pin("F", 1), 0, line=1),
        words.ForbidPresses(1, line=1),
    ]
    assert {type(each) for each in samples} == set(words.Step.__args__)
    board = bench("sleeper")
    for each in samples:
        board.reset()
        play(words.Script("test", "test.yaml", (each,)), board)
