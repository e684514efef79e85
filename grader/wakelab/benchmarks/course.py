"""Measure 1b: the same for every lab."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from wakelab.benchmarks.edited import Edited
from wakelab.benchmarks.grading import WARM_UP, timed
from wakelab.benchmarks.row import Row, Step, part
from wakelab.labs import Lab, all_labs

TARGET_S, ALL_TARGET_S = 0.8, 8.0
RUNS = 5
OWN_LABS = 13
"""From this number on they are an instructor's own; nothing was promised of those."""


def count_steps(root: Path) -> int:
    """How often `measure_course` takes a step."""
    return len(_labs(root)) * (WARM_UP + RUNS)


def measure_course(root: Path, step: Step) -> dict[str, float]:
    """Seconds of a grading of each lab's reference as a command, each time after a change, by
    number; medians. Raises InfraError where one gets less than full marks."""
    taken = {}
    for lab in _labs(root):
        with tempfile.TemporaryDirectory(prefix="wakelab-bench-") as name:
            program, out = Edited(lab, Path(name) / "submission"), Path(name) / "out"
            times = []
            for _ in range(WARM_UP + RUNS):
                program.save()
                times.append(timed(root, lab, program.folder, out, ["wakelab"]))
                step()
        taken[lab.number] = median(times[WARM_UP:])
    return taken


def _labs(root: Path) -> list[Lab]:
    return [lab for lab in all_labs(root) if int(lab.number) < OWN_LABS]


def course_rows(taken: dict[str, float]) -> list[Row]:
    """For the table: all together, the slowest, and each."""
    whole, slowest = sum(taken.values()), max(taken, key=lambda number: taken[number])
    worst = taken[slowest]
    return [
        Row("grade each lab after a change", f"{whole:.1f} s", whole, ALL_TARGET_S, "s"),
        Row(f"the slowest of them, lab {slowest}", f"{worst:.2f} s", worst, TARGET_S, "s"),
        *(part(f"lab {number}", f"{each:.2f} s") for number, each in taken.items()),
    ]
