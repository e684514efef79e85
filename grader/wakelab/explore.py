"""`wakelab sweep` and `wakelab replay`: the search, and one of its findings again."""

from __future__ import annotations

import os
from dataclasses import dataclass
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
from wakelab.errors import UserError
from wakelab.labs import Lab
from wakelab.render import render_story, safe_text
from wakelab.schedule import Schedule, confirm, play
from wakelab.shared import where
from wakelab.subject import Subject
from wakelab.sweeping import Progress, Search, Swept, schedules

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar


@dataclass(frozen=True)
class Wanted:
    """What is to be searched: a mode of SWEEP_MODES; every place, or one for each class; and what
    strikes, if not what the lab says."""

    mode: str
    every: bool = False
    interrupts: tuple[str, ...] | None = None

    def others(self, button: str) -> tuple[str, ...] | None:
        """What strikes beside the lab's button."""
        if self.interrupts is None:
            return None
        return tuple(name for name in dict.fromkeys(self.interrupts) if name != button)


def explore(
    root: Path,
    lab: Lab,
    folder: Path,
    level: str,
    console: Console,
    confinement: Confinement,
    wanted: Wanted,
) -> bool:
    """Search, and show the first counterexample that is confirmed. Whether there was none."""
    with built(root, lab, folder, level, confinement) as subject:
        swept = _search(subject, level, console, wanted)
        _say_what_was_done(swept, console)
        if wanted.mode != "singles" and not swept.failing:
            _say_what_is_shared(subject, level, console)
        for schedule in schedules(swept, lab.number):
            confirmed = confirm(schedule, subject)
            if confirmed is not None:
                _show(*confirmed, subject, console)
                return False
    try:
        swept.expect_whole()
    except SweepError as missed:
        raise UserError(f"nothing can be said: {missed}", next_step="make doctor") from missed
    if swept.failing:
        console.print("Found inside, but nothing of it is seen from outside: no finding.")
    else:
        console.print("No press was lost, and none reported twice.")
    return True


def _search(subject: Subject, level: str, console: Console, wanted: Wanted) -> Swept:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("sweeping"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("beginnings, {task.fields[runs]} runs"),
    )
    machines = 1 if wanted.mode == "singles" else os.cpu_count() or 1
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        try:
            with Search(subject, level, machines, wanted.others(subject.button)) as search:
                return _carry_out(search, wanted, _progress(bar))
        except SweepError as unfit:
            raise UserError(f"the program cannot be swept: {unfit}") from unfit


def _carry_out(search: Search, wanted: Wanted, told: Progress) -> Swept:
    match wanted.mode:
        case "singles":
            return search.singles()
        case "pairs":
            return search.pairs(every=wanted.every, progress=told)
        case _:
            return search.triples(progress=told)


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
    met = f"{swept.coverage:.0f} % of the boundaries that an independent trace has were struck at"
    console.print(met, markup=False)


def _say_what_is_shared(subject: Subject, level: str, console: Console) -> None:
    """Every object that both the task and the interrupt touch, what protects it, and where."""
    for each in shared_objects(subject.image(level), subject.exploration(level)):
        console.print(f"shared: {each.name} ({each.type}): {each.protection}", markup=False)
        for side, uses in (("interrupt", each.interrupt), ("task", each.task)):
            console.print(f"  {side:<9} {safe_text(where(uses), 600)}", markup=False)
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
) -> bool:
    """Run one schedule again, from outside, and tell its story. Whether all went well."""
    with built(root, lab, folder, schedule.level, confinement) as subject:
        try:
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
