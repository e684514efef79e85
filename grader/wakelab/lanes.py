"""A grading on two cores: the checks from the first to the last here, from the last to the first in
a second process, until the two meet.

A check's verdict and trace do not depend on which checks ran before it: each begins with a reset.
So it does not matter who runs it. What may be skipped because an earlier check failed is not known
in the second lane; it runs such checks all the same, and their results are dropped here.
"""

from __future__ import annotations

import ctypes
import fcntl
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Collection
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from wakelab.cores import stay_on_core
from wakelab.running import run_checks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wakebench.machine import Qemu
    from wakelab.build import BuildResult
    from wakelab.labs import Lab
    from wakelab.plugin import ChecksPlugin
    from wakelab.points import PointsPlan
    from wakelab.report import CheckResult
    from wakelab.subject import Subject
    from wakelab.submission import Submission

PR_SET_PDEATHSIG = 1
PATIENCE_S = 10.0
"""How long the second lane may take to end its machines; protects the host only."""


@dataclass(frozen=True)
class Work:
    """What a lane grades."""

    folder: Path
    lab: Lab
    submission: Submission
    qemu: Qemu
    modes: Collection[str]
    plan: PointsPlan


def can_have_two() -> bool:
    """Whether a second lane would be of use, and is to be had."""
    return sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1


@contextmanager
def second_lane(work: Work) -> Iterator[SecondLane]:
    """A second lane, which waits for the build. To be called before any thread is started."""
    lane = SecondLane(work)
    try:
        yield lane
    finally:
        lane.close()


class SecondLane:
    """Owns the process. Use `second_lane`."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.core = os.getpid()
        """The number of its core, for stay_on_core; so two gradings seldom share one."""
        context = multiprocessing.get_context("fork")
        self._claims = _Claims()
        self._connection, theirs = context.Pipe()
        self._results: dict[str, CheckResult] = {}
        # Ours, so that it goes also when the process is killed.
        self._folder = tempfile.TemporaryDirectory(prefix="wakelab-")
        self._process = context.Process(
            target=_be_second,
            args=(work, theirs, self._connection, self._claims, os.getpid(), self._folder.name),
        )
        self._process.start()
        theirs.close()

    def close(self) -> None:
        """End the process and its machines, if it has not ended yet."""
        if self._process.is_alive() and self._process.pid is not None:
            os.kill(self._process.pid, signal.SIGINT)
            self._process.join(PATIENCE_S)
        self._process.kill()
        self._process.join()
        self._connection.close()
        self._claims.close()
        self._folder.cleanup()

    def follow(self, building: Future[BuildResult]) -> None:
        """Hand the result of this build over when it is there."""
        building.add_done_callback(self._hand_over)

    def _hand_over(self, building: Future[BuildResult]) -> None:
        problem = None if building.cancelled() else building.exception()
        with suppress(OSError):  # the lane has ended; that is noticed elsewhere
            if problem is not None:
                self._connection.send(problem)
            elif not building.cancelled():
                self._connection.send(building.result())

    def claim(self, position: int) -> bool:
        """Whether the check at this position is the first lane's to run; then nobody else does."""
        return self._claims.claim(position)

    def finish(self, plugin: ChecksPlugin, subject: Subject) -> None:
        """Add to the first lane's results those of the second. What it owes, because it has died,
        is run here.
        """
        from wakelab.plugin import Lane

        owed = plugin.owed()
        while owed:
            try:
                result: CheckResult = self._connection.recv()
            except (EOFError, OSError):
                lane = Lane(plugin.is_owed, backwards=True)
                again = run_checks(self._work.folder, subject, self._work.plan, lane)
                for each in again.results:
                    plugin.add(each)
                return
            plugin.add(result)
            owed = plugin.owed()


class _Claims:
    """Who runs which check: a byte for each, in a file without a name.

    The lock is the kernel's (fcntl(2)): it goes with a process that dies while it holds it.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (closed in close())

    def claim(self, position: int) -> bool:
        """Take a check, unless it is taken."""
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            if self.is_taken(position):
                return False
            os.pwrite(self._file.fileno(), b"x", position)
            return True
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def is_taken(self, position: int) -> bool:
        """Whether somebody has claimed the check."""
        return os.pread(self._file.fileno(), 1, position) == b"x"

    def close(self) -> None:
        """Free the file; in the other process it stays."""
        self._file.close()


def _be_second(
    work: Work,
    connection: Connection,
    theirs: Connection,
    claims: _Claims,
    parent: int,
    folder: str,
) -> None:
    """The second process: from the build's arrival to the last result. Its temporary files lie in
    `folder`."""
    tempfile.tempdir = folder
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell ignores it
    _die_with(parent)
    stay_on_core(parent)
    theirs.close()  # or the parent's end would not be seen
    # Whatever goes wrong here is no news: the first lane sees what is missing, and runs it. That
    # holds for Ctrl-C in the middle of ending a machine, too, which then cannot be ended again.
    with suppress(BaseException), ExitStack() as owned:
        owned.enter_context(connection)
        try:
            _run_backwards(work, connection, claims, owned)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # ending the machines is under way


def _run_backwards(work: Work, connection: Connection, claims: _Claims, owned: ExitStack) -> None:
    from wakelab.plugin import Lane
    from wakelab.subject import Subject

    arriving = _Arriving(connection)
    build = arriving.result()
    subject = Subject(
        work.lab, work.submission, build, work.qemu, work.modes, arriving, counting=False
    )
    owned.enter_context(subject)
    lane = Lane(claims.claim, backwards=True, tell=connection.send)
    run_checks(work.folder, subject, work.plan, lane)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when the parent dies (prctl(2)); its machines follow."""
    prctl: Callable[[int, int], int] = ctypes.CDLL(None).prctl
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class _Arriving:
    """A build that the first lane sends."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def result(self) -> BuildResult:
        """Wait for it. Raises what the build raised."""
        arrived = self._connection.recv()
        if isinstance(arrived, BaseException):
            raise arrived
        built: BuildResult = arrived
        return built
