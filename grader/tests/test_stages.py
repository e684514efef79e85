"""The process that builds: what it builds arrives, its errors too, and nothing of it is left."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from test_attacks import KEEPER

from wakelab.build import Builder, BuildResult
from wakelab.child import PATIENCE_S, Child
from wakelab.confinement import choose
from wakelab.errors import InfraError, UserError
from wakelab.grade import grade_submission
from wakelab.labs import Lab, checkout_root, load_lab
from wakelab.lanes import can_have_two
from wakelab.stages import STAGES, Ahead, Arrivals, Building, built_here
from wakelab.submission import Submission, collect
from wakelab.toolchain import find_toolchain

ROOT = checkout_root()
LAB = load_lab(ROOT, "08")
CONFINEMENT = choose(ROOT, trust=False, own=True)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="two lanes are for Linux")

ENDLESS = r"""
__asm__(".rept 99999\n .rept 99999\n .rept 99999\n .endr\n .endr\n .endr");
"""
"""Keeps the assembler busy until it is stopped: it does nothing a million million times."""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this process and its children leave temporary files."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def sandboxed_builder() -> Builder:
    toolchain = find_toolchain()
    return Builder(ROOT, toolchain, sandbox=CONFINEMENT.compiler(toolchain))


def ahead(builder: Builder) -> Ahead:
    return Ahead(builder, LAB, collect(LAB, LAB.reference))


def test_who_asks_whether_a_stage_is_done_does_not_wait() -> None:
    """And the end of the process is an arrival, too: of an error."""
    inbox, outlet = multiprocessing.Pipe(duplex=False)
    arrivals = Arrivals(inbox)
    main, rest = arrivals.stages.main, arrivals.stages.rest
    nothing = BuildResult((), (), ())
    assert not main.done() and not rest.done()
    outlet.send(nothing)
    assert main.done() and not rest.done()
    outlet.close()
    assert rest.done()
    assert main.result() == nothing
    with pytest.raises(InfraError, match="ended too early"):
        rest.result()
    arrivals.close()


def test_a_build_on_demand_is_done_when_it_was_asked_for() -> None:
    with built_here(sandboxed_builder(), LAB, collect(LAB, LAB.reference)) as stages:
        assert not stages.rest.done()
        assert stages.rest.result().ok and stages.rest.done()


def images(result: BuildResult) -> list[tuple[str, str, bytes]]:
    return [(elf.level, elf.sha256, elf.path.read_bytes()) for elf in result.elfs]


def test_both_readers_get_what_a_builder_builds(temporary: Path) -> None:
    submission = collect(LAB, LAB.reference)
    with sandboxed_builder() as builder:
        expected = [images(builder.build(LAB, submission, stage)) for stage in STAGES]
    with ahead(sandboxed_builder()) as building:
        for reader in (building.second, building.first):  # in any order
            stages = reader.stages
            assert [images(each.result()) for each in (stages.main, stages.rest)] == expected
            assert stages.main.result() is stages.main.result()
        assert list(temporary.rglob("*.elf"))
    assert list(temporary.iterdir()) == []


class SlowBuilder(Builder):
    """Builds nothing, when a file is there."""

    def __init__(self, gate: Path) -> None:
        super().__init__(ROOT, find_toolchain())
        self._gate = gate

    def build(self, lab: Lab, submission: Submission, levels: Sequence[str] = ()) -> BuildResult:
        until(self._gate.exists)
        return BuildResult((), (), ())


# -- errors ----------------------------------------------------------------------------------------


class FailingBuilder(Builder):
    def __init__(self, error: Exception) -> None:
        super().__init__(ROOT, find_toolchain())
        self._error = error

    def build(self, lab: Lab, submission: Submission, levels: Sequence[str] = ()) -> BuildResult:
        raise self._error


def test_an_error_arrives_whole_and_with_its_trace() -> None:
    with ahead(FailingBuilder(UserError("what", "where", "next"))) as building:
        for reader in (building.first, building.second):
            for building_ in (reader.stages.main, reader.stages.rest):
                with pytest.raises(UserError) as raised:
                    building_.result()
                error = raised.value
                assert (error.what, error.where, error.next_step) == ("what", "where", "next")
                assert "raise self._error" in error.__notes__[0]


def test_an_error_that_cannot_be_sent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unsendable(Exception):
        """Not to be made again from its text. Made here and not before: Dask, when it is imported,
        has all exceptions that there are sent in another way."""

        __qualname__ = "Unsendable"

        def __init__(self, one: str, two: str) -> None:
            super().__init__(one + two)

    monkeypatch.setitem(globals(), "Unsendable", Unsendable)
    with ahead(FailingBuilder(Unsendable("one", "two"))) as building:
        with pytest.raises(RuntimeError, match="Unsendable: onetwo") as raised:
            building.first.stages.main.result()
        assert "raise self._error" in raised.value.__notes__[0]


@pytest.mark.parametrize("two_lanes", [False, True])
def test_a_grading_ends_with_the_errors_of_its_build(
    two_lanes: bool, monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    def fail(*_: object) -> None:
        raise InfraError("a given file does not compile", "lab/board", "restore it")

    monkeypatch.setattr(Builder, "_objects_of", fail)
    with pytest.raises(InfraError, match="does not compile") as raised:
        grade_submission(ROOT, LAB, collect(LAB, LAB.reference), CONFINEMENT, two_lanes=two_lanes)
    assert (raised.value.where, raised.value.next_step) == ("lab/board", "restore it")
    assert list(temporary.iterdir()) == []


# -- the process dies ------------------------------------------------------------------------------


def ended_early(building: Building) -> None:
    with pytest.raises(InfraError, match="ended too early"):
        building.result()


def test_the_process_dies_before_anything_is_built(tmp_path: Path, temporary: Path) -> None:
    with ahead(SlowBuilder(tmp_path / "never")) as building:
        waiting = threading.Timer(0.1, building._child.process.kill)  # while it is waited for
        waiting.start()
        ended_early(building.first.stages.main)
        ended_early(building.first.stages.main)  # still
        ended_early(building.first.stages.rest)
        ended_early(building.second.stages.main)
        waiting.join()
    assert list(temporary.iterdir()) == []


def test_the_process_dies_between_the_stages(
    monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    """The checks that look at the main level have their verdict; the others are our fault."""
    build = Builder.build

    def die_later(builder: Builder, lab: Lab, submission: Submission, levels: object) -> object:
        if levels != STAGES[0]:
            os._exit(1)
        return build(builder, lab, submission, STAGES[0])

    monkeypatch.setattr(Builder, "build", die_later)
    with ahead(sandboxed_builder()) as building:
        assert building.first.stages.main.result().ok
        ended_early(building.first.stages.rest)
        ended_early(building.second.stages.rest)
    assert list(temporary.iterdir()) == []


@pytest.mark.skipif(not can_have_two(), reason="one core")
def test_a_grading_whose_build_dies_says_so(
    monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    monkeypatch.setattr(Builder, "build", lambda *_: os._exit(1))
    with pytest.raises(InfraError, match="ended too early"):
        grade_submission(ROOT, LAB, collect(LAB, LAB.reference), CONFINEMENT, two_lanes=True)
    assert list(temporary.iterdir()) == []


# -- it is ended -----------------------------------------------------------------------------------


def test_closing_ends_a_build_and_those_after_it(tmp_path: Path, temporary: Path) -> None:
    (tmp_path / "main.c").write_text(ENDLESS)
    (tmp_path / "button_future.c").write_text(ENDLESS)
    before = below(os.getpid())  # of other tests: multiprocessing keeps a process of its own
    with Ahead(sandboxed_builder(), LAB, collect(LAB, tmp_path)) as building:
        until(lambda: assemblers(os.getpid()))
    assert building._child.process.exitcode == 0, "it had to be killed"
    assert below(os.getpid()) == before
    assert list(temporary.iterdir()) == []


@pytest.mark.needs_sandbox
@pytest.mark.parametrize(
    ("number", "everybody"),
    [(signal.SIGINT, False), (signal.SIGINT, True), (signal.SIGKILL, False)],
    ids=["interrupted alone", "interrupted with its children", "killed"],
)
def test_nothing_is_left_of_a_grading_that_is_ended_while_it_builds(
    number: signal.Signals, everybody: bool, tmp_path: Path
) -> None:
    """On Ctrl-C a terminal tells the whole group."""
    submission, temporary = tmp_path / "submission", tmp_path / "tmp"
    for folder in (submission, temporary):
        folder.mkdir()
    (submission / "main.c").write_text(ENDLESS)
    (submission / "button_future.c").write_text(ENDLESS)
    command = [sys.executable, "-P", "-m", "wakelab", "grade", str(submission)]
    keeper = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import signal; signal.signal(2, signal.SIG_IGN)\n{KEEPER}",
            *("env", "--default-signal=INT"),
            *command,
            "--out",
            str(tmp_path / "out"),
        ],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    )
    try:
        until(lambda: assemblers(keeper.pid))
        if everybody:
            os.killpg(keeper.pid, number)
        else:
            os.kill(children(keeper.pid)[0], number)
        said, _ = keeper.communicate(timeout=PATIENCE_S)
    finally:
        for pid in below(keeper.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        keeper.kill()
        keeper.wait()
    assert "left:" not in said
    assert "Traceback" not in said
    assert list(temporary.iterdir()) == []
    if number is signal.SIGINT:
        # 254: it has ended itself by the signal, as Python does after an interrupt in an exec().
        assert keeper.returncode in (130, 254), said
        assert said == "wakelab: interrupted; nothing was written\n"
    assert not (tmp_path / "out").exists()


# -- a child ---------------------------------------------------------------------------------------


def test_a_child_ends_with_its_connection_and_removes_its_files(temporary: Path) -> None:
    def work(connection: object) -> None:
        tempfile.NamedTemporaryFile(delete=False).close()
        connection.send("begun")  # type: ignore[attr-defined]
        connection.recv()  # type: ignore[attr-defined]

    child = Child(work)
    assert child.connection.recv() == "begun"
    assert len(list(temporary.rglob("*"))) == 2
    child.connection.close()
    child.process.join(20)
    assert child.process.exitcode == 0
    assert list(temporary.iterdir()) == []
    child.close()
    child.close()


def test_a_child_that_is_killed_leaves_no_file(temporary: Path) -> None:
    def work(connection: object) -> None:
        tempfile.NamedTemporaryFile(delete=False).close()
        connection.send("begun")  # type: ignore[attr-defined]
        signal.pause()

    with Child(work) as child:
        assert child.connection.recv() == "begun"
        child.process.kill()
        with pytest.raises(EOFError):
            child.connection.recv()
    assert list(temporary.iterdir()) == []


def test_what_a_child_raises_is_no_news(capfd: pytest.CaptureFixture[str]) -> None:
    def work(_: object) -> None:
        raise ValueError("nobody wants to know")

    with Child(work) as child, pytest.raises(EOFError):
        child.connection.recv()
    assert capfd.readouterr() == ("", "")


# -- what is seen of processes ---------------------------------------------------------------------


def children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(each) for task in tasks for each in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def below(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    started = children(pid)
    return [*started, *(each for child in started for each in below(child))]


def assemblers(pid: int) -> list[int]:
    return [each for each in below(pid) if name(each) == "as"]


def name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that nobody announces."""
    latest = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < latest, "it never happened"
        os.sched_yield()
