"""`wakelab script`: build a program, play a stimulus script against it, show what happened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wakebench.machine import find_qemu
from wakebench.play import play
from wakebench.script import ScriptError, load_script
from wakebench.trace import story
from wakelab.build import Builder
from wakelab.errors import UserError
from wakelab.labs import Lab
from wakelab.render import render_story, safe_text
from wakelab.subject import MAIN_LEVEL, Subject
from wakelab.submission import collect
from wakelab.toolchain import find_toolchain

if TYPE_CHECKING:
    from rich.console import Console


def play_script(root: Path, lab: Lab, folder: Path, file: Path, console: Console) -> bool:
    """Whether every step of the script came true. Raises UserError for a script or program that
    cannot be read or built."""
    try:
        script = load_script(file)
    except ScriptError as error:
        raise UserError(str(error)) from error
    submission = collect(lab, folder)
    if submission.problem is not None:
        raise UserError(submission.problem.what, str(folder), submission.problem.next_step)
    with Builder(root, find_toolchain()) as builder:
        build = builder.build(lab, submission, levels=(MAIN_LEVEL,))
        if not build.ok:
            first = build.errors[0]
            raise UserError(
                f"the program does not build: {safe_text(first.text)}",
                f"{first.file}:{first.line}",
                f"make grade LAB={lab.number} shows every message",
            )
        with Subject(lab, submission, build, find_qemu()) as subject:
            board = subject.board()
            failure = play(script, board)
            render_story(story(board.trace), console)
    if failure is None:
        console.print(f"{script.name}: every step came true", markup=False)
        return True
    console.print(f"{script.source}, line {failure.line}: not so", markup=False)
    console.print(f"  expected  {safe_text(failure.expected)}", markup=False)
    console.print(f"  seen      {safe_text(failure.seen)}", markup=False)
    return False
