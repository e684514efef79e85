"""`wakelab class`: a class from its folder to its page.

Exit codes: 0 all graded and nothing to name, 1 something is to be looked at (a broken hand-in, a
stranger among the files, a submission that could not be graded), 2 the class could not be graded.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wakelab.classes.fingerprint import fingerprint
from wakelab.classes.grading import Assignment, ClassGrading, Graded
from wakelab.classes.intake import Intake, take_in
from wakelab.classes.job import as_modes
from wakelab.classes.page import to_page
from wakelab.classes.pool import LocalPool, Pool
from wakelab.classes.screen import Screen
from wakelab.classes.store import Cache, Results
from wakelab.classes.summary import summarise, to_csv
from wakelab.confinement import Confinement
from wakelab.errors import UserError
from wakelab.grade import plan_of
from wakelab.interrupts import PutOff
from wakelab.labs import all_labs, load_lab
from wakelab.points import NO_CHANGES, PointsPlan
from wakelab.report import Verdict
from wakelab.running import checks_of

if TYPE_CHECKING:
    from rich.console import Console

DONE, TO_LOOK_AT, INTERRUPTED = 0, 1, 130


@dataclass(frozen=True)
class Wish:
    """What was asked for.

    submissions  a folder or an archive of the class
    confinement  what stands between it and this machine
    out          the folder for results; None: build/class/NN-name
    cache        where reports are kept for next time; None: .cache/reports
    jobs         gradings at once; 0: one for each core
    scheduler    a Dask scheduler's address, or "": this machine
    modes        of the sweep, on top of the lab's own
    points       the instructor's, on top of what the lab says
    """

    submissions: Path
    lab: str
    confinement: Confinement
    out: Path | None = None
    cache: Path | None = None
    jobs: int = 0
    scheduler: str = ""
    modes: Collection[str] = ()
    points: PointsPlan = NO_CHANGES


def grade_class(root: Path, wish: Wish, console: Console) -> int:
    """Grade, print, write; the exit code. Raises UserError, BenchError where it cannot be done."""
    lab = load_lab(root, wish.lab)
    plan_of(lab, checks_of(root, lab), wish.points)  # or each submission would find it wrong
    intake = take_in(lab, all_labs(root), wish.submissions)
    folder = wish.out or root / "build" / "class" / f"{lab.number}-{_plain_name(wish.submissions)}"
    _require_sense(wish, folder)
    screen = Screen(console, lab, len(intake.entries))
    screen.begin(intake)
    with Results(folder) as results:
        results.forget_others(frozenset(entry.key for entry in intake.entries))
        assignment = Assignment(
            lab.number,
            as_modes(wish.modes),
            wish.points,
            fingerprint(root, lab, wish.confinement),
            wish.confinement.trusting,
        )
        cache = Cache(wish.cache or root / ".cache" / "reports")
        with PutOff() as interrupts:
            grading = ClassGrading(assignment, cache, results, screen.result, interrupts)
            try:
                graded = _grade(grading, intake, screen, wish, assignment)
                summary = summarise(graded)
                results.write("summary.csv", to_csv(graded))
                page = to_page(lab, intake.platform, intake.named, graded, summary)
                results.write("index.html", page)
                interrupts.take()
            except KeyboardInterrupt:
                screen.interrupted()
                return INTERRUPTED
    screen.end(intake, graded, summary, folder, grading.uncached)
    return TO_LOOK_AT if intake.named or any(_is_lost(each) for each in graded) else DONE


def _require_sense(wish: Wish, folder: Path) -> None:
    if wish.jobs < 0:
        raise UserError(f"{wish.jobs} gradings at once", "", "JOBS=4, say; 0: one for each core")
    if folder.resolve().is_relative_to(wish.submissions.resolve()):
        raise UserError(
            "results would lie among the submissions, and be taken for one of them",
            str(folder),
            "choose another folder with OUT=",
        )


def _grade(
    grading: ClassGrading, intake: Intake, screen: Screen, wish: Wish, assignment: Assignment
) -> list[Graded]:
    graded, rest = grading.known(intake.entries)
    screen.known(len(rest))
    if rest:
        with closing(_pool(wish, assignment)) as pool, screen.progress(len(rest)):
            graded += grading.grade(rest, pool)
    places = {entry.key: number for number, entry in enumerate(intake.entries)}
    return sorted(graded, key=lambda each: places[each.entry.key])


def _pool(wish: Wish, assignment: Assignment) -> Pool:
    if not wish.scheduler:
        return LocalPool(wish.jobs or cores())
    from wakelab.classes.cluster import DaskPool

    wanted = assignment
    return DaskPool(wish.scheduler, wanted.lab, wanted.fingerprint, wanted.trust)


def cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _plain_name(path: Path) -> str:
    from wakelab.classes.archives import stem

    name = stem(path.resolve().name)
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name) or "all"


def _is_lost(each: Graded) -> bool:
    return each.verdict is Verdict.INFRA
