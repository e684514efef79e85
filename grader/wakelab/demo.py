"""`wakelab demo`: the reference and the untouched stub, graded, and the story of one press."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wakebench.machine import find_qemu
from wakebench.trace import Event, Kind, story
from wakelab.build import MAIN_LEVEL, Builder
from wakelab.confinement import Confinement
from wakelab.grade import grade
from wakelab.labs import Lab
from wakelab.render import render_report, render_story
from wakelab.report import Verdict
from wakelab.subject import Subject
from wakelab.submission import collect
from wakelab.toolchain import find_toolchain

if TYPE_CHECKING:
    from rich.console import Console

SHOWN_ROLES = frozenset({"poll", "woken"})


def demo(root: Path, lab: Lab, console: Console, confinement: Confinement) -> bool:
    """Whether all came out as it must: full marks for the reference, "to do" for the stub."""
    console.print(f"1. The reference, solution/{lab.slug}/, graded:\n", markup=False)
    reference = grade(root, lab, lab.reference, confinement)
    render_report(reference, console)

    console.print(f"\n2. One press of {_button(lab)}, as the bench saw it:\n", markup=False)
    render_story(story(one_press(root, lab)), console)

    console.print(f"\n3. The exercise as you find it, lab/{lab.slug}/, graded:\n", markup=False)
    stub = grade(root, lab, lab.directory, confinement)
    render_report(stub, console)
    return reference.verdict is Verdict.PASS and stub.verdict is not Verdict.INFRA


def _button(lab: Lab) -> str:
    return (lab.press or {}).get("button", "SELECT")


def one_press(root: Path, lab: Lab) -> list[Event]:
    """From the edge to the next sleep, on the reference: what matters, event by event."""
    submission = collect(lab, lab.reference)
    with Builder(root, find_toolchain()) as builder:
        build = builder.build(lab, submission, levels=(MAIN_LEVEL,))
        with Subject(lab, submission, build, find_qemu()) as subject:
            board = subject.board()
            board.wait_ms(250)
            start = len(board.trace)
            board.press(_button(lab))
            board.wait_ms(80)
            board.release(_button(lab))
            board.wait_asleep()
            return [event for event in board.trace.since(start) if _matters(event)]


def _matters(event: Event) -> bool:
    if event.kind in (Kind.CALL, Kind.RETURN):
        return event.note in SHOWN_ROLES
    return True
