"""Measure 1: how long a student waits for `wakelab grade`, and for what."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from wakelab.benchmarks.edited import Edited
from wakelab.benchmarks.row import Row, Step, part
from wakelab.errors import InfraError
from wakelab.labs import Lab, load_lab

TARGET_S = 1.0
RUNS = 9
STAMPED_RUNS = 5
WARM_UP = 1
STEPS = WARM_UP + 2 * RUNS + STAMPED_RUNS

PARTS = (
    ("Python itself", "spawned", "started"),
    ("imports up to the build", "started", "build began"),
    ("pytest and imports, meanwhile", "build began", "checks began"),
    ("checks, in both lanes", "checks began", "report began"),
    ("report, exit", "report began", "gone"),
)
"""What, from which stamp, to which stamp; together the whole run."""


@dataclass(frozen=True)
class Grading:
    """Wall time of one grading after a change, of its PARTS, and of one with nothing changed, in
    seconds; medians."""

    whole: float
    parts: tuple[float, ...]
    again: float


def measure_grading(root: Path, lab_number: str, step: Step) -> Grading:
    """Grade the reference as a command, warm. Raises InfraError where it gets less than full."""
    lab = load_lab(root, lab_number)
    with tempfile.TemporaryDirectory(prefix="wakelab-bench-") as name:
        program, out = Edited(lab, Path(name) / "submission"), Path(name) / "out"
        times, times_again = [], []
        for run in range(WARM_UP + RUNS):
            program.save()
            times.append(timed(root, lab, program.folder, out, ["wakelab"]))
            step()
            if run >= WARM_UP:
                times_again.append(timed(root, lab, program.folder, out, ["wakelab"]))
                step()
        stamped = []
        for _ in range(STAMPED_RUNS):
            program.save()
            stamped.append(_parts(root, lab, program.folder, out))
            step()
    by_part = tuple(median(run[at] for run in stamped) for at in range(len(PARTS)))
    return Grading(median(times[WARM_UP:]), by_part, median(times_again))


def timed(
    root: Path,
    lab: Lab,
    folder: Path,
    out: Path,
    module: Sequence[str],
    more: Sequence[str] = (),
) -> float:
    """Seconds of one `python -m MODULE grade` of a folder that gets full marks, with `more` words
    after it."""
    argv = [sys.executable, "-P", "-m", *module, "grade", "--lab", lab.number]
    before = time.monotonic()
    run = subprocess.run(
        [*argv, *more, str(folder), "--out", str(out)],
        cwd=root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    taken = time.monotonic() - before
    if run.returncode != 0:
        said = (run.stderr or run.stdout).decode("utf-8", "replace").strip().splitlines()
        raise InfraError(
            f"grading the reference ended with {run.returncode}",
            said[-1] if said else "",
            f"make grade LAB={lab.number} SUBMISSION=solution/{lab.slug}",
        )
    return taken


def _parts(root: Path, lab: Lab, folder: Path, out: Path) -> tuple[float, ...]:
    """Seconds of each of PARTS in one run."""
    file = out / "stamps.json"
    spawned = time.monotonic()
    timed(root, lab, folder, out, ["wakelab.benchmarks.stamps", str(file)])
    stamps: dict[str, float] = json.loads(file.read_text(encoding="ascii"))
    stamps |= {"spawned": spawned, "gone": time.monotonic()}
    return tuple(stamps[end] - stamps[begin] for _, begin, end in PARTS)


def grading_rows(grading: Grading, lab_number: str) -> list[Row]:
    """For the table; the parts as shares of their sum."""
    whole = Row(
        f"grade lab {lab_number} after a change",
        f"{grading.whole:.2f} s",
        grading.whole,
        TARGET_S,
        "s",
    )
    total = sum(grading.parts)
    return [
        whole,
        *(
            part(what, f"{1e3 * taken:.0f} ms {100 * taken / total:3.0f} %")
            for (what, _, _), taken in zip(PARTS, grading.parts, strict=True)
        ),
        part("again, nothing changed", f"{grading.again:.2f} s"),
    ]
