"""`wakelab run`: the board by hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wakelab.built import built
from wakelab.byhand.session import Session
from wakelab.confinement import Confinement
from wakelab.errors import UserError
from wakelab.labs import Lab

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Wish:
    """Which program, at which level, and where it is shown: `ui` browser or terminal; `port` of the
    page, 0 for any."""

    root: Path
    lab: Lab
    folder: Path
    level: str
    confinement: Confinement
    ui: str
    port: int


def by_hand(wish: Wish, console: Console) -> int:
    """Until the person ends it; the exit code. Raises UserError."""
    program = partial(
        *(built, wish.root, wish.lab, wish.folder, wish.level, wish.confinement), counting=False
    )
    if wish.ui == "terminal":
        try:
            from wakelab.byhand.terminal_ui import at_the_terminal
        except ImportError:  # no termios: not a Unix
            raise UserError("keys cannot be read here", next_step="make run") from None
        with Session(program, wish.level) as session:
            return at_the_terminal(wish.root, wish.lab, session, console)
    from wakelab.byhand.web.serve import serve

    return serve(wish, program, console)
