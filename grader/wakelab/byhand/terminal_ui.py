"""The board at the terminal: keys press its buttons."""

from __future__ import annotations

import errno
import os
import select
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from wakebench.trace import Kind, story
from wakelab.byhand.names import how_to_play, keep_script
from wakelab.byhand.session import (
    Command,
    Look,
    Mode,
    Pace,
    Pause,
    Press,
    PressAgain,
    Release,
    Restart,
    Resume,
    Session,
    State,
    Step,
)
from wakelab.errors import UserError
from wakelab.labs import Lab
from wakelab.lines import Lines
from wakelab.render import safe_text
from wakelab.signals import ENDING, KILLED_BY, Signals
from wakelab.terminal import Terminal, is_at_a_terminal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

BUTTON_KEYS = {
    "UP": "UP",
    "DOWN": "DOWN",
    "LEFT": "LEFT",
    "RIGHT": "RIGHT",
    "\n": "SELECT",
    "\r": "SELECT",
    " ": "SELECT",
}
"""Key to button."""

QUIT = ("q", "\x03", "\x04")
SLOW = 50
"""Instructions a second in slow motion: about as fast as one can follow."""

SHOWN_EVENTS = 400
"""Of the story at most; a screen has fewer lines."""

KEYS = (
    "arrows, enter: press   h hold   p pause   s step   S 10 steps   m slow motion",
    "a again later   -/+ how late   w write script   r restart   R, stopped   q quit",
)


def at_the_terminal(
    root: Path, lab: Lab, submission: Path | None, session: Session, console: Console
) -> int:
    """Let a person play until they quit; the exit code. Raises UserError where there is no
    terminal."""
    if not is_at_a_terminal(console):
        raise UserError(
            "there is no terminal here, so there are no keys to press",
            next_step=f"make script LAB={lab.number} SCRIPT=file plays a script without one",
        )
    with ExitStack() as owned:
        signals = owned.enter_context(Signals())
        bell = owned.enter_context(_Bell())
        session.tell(bell.ring)
        terminal = owned.enter_context(Terminal(console))
        loop = _Loop(root, lab, submission, session, terminal, signals, bell)
        code = loop.run()
    if loop.note:
        console.print(loop.note, markup=False, emoji=False)
    return code


class _Bell:
    """The session's thread rings; the loop hears it in select."""

    def __enter__(self) -> Self:
        self._reading, self._writing = os.pipe()
        for end in (self._reading, self._writing):
            os.set_blocking(end, False)
        return self

    def __exit__(self, *_: object) -> None:
        # The writing end stays: the session may still ring. Both go with the process.
        os.close(self._reading)

    def fileno(self) -> int:
        """For select."""
        return self._reading

    def ring(self) -> None:
        """There is something new."""
        with suppress(OSError):  # full: it rings already
            os.write(self._writing, b"!")

    def heard(self) -> None:
        """It need not ring any more."""
        with suppress(BlockingIOError):
            while len(os.read(self._reading, 4096)) == 4096:
                pass


@dataclass
class _Shown:
    """What the screen is made of."""

    state: State
    story: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    hold: bool = False
    later: int = 3
    note: str = ""

    def add(self, look: Look, *, anew: bool) -> None:
        """More has happened; or another run has begun."""
        if anew:
            self.story, self.console = [], []
        self.state = look.state
        recent = look.events[-SHOWN_EVENTS:]
        self.story = [*self.story, *story(recent)][-SHOWN_EVENTS:]
        printed = [event.name for event in recent if event.kind is Kind.LINE]
        self.console = [*self.console, *printed][-SHOWN_EVENTS:]


class _Loop:
    """Waits for a key, a signal, or something new to show."""

    def __init__(
        self,
        root: Path,
        lab: Lab,
        submission: Path | None,
        session: Session,
        terminal: Terminal,
        signals: Signals,
        bell: _Bell,
    ) -> None:
        self._root, self._lab, self._session = root, lab, session
        self._submission = submission
        self._terminal, self._signals, self._bell = terminal, signals, bell
        self._look = session.look()
        self._shown = _Shown(self._look.state)
        self._shown.add(self._look, anew=True)
        self._code: int | None = None
        self.note = ""
        """Where the last script is, for afterwards."""

    def run(self) -> int:
        """The exit code."""
        try:
            self._draw()
            while self._code is None:
                waiting: list[Any] = [self._terminal, self._signals, self._bell]
                ready, _, _ = select.select(waiting, [], [])
                for number in self._signals.take():
                    self._signal(number)
                if self._terminal in ready and self._code is None:
                    self._keys()
                if self._bell in ready:
                    self._bell.heard()
                    self._see()
                if self._code is None:
                    self._draw()
        except OSError as problem:
            if problem.errno != errno.EIO:
                raise
            return KILLED_BY + signal.SIGHUP  # the terminal has gone
        return self._code

    def _see(self) -> None:
        before = self._look
        self._look = self._session.look(before.run, before.next, before.version)
        self._shown.add(self._look, anew=self._look.run != before.run)
        if self._look.closed and self._code is None:
            self._code = 2

    def _signal(self, number: int) -> None:
        if number in ENDING:
            self._code = self._code or KILLED_BY + number
            return
        if number == signal.SIGTSTP:
            self._terminal.give_back()
            self._signals.stop()
        if number != signal.SIGWINCH:
            self._terminal.take()

    def _keys(self) -> None:
        keys = self._terminal.named_keys()
        if keys is None:
            self._code = KILLED_BY + signal.SIGHUP
            return
        for key in keys:
            self._shown.note = ""
            if key in QUIT:
                self._code = 0
                return
            if key in BUTTON_KEYS:
                self._button(BUTTON_KEYS[key])
            elif act := self._acts().get(key):
                act()

    def _acts(self) -> dict[str, Callable[[], None]]:
        state, shown = self._look.state, self._shown
        return {
            "h": self._toggle_hold,
            "p": lambda: self._send(Resume() if state.paused else Pause()),
            "s": lambda: self._send(Step()),
            "S": lambda: self._send(Step(10)),
            "m": lambda: self._send(Pace(SLOW if state.pace is None else None), Resume()),
            "a": lambda: self._send(PressAgain("SELECT", shown.later), Release("SELECT")),
            "+": lambda: self._set_later(shown.later + 1),
            "-": lambda: self._set_later(max(1, shown.later - 1)),
            "w": self._write,
            "r": lambda: self._send(Restart()),
            "R": lambda: self._send(Restart(paused=True)),
        }

    def _toggle_hold(self) -> None:
        self._shown.hold = not self._shown.hold

    def _set_later(self, instructions: int) -> None:
        self._shown.later = instructions

    def _button(self, button: str) -> None:
        if button in self._look.state.pressed:
            self._send(Release(button))
        elif self._shown.hold:
            self._send(Press(button))
        else:
            self._send(Press(button), Release(button))

    def _send(self, *commands: Command) -> None:
        for command in commands:
            if not self._session.send(command):
                self._shown.note = "too much at once; that key did nothing"

    def _write(self) -> None:
        try:
            name = f"by hand, lab {self._lab.number}"
            path = keep_script(self._root, self._lab, self._session.script(name))
        except UserError as problem:
            self._shown.note = str(problem).splitlines()[0]
            return
        self.note = how_to_play(self._root, self._lab, self._submission, path)
        self._shown.note = f"played again by: {self.note}"

    def _draw(self) -> None:
        console = self._terminal.console
        self._terminal.draw(_Board(console).screen(self._lab, self._shown, console.height))


class _Board(Lines):
    """The screen."""

    def screen(self, lab: Lab, shown: _Shown, height: int) -> list[Text]:
        """As many lines as there are."""
        state = shown.state
        title = f"Lab {lab.number} · {safe_text(lab.title, 80)} · the board by hand"
        head = [self.line((title, "bold")), self.line(("─" * (self._width - 1), "dim"))]
        head += [self.line(*parts) for parts in self._board(state, shown)]
        head += [self.line(), *self._core(state)]
        foot = [self.line(), *(self.line((f"{keys}", "dim")) for keys in KEYS)]
        foot.append(self.line((f" {safe_text(shown.note, 200)}", "yellow")))
        room = max(2, height - len(head) - len(foot))
        printed = [safe_text(line, 300) for line in shown.console[-max(1, room // 3) :]]
        body = [*self._part("the console", printed, "green")]
        body = [*self._part("what happened", shown.story[-max(0, room - len(body) - 1) :]), *body]
        body = body[-room:]
        return [*head, *body, *self.blank(room - len(body)), *foot]

    def _part(self, title: str, lines: Sequence[str], style: str = "") -> list[Text]:
        told = [self.line((f"   {safe_text(line, 300)}", style)) for line in lines]
        return [self.line((f" {title}", "dim")), *told]

    def _board(self, state: State, shown: _Shown) -> list[list[tuple[str, str]]]:
        def button(name: str) -> tuple[str, str]:
            down = name in state.pressed
            text = f"[{name}]" if down else f" {name} "
            return (text, "bold reverse" if down else "bold")

        led = ("LED on  (*)", "bold yellow") if state.led else ("LED off ( )", "dim")
        hold = "hold: a key presses, again releases" if shown.hold else "a key presses and releases"
        again = f"again: {shown.later} instructions later"
        gap = ("    ", "")
        return [
            [("          ", ""), button("UP"), ("            ", ""), led],
            [(" ", ""), button("LEFT"), button("SELECT"), button("RIGHT"), gap, (hold, "dim")],
            [("         ", ""), button("DOWN"), ("           ", ""), (again, "dim")],
        ]

    def _core(self, state: State) -> list[Text]:
        words = {
            Mode.ASLEEP: "asleep",
            Mode.RUNNING: "running slowly",
            Mode.PAUSED: "paused",
            Mode.ENDED: "ended",
        }[state.mode]
        if state.paused and state.mode is Mode.ASLEEP:
            words = "asleep, paused"
        if state.idle:
            words += "; time stands still until you press something"
        told = [self.line((f" {state.ms} ms  ", ""), (words, "bold cyan"))]
        if state.why:
            return [*told, *self.wrapped(f"{safe_text(state.why, 600)} r restarts.", "red")]
        if state.where is not None:
            where = state.where
            place = f"{where.file}:{where.line}" if where.line else where.function
            told.append(
                self.line(
                    (f" {where.function}  {place}  ", ""),
                    (f"{safe_text(where.text, 200)}  ", "bold"),
                    (where.instruction, "dim"),
                )
            )
        return told
