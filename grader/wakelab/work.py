"""What a grading has to do, whichever process does it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from wakebench.machine import Qemu
from wakelab.labs import Lab
from wakelab.points import PointsPlan
from wakelab.running import run_checks
from wakelab.stages import Stages
from wakelab.submission import Submission

if TYPE_CHECKING:
    from wakelab.plugin import ChecksPlugin, Lane
    from wakelab.subject import Subject


@dataclass(frozen=True)
class Work:
    """The checks in a folder, to be run on a submission.

    folder  of the checks
    modes   of the sweep, on top of the lab's own
    plan    what the checks are worth
    """

    folder: Path
    lab: Lab
    submission: Submission
    qemu: Qemu
    modes: Collection[str]
    plan: PointsPlan

    def run(self, subject: LaterSubject, lane: Lane) -> ChecksPlugin:
        """Run the checks of a lane. pytest gets ready while the build runs. Raises what the build
        of the main level raised, and as `run_checks`."""
        if subject.is_built():
            subject()  # its machine comes up meanwhile
        modes = self.lab.modes_with(self.modes)
        return run_checks(self.folder, subject, modes, self.plan, lane)


class LaterSubject:
    """The Subject of some work, made when it is first asked for. Owns it: use it in `with`."""

    def __init__(self, work: Work, build: Stages) -> None:
        self._work = work
        self._build = build
        self._made: Subject | None = None

    def is_built(self) -> bool:
        """Whether it can be had without waiting."""
        return self._build.main.done()

    def __call__(self) -> Subject:
        """Wait for the main level, and make it. Raises what the build raised, and BenchError."""
        from wakelab.subject import Subject

        if self._made is None:
            work, build = self._work, self._build
            self._made = Subject(
                work.lab,
                work.submission,
                build.main.result(),
                work.qemu,
                work.modes,
                build.rest,
                counting=False,
            )
        return self._made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._made is not None:
            self._made.close()
