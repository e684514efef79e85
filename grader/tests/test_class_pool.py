"""Grading processes that die, hang or talk nonsense cost their submission, and leave nothing."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

import pytest
from rich.console import Console

from wakelab.classes.grading import Assignment, ClassGrading, Graded
from wakelab.classes.intake import Entry
from wakelab.classes.job import Job, Outcome, pack_job, pack_outcome, unpack_job, unpack_outcome
from wakelab.classes.pool import LocalPool
from wakelab.classes.process import GradingProcess
from wakelab.classes.screen import Screen
from wakelab.classes.store import Cache, Results
from wakelab.errors import UserError
from wakelab.interrupts import PutOff
from wakelab.labs import checkout_root, load_lab
from wakelab.points import NO_CHANGES, PointsPlan
from wakelab.report import CheckResult, Report, Verdict, make_report
from wakelab.submission import Problem, SourceFile, Submission

LAB = load_lab(checkout_root(), "08")
PATIENCE_S = 20.0

# A worker without a bench: what it does is what main.c says.
WORKER = """
import os, signal, sys, time
from wakelab.classes.job import Outcome, pack_outcome, unpack_job
from wakelab.report import CheckResult, Verdict, make_report
from pathlib import Path
for line in sys.stdin:
    job = unpack_job(line)
    told = job.submission.files[0].data.decode()
    if told.startswith("die once"):
        seen = Path(told.split()[2])
        if not seen.exists():
            seen.touch()
            os.kill(os.getpid(), signal.SIGSEGV)
    elif told == "die":
        print("the last words", file=sys.stderr, flush=True)
        os._exit(7)
    elif told == "hang":
        time.sleep(3600)
    elif told == "hang for ever":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(3600)
    elif told == "nonsense":
        print("{}", flush=True)
        continue
    check = CheckResult("a", "A", Verdict.PASS, 1, 1, seen=f"{told} by {os.getpid()}")
    print(pack_outcome(Outcome(make_report("08", "T", "", [check]))), flush=True)
"""
COMMAND = (sys.executable, "-c", WORKER)


def submission(told: str) -> Submission:
    data = told.encode()
    sha256 = hashlib.sha256(data).hexdigest()
    return Submission("", (SourceFile("main.c", data, sha256),), sha256, None)


def job(told: str) -> Job:
    return Job("08", (), NO_CHANGES, "f", submission(told), trust=False)


def entry(told: str, name: str = "") -> Entry:
    return Entry(name or told.split()[0], name or told, "", False, submission(told))


def seen(outcome: Outcome) -> tuple[str, int]:
    assert outcome.report is not None, outcome
    told, _, pid = outcome.report.checks[0].seen.rpartition(" by ")
    return told, int(pid)


def gone(pid: int) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def process() -> Iterator[Callable[..., GradingProcess]]:
    owned: list[GradingProcess] = []

    def start(limit_s: float = PATIENCE_S) -> GradingProcess:
        owned.append(GradingProcess(limit_s, COMMAND))
        return owned[-1]

    yield start
    for each in owned:
        each.close()


def test_a_process_grades_again_and_again(process: Callable[..., GradingProcess]) -> None:
    one = process()
    first, second = one.grade(job("a")), one.grade(job("b"))
    assert seen(first)[0] == "a" and seen(second)[0] == "b"
    assert seen(first)[1] == seen(second)[1] == one.pid


def test_a_process_that_dies_is_replaced(process: Callable[..., GradingProcess]) -> None:
    one = process()
    _, pid = seen(one.grade(job("a")))
    lost = one.grade(job("die"))
    assert lost.report is None and not lost.fatal
    assert lost.trouble == (
        "the grading process ended with exit code 7; its last words: the last words"
    )
    assert gone(pid)
    assert seen(one.grade(job("b")))[1] != pid


@pytest.mark.parametrize("how", ["hang", "hang for ever"])
def test_a_process_that_hangs_is_ended(
    process: Callable[..., GradingProcess], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wakelab.classes.process._GRACE_S", 0.3)
    one = process(limit_s=2.0)
    _, pid = seen(one.grade(job("a")))
    lost = one.grade(job(how))
    assert "did not answer within 2 s" in lost.trouble
    assert gone(pid)
    assert seen(one.grade(job("b")))[0] == "b"


def test_nonsense_is_trouble(process: Callable[..., GradingProcess]) -> None:
    assert "nonsense" in process().grade(job("nonsense")).trouble


@pytest.mark.parametrize("how", ["hang", "hang for ever"])
def test_closing_a_pool_ends_what_is_being_graded(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wakelab.classes.process._GRACE_S", 0.3)
    pool = LocalPool(2, 600.0, COMMAND)
    outcomes = pool.grade([job("a"), job("b"), job(how), job(how), *[job("c")] * 50])
    pids = {seen(next(outcomes)[1])[1] for _ in range(2)}
    began = time.monotonic()
    pool.close()
    assert time.monotonic() - began < PATIENCE_S
    assert all(gone(pid) for pid in pids)
    assert not [t for t in threading.enumerate() if t.name.startswith("grading")]


TOLD_AGAIN = """
import os, signal
from wakelab.caretaker import OwnFolder
from wakelab.classes import worker
close = OwnFolder.close
def told_again_meanwhile(own, **how):
    os.kill(os.getpid(), signal.SIGTERM)
    close(own, **how)
    print("put away", flush=True)  # to standard error, in a worker
OwnFolder.close = told_again_meanwhile
worker.main()
"""


def test_a_process_that_is_told_twice_to_end_puts_its_files_away(tmp_path: Path) -> None:
    """Closing a pool does tell twice. By its caretaker the files would go later, and the command
    would have ended by then."""
    with subprocess.Popen(
        [sys.executable, "-P", "-c", TOLD_AGAIN],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"nonsense\n")
        assert process.stdout.readline(), "it works"
        process.terminate()
        _, said = process.communicate(timeout=PATIENCE_S)
    assert b"put away" in said
    assert list(tmp_path.iterdir()) == []


SLOW_CARETAKER = """
import os, sys
from wakelab import caretaker
from wakelab.classes import worker
caretaker._ENVIRONMENT = {"PATH": f"{sys.argv[1]}:{os.defpath}"}
worker.main()
"""


@pytest.mark.parametrize("late", [False, True], ids=["by somebody", "because it is late"])
def test_a_process_that_was_killed_has_put_away_before_that_is_told(
    late: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its caretaker has: or a class would end, and files of it were left for a moment."""
    monkeypatch.setattr("wakelab.classes.process._GRACE_S", 0.3)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    slow = tmp_path / "rm"
    slow.write_text(f'#!/bin/sh\nsleep 0.2\nPATH={os.defpath}\nexec rm "$@"\n')
    slow.chmod(0o755)
    one = GradingProcess(PATIENCE_S, (sys.executable, "-P", "-c", SLOW_CARETAKER, str(tmp_path)))
    assert "another" in one.grade(job("a")).trouble, "it works"
    assert one.pid is not None and list(temporary.glob("wakelab-*"))
    if late:
        one._limit_s = 0.1
    os.kill(one.pid, signal.SIGSTOP if late else signal.SIGKILL)
    trouble = one.grade(job("b")).trouble
    assert ("did not answer" if late else "by signal 9") in trouble
    assert list(temporary.iterdir()) == []


def test_a_pool_uses_every_process(tmp_path: Path) -> None:
    with LocalPool(3, PATIENCE_S, COMMAND) as pool:
        outcomes = dict(pool.grade([job(str(n)) for n in range(60)]))
    assert [seen(outcomes[n])[0] for n in range(60)] == [str(n) for n in range(60)]
    assert len({seen(outcome)[1] for outcome in outcomes.values()}) == 3


# -- what travels ----------------------------------------------------------------------------------


def test_a_job_travels_unchanged() -> None:
    files = (SourceFile("main.c", b"\xff\n\x80", "ab"),)
    points = PointsPlan({"a": 3}, ("b",), "the file of points", "cd")
    for problem, trust in ((None, False), (Problem("what", "next"), True)):
        content = Submission("", files, "cd", problem)
        sent = Job("08", ("pairs", "singles"), points, "f", content, trust)
        line = pack_job(sent)
        assert "\n" not in line
        assert unpack_job(line) == sent


@pytest.mark.parametrize("line", ["", "[]", "{}", "null", '{"report": 1}', '{"report": "{}"}'])
def test_broken_outcomes_are_trouble(line: str) -> None:
    assert unpack_outcome(line).report is None
    assert unpack_outcome(line).trouble


# -- a class ---------------------------------------------------------------------------------------


class Notes:
    """What a class grading tells."""

    def __init__(self) -> None:
        self.told: list[Graded] = []

    def __call__(self, graded: Graded) -> None:
        self.told.append(graded)


class Scripted:
    """A pool that answers as told, and writes down what it was asked."""

    def __init__(self, *answers: Outcome) -> None:
        self._answers = list(answers)
        self.asked: list[int] = []

    def grade(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        self.asked.append(len(jobs))
        for number in reversed(range(len(jobs))):
            yield number, self._answers.pop(0)

    def close(self) -> None:
        pass


def report(verdict: Verdict = Verdict.PASS) -> Report:
    return make_report("08", "T", "", [CheckResult("a", "A", verdict, 0, 1, seen="seen")])


def grading(folder: Path, notes: Notes) -> ClassGrading:
    wanted = Assignment("08", (), NO_CHANGES, "f")
    cache, results = Cache(folder / "cache"), Results(folder / "out")
    return ClassGrading(wanted, cache, results, notes, PutOff())


def test_a_submission_that_lost_its_process_is_graded_again_alone(tmp_path: Path) -> None:
    notes = Notes()
    entries = [entry("a"), entry(f"die once {tmp_path / 'seen'}", "bob"), entry("c")]
    with LocalPool(2, PATIENCE_S, COMMAND) as pool:
        graded = grading(tmp_path, notes).grade(entries, pool)
    assert {each.entry.name: each.verdict for each in graded} == dict.fromkeys(
        ["a", "bob", "c"], Verdict.PASS
    )
    assert (tmp_path / "seen").exists()


def test_one_that_always_kills_its_process_is_named_and_the_rest_is_graded(tmp_path: Path) -> None:
    notes = Notes()
    entries = [entry("die"), *(entry(str(n)) for n in range(5))]
    with LocalPool(2, PATIENCE_S, COMMAND) as pool:
        graded = grading(tmp_path, notes).grade(entries, pool)
    lost = [each for each in graded if each.report is None]
    assert [each.entry.name for each in lost] == ["die"]
    assert lost[0].verdict is Verdict.INFRA and "exit code 7" in lost[0].trouble
    assert len(graded) == len(notes.told) == 6
    assert not (tmp_path / "out/results/die.json").exists()


def test_what_the_bench_failed_at_is_tried_again_and_never_kept_for_later(tmp_path: Path) -> None:
    pool = Scripted(Outcome(report(Verdict.INFRA)), Outcome(report()), Outcome(report()))
    first = grading(tmp_path, Notes())
    assert [each.verdict for each in first.grade([entry("a"), entry("b")], pool)] == [
        Verdict.PASS,
        Verdict.PASS,
    ]
    assert pool.asked == [2, 1]
    pool = Scripted(Outcome(report(Verdict.INFRA)), Outcome(report(Verdict.INFRA)))
    again = grading(tmp_path / "again", Notes())
    assert [each.verdict for each in again.grade([entry("a")], pool)] == [Verdict.INFRA]
    assert again.known([entry("a")])[0] == [], "infra must not be believed later"


def test_one_content_is_graded_once_for_all_who_handed_it_in(tmp_path: Path) -> None:
    pool = Scripted(Outcome(report()))
    graded = grading(tmp_path, Notes()).grade([entry("a", "ada"), entry("a", "bob")], pool)
    assert pool.asked == [1]
    assert [each.report.submission for each in graded if each.report] == ["ada", "bob"]


def test_a_grader_that_is_another_ends_the_class(tmp_path: Path) -> None:
    pool = Scripted(Outcome(None, "another", fatal=True))
    with pytest.raises(UserError, match="another"):
        grading(tmp_path, Notes()).grade([entry("a")], pool)


def test_each_result_is_on_disk_before_it_is_told_of(tmp_path: Path) -> None:
    there: list[bool] = []

    def tell(graded: Graded) -> None:
        there.append((tmp_path / f"out/results/{graded.entry.key}.json").is_file())

    results = Results(tmp_path / "out")
    wanted = Assignment("08", (), NO_CHANGES, "f")
    pool = Scripted(Outcome(report()), Outcome(report()))
    ClassGrading(wanted, Cache(tmp_path / "cache"), results, tell, PutOff()).grade(
        [entry("a"), entry("b")], pool
    )
    assert there == [True, True]


KEEPING_AND_TELLING = (
    *("wakelab.classes.grading", "wakelab.classes.screen", "wakelab.classes.store", "contextlib"),
    *("wakelab.interrupts", "rich.console", "rich.live", "rich.progress"),
)


@pytest.mark.parametrize("terminal", [True, False])
def test_ctrl_c_at_any_moment_leaves_whole_results_and_says_how_many(
    terminal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each return of a function, by which what it has begun is known to nobody yet."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # no power cut is played here
    steps, told = 0, set()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        while (said := _interrupted_at(steps, tmp_path / str(steps), terminal)) is not None:
            kept = len(list((tmp_path / f"{steps}/out/results").iterdir()))
            assert f"interrupted: {kept} of 1 are graded and kept" in said, (steps, said)
            told.add(kept)
            steps += 1
    finally:
        signal.signal(signal.SIGINT, before)
    assert steps > 100 and told == {0, 1}


def _interrupted_at(step: int, folder: Path, terminal: bool) -> str | None:
    """What a class of one prints when Ctrl-C comes at that step; None where it ended before it."""
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=terminal, highlight=False)
    screen = Screen(console, LAB, 1)
    left = step

    def count(frame: FrameType, event: str, _: object) -> Callable[..., object] | None:
        nonlocal left
        frame.f_trace_lines = False
        left -= event == "return" and frame.f_globals["__name__"] in KEEPING_AND_TELLING
        if left == -1:
            sys.settrace(None)
            signal.raise_signal(signal.SIGINT)
        return count

    with Results(folder / "out") as results:
        wanted = Assignment("08", (), NO_CHANGES, "f")
        cache, one = Cache(folder / "cache"), [entry("a")]
        try:
            with PutOff() as interrupts:
                grading = ClassGrading(wanted, cache, results, screen.result, interrupts)
                sys.settrace(count)
                try:
                    with screen.progress(1):
                        grading.grade(one, Scripted(Outcome(report())))
                finally:
                    sys.settrace(None)
        except KeyboardInterrupt:
            screen.interrupted()
            return file.getvalue()
    return None


def test_packing_an_outcome_makes_one_line() -> None:
    line = pack_outcome(Outcome(report(), "a\nb"))
    assert "\n" not in line
    assert unpack_outcome(line) == Outcome(report(), "a\nb")
