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
    """What is wanted.

    submission  the folder with the program; None: the lab's own
    level       of optimisation
    ui          where the board is shown: "browser" or "terminal"
    port        of the page; 0: any that is free
    """

    root: Path
    lab: Lab
    submission: Path | None
    level: str
    confinement: Confinement
    ui: str
    port: int


def by_hand(wish: Wish, console: Console) -> int:
    """Until the person ends it; the exit code. Raises UserError."""
    folder = wish.submission or wish.lab.directory
    what = wish.root, wish.lab, folder, wish.level, wish.confinement
    program = partial(built, *what, counting=False)
    if wish.ui == "terminal":
        try:
            from wakelab.byhand.terminal_ui import at_the_terminal
        except ImportError:  # no termios: not a Unix
            raise UserError("keys cannot be read here", next_step="make run") from None
        with Session(program, wish.level) as session:
            return at_the_terminal(wish.root, wish.lab, wish.submission, session, console)
    from wakelab.byhand.web.serve import serve

    return serve(wish, program, console)
