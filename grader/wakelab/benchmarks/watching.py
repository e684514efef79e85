"""Measure: from a save to the verdict on the screen of `wakelab watch`."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Self

from wakelab.benchmarks.edited import Edited
from wakelab.benchmarks.row import Row, Step, part
from wakelab.errors import InfraError
from wakelab.labs import Lab, load_lab

TARGET_S = 1.0
RUNS = 20
STEPS = 1 + RUNS

PATIENCE_S = 60.0
"""For one verdict. Protects the host only."""

ROWS, COLUMNS = 24, 80

_FULL = re.compile(rb"100 of 100 points.*?graded at [0-9:]{8}, in [0-9.]+ s", re.S)


@dataclass(frozen=True)
class Watching:
    """Seconds from just before a save to the verdict: the median, and the slowest."""

    median: float
    slowest: float


def measure_watching(root: Path, lab_number: str, step: Step) -> Watching:
    """Save the reference again and again. Raises InfraError where it gets less than full."""
    lab = load_lab(root, lab_number)
    with tempfile.TemporaryDirectory(prefix="wakelab-bench-") as name:
        program = Edited(lab, Path(name) / "submission")
        times = []
        with _Watched(root, lab, program.folder, Path(name) / "out") as watched:
            watched.wait_for_verdict()
            step()
            for _ in range(RUNS):
                before = time.monotonic()
                program.save()
                watched.wait_for_verdict()
                times.append(time.monotonic() - before)
                step()
    return Watching(median(times), max(times))


class _Watched:
    """`wakelab watch` in a terminal of its own; ends with the `with`."""

    def __init__(self, root: Path, lab: Lab, folder: Path, out: Path) -> None:
        self._screen, theirs = pty.openpty()
        try:
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            argv = [sys.executable, "-P", "-m", "wakelab", "watch", "--lab", lab.number]
            self._process = subprocess.Popen(
                [*argv, "--out", str(out), str(folder)],
                cwd=root,
                env={**os.environ, "TERM": "xterm"},
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,
            )
        except BaseException:
            os.close(self._screen)
            raise
        finally:
            os.close(theirs)

    def wait_for_verdict(self) -> None:
        """Until full marks are on the screen that were not before."""
        shown = b""
        latest = time.monotonic() + PATIENCE_S
        while not _FULL.search(shown):
            left = latest - time.monotonic()
            if left <= 0 or not select.select([self._screen], [], [], left)[0]:
                raise InfraError("`wakelab watch` shows no full marks for the reference")
            try:
                shown += os.read(self._screen, 1 << 16)
            except OSError:  # Linux's way to say that the other end was closed
                said = shown.decode("utf-8", "replace").strip()[-400:]
                raise InfraError("`wakelab watch` has ended", said) from None

    def close(self) -> None:
        """End it; it puts away what it has started."""
        self._process.terminate()
        os.close(self._screen)
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def watching_rows(watching: Watching, lab_number: str) -> list[Row]:
    """For the table."""
    what = f"save to verdict, lab {lab_number}"
    return [
        Row(what, f"{watching.median:.2f} s", watching.median, TARGET_S, "s"),
        part(f"slowest of {RUNS}", f"{watching.slowest:.2f} s"),
    ]
