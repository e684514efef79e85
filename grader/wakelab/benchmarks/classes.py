"""Measure: a class of 200, the same again, memory, the same on a Dask cluster, and one result.

The class is made of the corpus, right and wrong programs in turn (some of them hostile), each with
a line of its own so that no two are alike, and of archives that are no good. It is graded by the
command, in a process of its own, with a cache of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from wakebench.machine import die_with_parent
from wakelab.benchmarks.determinism import burning
from wakelab.benchmarks.row import Row, Step, part
from wakelab.classes.fingerprint import fingerprint
from wakelab.classes.job import Job
from wakelab.classes.pool import LocalPool
from wakelab.confinement import choose
from wakelab.errors import InfraError
from wakelab.labs import Lab, load_lab
from wakelab.points import NO_CHANGES
from wakelab.report import to_json
from wakelab.submission import collect

STUDENTS, QUICK_STUDENTS = 200, 40
REPEATS, QUICK_REPEATS = 200, 20
JOBS = 2
BROKEN = 5
"""Of each class: archives that are damaged or bombs."""

SECONDS_A_STUDENT = 0.4
CACHED_S = 3.0
WORKER_MB = 150.0
CLUSTER_RATIO = 1.15

STEPS = 4


@dataclass(frozen=True)
class Run:
    """One run of the command: wall time, and the most memory that one of its grading processes
    had."""

    seconds: float
    worker_mb: float


@dataclass(frozen=True)
class Classes:
    """What was measured. `first` by the local pool; `cluster`: the same class by Dask's, None
    without it."""

    students: int
    first: Run
    again: Run
    cluster: Run | None
    repeats: int
    results: int


def make_class(lab: Lab, corpus: Path, folder: Path, students: int) -> None:
    """A folder for each student, and BROKEN archives among them."""
    programs = sorted(each for each in corpus.glob("*/*/") if (each / "expected.toml").is_file())
    if not programs:
        raise InfraError("the corpus is not there", str(corpus), "git checkout -- grader/corpus")
    right = [each for each in programs if each.parent.name == "right"]
    wrong = [each for each in programs if each.parent.name == "wrong"]
    # As the corpus is mixed: four wrong ones for each right one.
    mixed = (each for four in zip(*[cycle(wrong)] * 4, cycle(right)) for each in four)
    for number, program in enumerate(islice(mixed, students - BROKEN)):
        _hand_in(lab, program, folder / f"{number:03}-{program.name}", number)
    for number in range(BROKEN):
        _break(folder / f"broken-{number}.zip", bomb=number % 2 == 0)


def _hand_in(lab: Lab, program: Path, folder: Path, number: int) -> None:
    expected = tomllib.loads((program / "expected.toml").read_text(encoding="utf-8"))
    folder.mkdir(parents=True)
    for name in lab.files:
        from_reference = expected.get(name.removesuffix(".c")) == "reference"
        source = (lab.reference if from_reference else program) / name
        (folder / name).write_bytes(source.read_bytes() + b"// student %d\n" % number)


def _break(path: Path, *, bomb: bool) -> None:
    if not bomb:
        path.write_bytes(b"PK\3\4 and nothing more")
        return
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("main.c", bytes(300 << 20))


def measure_classes(root: Path, number: str, quick: bool, step: Step) -> Classes:
    """Raises InfraError where a class is not graded, UserError where something is missing."""
    lab = load_lab(root, number)
    corpus = root / "grader" / "corpus" / lab.slug
    students = QUICK_STUDENTS if quick else STUDENTS
    with tempfile.TemporaryDirectory(prefix="wakelab-class-") as name:
        place = Path(name)
        make_class(lab, corpus, place / "class", students)
        first = _run(lab, place / "class", place / "first")
        step()
        again = _run(lab, place / "class", place / "first")
        step()
        cluster = None
        with _cluster() as address:
            if address:
                cluster = _run(lab, place / "class", place / "cluster", "--scheduler", address)
        step()
    repeats = QUICK_REPEATS if quick else REPEATS
    results = _distinct_results(root, lab, repeats)
    step()
    return Classes(students, first, again, cluster, repeats, results)


def _run(lab: Lab, submissions: Path, place: Path, *more: str) -> Run:
    options = ["--lab", lab.number, "--jobs", str(JOBS)]
    options += ["--out", f"{place}-out", "--cache", f"{place}-cache", *more]
    began = time.monotonic()
    process = subprocess.Popen(
        [*die_with_parent(), sys.executable, "-P", "-m", "wakelab", "class", *options, submissions],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        with _Watch(process.pid) as watch:
            _, words = process.communicate()
    except BaseException:
        process.terminate()  # what it has started ends with it
        process.wait()
        raise
    if process.returncode not in (0, 1):
        raise InfraError(
            f"the class was not graded: exit code {process.returncode}",
            str(submissions),
            words.decode("utf-8", "replace")[-400:],
        )
    return Run(time.monotonic() - began, watch.most_mb)


class _Watch:
    """Reads the high-water mark of each grading process that a process has, now and then: a mark
    only rises, so little is missed. Linux."""

    def __init__(self, pid: int) -> None:
        self._tasks = Path(f"/proc/{pid}/task")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.most_mb = 0.0

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            for children in self._tasks.glob("*/children"):
                try:
                    for child in children.read_text().split():
                        self.most_mb = max(self.most_mb, _high_water_mb(child))
                except OSError:
                    continue  # a thread has ended


def _high_water_mb(pid: str) -> float:
    try:
        if b"wakelab.classes.worker" not in Path(f"/proc/{pid}/cmdline").read_bytes():
            return 0.0
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass  # it has ended
    return 0.0


@contextmanager
def _cluster() -> Iterator[str]:
    """Dask's local cluster of JOBS workers; its address, or "" where Dask is not installed."""
    try:
        from distributed import LocalCluster
    except ImportError:
        yield ""
        return
    with LocalCluster(
        n_workers=JOBS, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1"
    ) as cluster:
        yield cluster.scheduler_address


def _distinct_results(root: Path, lab: Lab, repeats: int) -> int:
    """How many different reports come of the same program, graded again and again while a process
    for each core burns all the time that it gets."""
    confinement = choose(root, trust=False, own=False)
    grader = fingerprint(root, lab, confinement)
    submission = collect(lab, lab.reference)
    jobs = [Job(lab.number, (), NO_CHANGES, grader, submission, confinement.trusting)] * repeats
    with burning(), LocalPool(JOBS) as pool:
        outcomes = [outcome for _, outcome in pool.grade(jobs)]
    reports = {to_json(each.report) if each.report else each.trouble for each in outcomes}
    return len(reports)


def classes_rows(measured: Classes) -> list[Row]:
    """The table's lines."""
    students, first, again = measured.students, measured.first, measured.again
    most = SECONDS_A_STUDENT * students
    rows = [
        Row(f"a class of {students}", f"{first.seconds:.1f} s", first.seconds, most, "s"),
        part("a second", f"{students / first.seconds:.1f}"),
        Row("the same again", f"{again.seconds:.1f} s", again.seconds, CACHED_S, "s"),
        Row("memory of a worker", f"{first.worker_mb:.0f} MB", first.worker_mb, WORKER_MB, "MB"),
    ]
    cluster = measured.cluster
    if cluster is None:
        rows.append(Row("Dask : local pool", "Dask is not here", None, CLUSTER_RATIO))
    else:
        ratio = cluster.seconds / first.seconds
        rows.append(Row("Dask : local pool", f"{ratio:.2f}", ratio, CLUSTER_RATIO))
        shown = f"{cluster.seconds:.1f} : {first.seconds:.1f} s"
        rows.append(part(f"the same class, {JOBS} workers each", shown))
    what = f"results of {measured.repeats} gradings under load"
    rows.append(Row(what, str(measured.results), float(measured.results), 1.0))
    return rows
