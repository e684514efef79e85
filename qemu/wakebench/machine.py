"""One QEMU process, its sockets, and the promise that it never outlives its owner.

The gdbstub, qtest and QMP sockets are opened by us and QEMU connects to them, so "QEMU is up" is an
event and not something to poll for. The process dies with us on every path: `close`, the end of the
`with` block, an exception, Ctrl-C, and, through the kernel's parent-death signal, a SIGKILL of this
process.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

from wakebench.errors import BenchError

if TYPE_CHECKING:
    from wakebench.counter import InstructionCounter

LONGEST_SOCKET_NAME = 104
"""Bytes, the final zero included (sockaddr_un: 108 on Linux, 104 elsewhere)."""

SOCKETS = ("gdb", "qtest", "qmp")

START_TIMEOUT_S = 20.0
"""Protects the host only: a QEMU that has not connected by then is broken."""


class Process(Protocol):
    """A QEMU that was started, and everything that was started around it."""

    @property
    def pid(self) -> int:
        """QEMU's own, for its clock."""

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""

    def kill(self) -> None:
        """End it at once."""

    def wait(self) -> int:
        """Wait until nothing of it is left; the exit code."""


class Files(NamedTuple):
    """What a QEMU needs of the file system beside its program and its data."""

    reads: tuple[Path, ...]
    writes: tuple[Path, ...]
    """Sockets, and files that are there already."""


Start = Callable[[Sequence[str], Files, IO[bytes]], Process]
"""Starts QEMU's words with its output going to a file. The process must die with the thread that
started it. Raises OSError."""


def start_bare(argv: Sequence[str], files: Files, log: IO[bytes]) -> Process:
    """QEMU as it is, with all that its user may see and do."""
    return subprocess.Popen(
        [*die_with_parent(), *argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log
    )


class Qemu(NamedTuple):
    """The words that start a QEMU, and how they are run: a sandbox is another way to start."""

    command: tuple[str, ...]
    start: Start = start_bare


def find_qemu(command: str | None = None) -> Qemu:
    """The QEMU named by `command`, else by `WAKELAB_QEMU`, else `qemu-system-arm` on the PATH.

    Raises BenchError where there is none. How old it may be is checked when it runs (see Core).
    """
    words = tuple(shlex.split(command or os.environ.get("WAKELAB_QEMU", "qemu-system-arm")))
    if not words or shutil.which(words[0]) is None:
        name = words[0] if words else "WAKELAB_QEMU"
        raise BenchError(
            f"{name} was not found. `make doctor` says what is missing and how to get it."
        )
    return Qemu(words)


class Wiring(NamedTuple):
    """How a machine differs from the bench's usual one."""

    shift: int = 0
    """An instruction takes 2^shift ns of virtual time."""
    beside: Path | None = None
    """A second ELF file to load; the core starts at its entry."""
    counts: bool = True
    """Whether the machine can be asked how many instructions it has executed: by QEMU's monitor. It
    has a thread, which costs each stop of the core a fifth more, and is woken by each timer."""


class Machine:
    """A stopped lm3s6965evb with `elf` in its flash. Owns the process and its sockets.

    Create it in a thread that lives as long as the machine: the kernel sends the parent-death
    signal when the creating *thread* ends. Use from one thread at a time.
    """

    def __init__(self, elf: Path, qemu: Qemu, wiring: Wiring | None = None) -> None:
        self._folder = folder_for_sockets()
        self._process: Process | None = None
        self._log: IO[bytes] | None = None
        self._listeners: dict[str, socket.socket] = {}
        self._connections: dict[str, socket.socket] = {}
        self._counter: InstructionCounter | None = None
        wiring = wiring or Wiring()
        self.can_count = wiring.counts
        """Whether `executed` tells."""
        try:
            for name in SOCKETS:
                self._listeners[name] = self._listen(name)
            self._start(elf, qemu, wiring)
        except BaseException:
            self.close()
            raise

    def _path(self, name: str) -> str:
        return os.path.join(self._folder.name, name)

    @property
    def record(self) -> Path:
        """A file for QEMU to write, which goes with the machine: see Recorder."""
        return Path(self._path("record"))

    @property
    def screen(self) -> Path:
        """Another: see Display."""
        return Path(self._path("screen"))

    def _listen(self, name: str) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self._path(name))
        os.chmod(self._path(name), 0o666)  # for a sandbox's own user; the folder is ours alone
        listener.listen(1)
        return listener

    def _start(self, elf: Path, qemu: Qemu, wiring: Wiring) -> None:
        elf = elf.absolute()
        argv = [
            *qemu.command,
            *("-M", "lm3s6965evb", "-kernel", str(elf), "-S"),
            *("-display", "none", "-nodefaults", "-no-user-config"),
            *("-chardev", f"socket,id=gdb,path={_quoted(self._path('gdb'))}"),
            *("-gdb", "chardev:gdb"),
            *("-qtest", f"unix:{_quoted(self._path('qtest'))}", "-qtest-log", "none"),
            # No semihosting: the bench answers calls on breakpoints. A BKPT where there is none, in
            # RAM for example, is a fault; QEMU would answer some calls itself, with target=gdb too.
            # One instruction is one nanosecond of virtual time: the watchdog counts instructions.
            *("-icount", f"shift={wiring.shift},sleep=off", "-action", "watchdog=none"),
        ]
        if wiring.counts:
            argv += ["-chardev", f"socket,id=qmp,path={_quoted(self._path('qmp'))}"]
            argv += ["-mon", "chardev=qmp,mode=control"]
        if wiring.beside is not None:
            beside = wiring.beside.absolute()
            argv += ["-device", f"loader,file={_quoted(str(beside))},cpu-num=0"]
        self._log = open(self._path("log"), "wb")  # noqa: SIM115  (closed in close())
        for written in (self.record, self.screen):
            written.touch()
            os.chmod(written, 0o666)  # as the sockets
        reads = [each.absolute() for each in (elf, wiring.beside) if each is not None]
        writes = (*(Path(self._path(name)) for name in SOCKETS), self.record, self.screen)
        files = Files(tuple(reads), writes)
        try:
            self._process = qemu.start(argv, files, self._log)
        except OSError as problem:
            raise BenchError(f"QEMU did not start: {problem.strerror}") from problem

    def _accept(self, name: str) -> socket.socket:
        listener = self._listeners[name]
        listener.settimeout(0.25)
        waited = 0.0
        while waited < START_TIMEOUT_S:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                waited += 0.25
                if self.dead:
                    raise BenchError(f"QEMU did not start: {self.last_words()}") from None
                continue
            return connection
        raise BenchError(
            f"QEMU did not connect within {START_TIMEOUT_S:.0f} s: {self.last_words()}"
        )

    def connection(self, name: str) -> socket.socket:
        """The connected socket of that name, of SOCKETS; waits for QEMU. Raises BenchError."""
        if name not in self._connections:
            self._connections[name] = self._accept(name)
        return self._connections[name]

    @property
    def dead(self) -> bool:
        """Whether the process has ended."""
        return self._process is None or self._process.poll() is not None

    def cpu_s(self) -> float:
        """Processor time that QEMU has used; where the host does not tell, the time of day, which
        is never less.
        """
        if self._process is not None and sys.platform == "linux":
            try:
                # CPUCLOCK_SCHED of a process, as clock_getcpuclockid(3) makes it.
                return time.clock_gettime(~self._process.pid << 3 | 2)
            except OSError:
                pass
        return time.monotonic()

    @property
    def counts(self) -> bool:
        """Whether somebody has asked for `executed` before: asking again costs little."""
        return self._counter is not None

    def executed(self) -> int:
        """Instructions since the start, exactly; the core is stopped. Raises BenchError."""
        if self._counter is None:
            # Here, because its imports take longer than all that most machines do.
            from wakebench.counter import InstructionCounter

            self._counter = InstructionCounter(self.connection("qmp"))
        return self._counter.count()

    def give_way(self, number: int = 0) -> None:
        """Have QEMU's main thread keep out of the way of the thread that is the core. Under -icount
        each timer that runs out wakes the main thread, for nothing; as a batch process on the same
        processor it does not push the core aside then, and needs no other processor to be woken.
        `number`: of the machines of this process that work side by side, so that they get
        different processors; other processes begin with another one. Does nothing where the host
        has no such thing.
        """
        if sys.platform == "linux":
            # Of QEMU itself, which need not be the process that was started.
            peer = self.connection("gdb").getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
            )
            qemu = struct.unpack("3i", peer)[0]
            usable = sorted(os.sched_getaffinity(0))
            with contextlib.suppress(OSError):
                os.sched_setscheduler(qemu, os.SCHED_BATCH, os.sched_param(0))
                for thread in os.listdir(f"/proc/{qemu}/task"):
                    os.sched_setaffinity(
                        int(thread), {usable[(os.getpid() + number) % len(usable)]}
                    )

    def last_words(self) -> str:
        """What QEMU itself printed last, for an error message: its own message rather than the
        register dump that may follow.
        """
        try:
            lines = (
                Path(self._path("log")).read_text(errors="backslashreplace").strip().splitlines()
            )
        except OSError:
            lines = []
        messages = [line for line in lines if line.startswith("qemu")]
        return (messages or lines or ["it said nothing"])[-1][:300]

    def close(self) -> None:
        """End the process and free everything. May be called twice."""
        if self._counter is not None:
            self._counter.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        for each in (*self._connections.values(), *self._listeners.values()):
            each.close()
        if self._log is not None:
            self._log.close()
        self._folder.cleanup()

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def folder_for_sockets() -> tempfile.TemporaryDirectory[str]:
    """A private folder, in TMPDIR unless the names of the sockets would get too long there."""
    folder = tempfile.TemporaryDirectory(prefix="wakebench-")
    if len(os.fsencode(os.path.join(folder.name, "qtest"))) < LONGEST_SOCKET_NAME:
        return folder
    folder.cleanup()
    elsewhere, prefix = os.path.split(elsewhere_for(tempfile.gettempdir()))
    return tempfile.TemporaryDirectory(prefix=f"{prefix}-", dir=elsewhere)


def elsewhere_for(folder: str) -> str:
    """How the paths begin of what should lie in `folder`, and does not because of its long name: by
    that its owner finds them."""
    return f"/tmp/wakebench-{os.path.basename(folder)[:40]}"


def _quoted(value: str) -> str:
    """A value within an option of QEMU's, where a comma would end it."""
    return value.replace(",", ",,")


def die_with_parent() -> list[str]:
    """Words that make the kernel kill the process when its parent dies (Linux; elsewhere none)."""
    return ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
