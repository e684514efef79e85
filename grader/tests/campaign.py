"""The mutant campaign: does the sweep see every mistake, and no mistake where there is none?

    make campaign                              every mutant and every right solution, every level
    make campaign ONLY=ack-late LEVEL=Os       one of them
    make campaign QEMU10=1                     on QEMU 10, too: the same verdicts, the same ids

The mutants are in grader/corpus/sweep/mutants.toml. docs/contributors/mutants.md says what each
column means, and why the equivalent ones are.

One job is one program at one level, in a process of its own: build, every single press, every pair
of presses until the first failure, and, where the sweep sees nothing, the lab's other checks. On
the way the reduced sweep is held against brute force, and what the program shares is looked at.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import multiprocessing
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from wakebench.agreement import Comparison, first_failure
from wakebench.errors import BenchError
from wakebench.footprint import Exploration, TraceError
from wakebench.image import Image
from wakebench.machine import find_qemu
from wakebench.sharing import racy
from wakebench.sweep import Moment, Placement, Sweep, SweepError, Window, build_harness
from wakelab import build as rules
from wakelab.build import LEVELS, MAIN_LEVEL, BuildResult, Elf
from wakelab.checking import specs_in
from wakelab.labs import SHARED_HEADERS, Lab, given_sources, load_lab
from wakelab.report import Verdict
from wakelab.running import run_checks
from wakelab.subject import Subject
from wakelab.submission import SourceFile, Submission

if TYPE_CHECKING:
    from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "grader" / "corpus" / "sweep"
CACHE = ROOT / ".cache"
QEMU_10 = CACHE / "qemu-10" / "bin" / "qemu-system-arm"
LAB = "08"

SLICE_LEVELS = ("Og", "Os")
SLICE = (
    "waker-never-same",
    "state-stuck-after-both",
    "queued-cleared-after-poll",
    "sleep-unmasked",
    "check-then-register",
    "ack-late",
    "handler-leaves-unmasked",
    "main-awaits-once",
    "relaxed-release",
)
SLICE_RIGHT = ("basepri", "looks-until-nothing", "turbo-waker")
SLICE_FIRSTS = 4
"""First presses of the slice, spread over the window; the campaign takes all of them."""

PR_SET_PDEATHSIG = 1


class Killed(StrEnum):
    """What saw the mistake first."""

    SINGLES = "singles"
    PAIRS = "pairs"
    CHECKS = "checks"
    EQUIVALENT = "equivalent"
    """Nothing did."""


@dataclass(frozen=True)
class Edit:
    """One replacement of a text that occurs once."""

    file: str
    find: str
    replace: str


@dataclass(frozen=True)
class Mutant:
    """One mistake in a reference. `at`: levels where something else kills it."""

    id: str
    idea: str
    edits: tuple[Edit, ...]
    killed_by: Killed
    because: str = ""
    at: Mapping[str, Killed] = field(default_factory=dict)

    def expected(self, level: str) -> Killed:
        """What kills it at `level`."""
        return self.at.get(level, self.killed_by)


@dataclass(frozen=True)
class Program:
    """What a job builds: the reference, with other text in some of its files. Paths are relative to
    the checkout; a file that is not the reference's takes the place of one of the same name."""

    id: str
    texts: Mapping[str, str]


@dataclass(frozen=True)
class Result:
    """What one job saw."""

    id: str
    level: str
    killed: Killed
    where: str = ""
    """The first counterexample, or why there was no sweep."""
    boundaries: int = 0
    runs: int = 0
    seconds: float = 0.0
    """Of the search; the build is not in it."""
    same: bool = False
    """The code is the reference's, bit for bit."""
    qemu: str = ""
    """The command; empty for the one in use."""
    compared: int = 0
    """Placements whose verdict was held against that of the one that stands for it."""
    problems: tuple[str, ...] = ()
    """Where the reduced sweep and brute force do not say the same."""
    racy: tuple[str, ...] = ()
    """What interrupt and task share without protection."""
    outside: int | None = None
    """The fewest presses that go wrong when they come from outside, at the places that matter; 0:
    none do; None: they could not be followed."""
    digest: str = ""
    """Of every placement that was tried, and what came of it."""

    def verdict(self) -> tuple[object, ...]:
        """All that must be the same on every QEMU."""
        found = (self.killed, self.where, self.boundaries, self.runs, self.same, self.compared)
        return (*found, self.problems, self.racy, self.outside, self.digest)


# ---- what is there to try ------------------------------------------------------------------------


def load_mutants(path: Path = CORPUS / "mutants.toml") -> list[Mutant]:
    """The mutants, in the file's order. Raises ValueError where the file is not as it must be."""
    found = [_mutant(table) for table in tomllib.loads(path.read_text("utf-8"))["mutant"]]
    for name, times in Counter(mutant.id for mutant in found).items():
        if times > 1:
            raise ValueError(f"{name} is there twice")
    return found


def _mutant(table: Mapping[str, object]) -> Mutant:
    name = str(table["id"])
    known = {"id", "file", "idea", "find", "replace", "edit", "killed_by", "because", "at"}
    if unknown := table.keys() - known:
        raise ValueError(f"{name}: unknown {', '.join(sorted(unknown))}")
    more, at = table.get("edit", []), table.get("at", {})
    assert isinstance(more, list) and isinstance(at, dict)
    edits = tuple(
        Edit(str(each.get("file", table["file"])), str(each["find"]), str(each["replace"]))
        for each in (table, *more)
    )
    levels = {level: Killed(killed) for level, killed in at.items()}
    killed_by, because = Killed(str(table["killed_by"])), str(table.get("because", ""))
    if (Killed.EQUIVALENT in (killed_by, *levels.values())) != bool(because):
        raise ValueError(f"{name}: `because` belongs to what is equivalent, and to nothing else")
    return Mutant(name, str(table["idea"]), edits, killed_by, because, levels)


def mutate(mutant: Mutant) -> Program:
    """The texts of a mutant. Raises ValueError where a `find` does not occur exactly once."""
    texts: dict[str, str] = {}
    for edit in mutant.edits:
        text = texts.get(edit.file) or (ROOT / edit.file).read_text("utf-8")
        if (times := text.count(edit.find)) != 1:
            raise ValueError(f"{mutant.id}: {edit.find[:60]!r} occurs {times} times in {edit.file}")
        texts[edit.file] = text.replace(edit.find, edit.replace)
    return Program(mutant.id, texts)


def right_solutions() -> list[Program]:
    """Solutions that are right, each in its own way."""
    folders = [CORPUS / "right", ROOT / "grader" / "corpus" / _lab().slug / "right"]
    return [
        Program(
            f"{'' if folder == folders[0] else 'lab/'}{solution.name}",
            {
                f"solution/{_lab().slug}/{file.name}": file.read_text("utf-8")
                for file in sorted(solution.glob("*.[ch]"))
            },
        )
        for folder in folders
        for solution in sorted(folder.iterdir())
        if solution.is_dir()
    ]


@cache
def _lab() -> Lab:
    return load_lab(ROOT, LAB)


# ---- building ------------------------------------------------------------------------------------


def _sources() -> list[str]:
    lab = _lab()
    own = [lab.reference / name for name in lab.files if name.endswith(".c")]
    return [str(p.relative_to(ROOT)) for p in (*given_sources(ROOT, lab), *own)]


def _gcc(*argv: str) -> None:
    done = subprocess.run(
        ["arm-none-eabi-gcc", *argv], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-800:])


def _compile(level: str, source: Path, target: Path) -> None:
    includes = [f"-I{name}" for name in SHARED_HEADERS]
    own = ["-Ilab/board", f"-I{source.parent}"]
    argv = [*rules._COMPILE, f"-{level}", *includes, *own, "-c", str(source), "-o", str(target)]
    _gcc(*argv)


def build_reference(folder: Path, level: str) -> Path:
    """Compile and link the reference in `folder`, where `build_program` takes its objects from."""
    for source in _sources():
        _compile(level, ROOT / source, _object(folder, level, source))
    return _link(folder / f"reference-{level}.elf", level, folder, {})


def _object(folder: Path, level: str, source: str) -> Path:
    return folder / f"{source.replace('/', '_')}.{level}.o"


def build_program(program: Program, folder: Path, objects: Path, level: str) -> Path:
    """Compile what differs from the reference, link it with the reference's objects."""
    changed = {}
    for name, text in program.texts.items():
        source = folder / Path(name).name
        source.write_text(text, "utf-8")
    for name in program.texts:
        if name.endswith(".c"):
            changed[name] = folder / f"{Path(name).name}.o"
            _compile(level, folder / Path(name).name, changed[name])
    return _link(folder / f"{level}.elf", level, objects, changed)


def _link(target: Path, level: str, objects: Path, changed: Mapping[str, Path]) -> Path:
    files = [str(changed.get(s, _object(objects, level, s))) for s in _sources()]
    script = ["-T", rules._SCRIPT]
    _gcc(*rules._LINK, *script, *files, "-lgcc", "-o", str(target))
    return target


def _code(image: Image) -> bytes:
    return b"".join(data for _, data in image._loaded)


# ---- one job -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """One program at one level. `firsts`: how many first presses of a pair; 0: all."""

    program: Program
    level: str
    objects: Path
    firsts: int = 0
    checks: bool = True
    qemu: str = ""


def run_job(job: Job) -> Result:
    """Build it, sweep it, and, where the sweep sees nothing, run the lab's other checks."""
    with tempfile.TemporaryDirectory(prefix="wakelab-mutant-") as name:
        folder = Path(name)
        elf = build_program(job.program, folder, job.objects, job.level)
        image = Image(elf)
        same = _code(image) == _code(Image(job.objects / f"reference-{job.level}.elf"))
        with _subject(job, elf) as subject:
            started = time.monotonic()
            result = _sweep_job(job, image, subject)
            seconds = time.monotonic() - started
            killed, where = result.killed, result.where
            if killed is Killed.EQUIVALENT and job.checks and not same:
                failed = _failed_check(subject)
                killed, where = (Killed.CHECKS, failed) if failed else (killed, where)
    return replace(result, killed=killed, where=where, seconds=seconds, same=same)


def _subject(job: Job, elf: Path) -> Subject:
    """What the lab's checks are given. They do most of their work at one level; the image stands
    for that one, whichever it was built at."""
    lab = _lab()
    files = []
    for name in lab.files:
        path = f"solution/{lab.slug}/{name}"
        data = job.program.texts.get(path, (ROOT / path).read_text("utf-8")).encode()
        files.append(SourceFile(name, data, hashlib.sha256(data).hexdigest()))
    built = BuildResult((Elf(MAIN_LEVEL, elf, ""),), (), ())
    submission = Submission(job.program.id, tuple(files), "", None)
    return Subject(lab, submission, built, find_qemu(job.qemu or None))


def _sweep_job(job: Job, image: Image, subject: Subject) -> Result:
    plan = _lab().sweep
    start = image.symbol(plan.window) if plan else None
    result = Result(job.program.id, job.level, Killed.EQUIVALENT, qemu=job.qemu)
    if plan is None or start is None:
        return replace(result, where="not swept: no window")
    looked = _explored(subject)
    if looked and looked.settings.clock_runs:
        return replace(result, where="not swept: its clock runs")
    seen = looked if looked and not looked.gaps else None
    told = looked.told if looked else ()
    shared = racy(image, seen) if seen else ()
    result = replace(result, racy=tuple(each.sentence() for each in shared))
    window = Window(start.address, subject.button, subject.line, told, plan.limit, relive=True)
    try:
        with Sweep(image, window, build_harness(CACHE), subject.qemu) as sweep:
            search = _Search(sweep, image, seen)
            killed, where = search.run(job.firsts)
            return replace(
                result,
                killed=killed,
                where=where,
                boundaries=search.boundaries,
                runs=sweep.runs,
                compared=search.compared,
                problems=search.problems,
                outside=min(map(len, looked.failing), default=0) if looked else None,
                digest=search.digest.hexdigest()[:16],
            )
    except SweepError as error:
        return replace(result, where=f"not swept: {error}")


def _explored(subject: Subject) -> Exploration | None:
    """What a press and the program do to each other, if that can be followed at all."""
    try:
        return subject.exploration()
    except (TraceError, SweepError):
        return None


class _Search:
    """Singles, then pairs until the first failure. With an exploration all pairs, and everything is
    compared with what the reduced sweep says."""

    def __init__(self, sweep: Sweep, image: Image, seen: Exploration | None) -> None:
        self._sweep = sweep
        self._image = image
        self._comparison = Comparison(sweep, seen) if seen else None
        self.boundaries = 0
        self.digest = hashlib.sha256()

    @property
    def compared(self) -> int:
        """Placements that were compared."""
        return self._comparison.compared if self._comparison else 0

    @property
    def problems(self) -> tuple[str, ...]:
        """Where the two do not agree."""
        return tuple(self._comparison.problems) if self._comparison else ()

    def run(self, limit: int) -> tuple[Killed, str]:
        """`limit`: how many first presses of a pair; 0: all. What has seen the mistake, and the
        first counterexample."""
        singles = self._sweep.singles()
        self.boundaries = len(singles)
        self._note(singles)
        if self._comparison:
            self._comparison.singles(singles)
        if failure := first_failure(singles):
            return Killed.SINGLES, tell(self._image, failure)
        found = ""
        for first, seconds in self._pairs(singles, limit):
            self._note(seconds)
            failure = first_failure(seconds)
            if failure and not found:
                found = tell(self._image, first, failure)
            if failure and not self._comparison:
                break
        return (Killed.PAIRS, found) if found else (Killed.EQUIVALENT, "")

    def _pairs(
        self, singles: Sequence[Placement], limit: int
    ) -> Iterator[tuple[Placement, list[Placement]]]:
        """By brute force; and where that is for some of the first presses only, reduced, too."""
        step = max(1, len(singles) // limit) if limit else 1
        if self._comparison:
            yield from self._comparison.pairs(singles, step)
            if limit:
                yield from self._comparison.reduced_pairs(singles)
        else:
            yield from ((first, self._sweep.seconds(first)) for first in singles[::step])

    def _note(self, placements: Sequence[Placement]) -> None:
        self.digest.update(repr(placements).encode())


def tell(image: Image, *places: Placement) -> str:
    """A counterexample in a line: the outcome, and where the presses came."""
    words = []
    for each in places:
        pc = each.place.pc
        symbol = image.symbol_at(pc)
        name = f"{symbol.name}+{pc - symbol.address:#x}" if symbol else f"{pc:#x}"
        moment = {Moment.BEFORE_SLEEP: " (before the sleep)", Moment.ASLEEP: " (asleep)"}
        nth = f" #{each.place.nth}" if each.place.nth > 1 else ""
        words.append(f"{name}{nth}{moment.get(each.place.moment, '')}")
    last = places[-1]
    return f"{last.outcome.name} {last.lines}/{last.presses} at {', '.join(words)}"


def _failed_check(subject: Subject) -> str:
    """The first of the lab's checks that fails, without those that sweep, and those that look at
    other levels, at which there is nothing; "" where none does."""
    checks = ROOT / "grader" / "checks" / _lab().slug
    with tempfile.TemporaryDirectory(prefix="wakelab-checks-") as name:
        for file in checks.glob("check_*.py"):
            if file.name != "check_sweep.py":
                (Path(name) / file.name).symlink_to(file)
        results = run_checks(Path(name), lambda: subject, subject.modes)
        elsewhere = {spec.id for spec in specs_in(Path(name)) if spec.levels}
    failed = (r for r in results if r.verdict is not Verdict.PASS and r.id not in elsewhere)
    return next((f"{r.verdict}: {r.title}" for r in failed), "")


# ---- all jobs ------------------------------------------------------------------------------------


def _worker_begins() -> None:
    """A worker dies with its parent, leaves Ctrl-C to it, and ends in order when told to."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _worker_ends)


def _worker_ends(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(1)  # leaves every `with`, so no QEMU and no folder stays


def _work(job: Job) -> Result:
    try:
        return run_job(job)
    except SystemExit:
        os._exit(1)  # the pool would have the worker wait for its next job, for ever


def run_jobs(jobs: Sequence[Job], workers: int = 0) -> Iterator[Result]:
    """Run jobs on all cores; results as they come. Nothing is left running, whatever happens."""
    pool = ProcessPoolExecutor(workers or os.cpu_count(), initializer=_worker_begins)
    try:
        futures: dict[Future[Result], Job] = {pool.submit(_work, job): job for job in jobs}
        for future in as_completed(futures):
            try:
                yield future.result()
            except (RuntimeError, BenchError, OSError) as error:
                job = futures[future]
                raise RuntimeError(f"{job.program.id} at -{job.level}: {error}") from error
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown()


def make_jobs(
    programs: Iterable[Program],
    levels: Sequence[str],
    objects: Path,
    *,
    checked: Collection[str] = LEVELS,
    few: bool = False,
    firsts: int = 0,
    qemus: Sequence[str] = ("",),
) -> list[Job]:
    """Every program at every level on every QEMU; builds the reference, and the harness, once.
    `checked`: levels at which the checks look at what the sweep lets pass. `firsts`: how many first
    presses of a pair are tried; 0: all. `few`: SLICE_FIRSTS, and no checks."""
    build_harness(CACHE)
    for level in levels:
        build_reference(objects, level)
    firsts = SLICE_FIRSTS if few else firsts
    return [
        Job(program, level, objects, firsts, level in checked and not few, qemu)
        for program in programs
        for level in levels
        for qemu in qemus
    ]


def both_qemus() -> tuple[str, str]:
    """The commands of the QEMU in use and of QEMU 10."""
    return "", shlex.quote(str(QEMU_10))


def differences(results: Iterable[Result]) -> list[str]:
    """Programs that are not the same on every QEMU that they were swept on."""
    first: dict[tuple[str, str], Result] = {}
    found = []
    for result in results:
        other = first.setdefault((result.id, result.level), result)
        if result.verdict() != other.verdict():
            found.append(
                f"{result.id} -{result.level}: {other.killed} {other.where} {other.digest} on"
                f" {other.qemu or 'the QEMU in use'}; {result.killed} {result.where}"
                f" {result.digest} on {result.qemu or 'the QEMU in use'}"
            )
    return found


# ---- the command ---------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """0: all is as it should be; 1: something is not; 130: interrupted."""
    parser = argparse.ArgumentParser(description="Does the sweep see every mistake?")
    parser.add_argument("--only", metavar="ID", action="append", help="this mutant or solution")
    parser.add_argument("--level", choices=LEVELS, action="append", help="this level only")
    parser.add_argument("--right", action="store_true", help="the right solutions only")
    parser.add_argument("--slice", action="store_true", help="the few that CI runs")
    parser.add_argument("--qemu10", action="store_true", help="on QEMU 10, too, and compare")
    parser.add_argument(
        "--firsts", type=int, default=0, metavar="N", help="so many first presses of a pair (all)"
    )
    parser.add_argument("--workers", type=int, default=0, help="processes (one for each core)")
    options = parser.parse_args(arguments)
    mutants = {} if options.right else {mutant.id: mutant for mutant in load_mutants()}
    wanted = options.only or ([*SLICE, *SLICE_RIGHT] if options.slice else None)

    def chosen(programs: Iterable[Program]) -> list[Program]:
        return [program for program in programs if wanted is None or program.id in wanted]

    wrong, right = chosen(map(mutate, mutants.values())), chosen(right_solutions())
    if not wrong and not right:
        parser.error(f"nothing is called {' or '.join(wanted or ())}")
    if options.qemu10 and not QEMU_10.exists():
        parser.error("QEMU 10 is not there: make qemu10")
    levels = options.level or (SLICE_LEVELS if options.slice else LEVELS)
    qemus = both_qemus() if options.qemu10 else ("",)
    how = {"few": options.slice, "firsts": options.firsts, "qemus": qemus}

    def expected(result: Result) -> Killed:
        known = mutants.get(result.id)
        return Killed.EQUIVALENT if known is None else known.expected(result.level)

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends in order, as Ctrl-C does
    try:
        with tempfile.TemporaryDirectory(prefix="wakelab-campaign-") as name:
            folder = Path(name)
            jobs = make_jobs(wrong, levels, folder, **how)
            # The checks see the right ones at one level, as in a grading.
            jobs += make_jobs(right, levels, folder, checked=(MAIN_LEVEL,), **how)
            return _show(jobs, run_jobs(jobs, options.workers), expected, {p.id for p in right})
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def complaints(result: Result, expected: Killed, *, right: bool) -> list[str]:
    """What is not as it should be in a result."""
    found = [f"killed by {result.killed}, not {expected}"] if result.killed is not expected else []
    found += [f"reduced: {problem}" for problem in result.problems[:3]]
    fewest = {Killed.EQUIVALENT: (0,), Killed.SINGLES: (1,), Killed.PAIRS: (1, 2)}.get(expected)
    if fewest and result.outside is not None and result.outside not in fewest:
        found.append(f"from outside {result.outside or 'no'} presses show it")
    if right:
        found += [f"false alarm: {sentence}" for sentence in result.racy]
    return found


def _show(
    jobs: Sequence[Job],
    results: Iterable[Result],
    expected: Callable[[Result], Killed],
    right: Collection[str],
) -> int:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    console = Console()
    order = {(job.program.id, job.level, job.qemu): at for at, job in enumerate(jobs)}
    done: list[Result] = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("sweeping", total=len(jobs))
        for result in results:
            done.append(result)
            bar.advance(task)
            if not console.is_terminal:  # a log: as it comes, for runs that take long
                console.print(f"{result.id} -{result.level}: {result.killed}", result.where)
    done.sort(key=lambda r: order[r.id, r.level, r.qemu])
    table = Table("program", "level", "seen by", "first counterexample", "places", "runs")
    wrong = [f"differs: {difference}" for difference in differences(done)]
    for result in done:
        said = complaints(result, expected(result), right=result.id in right)
        wrong += [f"{result.id} -{result.level}: {each}" for each in said]
        seen = "same code" if result.same else str(result.killed)
        where = result.where.replace("[", r"\[")
        places = str(result.boundaries or "")
        seen = f"[bold red]{seen}[/]" if said else seen
        table.add_row(result.id, result.level, seen, where, places, str(result.runs))
    console.print(table)
    for each in wrong:
        console.print(each, style="red", markup=False)
    _sum_up(done, len(wrong), console)
    return 1 if wrong else 0


def _sum_up(done: Sequence[Result], wrong: int, console: Console) -> None:
    counts = Counter(str(result.killed) for result in done)
    runs, seconds = sum(r.runs for r in done), sum(r.seconds for r in done)
    compared = [result.compared for result in done if result.compared]
    racy_ones = sum(bool(result.racy) for result in done)
    console.print(
        f"{len(done)} programs: {', '.join(f'{n} {k}' for k, n in sorted(counts.items()))}\n"
        f"{runs} runs, {runs / max(seconds, 1e-9):.0f} a second in one process\n"
        f"reduced and brute force compared: {len(compared)} programs, {sum(compared)} placements\n"
        f"{racy_ones} programs share something without protection\n"
        f"{wrong or 'nothing'} not as expected",
        highlight=False,
    )


if __name__ == "__main__":
    sys.exit(main())
