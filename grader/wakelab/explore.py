"""`wakelab sweep` and `wakelab replay`: the search, and one of its findings again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from wakebench.board import Unmet
from wakebench.sharing import Protection, shared_objects
from wakebench.sweep import SweepError
from wakebench.trace import story
from wakelab.built import built
from wakelab.checking import Finding
from wakelab.confinement import Confinement
from wakelab.counterexample import explain
from wakelab.debugger import debug
from wakelab.errors import UserError
from wakelab.labs import Lab
from wakelab.render import render_story, safe_text
from wakelab.schedule import Schedule, confirm, play
from wakelab.subject import Subject
from wakelab.sweeping import Progress, Search, Swept, schedules

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar


def explore(
    root: Path,
    lab: Lab,
    folder: Path,
    level: str,
    console: Console,
    confinement: Confinement,
    *,
    pairs: bool,
    every: bool,
) -> bool:
    """Search, and show the first counterexample that is confirmed. Whether there was none."""
    with built(root, lab, folder, level, confinement) as subject:
        swept = _search(subject, level, console, pairs=pairs, every=every)
        _say_what_was_done(swept, console)
        if pairs and not swept.failing:
            _say_what_is_shared(subject, level, console)
        for schedule in schedules(swept, lab.number):
            confirmed = confirm(schedule, subject)
            if confirmed is not None:
                _show(*confirmed, subject, console)
                return False
    if swept.failing:
        console.print("Found inside, but nothing of it is seen from outside: no finding.")
    else:
        console.print("No press was lost, and none reported twice.")
    return True


def _search(subject: Subject, level: str, console: Console, *, pairs: bool, every: bool) -> Swept:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("sweeping"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("first presses, {task.fields[runs]} runs"),
    )
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        try:
            with Search(subject, level, os.cpu_count() or 1 if pairs else 1) as search:
                told = _progress(bar)
                return search.pairs(every=every, progress=told) if pairs else search.singles()
        except SweepError as unfit:
            raise UserError(f"the program cannot be swept: {unfit}") from unfit


def _progress(bar: Bar) -> Progress:
    task = bar.add_task("sweep", total=None, runs=0)

    def told(done: int, total: int, runs: int) -> None:
        bar.update(task, completed=done, total=total, runs=runs)

    return told


def _say_what_was_done(swept: Swept, console: Console) -> None:
    rate = (
        f"{swept.runs:,} runs in {swept.seconds:.2f} s, {swept.runs / swept.seconds:,.0f} a second"
    )
    console.print(swept.statement, markup=False)
    console.print(f"{rate}; {swept.failing} of {swept.places} placements fail", markup=False)


def _say_what_is_shared(subject: Subject, level: str, console: Console) -> None:
    """Every object that both the task and the interrupt touch, and what protects it."""
    for each in shared_objects(subject.image(level), subject.exploration(level)):
        console.print(f"shared: {each.name} ({each.type}): {each.protection}", markup=False)
        if each.protection is Protection.RACY:
            console.print(f"  {safe_text(each.sentence(), 600)}", markup=False)


def _show(schedule: Schedule, finding: Finding, subject: Subject, console: Console) -> None:
    explained = explain(schedule, finding, subject)
    console.print(f"\n{schedule.id}: {explained.verdict}", markup=False)
    for name in ("expected", "seen", "why", "hint"):
        text = safe_text(getattr(explained, name), 600)
        if text:
            console.print(f"  {name:<9} {text}", markup=False)
    render_story(list(explained.story or ()), console)


def replay(
    root: Path,
    lab: Lab,
    folder: Path,
    schedule: Schedule,
    console: Console,
    confinement: Confinement,
    *,
    gdb: bool,
) -> bool:
    """Run one schedule again, from outside, and tell its story. Whether all went well."""
    with built(root, lab, folder, schedule.level, confinement) as subject:
        try:
            if gdb:
                return debug(schedule, subject, console)
            finding = play(schedule, subject)
        except Unmet as unmet:
            raise UserError(
                f"the schedule does not fit this program: expected {unmet.expected}, {unmet.seen}",
                str(folder),
                "is the id of another version of it? make sweep finds new ones",
            ) from unmet
        if finding is not None:
            _show(schedule, finding, subject, console)
            return False
        board = subject.latest_board
        render_story(story(board.trace if board else ()), console)
    console.print(f"{schedule.id}: all went well", markup=False)
    return True
