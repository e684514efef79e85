"""GDB on the board: a real one, with the bench behind it."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_byhand import LAB, opened, wrong
from test_watch import Terminal, terminals

from wakebench.gdb_server import INTERRUPTED, GdbServer
from wakelab import debugger
from wakelab.debugger import NAMES, Debugged, find_gdb, serve_debugger
from wakelab.errors import UserError

__all__ = ["terminals"]  # the fixture

GDB = next((found for name in NAMES if (found := shutil.which(name))), None)
PATIENCE_S = 60.0

pytestmark = pytest.mark.skipif(
    GDB is None and os.environ.get("CI") != "true", reason="there is no GDB for the board"
)


def argv(*words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "wakelab", "debug", *words]


def said_by_gdb(commands: str, *words: str) -> str:
    """What GDB says to commands, and the command's end."""
    done = subprocess.run(
        argv(*words),
        input=commands + "\nquit\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


REFERENCE = str(LAB.reference)


def test_main_press_line_asleep_story() -> None:
    said = said_by_gdb("bt\nasleep\npress\nasleep\nstory\nrelease\nasleep", REFERENCE)
    assert re.search(r"#0  main \(\) at main\.c:\d+", said)
    first, second = said.split("SELECT is down (latched)")
    assert "sleep_until_pending ()" in first and "Interrupt fired!" not in first
    assert "\nInterrupt fired!\n" in second.replace("(gdb) ", "\n")
    assert "handler  GPIOF_IRQHandler starts" in second
    assert "SELECT is up (unsensed)" in second
    assert "static struct executor executor" in said or "int main(void)" in said or "{" in first


def test_breakpoints_steps_and_variables() -> None:
    """GDB's breakpoints beside the bench's own at the same places; steps; a back trace out of a
    handler; a variable."""
    said = said_by_gdb(
        "break button_future_poll\ncontinue\ninfo registers pc\nfinish\nasleep\n"
        "press\nbreak GPIOF_IRQHandler\ncontinue\nbt\nprint lines[4].pressed\nstepi\nnext\nnext\n"
        "delete\nasleep\nprint lines[4].pressed",
        REFERENCE,
    )
    assert "Breakpoint 1, button_future_poll (" in said
    assert "Value returned is $1 = POLL_PENDING" in said
    assert "Breakpoint 2, GPIOF_IRQHandler ()" in said
    assert "<signal handler called>" in said and "in executor_run (" in said
    assert "$2 = false" in said and "$3 = false" in said
    assert said.count("Interrupt fired!") == 1


def test_a_step_over_the_sleep_and_a_press_that_was_held_back() -> None:
    said = said_by_gdb(
        "asleep\npress\nstepi\ninfo registers pc\nstory\nbreak atomic_waker_wake\ncontinue\nbt 1",
        REFERENCE,
    )
    assert "wake-up  an interrupt is pending" in said
    assert "handler" not in said.split("wake-up")[1].split("Breakpoint")[0], "steps hold it back"
    assert re.search(r"Breakpoint 1, atomic_waker_wake \(", said)


def test_replay_from_the_reset_and_of_a_schedule() -> None:
    with opened(LAB.reference) as subject:
        place = subject.image("Og").symbol("atomic_waker_register")
        assert place is not None
    id_ = f"08-Og-{place.address:x}.1"
    said = said_by_gdb(f"asleep\npress\nasleep\nreplay\nbt 1\nreplay {id_}\nbt 1", REFERENCE)
    after = said.split("from the reset, at main")[1]
    assert "main () at main.c" in after
    assert f"{id_}: a press (1) has just come" in after
    assert "atomic_waker_register (" in after.split("has just come")[1]
    said = said_by_gdb("bt 1\nbreak GPIOF_IRQHandler\ncontinue", "--id", id_, REFERENCE)
    assert f"where the last press of {id_} has come" in said
    assert "Breakpoint 1, GPIOF_IRQHandler" in said


def test_what_cannot_be_done_is_said() -> None:
    said = said_by_gdb(
        "press PF1\nmonitor dance\nreplay nonsense\nreplay 07-Og-1.1\nmonitor press sElEcT\nbt 1",
        REFERENCE,
    )
    assert "a button (UP" in said and "there is no such command" in said
    assert "is not the id of a schedule" in said
    assert "make debug ID=07-Og-1.1" in said
    assert "SELECT is down" in said


def test_a_loop_stands_where_it_began_and_a_fault_is_told(tmp_path: Path) -> None:
    said = said_by_gdb("continue\nbt 1\nstepi", str(wrong("loops-in-main", tmp_path)))
    assert "wakelab: loop: 6000000 instructions in main" in said
    assert "SIGSEGV" not in said and "the run is over" not in said, "one looks round in it"
    assert "#0  main ()" in said
    folder = tmp_path / "fault"
    folder.mkdir()
    said = said_by_gdb("continue\ncontinue\nreplay\nbt 1", str(wrong("null-call", folder)))
    assert "wakelab: fault: UsageFault" in said and "SIGSEGV" in said
    assert "replay starts it again" in said
    assert "#0  main ()" in said.split("from the reset, at main")[1]


def test_the_clock_goes_on_in_the_sleep(tmp_path: Path) -> None:
    said = said_by_gdb(
        "break SysTick_Handler\ncontinue\ncontinue\nprint now_ms",
        str(wrong("with-clock", tmp_path)),
    )
    assert said.count("Breakpoint 1, SysTick_Handler") >= 2
    assert "$1 = 1" in said


def test_what_the_program_prints_is_spelled_out(tmp_path: Path) -> None:
    from test_byhand_page import program_that_says

    folder = program_that_says(r'info("\x1b[2J" "clear");', tmp_path)
    said = said_by_gdb("asleep", str(folder))
    assert "\\x1b[2Jclear" in said and "\x1b[2J" not in said


def test_ctrl_c_in_the_sleep_gives_the_prompt_back(
    terminals: Callable[..., Terminal],
) -> None:
    terminal = terminals(argv(REFERENCE), TERM="dumb")
    terminal.shows("(gdb)")
    terminal.press("continue\n")
    terminal.shows("Continuing.")
    terminal.press("\x03")
    terminal.shows("SIGINT", "(gdb)")
    terminal.press("press\n")
    terminal.shows("SELECT is down")
    terminal.press("asleep\n")
    terminal.shows("Interrupt fired!", "(gdb)")
    terminal.press("quit\n")
    assert terminal.ends() == 0


@pytest.mark.parametrize("sent", [b"%s\x03", b"\x03%s"])
def test_a_ctrl_c_that_comes_with_the_continue_counts(sent: bytes) -> None:
    """In one piece, as a quick hand and a busy machine make it; GDB may send it first."""
    ours, theirs = socket.socketpair()
    with ours, theirs, opened(LAB.reference) as subject:
        ours.sendall(sent % b"$vCont;c#a8")
        ours.shutdown(socket.SHUT_WR)
        GdbServer(subject.board()).serve(theirs)
        assert b"$" + INTERRUPTED + b"#" in ours.recv(4096)


@contextmanager
def held_open() -> Iterator[tuple[int, int]]:
    """A pipe whose other end all that is started holds."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    try:
        yield reading, writing
    finally:
        os.close(reading)


@pytest.mark.parametrize("victim", ["wakelab", "gdb"])
def test_nothing_outlives_the_command(victim: str, tmp_path: Path) -> None:
    """Killed in the middle: QEMU, GDB, files. In a folder whose name is too long for a socket."""
    temporary = tmp_path / ("long" * 20)
    temporary.mkdir()
    with held_open() as (reading, writing):
        process = subprocess.Popen(
            argv(REFERENCE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[writing],
            env={**os.environ, "TMPDIR": str(temporary)},
        )
        os.close(writing)
        with process:
            assert process.stdout is not None and process.stdin is not None
            said = b""
            while b"main () at" not in said:
                more = os.read(process.stdout.fileno(), 4096)
                assert more, f"it ended, and said {said!r}"
                said += more
            if victim == "wakelab":
                process.kill()
            else:
                found = _child_named(process.pid, "gdb")
                os.kill(found, signal.SIGKILL)
            process.wait(PATIENCE_S)
            assert select.select([reading], [], [], PATIENCE_S)[0]
            assert os.read(reading, 1) == b"", "a process still runs"
    latest = time.monotonic() + PATIENCE_S
    while list(temporary.iterdir()):
        assert time.monotonic() < latest
        time.sleep(0.01)


def _child_named(pid: int, name: str) -> int:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if name in Path(f"/proc/{child}/cmdline").read_text().split("\0")[0]:
            return int(child)
    raise AssertionError(f"no {name} was started")


def test_an_editor_drives_it_by_mi_over_a_port() -> None:
    """As the C/C++ extension of VS Code does: .vscode/launch.json."""
    server = subprocess.Popen(argv("--port", "0", REFERENCE), stdout=subprocess.PIPE, text=True)
    with server:
        try:
            assert server.stdout is not None
            found = re.search(r"localhost:(\d+)", server.stdout.readline())
            assert found
            elf = server.stdout.readline().removeprefix("the program: ").strip()
            for _ in range(2):  # one after the other
                commands = [
                    f"-target-select remote localhost:{found[1]}",
                    "-break-insert button_future_poll",
                    "-exec-continue",
                    '-interpreter-exec console "monitor press"',
                    "-stack-list-frames",
                    '-interpreter-exec console "monitor replay"',
                    "-exec-continue",
                    "-gdb-exit",
                ]
                assert GDB
                done = subprocess.run(
                    [GDB, "-q", "-nx", "--interpreter=mi", elf],
                    input="\n".join(commands) + "\n",
                    stdout=subprocess.PIPE,
                    text=True,
                    timeout=PATIENCE_S,
                )
                assert "^connected" in done.stdout
                assert 'reason="breakpoint-hit"' in done.stdout
                assert "SELECT is down" in done.stdout
            server.send_signal(signal.SIGTERM)
            assert server.wait(PATIENCE_S) == 0
        finally:
            server.kill()


def test_a_port_that_is_taken_and_a_gdb_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    from rich.console import Console

    with socket.create_server(("127.0.0.1", 0)) as taken, opened(LAB.reference) as subject:
        port = taken.getsockname()[1]
        what = Debugged(Path("."), Path("."), subject, "Og")
        with pytest.raises(UserError, match=f"port {port} cannot be used"):
            serve_debugger(what, port, Console())
    monkeypatch.setattr(debugger, "NAMES", ("no-such-gdb",))
    with pytest.raises(UserError, match="no GDB"):
        find_gdb()
