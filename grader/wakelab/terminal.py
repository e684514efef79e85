"""The terminal of a command that goes on: a screen of its own, and keys as they are pressed. It is
given back as it was, however this ends (but for SIGKILL, which lets nobody do anything)."""

from __future__ import annotations

import os
import re
import sys
import termios
import tty
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?", re.S)
"""What a key sends that is more than a character: an arrow, one of a keypad, one with Alt."""

_ARROWS = {b"A": "UP", b"B": "DOWN", b"C": "RIGHT", b"D": "LEFT"}


def is_at_a_terminal(console: Console) -> bool:
    """Whether there is somebody to press keys, and a screen that can be drawn on."""
    return sys.stdin.isatty() and console.is_terminal and not console.is_dumb_terminal


class Terminal:
    """Use it in `with`."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._keyboard = sys.stdin.fileno()

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._keyboard)
        try:
            self.take()
        except BaseException:
            self.give_back()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()

    def take(self) -> None:
        """Have it to ourselves; also when it is so already, and somebody may have changed it.
        Raises OSError where it has gone."""
        try:
            tty.setcbreak(self._keyboard, termios.TCSANOW)
            attributes = termios.tcgetattr(self._keyboard)
            # Ctrl-C is a key here: as a signal it would go to `make` and to the grading, too.
            attributes[6][termios.VINTR] = os.fpathconf(self._keyboard, "PC_VDISABLE").to_bytes()
            termios.tcsetattr(self._keyboard, termios.TCSANOW, attributes)
        except termios.error as problem:  # which is no OSError
            raise OSError(*problem.args) from None
        self.console.set_alt_screen(True)
        self.console.show_cursor(False)

    def give_back(self) -> None:
        """As it was before."""
        with suppress(OSError):  # it may be gone
            self.leave_screen()
        with suppress(termios.error):
            termios.tcsetattr(self._keyboard, termios.TCSADRAIN, self._before)

    def leave_screen(self) -> None:
        """Print as usual again; keys still come as they are pressed."""
        if self.console.is_alt_screen:
            self.console.set_alt_screen(False)
            self.console.show_cursor(True)

    def draw(self, lines: Sequence[Text]) -> None:
        """These, from the top."""
        from rich.console import Group

        if not self.console.is_alt_screen:
            self.console.set_alt_screen(True)
            self.console.show_cursor(False)
        self.console.update_screen(Group(*lines))

    def fileno(self) -> int:
        """For select."""
        return self._keyboard

    def keys(self) -> str | None:
        """What was pressed; arrows and the like are left out. None when the terminal has gone."""
        typed = self._read()
        return None if typed is None else _SEQUENCE.sub(b"", typed).decode("ascii", "ignore")

    def named_keys(self) -> list[str] | None:
        """The same key by key, with the arrows by their names: "UP", "DOWN", "RIGHT", "LEFT"."""
        typed = self._read()
        if typed is None:
            return None
        keys: list[str] = []
        at = 0
        for sequence in _SEQUENCE.finditer(typed):
            keys += typed[at : sequence.start()].decode("ascii", "ignore")
            keys += filter(None, [_ARROWS.get(sequence[0][-1:]) if len(sequence[0]) == 3 else None])
            at = sequence.end()
        return [*keys, *typed[at:].decode("ascii", "ignore")]

    def _read(self) -> bytes | None:
        try:
            return os.read(self._keyboard, 1024) or None
        except OSError:
            return None
