"""A process that grades: one job a line on standard input, one outcome a line on standard output.

Of its own so that nothing a submission brings down is more than this process, and so that gradings
run beside each other. wakelab.classes.process owns it.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TextIO

from wakebench.errors import BenchError
from wakelab.caretaker import OwnFolder
from wakelab.classes.fingerprint import fingerprint
from wakelab.classes.job import Job, Outcome, pack_outcome, unpack_job
from wakelab.confinement import Confinement, NoSandbox, choose
from wakelab.cores import on_this_core
from wakelab.errors import UserError
from wakelab.grade import grade_submission
from wakelab.labs import Lab, checkout_root, load_lab
from wakelab.report import Report


class Worker:
    """Grades with the checkout that it lies in."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._labs: dict[tuple[str, bool], tuple[Lab, Confinement, str]] = {}

    def answer(self, line: str) -> Outcome:
        """Do the job of one line. Raises nothing but what ends the process."""
        try:
            job = unpack_job(line)
        except (ValueError, KeyError, TypeError) as error:
            return Outcome(None, f"the job cannot be read: {error}")
        try:
            lab, confinement, own = self._lab(job.lab, job.trust)
            if own != job.fingerprint:
                return Outcome(
                    None,
                    "this grader is another than the one that asks: the checkout, the compiler, "
                    "QEMU, Python or the sandbox differ",
                    fatal=True,
                )
            return Outcome(self._grade(lab, confinement, job))
        except NoSandbox as missing:
            return Outcome(None, str(missing), fatal=True)
        except (UserError, BenchError, OSError) as error:
            return Outcome(None, str(error))
        except Exception as bug:  # a defect of ours must not end the class
            return Outcome(None, f"a defect of wakelab itself: {type(bug).__name__}: {bug}")

    def _lab(self, number: str, trust: bool) -> tuple[Lab, Confinement, str]:
        key = number, trust
        if key not in self._labs:
            lab = load_lab(self._root, number)
            confinement = choose(self._root, trust=trust, own=False)
            own = fingerprint(self._root, lab, confinement)
            self._labs[key] = (lab, confinement, own)
        return self._labs[key]

    def _grade(self, lab: Lab, confinement: Confinement, job: Job) -> Report:
        with on_this_core():
            return grade_submission(
                self._root, lab, job.submission, confinement, job.modes, job.points
            )


def serve(jobs: TextIO, outcomes: TextIO) -> None:
    """Answer until there are no more jobs."""
    worker = Worker(checkout_root())
    for line in jobs:
        outcomes.write(pack_outcome(worker.answer(line)) + "\n")
        outcomes.flush()


def main() -> None:
    """Serve on the standard streams, and leave nothing behind when told to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever owns this process decides
    signal.signal(signal.SIGTERM, _end)
    # What anything prints must not get between the outcomes.
    outcomes = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    import pytest  # noqa: F401  (now, and not in the first grading's time)

    import wakelab.subject  # noqa: F401

    gc.freeze()  # no collection need go through all that again
    try:
        with OwnFolder(held=outcomes.fileno()):
            serve(sys.stdin, outcomes)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGTERM)
    except BrokenPipeError:
        sys.exit(1)


def _end(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # once is enough; again would end the putting away, too
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
