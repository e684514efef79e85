"""Grading one submission: collect, build, run the checks, report."""

from __future__ import annotations

import os
import platform
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from wakebench.machine import find_qemu
from wakelab import __version__
from wakelab.build import LEVELS, MAIN_LEVEL, Builder
from wakelab.checking import specs_in
from wakelab.errors import InfraError, UserError
from wakelab.labs import Lab
from wakelab.points import NO_CHANGES, PointsPlan, require_known
from wakelab.provenance import grader_hash, lab_hash
from wakelab.report import Report, make_report
from wakelab.submission import Submission, collect
from wakelab.toolchain import find_toolchain

if TYPE_CHECKING:
    from wakelab.plugin import ChecksPlugin
    from wakelab.subject import Subject


def grade(
    root: Path,
    lab: Lab,
    path: Path,
    modes: Collection[str] = (),
    points: PointsPlan = NO_CHANGES,
) -> Report:
    """Grade the submission in folder `path`; see `grade_submission`."""
    return grade_submission(root, lab, collect(lab, path), modes, points)


def grade_submission(
    root: Path,
    lab: Lab,
    submission: Submission,
    modes: Collection[str] = (),
    points: PointsPlan = NO_CHANGES,
) -> Report:
    """Grade what was handed in; `modes` of the sweep come on top of the lab's own, and what an
    instructor's `points` say on top of what the lab says.

    Raises UserError where there is nothing to grade.
    """
    checks = checks_of(root, lab)
    plan = plan_of(lab, checks, points)
    qemu = find_qemu()
    toolchain = find_toolchain()
    with Builder(root, toolchain) as builder, ThreadPoolExecutor(1) as aside:
        # The checks begin as soon as the first level is built; the others are built meanwhile.
        building = aside.submit(builder.build, lab, submission, (MAIN_LEVEL,))
        others = [level for level in LEVELS if level != MAIN_LEVEL]
        rest = aside.submit(builder.build, lab, submission, others)
        try:
            from wakelab.subject import Subject  # these imports take a while, too

            with Subject(lab, submission, building.result(), qemu, modes, rest) as subject:
                plugin = _run_checks(checks, subject, plan)
                build = subject.complete()
                versions = {
                    "wakelab": __version__,
                    "gcc": toolchain.version,
                    "qemu": subject.qemu_version,
                    "python": platform.python_version(),
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


def plan_of(lab: Lab, checks: Path, points: PointsPlan) -> PointsPlan:
    """What the lab's checks are worth: as the lab says, and on top of it as the instructor says.
    Raises UserError where one of the two names what is not there."""
    plans = [plan for plan in (lab.points, points) if plan is not NO_CHANGES]
    if plans:
        specs = specs_in(checks)
        for plan in plans:
            require_known(plan, specs)
    return lab.points if points is NO_CHANGES else lab.points.changed_by(points)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Neither the environment nor other plugins have a say in how a submission is graded."""
    before = dict(os.environ)
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        os.environ.pop(name, None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def checks_of(root: Path, lab: Lab) -> Path:
    """The folder of a lab's checks. Raises UserError where there is none."""
    folder = root / "grader" / "checks" / lab.slug
    if not any(folder.glob("check_*.py")):
        raise UserError(
            f"lab {lab.number} has no checks",
            str(folder),
            "add a check_*.py; see docs/contributors/",
        )
    return folder


def _run_checks(folder: Path, subject: Subject, plan: PointsPlan = NO_CHANGES) -> ChecksPlugin:
    """Run a folder of checks in this process, with nothing of pytest's own to be seen."""
    import pytest

    from wakelab.plugin import ChecksPlugin

    plugin = ChecksPlugin(subject, plan)
    said = StringIO()
    arguments = [
        str(folder),
        *("-c", os.devnull, "--rootdir", str(folder)),
        *("-p", "no:cacheprovider", "-p", "no:terminal", "-p", "no:logging", "-p", "no:doctest"),
        *("-p", "no:unraisableexception", "-p", "no:threadexception", "-p", "no:unittest"),
        *("-p", "no:junitxml", "-p", "no:faulthandler", "-p", "no:stepwise", "-p", "no:pastebin"),
        *("--assert=plain", "--import-mode=importlib", "--noconftest", "--capture=no"),
        *("-o", "python_files=check_*.py", "-o", "python_functions=check_*"),
    ]
    with redirect_stdout(said), redirect_stderr(said), _undisturbed():
        code = pytest.main(arguments, plugins=[plugin])
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if code != pytest.ExitCode.OK or not plugin.results:
        raise InfraError(
            f"the checks could not be run (pytest ended with {int(code)})",
            str(folder),
            said.getvalue()[-800:] or "no output",
        )
    return plugin
