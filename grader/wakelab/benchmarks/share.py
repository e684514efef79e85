"""Measure 2: what the bench adds to QEMU. The same image does the same job with and without it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from wakebench.board import Board, Points
from wakebench.image import Image
from wakebench.machine import Machine
from wakebench.pin_names import BUTTONS
from wakelab.benchmarks.bare import Bare, device_of
from wakelab.benchmarks.reference import Reference
from wakelab.benchmarks.row import Row, Step, part
from wakelab.build import MAIN_LEVEL

TARGET = 5.0
RUNS = 15
PRESSES = 3

Mark = Callable[[], None]


@dataclass(frozen=True)
class Job:
    """Wall time of start, boot, PRESSES presses with their lines, and stop; in seconds.

    start    until the machine answers; for the bench also: reading the image, breakpoints, reset
    boot     until the program waits for the button
    presses  all of them
    stop     until the process is gone
    """

    start: float
    boot: float
    presses: float
    stop: float

    @property
    def whole(self) -> float:
        """Seconds of all four."""
        return self.start + self.boot + self.presses + self.stop


@dataclass(frozen=True)
class Share:
    """Both ways, medians of each part; `ratio` from the medians of the whole."""

    bench: Job
    bare: Job
    ratio: float


def measure_share(reference: Reference, runs: int, step: Step) -> Share:
    """Both jobs in turn, so that whatever else the host does hits both."""
    elf = reference.elf(MAIN_LEVEL)
    device = device_of(elf, reference.qemu, BUTTONS[reference.button])
    bench, bare = [], []
    for _ in range(runs):
        bare.append(_timed(lambda mark: _on_bare(reference, elf, device, mark)))
        bench.append(_timed(lambda mark: _on_bench(reference, elf, mark)))
        step()
    ratio = median(job.whole for job in bench) / median(job.whole for job in bare)
    return Share(_median(bench), _median(bare), ratio)


def _timed(job: Callable[[Mark], None]) -> Job:
    """Run a job that calls its argument when started, when booted, and when all was pressed."""
    marks = [time.perf_counter()]
    job(lambda: marks.append(time.perf_counter()))
    marks.append(time.perf_counter())
    return Job(*(after - before for before, after in zip(marks, marks[1:], strict=False)))


def _median(jobs: list[Job]) -> Job:
    return Job(
        median(job.start for job in jobs),
        median(job.boot for job in jobs),
        median(job.presses for job in jobs),
        median(job.stop for job in jobs),
    )


def _on_bare(reference: Reference, elf: Path, device: str, mark: Mark) -> None:
    with Bare(elf, reference.qemu, device, reference.button) as bare:
        mark()
        bare.wait_ready()
        mark()
        for _ in range(PRESSES):
            bare.press(reference.line)
        mark()


def _on_bench(reference: Reference, elf: Path, mark: Mark) -> None:
    with Machine(elf, reference.qemu) as machine:
        board = Board(machine, Image(elf), Points(dict(reference.lab.trace)))
        board.reset()
        mark()
        board.wait_asleep()
        mark()
        for _ in range(PRESSES):
            board.press(reference.button)
            board.wait_line(reference.line)
            board.release(reference.button)
        mark()


def share_rows(share: Share) -> list[Row]:
    """For the table."""
    bench, bare = share.bench, share.bare
    return [
        Row(
            f"bench : bare QEMU, {PRESSES} presses",
            f"{share.ratio:.2f}",
            share.ratio,
            TARGET,
        ),
        part("whole", _pair(bench.whole, bare.whole)),
        part("start", _pair(bench.start, bare.start)),
        part("boot", _pair(bench.boot, bare.boot)),
        part("one press", _pair(bench.presses / PRESSES, bare.presses / PRESSES)),
        part("stop", _pair(bench.stop, bare.stop)),
    ]


def _pair(bench: float, bare: float) -> str:
    return f"{1e3 * bench:.3g} : {1e3 * bare:.3g} ms"
