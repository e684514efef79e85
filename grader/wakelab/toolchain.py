"""The cross compiler, and how a tool is run: limited, watched, and ended by whoever started it."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol

from wakelab.errors import UserError

COMPILER = "arm-none-eabi-gcc"
OLDEST = 10

_MIB = 1024 * 1024


class Limits(NamedTuple):
    """What one run of a tool may use. They protect the machine; no verdict rests on them.

    wall_seconds    until the tool is killed
    cpu_seconds     of each process of the tool
    address_bytes   of each process of the tool
    file_bytes      of the largest file it writes
    output_bytes    of what it prints; it is killed beyond
    processes       and threads at once; only in a sandbox, which counts its own alone
    open_files      of each process of the tool
    """

    wall_seconds: float = 20.0
    cpu_seconds: int = 20
    address_bytes: int = 1024 * _MIB
    file_bytes: int = 64 * _MIB
    output_bytes: int = _MIB
    processes: int = 64
    open_files: int = 256


class View(NamedTuple):
    """Files and folders that a run needs beside its tool and its working directory. A sandbox shows
    nothing else.

    reads   seen, but not to be changed
    writes  files, there already, that it may overwrite
    """

    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()


NOTHING = View()


class Ending(StrEnum):
    """How a run ended."""

    EXIT = "exit"
    TIMEOUT = "timeout"
    FLOOD = "flood"


class Completed(NamedTuple):
    """A run that is over.

    returncode  as in subprocess: negative for a signal
    output      what it printed on both streams, at most the limit
    ending      `exit`, or why it was killed
    """

    returncode: int
    output: bytes
    ending: Ending


class Runner(Protocol):
    """Runs a tool and owns it. A sandbox is another Runner."""

    def run(
        self,
        argv: Sequence[str],
        cwd: Path,
        limits: Limits,
        env: Mapping[str, str],
        view: View = NOTHING,
    ) -> Completed:
        """Run to the end, or kill at a limit. Returns only when no process of it is left."""

    def stop(self) -> None:
        """Kill what is running now; the calls of `run` return. For Ctrl-C; any thread."""


class DirectRunner:
    """Runs a tool as it is, in a session of its own so that all of it can be killed at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._prlimit = shutil.which("prlimit")

    def run(
        self,
        argv: Sequence[str],
        cwd: Path,
        limits: Limits,
        env: Mapping[str, str],
        view: View = NOTHING,
    ) -> Completed:
        """See Runner. The tool sees everything. Raises OSError when it cannot be started."""
        process = subprocess.Popen(
            [*self._prefix(limits), *argv],
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            bufsize=0,
        )
        with self._lock:
            self._running.add(process)
        try:
            output, ending = watch(process, limits)
        finally:
            with self._lock:
                self._running.discard(process)
            _end(process)
        return Completed(process.returncode, output, ending)

    def stop(self) -> None:
        """See Runner."""
        with self._lock:
            for process in self._running:
                _kill_session(process)

    def _prefix(self, limits: Limits) -> list[str]:
        """util-linux's prlimit sets the limits between fork and exec, which Python cannot do safely
        beside threads. Where it is missing (macOS) time and output are still limited."""
        if self._prlimit is None:
            return []
        return [
            self._prlimit,
            f"--as={limits.address_bytes}",
            f"--fsize={limits.file_bytes}",
            f"--cpu={limits.cpu_seconds}",
            f"--nofile={limits.open_files}",
            "--core=0",
            "--",
        ]


def watch(process: subprocess.Popen[bytes], limits: Limits) -> tuple[bytes, Ending]:
    """Read what the process prints until it ends or breaks a limit."""
    assert process.stdout is not None
    deadline = time.monotonic() + limits.wall_seconds
    output = bytearray()
    descriptor = process.stdout.fileno()
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while True:
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not poll.poll(remaining * 1000):
            return bytes(output), Ending.TIMEOUT
        chunk = os.read(descriptor, 65536)
        if not chunk:
            break
        output += chunk
        if len(output) > limits.output_bytes:
            return bytes(output[: limits.output_bytes]), Ending.FLOOD
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return bytes(output), Ending.TIMEOUT
    return bytes(output), Ending.EXIT


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        _kill_session(process)
    if process.stdout is not None:
        process.stdout.close()
    process.wait()


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    # Not yet reaped (returncode is None), so the number cannot belong to anybody else by now.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


class Toolchain(NamedTuple):
    """A cross compiler that is there and new enough.

    gcc      absolute path
    version  first line of `--version`
    runner   runs it
    """

    gcc: Path
    version: str
    runner: Runner

    def run(
        self,
        argv: Sequence[str],
        cwd: Path,
        limits: Limits | None = None,
        view: View = NOTHING,
    ) -> Completed:
        """Run a tool with a bare environment, temporary files beside ours or in a sandbox's own."""
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "TMPDIR": tempfile.gettempdir(),
        }
        return self.runner.run(argv, cwd, limits or Limits(), env, view)


def find_toolchain(runner: Runner | None = None) -> Toolchain:
    """The compiler on PATH. Raises UserError when it is missing, broken or too old."""
    advice = "make doctor says how to get it"
    found = shutil.which(COMPILER)
    if found is None:
        raise UserError(f"{COMPILER} is not installed, or not on PATH", "", advice)
    runner = runner or DirectRunner()
    toolchain = Toolchain(Path(found).absolute(), "", runner)
    try:
        completed = toolchain.run([found, "--version"], Path("/"), Limits(wall_seconds=10))
    except OSError as error:
        raise UserError(f"{COMPILER} cannot be run: {error.strerror}", found, advice) from None
    first = completed.output.decode("utf-8", "replace").partition("\n")[0].strip()
    number = re.search(r"(?:^|\s)(\d+)\.\d+(?:\.\d+)*(?:\s|$)", re.sub(r"\([^)]*\)", "", first))
    if completed.returncode != 0 or number is None:
        raise UserError(f"{COMPILER} does not tell its version", found, advice)
    if int(number[1]) < OLDEST:
        raise UserError(
            f"{COMPILER} is too old: {first}", found, f"{OLDEST} or newer is needed; {advice}"
        )
    return Toolchain(toolchain.gcc, first, runner)
