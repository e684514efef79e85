"""`wakelab script`: play a stimulus script against a program, and show what happened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wakebench.play import play
from wakebench.script import ScriptError, load_script
from wakebench.trace import story
from wakelab.build import MAIN_LEVEL
from wakelab.built import built
from wakelab.confinement import Confinement
from wakelab.errors import UserError
from wakelab.labs import Lab
from wakelab.render import render_story, safe_text

if TYPE_CHECKING:
    from rich.console import Console


def play_script(
    root: Path, lab: Lab, folder: Path, file: Path, console: Console, confinement: Confinement
) -> bool:
    """Whether every step of the script came true. Raises UserError for a script or program that
    cannot be read or built."""
    try:
        script = load_script(file)
    except ScriptError as error:
        raise UserError(str(error)) from error
    with built(root, lab, folder, MAIN_LEVEL, confinement) as subject:
        board = subject.board(MAIN_LEVEL)
        failure = play(script, board)
        render_story(story(board.trace), console)
        console.print(f"trace {board.trace.digest()}", markup=False)
    if failure is None:
        console.print(f"{safe_text(script.name)}: every step came true", markup=False)
        return True
    console.print(f"{safe_text(script.source)}, line {failure.line}: not so", markup=False)
    console.print(f"  expected  {safe_text(failure.expected)}", markup=False)
    console.print(f"  seen      {safe_text(failure.seen)}", markup=False)
    return False
