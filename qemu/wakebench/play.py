"""Playing a stimulus script on a board: each step is the board's method of the same name."""

from __future__ import annotations

from dataclasses import dataclass

from wakebench import script as words
from wakebench.board import Board, Ended, Unmet


@dataclass(frozen=True)
class Failure:
    """A step that did not come true: the line of the script, what it wanted, what was seen."""

    line: int
    expected: str
    seen: str


def play(script: words.Script, board: Board) -> Failure | None:
    """Play every step on a freshly reset board; the first failure, or None.

    A run that ends (fault, loop, exit, ...) is a failure of the step under way.
    """
    for step in script.steps:
        try:
            perform(step, board)
        except Unmet as unmet:
            return Failure(step.line, unmet.expected, unmet.seen)
        except Ended as ended:
            return Failure(step.line, "the program to go on", f"{ended.ending}: {ended.detail}")
    return None


def perform(step: words.Step, board: Board) -> None:
    """Do one step where the board stands. Raises Unmet, and Ended."""
    match step:
        case words.WaitAsleep():
            board.wait_asleep()
        case words.WaitBeforeSleep():
            board.wait_before_sleep()
        case words.WaitLine(text):
            board.wait_line(text)
        case words.WaitPin(pin, level):
            board.wait_pin(pin, level)
        case words.WaitSymbol(name):
            board.wait_symbol(name)
        case words.WaitMs(ms):
            board.wait_ms(ms)
        case words.WaitInstructions(count):
            board.wait_instructions(count)
        case words.Press(button, when):
            board.press(button, when)
        case words.Release(button, when):
            board.release(button, when)
        case words.Pulse(button, ms, when):
            board.pulse(button, ms, when)
        case words.Bounce(button, times, ms, when):
            board.bounce(button, times, ms, when)
        case words.SetPin(pin, level, when):
            board.set_pin(pin, level, when)
        case _:
            _look(step, board)


def _look(step: words.Step, board: Board) -> None:
    match step:
        case words.ExpectLine(text, times):
            board.expect_line(text, times)
        case words.ExpectPin(pin, level):
            board.expect_pin(pin, level)
        case words.ExpectPresses(count):
            board.expect_presses(count)
        case words.ForbidLine(text):
            board.forbid_line(text)
        case words.ForbidPin(pin, level):
            board.forbid_pin(pin, level)
        case words.ForbidPresses(count):
            board.forbid_presses(count)
        case _:
            raise AssertionError(f"a step without a meaning: {step}")
