"""What decides a verdict besides the submission, as one hash.

Two graders with the same fingerprint give the same report for the same files. It is part of what a
cached report is filed under, and what a worker on another machine has to share with who asks it.
"""

from __future__ import annotations

import hashlib
import platform
import subprocess
from collections.abc import Collection
from pathlib import Path

from wakebench.errors import BenchError
from wakebench.machine import find_qemu
from wakelab.confinement import Confinement
from wakelab.labs import Lab
from wakelab.points import PointsPlan
from wakelab.provenance import grader_hash, lab_hash
from wakelab.submission import Submission
from wakelab.toolchain import find_toolchain


def fingerprint(root: Path, lab: Lab, confinement: Confinement) -> str:
    """In hex. Raises UserError, BenchError where a tool is missing."""
    parts = (
        lab.slug,
        grader_hash(root, lab),
        lab_hash(root, lab),
        find_toolchain().version,
        _qemu_version(),
        platform.python_version(),
        confinement.name,
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def report_key(
    grader: str, submission: Submission, modes: Collection[str], points: PointsPlan
) -> str:
    """What a report is filed under, in hex: the grader's fingerprint, the files, and what was asked
    of them."""
    problem = submission.problem
    said = f"{problem.what}\0{problem.next_step}" if problem is not None else ""
    text = "\0".join((grader, submission.sha256, ",".join(sorted(modes)), points.sha256, said))
    return hashlib.sha256(text.encode()).hexdigest()


def _qemu_version() -> str:
    command = [*find_qemu().command, "--version"]
    try:
        said = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise BenchError(
            f"{command[0]} does not tell its version ({error}). `make doctor` says what to do."
        ) from error
    return said.stdout.decode("utf-8", "replace").partition("\n")[0]
