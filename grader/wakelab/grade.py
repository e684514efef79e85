"""Grading one submission: collect, build, run the checks, report."""

from __future__ import annotations

import gc
import platform
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from wakebench.machine import find_qemu
from wakelab import __version__
from wakelab.build import LEVELS, MAIN_LEVEL, Builder, Building, BuildResult, OnDemand
from wakelab.checking import specs_in
from wakelab.confinement import Confinement
from wakelab.cores import on_core
from wakelab.labs import Lab
from wakelab.lanes import SecondLane, Work, can_have_two, second_lane
from wakelab.points import NO_CHANGES, PointsPlan, require_known
from wakelab.provenance import grader_hash, lab_hash
from wakelab.report import Report, make_report
from wakelab.running import checks_of, run_checks
from wakelab.submission import Submission, collect
from wakelab.toolchain import find_toolchain


def grade(
    root: Path,
    lab: Lab,
    path: Path,
    confinement: Confinement,
    modes: Collection[str] = (),
    points: PointsPlan = NO_CHANGES,
) -> Report:
    """Grade the submission in folder `path`, in a hurry; see `grade_submission`."""
    submission = collect(lab, path)
    two_lanes = can_have_two()
    return grade_submission(root, lab, submission, confinement, modes, points, two_lanes=two_lanes)


def grade_submission(
    root: Path,
    lab: Lab,
    submission: Submission,
    confinement: Confinement,
    modes: Collection[str] = (),
    points: PointsPlan = NO_CHANGES,
    *,
    two_lanes: bool = False,
) -> Report:
    """Grade what was handed in; `modes` of the sweep come on top of the lab's own, and what an
    instructor's `points` say on top of what the lab says. With `two_lanes` on two cores, which
    forks: not where other threads run. The report is the same.

    Raises UserError where there is nothing to grade.
    """
    checks = checks_of(root, lab)
    plan = plan_of(lab, checks, points)
    work = Work(checks, lab, submission, confinement.around(find_qemu()), modes, plan)
    with ExitStack() as owned:
        # First, because nothing may be forked once there are threads.
        second = owned.enter_context(_second_lane(work)) if two_lanes else None
        toolchain = find_toolchain()
        sandbox = confinement.compiler(toolchain)
        builder = owned.enter_context(Builder(root, toolchain, sandbox=sandbox))
        aside = owned.enter_context(ThreadPoolExecutor(1))
        # The checks begin as soon as the first level is built; the others are built meanwhile.
        building = aside.submit(builder.build, lab, submission, (MAIN_LEVEL,))
        others = [level for level in LEVELS if level != MAIN_LEVEL]

        def build_others() -> Future[BuildResult]:
            return aside.submit(builder.build, lab, submission, others)

        rest: Building = OnDemand(build_others)
        try:
            if second:
                second.follow(building)
                begun = build_others()  # now: it has work for them at once
                second.follow(begun)
                rest = begun
            from wakelab.plugin import Lane  # these imports take a while, too
            from wakelab.subject import Subject

            if second:
                owned.enter_context(on_core(second.core + 1))
            first = Lane(second.claim) if second else Lane()
            with Subject(
                lab, submission, building.result(), work.qemu, modes, rest, counting=False
            ) as subject:
                plugin = run_checks(checks, subject, plan, first)
                if second:
                    second.finish(plugin, subject)
                build = subject.whole_build() if plugin.looked_at_levels() else subject.build
                versions = {
                    "wakelab": __version__,
                    "gcc": toolchain.version,
                    "qemu": subject.qemu_version,
                    "python": platform.python_version(),
                    "sandbox": confinement.name,
                }
        except BaseException:
            builder.stop()
            raise
    hashes = {
        "submission": submission.sha256,
        "grader": grader_hash(root, lab),
        "lab": lab_hash(root, lab),
        "points": points.sha256,
        **{f"elf-{elf.level}": elf.sha256 for elf in build.elfs},
    }
    return make_report(
        lab.number,
        lab.title,
        submission.name,
        plugin.results,
        compiler_messages=(*build.errors, *build.warnings),
        versions={name: version for name, version in versions.items() if version},
        hashes={what: sha256 for what, sha256 in hashes.items() if sha256},
        modes=modes,
    )


def _second_lane(work: Work) -> AbstractContextManager[SecondLane]:
    """A second lane that need not import again what takes long to import."""
    import pytest  # noqa: F401

    import wakelab.plugin
    import wakelab.subject  # noqa: F401

    gc.freeze()  # no collection need go through what is imported, nor copy it for the second lane
    return second_lane(work)


def plan_of(lab: Lab, checks: Path, points: PointsPlan) -> PointsPlan:
    """What the lab's checks are worth: as the lab says, and on top of it as the instructor says.
    Raises UserError where one of the two names what is not there."""
    plans = [plan for plan in (lab.points, points) if plan is not NO_CHANGES]
    if plans:
        specs = specs_in(checks)
        for plan in plans:
            require_known(plan, specs)
    return lab.points if points is NO_CHANGES else lab.points.changed_by(points)
