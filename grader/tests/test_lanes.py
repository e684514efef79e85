"""Two lanes: the report of one, sooner; and nothing left behind, whatever happens to either."""

from __future__ import annotations

import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from wakebench import core
from wakebench.answers import Answers
from wakebench.errors import BenchError
from wakebench.probe import Registers
from wakebench.seconds import Made, Second
from wakebench.sweep import Place
from wakelab import lanes
from wakelab.build import Builder
from wakelab.confinement import choose
from wakelab.grade import grade_submission
from wakelab.labs import checkout_root, load_lab
from wakelab.lanes import _FIRST, _SECOND, SecondLane, can_have_two
from wakelab.plugin import ChecksPlugin
from wakelab.report import CheckResult, Report, Verdict, to_json
from wakelab.subject import Subject
from wakelab.submission import collect
from wakelab.toolchain import find_toolchain

ROOT = checkout_root()
LAB = load_lab(ROOT, "08")
CONFINEMENT = choose(ROOT, trust=False, own=True)
WRONG = ROOT / "grader" / "corpus" / LAB.slug / "wrong"

pytestmark = pytest.mark.skipif(not can_have_two(), reason="one core, or no Linux: no second lane")


@pytest.fixture
def whole(tmp_path: Path) -> Callable[[Path], Path]:
    """A program of the corpus with what it leaves to the reference."""

    def copied(folder: Path) -> Path:
        for source in (LAB.reference, folder):
            for name in LAB.files:
                if (source / name).is_file():
                    shutil.copy(source / name, tmp_path / name)
        return tmp_path

    return copied


def grade(folder: Path, *, two_lanes: bool) -> Report:
    report = grade_submission(ROOT, LAB, collect(LAB, folder), CONFINEMENT, two_lanes=two_lanes)
    assert [check.seen for check in report.checks if check.verdict is Verdict.INFRA] == []
    return report


@pytest.mark.parametrize(
    "folder",
    [
        LAB.reference,
        LAB.directory,  # the stub: all but two checks are skipped, while the second lane runs some
        *(WRONG / name for name in ("does-not-compile", "registers-once", "fast-path-for-size")),
        # Of these, a check fails in which nothing was run.
        *(WRONG / name for name in ("too-many-variables", "changes-priorities", "warns")),
    ],
    ids=lambda folder: folder.name,
)
def test_two_lanes_write_the_report_of_one(folder: Path, whole: Callable[[Path], Path]) -> None:
    program = whole(folder)
    assert to_json(grade(program, two_lanes=True)) == to_json(grade(program, two_lanes=False))


@pytest.mark.parametrize("name", ["reference", "loops-in-main"])
def test_a_slow_host_changes_nothing(
    name: str, whole: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every resume is suspected: the check is done again on machines that count, once."""
    program = whole(LAB.reference if name == "reference" else WRONG / name)
    expected = to_json(grade(program, two_lanes=False))
    again: list[str] = []
    count = Subject.count_from_now_on

    def counted(subject: Subject) -> None:
        again.append("again")
        count(subject)

    monkeypatch.setattr(Subject, "count_from_now_on", counted)
    monkeypatch.setattr(core, "FASTEST_HOST", 1e15)
    assert to_json(grade(program, two_lanes=False)) == expected
    assert again == ["again"]


def test_the_second_lane_does_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    taken_over: list[str] = []
    run_here = ChecksPlugin.add

    def add(plugin: ChecksPlugin, position: int, result: CheckResult) -> None:
        run_here(plugin, position, result)
        taken_over.append(result.id)

    finish = SecondLane.finish

    def finish_and_look(lane: SecondLane, subject: Subject) -> None:
        taken_over.clear()
        finish(lane, subject)

    monkeypatch.setattr(ChecksPlugin, "add", add)
    monkeypatch.setattr(SecondLane, "finish", finish_and_look)
    assert grade(LAB.reference, two_lanes=True).verdict is Verdict.PASS
    assert taken_over, "every check was run by the first lane"


def has_claimed(lane: SecondLane) -> bool:
    return _SECOND in os.pread(lane._claims._file.fileno(), 100, 0)


def has_told(lane: SecondLane) -> bool:
    return lane._child.connection.poll()


@pytest.mark.parametrize("when", [has_claimed, has_told])
def test_what_a_dead_second_lane_owes_is_run_by_the_first(
    when: Callable[[SecondLane], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies when it has claimed checks, and has run none of them, or not all, yet."""
    claim = SecondLane.claim

    def claim_one_less(lane: SecondLane, position: int) -> bool:
        until(lambda: when(lane))
        lane._child.process.kill()
        lane._child.process.join()
        return claim(lane, position)

    expected = grade(LAB.reference, two_lanes=False)
    monkeypatch.setattr(SecondLane, "claim", claim_one_less)
    assert to_json(grade(LAB.reference, two_lanes=True)) == to_json(expected)


def test_trouble_in_the_second_lane_is_told_to_nobody(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its machines cannot be ended, as after an interrupt in the middle of it."""
    close = Subject.close
    first = os.getpid()

    def close_badly(subject: Subject) -> None:
        close(subject)
        if os.getpid() != first:
            raise OSError("Bad file descriptor")

    expected = to_json(grade(LAB.reference, two_lanes=False))
    monkeypatch.setattr(Subject, "close", close_badly)
    assert to_json(grade(LAB.reference, two_lanes=True)) == expected
    assert capfd.readouterr().err == ""


# -- second presses that the first lane makes ------------------------------------------------------


HELPED = 3


@pytest.fixture
def helping(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The second lane leaves the last HELPED ones to the first, however long that takes. For each
    time that it helps: how many it made."""
    offer, claim, press_twice = lanes._FirstLane.offer, lanes._FirstLane.claim, Subject.press_twice
    made: list[int] = []
    offered: list[int] = []

    def counted_offer(first: lanes._FirstLane, seconds: Sequence[Second]) -> None:
        offered.append(len(seconds))
        offer(first, seconds)

    def claim_later(first: lanes._FirstLane, number: int) -> bool:
        if number >= offered[-1] - HELPED:
            until(lambda: os.pread(first._claims._file.fileno(), 1, number) == _FIRST)
        return claim(first, number)

    def counted(
        subject: Subject, seconds: Sequence[Second], claim: Callable[[int], bool]
    ) -> dict[int, Made]:
        found = press_twice(subject, seconds, claim)
        made.append(len(found))
        return found

    # Of a host that is slow the second lane would suspect the program, and do all again by itself.
    monkeypatch.setattr(core, "PATIENCE_S", core.LAST_RESORT_S)
    monkeypatch.setattr(lanes._FirstLane, "offer", counted_offer)
    monkeypatch.setattr(lanes._FirstLane, "claim", claim_later)
    monkeypatch.setattr(Subject, "press_twice", counted)
    return made


@pytest.mark.parametrize("name", ["reference", "late-acknowledge"])
def test_the_first_lane_helps_and_nobody_can_tell(
    name: str, whole: Callable[[Path], Path], helping: list[int]
) -> None:
    program = whole(LAB.reference if name == "reference" else WRONG / name)
    expected = to_json(grade(program, two_lanes=False))
    assert to_json(grade(program, two_lanes=True)) == expected
    assert len(helping) == 1 and helping[0] >= HELPED


def test_a_bench_that_fails_while_it_helps_costs_nothing_but_time(
    helping: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second lane makes what is missing; the first one's machine is of no use any more."""
    go_on_to, first, distrusted = Answers.go_on_to, os.getpid(), list[str]()
    distrust = Subject.distrust_machine

    def fail(answers: Answers, place: Place, here: Registers) -> None:
        go_on_to(answers, place, here)
        if os.getpid() == first and len(helped) == HELPED - 1:
            raise BenchError("the core did not come back from a single step")
        helped.append("")

    helped: list[str] = []
    monkeypatch.setattr(
        Subject, "distrust_machine", lambda it: (distrusted.append(""), distrust(it))
    )
    expected = to_json(grade(LAB.reference, two_lanes=False))
    monkeypatch.setattr(Answers, "go_on_to", fail)
    distrusted.clear()
    assert to_json(grade(LAB.reference, two_lanes=True)) == expected
    assert helping == [HELPED - 1]
    assert distrusted


def test_a_second_lane_that_dies_while_it_is_helped_is_not_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    help_it, helped = SecondLane._help, list[str]()

    def kill_and_help(lane: SecondLane, subject: Subject, offer: Any) -> None:
        lane._child.process.kill()
        lane._child.process.join()
        helped.append("")
        help_it(lane, subject, offer)

    expected = to_json(grade(LAB.reference, two_lanes=False))
    monkeypatch.setattr(SecondLane, "_help", kill_and_help)
    assert to_json(grade(LAB.reference, two_lanes=True)) == expected
    assert helped


# -- the end ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("built", [False, True], ids=["builds", "was built"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_process_outlives_the_grading(
    number: signal.Signals,
    built: bool,
    whole: Callable[[Path], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """It is ended in the middle: the second lane and every QEMU hold the pipe's other end open, and
    a sandbox has a folder of ours in its environment."""
    temporary = tmp_path_factory.mktemp("temporary")
    reading, writing = os.pipe()
    folder = whole(WRONG / "loops-in-main")  # which is what takes long
    with (folder / LAB.files[0]).open("a") as source:
        source.write(f"\n/* {secrets.token_hex(8)}: never built before */\n")
    if built:
        build_for_later(folder)
    command = [sys.executable, "-P", "-m", "wakelab", "grade", str(folder)]
    os.set_inheritable(writing, True)
    process = subprocess.Popen(
        command,
        pass_fds=[writing],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        expected = 3 if built else 4  # caretaker, lane, machine; and what builds
        until(lambda: len(children(process.pid)) >= expected)
        process.send_signal(number)
        process.wait(20)
        os.close(writing)
        ended, _, _ = select.select([reading], [], [], 20)
        assert ended and os.read(reading, 1) == b"", "a process still runs"
        until(lambda: not works_in(temporary))
        until(lambda: not list(temporary.iterdir()))
    finally:
        process.kill()
        process.wait()
        os.close(reading)


def works_in(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(folder).encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
    return found


def build_for_later(folder: Path) -> None:
    toolchain = find_toolchain()
    sandbox = CONFINEMENT.compiler(toolchain)
    with Builder(ROOT, toolchain, sandbox=sandbox, keep=True) as builder:
        assert builder.build(LAB, collect(LAB, folder)).ok
        assert builder.has(LAB, collect(LAB, folder))


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that nobody announces."""
    latest = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < latest, "it never happened"
        os.sched_yield()
