"""Runs a lab's checks, which are pytest tests, in this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from wakelab.errors import InfraError, UserError
from wakelab.labs import Lab
from wakelab.points import NO_CHANGES, PointsPlan

if TYPE_CHECKING:
    from wakelab.plugin import ChecksPlugin
    from wakelab.report import CheckResult
    from wakelab.subject import Subject

Outcome = TypeVar("Outcome")

_NOT_NEEDED = (
    *("cacheprovider", "terminal", "logging", "doctest", "unraisableexception", "threadexception"),
    *("unittest", "junitxml", "faulthandler", "stepwise", "pastebin", "tmpdir", "monkeypatch"),
    *("recwarn", "legacypath", "debugging", "setuponly", "setupplan", "skipping", "subtests"),
    *("nose", "reports", "warnings", "terminalprogress", "freeze_support"),
)
"""Plugins of pytest that a lab's checks have no use for; together they take longer to register than
a check takes to run."""


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


def run_checks(
    folder: Path,
    subject: Callable[[], Subject],
    modes: Collection[str],
    plan: PointsPlan = NO_CHANGES,
) -> list[CheckResult]:
    """Run a folder of checks. `subject` gives what they are run on, when all else is ready; else as
    `with_checks`."""

    def begin(checks: ChecksPlugin) -> list[CheckResult]:
        checks.run(subject())
        return checks.results

    return with_checks(folder, begin, modes, plan)


def with_checks(
    folder: Path,
    begin: Callable[[ChecksPlugin], Outcome],
    modes: Collection[str],
    plan: PointsPlan = NO_CHANGES,
) -> Outcome:
    """Have pytest find the checks of a folder, with nothing of pytest's own to be seen; then
    `begin` has them run, and what it returns is returned. `modes` of the sweep are wanted.

    Raises InfraError where pytest cannot, and what `begin` raises.
    """
    import pytest

    from wakelab.plugin import ChecksPlugin

    outcomes: list[Outcome] = []
    plugin = ChecksPlugin(lambda checks: outcomes.append(begin(checks)), modes, plan)
    said = StringIO()
    arguments = [
        str(folder),
        # The folder above: so a module is known by its folder, too, and not only by its name.
        # Else pytest lists every folder from the root of the file system down to it.
        *("-c", os.devnull, "--rootdir", str(folder.parent), "--confcutdir", str(folder)),
        *(word for name in _NOT_NEEDED for word in ("-p", f"no:{name}")),
        *("--assert=plain", "--import-mode=importlib", "--noconftest", "--capture=no"),
        *("-o", "python_files=check_*.py", "-o", "python_functions=check_*"),
    ]
    with redirect_stdout(said), redirect_stderr(said), _undisturbed():
        code = pytest.main(arguments, plugins=[plugin])
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if plugin.trouble is not None:
        raise plugin.trouble
    if code != pytest.ExitCode.OK or not plugin.specs or not outcomes:
        raise InfraError(
            f"the checks could not be run (pytest ended with {int(code)})",
            str(folder),
            said.getvalue()[-800:] or "no output",
        )
    return outcomes[0]


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
