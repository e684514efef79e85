"""What a grading has to do, whichever process does it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wakebench.machine import Qemu
from wakelab.labs import Lab
from wakelab.points import PointsPlan
from wakelab.running import Outcome, with_checks
from wakelab.stages import Stages
from wakelab.submission import Submission

if TYPE_CHECKING:
    from wakelab.plugin import ChecksPlugin
    from wakelab.subject import Subject


class Work(NamedTuple):
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

    def with_checks(self, begin: Callable[[ChecksPlugin], Outcome]) -> Outcome:
        """Have pytest get ready, then `begin` run the checks; what it returns. Raises what `begin`
        raises, and InfraError."""
        return with_checks(self.folder, begin, self.lab.modes_with(self.modes), self.plan)

    def subject(self, build: Stages) -> Subject:
        """What the checks are run on; waits for the main level. Close it, or use it in `with`.
        Raises what the build raised, and BenchError."""
        from wakelab.subject import Subject

        return Subject(
            self.lab,
            self.submission,
            build.main.result(),
            self.qemu,
            self.modes,
            build.rest,
            counting=False,
        )
