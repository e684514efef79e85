"""Measure 5: whether the same program makes the same traces, also on a busy host."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from wakelab.benchmarks.host import usable_cores
from wakelab.benchmarks.reference import Reference
from wakelab.benchmarks.row import Row, Step, part
from wakelab.errors import InfraError
from wakelab.report import Verdict
from wakelab.running import checks_of, run_checks
from wakelab.subject import Subject

TARGET = 1
RUNS = 100
QUICK_RUNS = 10

Hashes = tuple[str, ...]
"""Of every check of a grading, in order: its id and the hash of its traces."""

_BURN = """
import os, sys
parent = int(sys.argv[1])
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


def measure_determinism(reference: Reference, runs: int, step: Step) -> list[Hashes]:
    """The distinct outcomes of `runs` gradings on fresh machines, of which the second half has to
    share every core. Raises InfraError where the reference does not pass."""
    seen: dict[Hashes, None] = {}
    for load, count in ((nullcontext(), runs - runs // 2), (burning(), runs // 2)):
        with load:
            for _ in range(count):
                seen[grade_once(reference)] = None
                step()
    return list(seen)


def grade_once(reference: Reference) -> Hashes:
    """Run the checks of the lab once, on the images that are built already."""
    checks = checks_of(reference.root, reference.lab)
    what = (reference.lab, reference.submission, reference.build, reference.qemu)
    with Subject(*what, counting=False) as subject:
        results = run_checks(checks, lambda: subject, subject.modes)
    for result in results:
        if result.verdict is not Verdict.PASS:
            raise InfraError(
                f"the reference did not pass “{result.title}”: {result.seen}",
                str(checks),
                f"make grade LAB={reference.lab.number} SUBMISSION=solution/{reference.lab.slug}",
            )
    return tuple(f"{result.id} {result.trace_hash}" for result in results)


@contextmanager
def burning() -> Iterator[list[int]]:
    """Keeps every core busy with a process each, whose ids it gives; they end with the `with`, or
    with this process."""
    argv = [sys.executable, "-S", "-E", "-c", _BURN, str(os.getpid())]
    burners: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(usable_cores()):  # silent: Ctrl-C reaches them, too
            burners.append(
                subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
        yield [each.pid for each in burners]
    finally:
        for each in burners:
            each.kill()
        for each in burners:
            each.wait()


def determinism_rows(outcomes: list[Hashes], runs: int) -> list[Row]:
    """For the table; where outcomes differ, the checks that do."""
    rows = [
        Row(
            f"traces of {runs} runs, {runs // 2} busy",
            str(len(outcomes)),
            len(outcomes),
            TARGET,
        )
    ]
    for at in zip(*outcomes, strict=True):
        if len(set(at)) > 1:
            rows.append(part(at[0].partition(" ")[0], f"{len(set(at))} different traces"))
    return rows
