"""Grading one submission: collect, build, run the checks, report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wakebench.machine import find_qemu
from wakelab import __version__
from wakelab.build import Builder, BuildResult
from wakelab.checking import specs_in
from wakelab.confinement import Confinement
from wakelab.cores import on_core
from wakelab.course import with_own_parts
from wakelab.garbage import all_stays
from wakelab.labs import Lab
from wakelab.lanes import can_have_two, import_while_machine_starts, second_lane
from wakelab.points import NO_CHANGES, PointsPlan, require_known
from wakelab.provenance import grader_hash, lab_hash
from wakelab.render import NEEDS
from wakelab.report import CheckResult, Report, Verdict, make_report
from wakelab.running import checks_of
from wakelab.stages import Ahead, AtHand, ForLane, Stages, built_here
from wakelab.submission import Submission, collect
from wakelab.toolchain import find_toolchain
from wakelab.work import Work

if TYPE_CHECKING:
    from wakelab.plugin import ChecksPlugin


def grade(
    root: Path,
    lab: Lab,
    path: Path,
    confinement: Confinement,
    modes: Collection[str] = (),
    points: PointsPlan = NO_CHANGES,
    *,
    own: bool = False,
    keep_builds: bool = False,
    meanwhile: Callable[[], object] = lambda: None,
) -> Report:
    """Grade the submission in folder `path`, in a hurry; see `grade_submission`. `own`: with the
    author's own files of the earlier labs, where they are done."""
    submission = None
    if own:
        lab, submission, missing = with_own_parts(root, lab, path)
        if missing:
            return _needs(root, lab, submission, missing, points)
    return grade_submission(
        root,
        lab,
        submission or collect(lab, path),
        confinement,
        modes,
        points,
        two_lanes=can_have_two(),
        keep_builds=keep_builds,
        meanwhile=meanwhile,
    )


def grade_submission(
    root: Path,
    lab: Lab,
    submission: Submission,
    confinement: Confinement,
    modes: Collection[str] = (),
    points: PointsPlan = NO_CHANGES,
    *,
    two_lanes: bool = False,
    keep_builds: bool = False,
    meanwhile: Callable[[], object] = lambda: None,
) -> Report:
    """Grade what was handed in; `modes` of the sweep come on top of the lab's own, and what an
    instructor's `points` say on top of what the lab says. With `two_lanes` on two cores, which
    forks: not where other threads run. The report is the same. `keep_builds`: see Builder; for who
    comes back with the same files. `meanwhile` is done while the machine starts.

    Raises UserError where there is nothing to grade.
    """
    checks = checks_of(root, lab)
    qemu = confinement.around(find_qemu())
    toolchain = find_toolchain()
    sandbox = confinement.compiler(toolchain)
    builder = Builder(root, toolchain, sandbox=sandbox, keep=keep_builds)
    graded_by: dict[str, str] = {}

    def meanwhile_here() -> None:
        import_while_machine_starts()
        graded_by.update(grader=grader_hash(root, lab), lab=lab_hash(root, lab))
        meanwhile()

    with ExitStack() as owned:
        second: ForLane | None = None
        if not two_lanes:
            stages = owned.enter_context(built_here(builder, lab, submission))
        elif builder.has(lab, submission):
            second = AtHand(owned.enter_context(builder), lab, submission)
            stages = second.stages
        else:  # forks twice; and nothing may be forked once there are threads
            ahead = owned.enter_context(Ahead(builder, lab, submission))
            stages, second = ahead.first.stages, ahead.second
        if two_lanes:
            import_what_checks_need()
        work = Work(checks, lab, submission, qemu, modes, plan_of(lab, checks, points))
        tried = work.with_checks(partial(_try_on_boards, work, stages, second, meanwhile_here))
    import platform  # takes a while, and there is more to do before the build begins

    versions = {
        "wakelab": __version__,
        "gcc": toolchain.version,
        "qemu": tried.qemu_version,
        "python": platform.python_version(),
        "sandbox": confinement.name,
    }
    hashes = {
        "submission": submission.sha256,
        **graded_by,
        "points": points.sha256,
        **{f"elf-{elf.level}": elf.sha256 for elf in tried.build.elfs},
    }
    return make_report(
        lab.number,
        lab.title,
        submission.name,
        tried.results,
        compiler_messages=(*tried.build.errors, *tried.build.warnings),
        versions={name: version for name, version in versions.items() if version},
        hashes={what: sha256 for what, sha256 in hashes.items() if sha256},
        modes=modes,
    )


def _needs(
    root: Path, lab: Lab, submission: Submission, missing: Sequence[str], points: PointsPlan
) -> Report:
    """Nothing was run: earlier labs of the author's own are not done."""
    checks = checks_of(root, lab)
    plan = plan_of(lab, checks, points)
    needs = f"{NEEDS}{' and '.join(missing)}"
    results = [
        CheckResult(
            id=spec.id,
            title=spec.title,
            verdict=Verdict.SKIPPED,
            points=0,
            max_points=spec.points,
            expected=f"your own lab {' and '.join(missing)} to be done (OWN=1)",
            seen=needs,
            hint=f"make grade LAB={missing[0]}; or without OWN=1, with the references",
            needs=spec.needs,
            visibility=plan.visibility(spec),
        )
        for spec in map(plan.applied, specs_in(checks))
        if spec.is_wanted(lab.modes_with(()))
    ]
    return make_report(lab.number, lab.title, submission.name, results)


class _Tried(NamedTuple):
    """What came of the checks, and of what they looked at."""

    results: Sequence[CheckResult]
    build: BuildResult
    qemu_version: str


def _try_on_boards(
    work: Work,
    stages: Stages,
    for_second: ForLane | None,
    meanwhile: Callable[[], object],
    checks: ChecksPlugin,
) -> _Tried:
    """Run the checks, when pytest is ready to: here, and in a second lane if the build arrives
    `for_second`, too. `meanwhile` is done while the machine here starts.
    """
    from wakelab.plugin import Lane

    with ExitStack() as owned:
        second = None
        if for_second:
            second = owned.enter_context(second_lane(checks, work, for_second))
            owned.enter_context(on_core(second.core + 1))
        subject = owned.enter_context(work.subject(stages))
        meanwhile()
        checks.run(subject, Lane(second.claim, beside=True) if second else Lane())
        if second:
            second.finish(subject)
        build = subject.whole_build() if checks.looked_at_levels() else subject.build
        return _Tried(checks.results, build, subject.qemu_version)


def import_what_checks_need() -> None:
    """Before the second lane is forked, which then need not; meanwhile the build runs."""
    with all_stays():
        import pytest  # noqa: F401

        import wakelab.plugin
        import wakelab.subject  # noqa: F401


def plan_of(lab: Lab, checks: Path, points: PointsPlan) -> PointsPlan:
    """What the lab's checks are worth: as the lab says, and on top of it as the instructor says.
    Raises UserError where one of the two names what is not there."""
    plans = [plan for plan in (lab.points, points) if plan is not NO_CHANGES]
    if plans:
        specs = specs_in(checks)
        for plan in plans:
            require_known(plan, specs)
    return lab.points if points is NO_CHANGES else lab.points.changed_by(points)
