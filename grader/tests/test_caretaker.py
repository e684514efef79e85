"""Who is killed puts nothing away: the caretaker does, all of it, and nothing else."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

import pytest
from test_attacks import KEEPER
from test_stages import ENDLESS, assemblers, below, children, name, until

from wakebench.machine import folder_for_sockets
from wakelab.caretaker import OwnFolder, put_away, temporary_files_of_all
from wakelab.child import Child
from wakelab.cli import INTERRUPTED, main
from wakelab.confinement import _is_real_root, find_bubblewrap
from wakelab.errors import UserError
from wakelab.labs import checkout_root, load_lab
from wakelab.sandbox import Confined
from wakelab.toolchain import Limits, View, find_toolchain

ROOT = checkout_root()
LAB = load_lab(ROOT, "08")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are seen in /proc")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this process and those that it starts leave temporary files."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


# -- the moment at which bwrap must not be killed --------------------------------------------------

FATAL_MOMENT = """#!/bin/sh
# bwrap tells how it goes after it has forked, and before the child hears from it: it waits there,
# for nobody reads what it writes, and the pipe is full.
PATH=/usr/bin:/bin
if [ "$1" = --info-fd ]; then
    kill -s STOP $PPID
    head -c 65536 /dev/zero >&"$2"
fi
exec {bwrap} "$@"
"""


@pytest.fixture
def fatal_moment(tmp_path: Path) -> Path:
    """A folder for the PATH, with a bwrap that stops whoever starts it, and itself half way."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "bwrap"
    script.write_text(FATAL_MOMENT.format(bwrap=shutil.which("bwrap")))
    script.chmod(0o755)
    return folder


def half_started(pid: int) -> bool:
    """Whether a process has started a bwrap that stands there: it has a child, and waits."""
    bwrap = os.path.realpath(shutil.which("bwrap") or "")
    outer = [each for each in children(pid) if children(each) and program(each) == bwrap]
    return any(state(each) == "S" for each in outer)


def program(pid: int) -> str:
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/exe")
    return ""


def state(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


class Kept:
    """A command under a keeper, which sees what outlives it. In the end nothing does."""

    def __init__(self, command: list[str], path: Path) -> None:
        self._inside: list[int] = []
        self._keeper = subprocess.Popen(
            [sys.executable, "-c", KEEPER, *command],
            env={
                **ENVIRONMENT,
                "PATH": f"{path}:{os.environ['PATH']}",
                "TMPDIR": tempfile.gettempdir(),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )

    @property
    def command(self) -> int:
        """Its number."""
        until(lambda: children(self._keeper.pid))
        return children(self._keeper.pid)[0]

    def kill_when_half_started(self, who: int | None = None) -> str:
        """Kill the command, or `who`, while it starts a sandbox. What all of them said."""
        victim = who or self.command
        return self.kill_when(lambda: half_started(victim), victim)

    def kill_when(self, true: Callable[[], object], victim: int) -> str:
        """Kill that process. What all of them said."""
        until(true)
        self._inside = [os.pidfd_open(pid) for pid in below(self._keeper.pid)]
        os.kill(victim, signal.SIGKILL)
        return self._keeper.communicate(timeout=20)[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._inside += [os.pidfd_open(pid) for pid in below(self._keeper.pid)]
        for each in self._inside:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(each, signal.SIGKILL)
            os.close(each)
        self._keeper.kill()
        self._keeper.communicate()


@pytest.mark.needs_sandbox
def test_a_grading_that_is_killed_leaves_no_sandbox_half_started(
    fatal_moment: Path, temporary: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-P", "-m", "wakelab", "grade", str(LAB.reference)]
    with Kept([*command, "--out", str(tmp_path / "out")], fatal_moment) as kept:
        assert kept.kill_when_half_started() == ""
    assert list(temporary.iterdir()) == []


OWNER = """
import shutil, sys
from dataclasses import replace
from pathlib import Path
from wakebench.machine import folder_for_sockets
from wakelab.caretaker import OwnFolder
from wakelab.sandbox import Bubblewrap, SandboxRunner
from wakelab.toolchain import Limits
with OwnFolder():
    bubblewrap = Bubblewrap(shutil.which("bwrap"), "", sys.argv[1] == "True")
    SandboxRunner(bubblewrap).run(["sleep", "60"], Path("/usr"), Limits(), {})
"""


@pytest.mark.needs_sandbox
@pytest.mark.parametrize("as_root", [True, False], ids=["as root", "as a user"])
def test_neither_kind_of_sandbox_is_left(
    as_root: bool, fatal_moment: Path, temporary: Path
) -> None:
    if as_root and not _is_real_root():
        pytest.skip("takes root")
    with Kept([sys.executable, "-c", OWNER, str(as_root)], fatal_moment) as kept:
        assert kept.kill_when_half_started() == ""
    assert list(temporary.iterdir()) == []


CHILD_OWNER = """
import shutil
from pathlib import Path
from wakelab.child import Child
from wakelab.sandbox import Bubblewrap, SandboxRunner
from wakelab.toolchain import Limits
def work(_):
    bubblewrap = Bubblewrap(shutil.which("bwrap"), "", False)
    SandboxRunner(bubblewrap).run(["sleep", "60"], Path("/usr"), Limits(), {})
with Child(work) as child:
    child.process.join()  # it is killed
"""


@pytest.mark.needs_sandbox
def test_a_child_that_is_killed_leaves_no_sandbox_half_started(
    fatal_moment: Path, temporary: Path
) -> None:
    """Its parent lives on, and puts it away."""
    with Kept([sys.executable, "-c", CHILD_OWNER], fatal_moment) as kept:
        until(lambda: children(kept.command))
        assert kept.kill_when_half_started(children(kept.command)[0]) == ""
    assert list(temporary.iterdir()) == []


def test_a_grading_that_is_killed_leaves_no_compiler(temporary: Path, tmp_path: Path) -> None:
    """Without a sandbox nothing else would end it."""
    submission = tmp_path / "submission"
    submission.mkdir()
    for file in LAB.files:
        (submission / file).write_text(ENDLESS)
    command = [sys.executable, "-P", "-m", "wakelab", "grade", "--trust-this-code"]
    command += ["--out", str(tmp_path / "out"), str(submission)]
    with Kept(command, tmp_path) as kept:
        said = kept.kill_when(lambda: assemblers(kept.command), kept.command)
        assert "left:" not in said
    assert list(temporary.iterdir()) == []


def test_every_tool_is_known_by_our_folder(temporary: Path) -> None:
    """Wherever it works: one that compiles a given file works in the checkout."""
    toolchain = find_toolchain()
    with OwnFolder() as own:
        said = toolchain.run(["sh", "-c", "echo $TMPDIR"], Path("/")).output.decode()
    assert said == f"{own.path}\n"


# -- what is put away, and what is not -------------------------------------------------------------

HOLDER = """
import os, subprocess, sys, tempfile
from wakebench.machine import folder_for_sockets
from wakelab.caretaker import OwnFolder
folder = OwnFolder()
os.makedirs(tempfile.mkdtemp() + "/deep/er")
environment = {"TMPDIR": tempfile.mkdtemp()}
worker = subprocess.Popen(["sleep", "60"], env=environment, start_new_session=True)
print(worker.pid, folder._caretaker.pid, flush=True)
sys.stdin.read()
"""

NAMES = ["tmp", "a b", "a'b\"$(touch x)`touch x`", "a\nb", "-rf", "*", "[a-z]*", "\\", "ü"]


@pytest.mark.parametrize("named", NAMES)
@pytest.mark.parametrize("group", [False, True], ids=["alone", "with its group"])
def test_all_of_a_killed_process_is_put_away_and_nothing_else(
    named: str, group: bool, tmp_path: Path
) -> None:
    """Whatever the folder for temporary files is called."""
    place = tmp_path / named
    place.mkdir()
    others = [place / "wakelab-0123456789abcdef", place / "x", tmp_path / "x"]
    for each in others:
        each.mkdir()
    environment = {**ENVIRONMENT, "TMPDIR": str(place)}
    stranger = subprocess.Popen(["sleep", "60"], env={**environment, "TMPDIR": str(others[0])})
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert holder.stdin is not None and holder.stdout is not None
        ends = [os.pidfd_open(int(each)) for each in holder.stdout.readline().split()]
        assert len(ends) == 2
        assert len(list(place.iterdir())) == 3
        (os.killpg if group else os.kill)(holder.pid, signal.SIGKILL)
        for each in ends:
            assert select.select([each], [], [], 20)[0], "a process still runs"
            os.close(each)
        assert sorted(place.iterdir()) == sorted(others[:2])
        assert sorted(tmp_path.iterdir()) == sorted([place, others[2]])
        assert stranger.poll() is None
    finally:
        for process in (stranger, holder):
            process.kill()
            process.communicate()


def test_what_lies_elsewhere_for_its_long_name_is_put_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine's sockets; those of a forked process, too."""
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with OwnFolder() as own:
        here = folder_for_sockets()
        pattern = f"wakebench-{own.path.name}*"
        assert [str(each) for each in Path("/tmp").glob(pattern)] == [here.name]
        here._finalizer.detach()  # type: ignore[attr-defined]  (as if this process were killed)

        def work(connection: Connection) -> None:
            there = folder_for_sockets()
            there._finalizer.detach()  # type: ignore[attr-defined]
            connection.send("made")

        with Child(work) as child:
            assert child.connection.recv() == "made"
        assert len(list(Path("/tmp").glob(pattern))) == 2
    assert list(Path("/tmp").glob(pattern)) == []
    assert list(long.iterdir()) == []


# -- processes on their way to another program -----------------------------------------------------

FORKED = """
import os, signal, sys
from wakelab.caretaker import OwnFolder
from wakelab.child import Child
def fork_and_die(*_):
    if not os.fork():
        ready = os.dup(1)
        os.closerange(0, ready)  # as a new program would have it
        os.closerange(ready + 1, 1000)
        os.write(ready, b"%d " % os.getpid())
        os.close(ready)
        while True:
            signal.pause()
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "a command":
    with OwnFolder():
        fork_and_die()
else:
    with Child(fork_and_die) as child:
        child.process.join()
"""


@pytest.mark.parametrize("whose", ["a command", "a child"])
def test_who_is_not_yet_another_program_is_ended(whose: str, temporary: Path) -> None:
    """Its environment is still that of who has forked it, and it holds no pipe any more."""
    with subprocess.Popen(
        [sys.executable, "-c", FORKED, whose],
        env={**ENVIRONMENT, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        forked = int(process.stdout.read())
        try:
            until(lambda: state(forked) in ("", "Z"))
        finally:
            with suppress(ProcessLookupError):
                os.kill(forked, signal.SIGKILL)
    until(lambda: not list(temporary.iterdir()))


BETWEEN = """
import ctypes, os, sys
PR_SET_MM, PR_SET_MM_MAP = 35, 14
fields = open("/proc/self/stat").read().rpartition(")")[2].split()
start_code, end_code, start_stack = (int(fields[n]) for n in (23, 24, 25))
start_data, end_data, brk, *known = (int(fields[n]) for n in (42, 43, 44, 45, 46, 47, 48))
def have(arg_start, arg_end, env_start, env_end):
    words = (start_code, end_code, start_data, end_data, brk, brk, start_stack)
    words += (arg_start, arg_end, env_start, env_end, 0)
    packed = b"".join(each.to_bytes(8, "little") for each in words)
    packed += (0).to_bytes(4, "little") + (0xFFFFFFFF).to_bytes(4, "little")
    kept = ctypes.create_string_buffer(packed, len(packed))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_MM, PR_SET_MM_MAP, kept, ctypes.c_ulong(len(packed)), 0):
        raise OSError(ctypes.get_errno(), "prctl")
start = known[0]
try:
    have(start, start, start, start)
except OSError:
    print("never", flush=True)
    sys.exit()
print("now", flush=True)
sys.stdin.readline()
have(*known)
print("now", flush=True)
sys.stdin.read()
"""
"""Shows neither command line nor environment, as in the middle of execve, until it is told."""


@dataclass(frozen=True)
class Between:
    """Such a process. A line into `told` makes it show both; then it says so in `says`."""

    pid: int
    told: Path
    says: Path


@contextlib.contextmanager
def between(place: Path, folder: Path) -> Iterator[Between]:
    """With a folder as its TMPDIR, and FIFOs in `place`."""
    told, says = place / "told", place / "says"
    for each in (told, says):
        os.mkfifo(each)
    with told.open("r+b", buffering=0) as stdin, says.open("r+b", buffering=0) as stdout:
        process = subprocess.Popen(
            [sys.executable, "-c", BETWEEN],
            env={**ENVIRONMENT, "TMPDIR": str(folder)},
            stdin=stdin,
            stdout=stdout,
        )
        try:
            if stdout.readline() != b"now\n":
                pytest.skip("this kernel lets no process show nothing")
            shown = [Path(f"/proc/{process.pid}/{each}") for each in ("environ", "cmdline")]
            assert [each.read_bytes() for each in shown] == [b"", b""]
            yield Between(process.pid, told, says)
        finally:
            process.kill()
            process.wait()


COUNTING = """#!/bin/sh
PATH={path}
echo >> {calls}
if [ $(wc -l < {calls}) -eq 20 ] && [ {told} ]; then
    echo > {told}
    read -r now < {says}
fi
exec grep "$@"
"""


def count_looks(place: Path, monkeypatch: pytest.MonkeyPatch, who: Between | None = None) -> Path:
    """Have the caretaker's greps counted, a line for each in the file returned; the 20th of them
    tells `who`, and waits for its word."""
    calls = place / "calls"
    script = place / "grep"
    told, says = (shlex.quote(str(each)) for each in ((who.told, who.says) if who else ("", "")))
    known = {"path": os.defpath, "calls": shlex.quote(str(calls)), "told": told, "says": says}
    script.write_text(COUNTING.format(**known))
    script.chmod(0o755)
    monkeypatch.setattr("wakelab.caretaker._ENVIRONMENT", {"PATH": f"{place}:{os.defpath}"})
    return calls


def test_who_is_just_becoming_another_program_is_ended(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = temporary / "wakelab-0123456789abcdef"
    folder.mkdir()
    with between(tmp_path, folder) as process:
        calls = count_looks(tmp_path, monkeypatch, process)
        put_away(folder)
        assert len(calls.read_text()) >= 20
        assert state(process.pid) in ("", "Z")
    assert list(temporary.iterdir()) == []


def test_a_stranger_that_shows_nothing_for_ever_is_not_waited_for(
    temporary: Path, tmp_path: Path
) -> None:
    folder = temporary / "wakelab-0123456789abcdef"
    folder.mkdir()
    with between(tmp_path, tmp_path) as process:
        put_away(folder)
        assert state(process.pid) == "S"
    assert list(temporary.iterdir()) == []


def test_a_program_without_any_environment_is_not_taken_for_one(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = count_looks(tmp_path, monkeypatch)
    with subprocess.Popen(["sleep", "60"], env={}) as stranger:
        try:
            put_away(temporary / "wakelab-0123456789abcdef")
            assert stranger.poll() is None
        finally:
            stranger.kill()
    assert len(calls.read_text()) < 3 * 100, "as often as it looks for one that shows nothing"


# -- an orderly end --------------------------------------------------------------------------------


def test_in_the_end_the_folder_is_gone_and_so_is_the_caretaker(temporary: Path) -> None:
    before = set(children(os.getpid()))  # which another test may have left to end by themselves
    with OwnFolder() as own:
        assert list(temporary.iterdir()) == [own.path]
        assert own.path.stat().st_mode & 0o777 == 0o700
        assert tempfile.gettempdir() == str(own.path)
        assert temporary_files_of_all() == temporary
        left = tempfile.mkdtemp(prefix="wakebench-")  # as Ctrl-C in the middle of ending leaves it
        Path(left, "log").touch()
    assert own._caretaker.returncode == 0
    assert tempfile.gettempdir() == str(temporary)
    assert list(temporary.iterdir()) == []
    assert set(children(os.getpid())) - before == set()
    own.close()


@pytest.mark.parametrize("raised", [KeyboardInterrupt, ValueError])
def test_after_an_exception_what_nobody_owned_yet_is_ended(
    raised: type[BaseException], temporary: Path
) -> None:
    with contextlib.ExitStack() as started:
        with pytest.raises(raised), OwnFolder() as own:
            environment = {"TMPDIR": str(own.path)}
            process = started.enter_context(subprocess.Popen(["sleep", "60"], env=environment))
            started.callback(process.terminate)
            raise raised
    assert process.returncode == -signal.SIGKILL, "it was ended by this test only"
    assert list(temporary.iterdir()) == []


def test_ctrl_c_while_a_folder_is_removed_leaves_none(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's own cleaner up does not come back to what it was interrupted in."""
    cleanup = tempfile.TemporaryDirectory.cleanup
    interrupted: list[str] = []

    def interrupt(folder: tempfile.TemporaryDirectory[str]) -> None:
        if interrupted or os.getpid() != here:
            return cleanup(folder)
        interrupted.append(folder.name)
        folder._finalizer.detach()  # type: ignore[attr-defined]  (as `cleanup` begins)
        raise KeyboardInterrupt

    here = os.getpid()
    monkeypatch.setattr(tempfile.TemporaryDirectory, "cleanup", interrupt)
    assert main(["grade", str(LAB.reference), "--out", str(tmp_path / "out")]) == INTERRUPTED
    assert interrupted
    assert list(temporary.iterdir()) == []


def test_a_forked_process_leaves_the_folder_to_its_parent(temporary: Path) -> None:
    with OwnFolder() as own:

        def work(_: Connection) -> None:
            own.close()

        with Child(work) as child:
            child.process.join(20)
            assert child.process.exitcode == 0
        assert own.path.is_dir() and own._caretaker.poll() is None


def test_without_its_caretaker_it_ends_all_the_same(temporary: Path) -> None:
    with OwnFolder() as own:
        own._caretaker.kill()
        until(lambda: state(own._caretaker.pid) == "Z")
    assert list(temporary.iterdir()) == []


def test_where_no_folder_can_be_made_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = children(os.getpid())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="No such file") as raised:
        OwnFolder()
    assert "TMPDIR" in raised.value.next_step
    assert children(os.getpid()) == before


def test_putting_away_what_is_not_there_does_nothing(tmp_path: Path) -> None:
    put_away(tmp_path / "wakelab-nothing")
    assert list(tmp_path.iterdir()) == []


def held_open(pid: int) -> list[str]:
    """What the descriptors of a process stand for, but for those that it closes meanwhile."""
    held = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            held.append(os.readlink(descriptor))
    return held


@pytest.mark.needs_sandbox
def test_nothing_in_a_sandbox_holds_the_pipe_or_knows_the_folder(temporary: Path) -> None:
    with OwnFolder() as own:
        assert own._caretaker.stdin is not None
        pipe = os.readlink(f"/proc/self/fd/{own._caretaker.stdin.fileno()}")
        argv = find_bubblewrap(ROOT).words(View(), Limits(), "/", {}, ())
        with Confined([*argv, "sleep", "60"], subprocess.DEVNULL) as confined:
            until(lambda: name(confined.pid) == "sleep")
            for pid in (confined.bwrap.pid, *below(confined.bwrap.pid)):
                held = held_open(pid)
                assert held and pipe not in held, name(pid)
            inside = Path(f"/proc/{confined.pid}")
            known = (inside / "environ").read_bytes() + (inside / "cmdline").read_bytes()
            assert own.path.name.encode() not in known
