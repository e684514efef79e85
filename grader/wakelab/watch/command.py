"""The loop: what was saved, pressed, signalled or found, and what follows from it."""

from __future__ import annotations

import errno
import select
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wakelab.confinement import Confinement
from wakelab.errors import UserError
from wakelab.grade import grade, import_what_checks_need
from wakelab.labs import Lab, all_labs
from wakelab.lanes import import_while_machine_starts
from wakelab.points import as_the_student_sees
from wakelab.render import render_report
from wakelab.report import Report
from wakelab.running import checks_of
from wakelab.signals import ENDING, KILLED_BY, Signals
from wakelab.submission import collect
from wakelab.watch.grading import Grading, Outcome
from wakelab.watch.saves import LOOK_S, Saves
from wakelab.watch.screen import View, first_finding, line_of, screen_of

if TYPE_CHECKING:
    from rich.console import Console

    from wakelab.terminal import Terminal

QUIT = ("q", "\x03", "\x04")
"""And Ctrl-C and Ctrl-D, which are keys (wakelab.terminal)."""

TERMINAL_GONE = KILLED_BY + signal.SIGHUP


@dataclass(frozen=True)
class Wish:
    """What is to be watched.

    folder       of the submission; None: the lab's own
    keep_report  puts a report where that lab's reports belong, and says where
    """

    root: Path
    lab: Lab
    folder: Path | None
    confinement: Confinement
    keep_report: Callable[[Lab, Report], Path]


def watch(wish: Wish, console: Console) -> int:
    """Grade at every save until somebody ends it; the exit code. To be called where there are no
    threads. Raises UserError where there is nothing that can be graded."""
    checks_of(wish.root, wish.lab)
    collect(wish.lab, wish.folder or wish.lab.directory)
    import_what_checks_need()
    import_while_machine_starts()
    with ExitStack() as owned:
        signals = owned.enter_context(Signals())
        terminal = _terminal(console)
        front: _Front
        if terminal is None:
            front = _Lines(console)
        else:
            owned.enter_context(terminal)
            front = _Screen(terminal)
        loop = _Loop(wish, front, signals)
        owned.callback(loop.close)
        code = loop.run()
    if code != TERMINAL_GONE:
        front.farewell()
    return code


def _terminal(console: Console) -> Terminal | None:
    try:
        from wakelab.terminal import Terminal, is_at_a_terminal
    except ImportError:  # no termios: not a Unix
        return None
    return Terminal(console) if is_at_a_terminal(console) else None


class _Front:
    """Where it is shown."""

    keyboard: Terminal | None = None

    def show(self, view: View) -> None:
        """Something has changed."""

    def verdict(self, view: View) -> None:
        """A grading has ended."""

    def farewell(self) -> None:
        """The terminal is as it was before."""


class _Lines(_Front):
    """Not at a terminal: nothing but verdicts."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def verdict(self, view: View) -> None:
        line = line_of(view, self._console)
        self._console.print(line, markup=False, emoji=False, soft_wrap=True)
        self._console.file.flush()


class _Screen(_Front):
    """At a terminal. The last verdict stays when the screen goes."""

    def __init__(self, terminal: Terminal) -> None:
        self.keyboard = terminal
        self._terminal = terminal
        self._last = ""

    def show(self, view: View) -> None:
        self._terminal.draw(screen_of(view, self._terminal.console))

    def verdict(self, view: View) -> None:
        self._last = line_of(view, self._terminal.console)
        self.show(view)

    def farewell(self) -> None:
        if self._last:
            self._terminal.console.print(self._last, markup=False, emoji=False)


class _Loop:
    """Waits, and does what is to be done. Owns the grading that is under way: close it."""

    def __init__(self, wish: Wish, front: _Front, signals: Signals) -> None:
        self._wish = wish
        self._front = front
        self._signals = signals
        self._code: int | None = None
        self._begin_lab(wish.lab)

    def _begin_lab(self, lab: Lab) -> None:
        self._folder = self._wish.folder or lab.directory
        self._saves = Saves(lab, self._folder, time.monotonic)
        self._saved_at = time.monotonic()
        self._grading: Grading | None = None
        self._view = View(lab)
        self._report_at: Path | None = None
        self._reading = False

    def close(self) -> None:
        """End the grading that is under way."""
        if self._grading is not None:
            self._grading.close()
            self._grading = None

    def run(self) -> int:
        """The exit code, when somebody has ended it."""
        keyboard = self._front.keyboard
        try:
            self._show()
            while self._code is None:
                self._look_at_files()
                outcome = None if self._grading is None else self._grading.connection
                waiting = [each for each in (self._signals, keyboard, outcome) if each is not None]
                ready, _, _ = select.select(waiting, [], [], LOOK_S)
                for number in self._signals.take():
                    self._signal(number)
                if self._grading is not None and outcome in ready:
                    self._verdict(self._grading.outcome())
                if keyboard is not None and keyboard in ready and self._code is None:
                    self._keys(keyboard)
        except OSError as problem:
            if keyboard is None or problem.errno != errno.EIO:
                raise
            return TERMINAL_GONE
        return self._code

    def _look_at_files(self) -> None:
        if self._saves.look():
            self._saved_at = time.monotonic()
            self.close()  # what it would find is not news any more
        if self._saves.settled():
            self._grade()

    def _grade(self) -> None:
        lab, confinement = self._view.lab, self._wish.confinement
        root = self._wish.root
        work = partial(grade, root, lab, self._folder, confinement, keep_builds=True)
        try:
            self._grading = Grading(work, self._signals)
        except OSError as problem:
            self._verdict(Outcome(None, f"no process can be started: {problem.strerror}"))
            return
        self._change(under_way=True)

    def _verdict(self, outcome: Outcome) -> None:
        lab, trouble = self._view.lab, outcome.trouble
        report = outcome.report and as_the_student_sees(outcome.report)
        if outcome.report:
            try:
                self._report_at = self._wish.keep_report(lab, outcome.report)
            except UserError as problem:
                trouble = str(problem)
        seconds = time.monotonic() - self._saved_at
        self._view = View(
            lab,
            report,
            trouble,
            graded=f"graded at {time.strftime('%H:%M:%S')}, in {seconds:.1f} s",
            # A hint was asked for to one finding, not to the next.
            hint=self._view.hint and first_finding(report) == first_finding(self._view.report),
        )
        self._reading = False
        self._front.verdict(self._view)
        self.close()

    def _signal(self, number: int) -> None:
        if number in ENDING:
            self._code = self._code or KILLED_BY + number
            return
        keyboard = self._front.keyboard
        if number == signal.SIGTSTP:
            if keyboard is not None:
                keyboard.give_back()
            self._signals.stop()
        if keyboard is not None and number != signal.SIGWINCH:
            keyboard.take()
        if not self._reading or number != signal.SIGWINCH:
            self._reading = False
            self._show()

    def _keys(self, keyboard: Terminal) -> None:
        typed = keyboard.keys()
        if typed is None:
            self._code = TERMINAL_GONE
            return
        for key in typed:
            if key in QUIT:
                self._code = 0
                return
            if self._reading:  # any key leads back
                self._reading = False
                self._change()
            elif key == "h":
                self._ask_for_hint()
            elif key == "n":
                self._go_to_next_lab()
            elif key == "r":
                self._read_report(keyboard)

    def _ask_for_hint(self) -> None:
        finding = first_finding(self._view.report)
        if finding is None or not finding.hint:
            self._change(note="there is no hint to this")
        else:
            self._change(hint=not self._view.hint)

    def _go_to_next_lab(self) -> None:
        number = self._view.lab.number
        try:
            following = next_lab(self._wish.root, self._view.lab)
        except UserError as problem:
            self._change(note=problem.what)
            return
        if following is None:
            self._change(note=f"no lab after {number} has checks yet")
            return
        self.close()
        self._begin_lab(following)
        self._show()

    def _read_report(self, keyboard: Terminal) -> None:
        """As `make report` shows it, and where the terminal can scroll back."""
        if self._view.report is None:
            self._change(note="there is no report yet")
            return
        self._reading = True
        keyboard.leave_screen()
        console = keyboard.console
        render_report(self._view.report, console)
        where = "" if self._report_at is None else f"\n {self._report_at}"
        console.print(where, style="dim", markup=False, emoji=False, soft_wrap=True)
        console.print(" any key, or the next verdict, leads back", style="dim", markup=False)

    def _change(self, **changes: Any) -> None:
        """What is shown; a note is answered by the next key."""
        self._view = replace(self._view, **{"note": "", **changes})
        self._show()

    def _show(self) -> None:
        if not self._reading:
            self._front.show(self._view)


def next_lab(root: Path, lab: Lab) -> Lab | None:
    """The first one after it that can be graded. Raises UserError where a lab.toml is wrong."""
    for each in all_labs(root):
        if each.number > lab.number:
            try:
                checks_of(root, each)
            except UserError:
                continue
            return each
    return None
