"""A grading on two cores: the checks from the first to the last here, from the last to the first in
a second process, until the two meet. Those that explore the program belong to one of the two; the
first lane, when it has done the rest, helps the second one with that.

A check's verdict and trace do not depend on which checks ran before it: each begins with a reset.
So it does not matter who runs it. What is left out because a check failed in the first lane is not
known in the second; it runs such checks all the same, and their results are dropped here.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, NamedTuple

from wakelab.child import Child, die_with
from wakelab.cores import stay_on_core
from wakelab.garbage import all_stays
from wakelab.stages import ForLane, Stages
from wakelab.work import Work

if TYPE_CHECKING:
    from wakebench.seconds import Made, Second
    from wakelab.plugin import ChecksPlugin
    from wakelab.report import CheckResult
    from wakelab.subject import Subject

_FIRST, _SECOND = b"1", b"2"
"""The lanes, as they sign their claims."""


def can_have_two() -> bool:
    """Whether a second lane would be of use, and is to be had."""
    return sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1


@contextmanager
def second_lane(checks: ChecksPlugin, work: Work, build: ForLane) -> Iterator[SecondLane]:
    """A second lane, which waits for the build; `build` is its own from now on. To be called before
    any thread is started, when pytest is ready to run `checks`."""
    lane = SecondLane(checks, work, build)
    try:
        yield lane
    finally:
        lane.close()


class SecondLane:
    """Owns the process. Use `second_lane`."""

    def __init__(self, checks: ChecksPlugin, work: Work, build: ForLane) -> None:
        self._checks = checks
        self.core = os.getpid()
        """The number of its core, for stay_on_core; so two gradings seldom share one."""
        self._claims, self._presses = _Claims(), _Claims()
        try:
            self._child = Child(
                partial(
                    _be_second,
                    *(checks, work, build.stages, self._claims, self._presses, os.getpid()),
                )
            )
        except BaseException:
            self._close_claims()
            raise
        build.close()

    def close(self) -> None:
        """End the process and its machines, if it has not ended yet."""
        self._child.close()
        self._close_claims()

    def _close_claims(self) -> None:
        self._claims.close()
        self._presses.close()

    def claim(self, position: int) -> bool:
        """Whether the check at this position is the first lane's to run; then nobody else does."""
        return self._claims.claim(position, _FIRST)

    def finish(self, subject: Subject) -> None:
        """Add to the first lane's results those of the second, and help it. What it owes, because
        it has died, is run here.
        """
        from wakelab.plugin import Lane

        while self._checks.owed():
            try:
                said: _Offer | tuple[int, CheckResult] = self._child.connection.recv()
                if isinstance(said, _Offer):
                    self._help(subject, said)
                    continue
            except (EOFError, OSError):
                self._checks.run(subject, Lane(self._checks.is_owed, backwards=True))
                return
            self._checks.add(*said)

    def _help(self, subject: Subject, offer: _Offer) -> None:
        """Make some of the second presses; but where the second lane has all of them by now, it
        waits for no answer."""
        claim = partial(self._presses.claim, lane=_FIRST)
        if claim(len(offer.seconds) - 1):
            made = subject.press_twice(offer.seconds, claim)
            self._child.connection.send(made)


class _Offer(NamedTuple):
    """What the second lane tells when it has found the second presses that are to be made."""

    seconds: Sequence[Second]


class _FirstLane:
    """The first lane, as who helps the second one. A Helper."""

    def __init__(self, claims: _Claims, connection: Connection) -> None:
        self._claims, self._connection = claims, connection
        self._waits = False

    def offer(self, seconds: Sequence[Second]) -> None:
        """See Helper."""
        if seconds:
            self._connection.send(_Offer(seconds))

    def claim(self, number: int) -> bool:
        """See Helper."""
        ours = self._claims.claim(number, _SECOND)
        self._waits = self._waits or not ours
        return ours

    def made(self) -> Mapping[int, Made]:
        """See Helper."""
        made: Mapping[int, Made] = self._connection.recv() if self._waits else {}
        return made


class _Claims:
    """Who does what of some numbered work: a byte for each, the lane's, in a file without a name.

    The lock is the kernel's (fcntl(2)): it goes with a process that dies while it holds it.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (closed in close())

    def claim(self, position: int, lane: bytes) -> bool:
        """Take one for a lane, unless the other one has it: is it this lane's?"""
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            holder = os.pread(self._file.fileno(), 1, position)
            if holder in (_FIRST, _SECOND):
                return holder == lane
            os.pwrite(self._file.fileno(), lane, position)
            return True
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Free the file; in the other process it stays."""
        self._file.close()


def import_while_machine_starts() -> None:
    """What takes long to import, and is not wanted before there is a board."""
    with all_stays():
        import wakebench.decode  # noqa: F401


def _be_second(
    checks: ChecksPlugin,
    work: Work,
    build: Stages,
    claims: _Claims,
    presses: _Claims,
    parent: int,
    connection: Connection,
) -> None:
    """The second process: from the build's arrival to the last result.

    Whatever goes wrong here is no news: the first lane sees what is missing, and runs it. That
    holds for Ctrl-C in the middle of ending a machine, too, which then cannot be ended again.
    """
    from wakelab.plugin import Lane

    die_with(parent)
    stay_on_core(parent)

    def tell(position: int, result: CheckResult) -> None:
        connection.send((position, result))

    lane = Lane(partial(claims.claim, lane=_SECOND), backwards=True, tell=tell)
    with work.subject(build) as subject:
        subject.helper = _FirstLane(presses, connection)
        try:
            import_while_machine_starts()
            checks.run(subject, lane)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # ending the machines is under way
