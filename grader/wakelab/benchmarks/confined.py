"""Measure: what the sandbox costs, as the ratio of a grading with it to one without."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from wakelab.benchmarks.edited import Edited
from wakelab.benchmarks.grading import timed
from wakelab.benchmarks.row import Row, Step, part
from wakelab.confinement import NoSandbox, find_bubblewrap
from wakelab.labs import load_lab

TARGET = 1.3
RUNS = 9
STEPS = 2 * (1 + RUNS)


@dataclass(frozen=True)
class Confined:
    """Wall time of a grading, in seconds, medians; `ratio` is the median over runs side by side."""

    sandbox: float
    none: float
    ratio: float


def measure_confined(root: Path, lab_number: str, step: Step) -> Confined | None:
    """Grade the reference with and without, in turn, so that a change of the host's load meets
    both; None where there is no sandbox. Raises InfraError where it gets less than full."""
    try:
        find_bubblewrap(root)
    except NoSandbox:
        return None
    lab = load_lab(root, lab_number)
    pairs = []
    with tempfile.TemporaryDirectory(prefix="wakelab-bench-") as name:
        program, out = Edited(lab, Path(name) / "submission"), Path(name) / "out"
        for _ in range(1 + RUNS):
            times = []
            program.save()
            for more in ([], ["--trust-this-code"]):
                times.append(timed(root, lab, program.folder, out, ["wakelab"], more))
                step()
            pairs.append(times)
    del pairs[0]  # to warm up
    sandbox, none = (median(pair[at] for pair in pairs) for at in (0, 1))
    return Confined(sandbox, none, median(one / other for one, other in pairs))


def confined_rows(confined: Confined | None) -> list[Row]:
    """For the table."""
    if confined is None:
        return [Row("sandbox : none", "no sandbox here", None, TARGET)]
    return [
        Row("sandbox : none", f"{confined.ratio:.2f}", confined.ratio, TARGET),
        part("grading in the sandbox", f"{confined.sandbox:.2f} s"),
        part("grading without", f"{confined.none:.2f} s"),
    ]
