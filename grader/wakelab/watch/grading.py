"""A grading in a process of its own, forked off this one: it has all imports, and can be ended."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from types import FrameType

from wakebench.errors import BenchError
from wakelab.child import Child, die_with
from wakelab.errors import UserError
from wakelab.garbage import leave_it
from wakelab.report import Report
from wakelab.signals import Signals


@dataclass(frozen=True)
class Outcome:
    """The report; or why there is none, for people."""

    report: Report | None
    trouble: str = ""


class Grading:
    """Owns the process: close it. Its `connection` can be read when the outcome is there."""

    def __init__(self, grade: Callable[[], Report], signals: Signals) -> None:
        """Begins at once. `signals` are those that this process listens to."""
        self._child = Child(partial(_grade, grade, signals, os.getpid()))

    @property
    def connection(self) -> Connection:
        """For select."""
        return self._child.connection

    def outcome(self) -> Outcome:
        """Wait for it."""
        try:
            outcome: Outcome = self._child.connection.recv()
        except (EOFError, OSError):
            return Outcome(None, "the grading has ended too early; is there enough memory?")
        return outcome

    def close(self) -> None:
        """End it, if it has not ended yet, with all that it has started."""
        self._child.close()


def _grade(
    grade: Callable[[], Report], signals: Signals, parent: int, connection: Connection
) -> None:
    """The process."""
    leave_it()
    signals.__exit__()
    signal.signal(signal.SIGINT, _interrupt_once)
    if sys.platform == "linux":
        die_with(parent)
    try:
        outcome = Outcome(grade())
    except (UserError, BenchError) as problem:
        outcome = Outcome(None, str(problem))
    except Exception as bug:
        trace = traceback.format_exc() if os.environ.get("WAKELAB_TRACEBACK") else ""
        what = f"a defect of wakelab itself, not of your program: {type(bug).__name__}: {bug}"
        outcome = Outcome(None, f"{what}\n{trace}".rstrip())
    connection.send(outcome)


def _interrupt_once(number: int, _: FrameType | None) -> None:
    """Ctrl-C comes from the terminal and from who closes this: the second would only interrupt the
    putting away."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
