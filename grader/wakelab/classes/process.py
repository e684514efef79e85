"""Owns a grading process (wakelab.classes.worker): gives it jobs, waits within a limit, replaces it
when it dies.

Not multiprocessing, because a Dask worker may have no children of that kind; and because a job and
its outcome are text, which a broken process cannot turn into anything else.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from typing import IO

from wakebench.machine import die_with_parent
from wakelab.classes.job import Job, Outcome, pack_job, unpack_outcome

LIMIT_S = 300.0
"""Of one grading. Protects the machine only: the longest takes some seconds, and what a program
does is judged by counted instructions."""

WORKER = (sys.executable, "-P", "-m", "wakelab.classes.worker")

_GRACE_S = 5.0
"""For a process that was told to end, to end what it has started."""

_PUTTING_AWAY_S = 20.0
"""For a killed one's caretaker; it takes some hundredths of a second."""

_LOOK_S = 0.5
"""How soon a waiting thread notices that it is to stop."""

_MAX_ANSWER = 64 * 1024 * 1024


class GradingProcess:
    """Started at the first job. Use it from one thread, which has to live as long as it: the
    process ends with the thread that started it. `stop` may come from any thread."""

    def __init__(self, limit_s: float = LIMIT_S, command: Sequence[str] = WORKER) -> None:
        self._limit_s = limit_s
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._words: IO[bytes] | None = None
        self._lock = threading.Lock()
        self._stopped = False
        self._stop_by = float("inf")

    def grade(self, job: Job) -> Outcome:
        """The outcome; `trouble` where the process died or took too long. Never raises for them."""
        with self._lock:
            if self._stopped:
                return Outcome(None, "stopped")
            process = self._process or self._start()
        assert process.stdin is not None
        try:
            process.stdin.write(pack_job(job).encode() + b"\n")
            process.stdin.flush()
            answer = self._answer(process)
        except BrokenPipeError:
            answer = b""
        if answer is None:
            return Outcome(None, self._bury(process, late=True))
        if not answer:
            return Outcome(None, self._bury(process))
        return unpack_outcome(answer.decode("utf-8", "replace"))

    def stop(self) -> None:
        """End it, and refuse further jobs; a `grade` that runs in another thread returns."""
        with self._lock:
            self._stopped = True
            self._stop_by = min(self._stop_by, time.monotonic() + _GRACE_S)
            process = self._process
        if process is not None:
            process.terminate()

    def close(self) -> None:
        """End it and wait for that. In the thread that used it, or after that thread."""
        self.stop()
        if self._process is not None:
            self._bury(self._process)

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return self._process.pid if self._process is not None else None

    def _start(self) -> subprocess.Popen[bytes]:
        self._words = tempfile.TemporaryFile()  # noqa: SIM115  (closed in _bury)
        self._process = subprocess.Popen(
            [*die_with_parent(), *self._command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env={**os.environ, "PYTHONUTF8": "1"},
            # Ctrl-C is ours to tell.
            start_new_session=True,
            bufsize=0,
        )
        return self._process

    def _answer(self, process: subprocess.Popen[bytes]) -> bytes | None:
        """One line; b"" where the process ended instead, None where nothing came in time."""
        assert process.stdout is not None
        deadline = time.monotonic() + self._limit_s
        poll = select.poll()
        poll.register(process.stdout, select.POLLIN)
        line = bytearray()
        while not line.endswith(b"\n"):
            remaining = min(deadline, self._stop_by) - time.monotonic()
            if remaining <= 0:
                return None
            if not poll.poll(min(remaining, _LOOK_S) * 1000):
                continue
            chunk = os.read(process.stdout.fileno(), 1 << 16)
            if not chunk:
                return b""
            if len(line) > _MAX_ANSWER:
                return None
            line += chunk
        return bytes(line)

    def _bury(self, process: subprocess.Popen[bytes], late: bool = False) -> str:
        """End the process, free everything, and say in words how it ended. One that is not late
        is ending by itself, and is given the time for it, so that its exit code is its own."""
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        if late or not _ended(process):
            process.terminate()
            if not _ended(process):
                process.kill()  # what it started dies with it
                process.wait()
        _see_it_put_away(process.stdout)
        words = self._last_words()
        with self._lock:
            self._process = None
        if late and not self._stopped:
            return f"the grading process did not answer within {self._limit_s:.0f} s{words}"
        status = process.returncode
        how = f"by signal {-status}" if status < 0 else f"with exit code {status}"
        return f"the grading process ended {how}{words}"

    def _last_words(self) -> str:
        if self._words is None:
            return ""
        with self._words as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 2000))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
        self._words = None
        return f"; its last words: {lines[-1][:300]}" if lines else ""


def _see_it_put_away(outcomes: IO[bytes]) -> None:
    """Read a dead process's outcomes to their end: its caretaker has them open until its folder is
    gone. Not for ever, for it need not be one of ours that has them open."""
    deadline = time.monotonic() + _PUTTING_AWAY_S
    poll = select.poll()
    poll.register(outcomes, select.POLLIN)
    with outcomes:
        while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            if not os.read(outcomes.fileno(), 1 << 16):
                break


def _ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it ends soon by itself."""
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        return False
    return True
