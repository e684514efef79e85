"""One QEMU, its start and its end: no path leaves a process behind, and every failure is told."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from firmwares import Build

from wakebench import machine as module
from wakebench.board import Board, Points
from wakebench.core import Budget, Core
from wakebench.errors import BenchError
from wakebench.image import Image
from wakebench.machine import Machine, Qemu, find_qemu

DEADLINE_S = 20.0
"""For what happens at once unless something is wrong."""


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files of this test alone, with a short name."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def pid_of(machine: Machine) -> int:
    """The process of a machine."""
    assert machine._process is not None
    return machine._process.pid


def ends(pidfd: int) -> bool:
    """Whether the process behind a pidfd ends before the deadline."""
    return bool(select.select([pidfd], [], [], DEADLINE_S)[0])


def alive(pid: int) -> bool:
    """Whether there is such a process."""
    return Path(f"/proc/{pid}").exists()


def folder_of(machine: Machine) -> Path:
    """Where a machine has its sockets."""
    return Path(machine._folder.name)


# -- start and end -------------------------------------------------------------------------------


def test_start_and_close(build: Build, qemu: Qemu) -> None:
    machine = Machine(build("sleeper").path, qemu)
    pid, folder = pid_of(machine), folder_of(machine)
    Core(machine, Budget())
    assert not machine.dead
    assert alive(pid)
    machine.close()
    assert machine.dead
    assert not alive(pid)
    assert not folder.exists()
    machine.close()


def test_close_before_anybody_connected(build: Build, qemu: Qemu) -> None:
    machine = Machine(build("sleeper").path, qemu)
    pid = pid_of(machine)
    machine.close()
    assert not alive(pid)


def test_close_of_a_running_core(build: Build, qemu: Qemu) -> None:
    with Machine(build("spinner").path, qemu) as machine:
        core = Core(machine, Budget())
        pid = pid_of(machine)
        core._probe._send(b"c")
    assert not alive(pid)


def test_exception_in_with(build: Build, qemu: Qemu) -> None:
    with pytest.raises(ZeroDivisionError), Machine(build("sleeper").path, qemu) as machine:
        pid, folder = pid_of(machine), folder_of(machine)
        _ = 1 // 0
    assert not alive(pid)
    assert not folder.exists()


def test_two_at_once(build: Build, qemu: Qemu) -> None:
    image = build("sleeper")
    with Machine(image.path, qemu) as one, Machine(image.path, qemu) as other:
        first, second = (Board(each, image, Points()) for each in (one, other))
        for board in (first, second):
            board.reset()
            board.wait_asleep()
        first.press("SELECT")
        first.wait_asleep()
        assert first.count_lines("press") == 1
        assert second.count_lines("press") == 0


def test_words_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAKELAB_QEMU", "sh -c 'a b'")
    assert find_qemu() == Qemu(("sh", "-c", "a b"))
    assert find_qemu("cat -n") == Qemu(("cat", "-n"))
    monkeypatch.delenv("WAKELAB_QEMU")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(BenchError, match=r"qemu-system-arm was not found\. `make doctor`"):
        find_qemu()


# -- paths ---------------------------------------------------------------------------------------

PLACES = ["a space", "übung–日本", "comma, and = and 'quotes\"", "l" + "o" * 100 + "ng"]


@pytest.mark.parametrize("name", PLACES)
def test_paths(
    name: str, build: Build, qemu: Qemu, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ELF file and TMPDIR may lie anywhere."""
    place = short / name
    place.mkdir()
    elf = place / f"{name[:9]}.elf"
    shutil.copy(build("sleeper").path, elf)
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    image = Image(elf)
    with Machine(elf, qemu) as machine:
        in_place = folder_of(machine).parent == place
        assert in_place == (len(os.fsencode(place)) < 80), "elsewhere only if the name is too long"
        board = Board(machine, image, Points())
        board.reset()
        board.wait_asleep()
    assert [each.name for each in place.iterdir()] == [elf.name]


# -- failures ------------------------------------------------------------------------------------


def fails(elf: Path, qemu: Qemu) -> str:
    """Starting must fail with a BenchError, and leave nothing; its words."""
    pids = []
    with pytest.raises(BenchError) as failed, Machine(elf, qemu) as machine:
        pids.append(pid_of(machine))
        Core(machine, Budget())
    assert not any(alive(pid) for pid in pids)
    assert list(Path(tempfile.gettempdir()).iterdir()) == []
    return str(failed.value)


def test_missing_elf(tmp_path: Path, qemu: Qemu) -> None:
    said = fails(tmp_path / "missing.elf", qemu)
    assert said.startswith("QEMU did not start: qemu-system-arm: ")
    assert "missing.elf" in said


def test_missing_qemu(build: Build) -> None:
    said = fails(build("sleeper").path, Qemu(("/nonexistent/qemu",)))
    assert "QEMU did not start" in said


def test_missing_qemu_without_setpriv(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "die_with_parent", list)
    said = fails(build("sleeper").path, Qemu(("/nonexistent/qemu",)))
    assert said == "QEMU did not start: No such file or directory"


def test_qemu_of_something_else(build: Build) -> None:
    assert "QEMU did not start" in fails(build("sleeper").path, Qemu(("/etc/passwd",)))


@pytest.mark.parametrize("exit_code", [0, 1])
def test_qemu_that_dies_at_once(build: Build, exit_code: int) -> None:
    script = f"echo a library is missing >&2; exit {exit_code}"
    said = fails(build("sleeper").path, Qemu(("sh", "-c", script)))
    assert said == "QEMU did not start: a library is missing"


def test_qemu_that_says_nothing(build: Build) -> None:
    said = fails(build("sleeper").path, Qemu(("true",)))
    assert said == "QEMU did not start: it said nothing"


def test_qemu_that_never_connects(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START_TIMEOUT_S", 0.5)
    said = fails(build("sleeper").path, Qemu(("sh", "-c", "echo hm; exec sleep 60")))
    assert "did not connect within" in said
    assert said.endswith("hm")


FAKE = """
import re, socket, sys
said = " ".join(sys.argv)
sockets = {{}}
for name in ("gdb", "qtest"):
    sockets[name] = socket.socket(socket.AF_UNIX)
    sockets[name].connect(re.search(r"(\\S*/" + name + r")(?:,|\\s|$)", said.replace("path=", " ")
                                    .replace("unix:", " "))[1])
gdb = sockets["gdb"]
answers = {answers!r}
buffer = b""
while answers:
    chunk = gdb.recv(4096)
    if not chunk:
        break
    buffer += chunk
    while b"#" in buffer[:-2]:
        buffer = buffer[buffer.index(b"#") + 3:]
        for payload in answers.pop(0):
            gdb.sendall(b"$" + payload + b"#%02x" % (sum(payload) & 255))
        if not answers:
            break
print("out of memory", flush=True)
"""


def fake(tmp_path: Path, *answers: list[bytes]) -> Qemu:
    """A QEMU that answers so many gdb packets, and then ends."""
    script = tmp_path / "fake.py"
    script.write_text(FAKE.format(answers=list(answers)))
    return Qemu((sys.executable, str(script)))


def version(said: str) -> list[bytes]:
    """The stub's answer to `monitor info version`."""
    return [b"O" + said.encode().hex().encode(), b"OK"]


@pytest.mark.parametrize("old", ["6.2.0", "7.1.94", "2.11.1"])
def test_qemu_too_old(build: Build, tmp_path: Path, old: str) -> None:
    qemu = fake(tmp_path, [b"PacketSize=1000"], [b"l<target/>"], version(f"{old}Debian 1:{old}\n"))
    said = fails(build("sleeper").path, qemu)
    assert said == (
        f"QEMU is version {old}; wakelab needs 7.2 or newer. `make doctor` says how to get it."
    )


def test_qemu_of_no_version(build: Build, tmp_path: Path) -> None:
    qemu = fake(tmp_path, [b"PacketSize=1000"], [b"l<target/>"], version("something\n"))
    assert "did not tell its version" in fails(build("sleeper").path, qemu)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_qemu_that_ends_after_it_connected(build: Build, tmp_path: Path, after: int) -> None:
    """At any moment of the first conversation."""
    conversation = [[b"PacketSize=1000"], [b"l<target/>"]]
    said = fails(build("sleeper").path, fake(tmp_path, *conversation[:after]))
    assert said == "QEMU did not start: out of memory"


def test_no_port(build: Build, tmp_path: Path) -> None:
    answers = [[b"PacketSize=1000"], [b"l<target/>"], version("11.0.0\n"), version("")]
    said = fails(build("sleeper").path, fake(tmp_path, *answers))
    assert said == "this QEMU shows no GPIO port A, B, C, D, E, F, G on lm3s6965evb"


def test_death_in_the_middle(build: Build, qemu: Qemu) -> None:
    """QEMU killed by somebody else: each word is answered by an error in words, not by a hang."""
    with Machine(build("sleeper").path, qemu) as machine:
        board = Board(machine, build("sleeper"), Points())
        board.reset()
        board.wait_asleep()
        os.kill(pid_of(machine), signal.SIGKILL)
        calls: list[Callable[[], object]] = [
            lambda: board.press("SELECT"),
            lambda: board.expect_pin("LED", 0),
            board.reset,
            lambda: board.read_memory(0, 4),
        ]
        for call in calls:
            with pytest.raises(BenchError, match="QEMU"):
                call()


# -- no orphan -----------------------------------------------------------------------------------

OWNER = """
import signal, sys
from pathlib import Path
from wakebench.core import Budget, Core
from wakebench.machine import Machine, Qemu
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
with Machine(Path(sys.argv[1]), Qemu(tuple(sys.argv[3:]))) as machine:
    core = Core(machine, Budget())
    if sys.argv[2] == "running":
        core._probe._send(b"c")
    print(machine._process.pid, machine._folder.name, flush=True)
    if sys.argv[2] == "raise":
        sys.stdin.readline()
        raise RuntimeError("on purpose")
    if sys.argv[2] == "exit":
        sys.stdin.readline()
        sys.exit(3)
    while True:
        signal.pause()
"""


@pytest.mark.parametrize("state", ["stopped", "running"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_orphan_after_a_signal(
    build: Build, qemu: Qemu, state: str, number: signal.Signals
) -> None:
    """Ctrl-C goes to the whole group, as a terminal sends it; the others to the owner only."""
    owner, pidfd, folder = _owner(build("spinner").path, state, qemu)
    try:
        if number is signal.SIGINT:
            os.killpg(owner.pid, number)
        else:
            owner.send_signal(number)
        owner.wait(DEADLINE_S)
        assert ends(pidfd)
        assert folder.exists() == (number is not signal.SIGINT)
    finally:
        _clean_up(owner, pidfd, folder)


@pytest.mark.parametrize("how", ["raise", "exit"])
def test_no_orphan_after_an_exception(build: Build, qemu: Qemu, how: str) -> None:
    owner, pidfd, folder = _owner(build("spinner").path, how, qemu)
    try:
        owner.communicate(b"\n", DEADLINE_S)
        assert owner.returncode == {"raise": 1, "exit": 3}[how]
        assert ends(pidfd)
        assert not folder.exists()
    finally:
        _clean_up(owner, pidfd, folder)


def _owner(elf: Path, state: str, qemu: Qemu) -> tuple[subprocess.Popen[bytes], int, Path]:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(elf), state, *qemu.command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(module.__file__).parents[1])},
    )
    assert owner.stdout is not None
    pid, folder = owner.stdout.readline().decode().split()
    return owner, os.pidfd_open(int(pid)), Path(folder)


def _clean_up(owner: subprocess.Popen[bytes], pidfd: int, folder: Path) -> None:
    owner.kill()
    owner.communicate()
    if not ends(pidfd):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    os.close(pidfd)
    shutil.rmtree(folder, ignore_errors=True)
