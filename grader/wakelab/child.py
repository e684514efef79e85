"""A process forked off this one, and owned: with a connection to it and a folder for its files."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

from wakelab.caretaker import be_known_by, prefix_within, put_away
from wakelab.interrupts import uninterrupted

PR_SET_PDEATHSIG = 1
PATIENCE_S = 10.0
"""How long a child may take to end what it has started; protects the host only."""


class Child:
    """Does some work in a process of its own. Create it where there are no other threads; close it,
    or use it in `with`.

    It is told to end by SIGINT and by the end of its connection, and may listen to either. Whatever
    it raises is no news: what it owes does not come, and whoever waits for that sees the end of the
    connection.
    """

    def __init__(self, work: Callable[[Connection], object]) -> None:
        """`work` gets the child's end of the connection, and ends where that is of no use any more.
        Raises OSError where there can be no process."""
        context = multiprocessing.get_context("fork")
        self.connection, theirs = context.Pipe()
        # Ours, so that it goes also when the child is killed; the child removes it where we are.
        self._folder = tempfile.TemporaryDirectory(prefix=prefix_within())
        self.process = context.Process(
            target=_be_child, args=(work, theirs, self.connection, self._folder.name)
        )
        try:
            with uninterrupted():
                self.process.start()
        except BaseException:
            self.close()
            raise
        finally:
            theirs.close()

    def close(self) -> None:
        """End it, if it has not ended yet, and remove its files. May be called twice."""
        self.connection.close()
        if self.process.pid is not None:
            if self.process.is_alive():
                os.kill(self.process.pid, signal.SIGINT)
                self.process.join(PATIENCE_S)
            self.process.kill()
            self.process.join()
            if self.process.exitcode != 0:  # it could not put away what it had
                put_away(Path(self._folder.name))
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent, of that number, dies (prctl(2)); what it
    has started must follow of itself. For a child that cannot wait for its connection's end."""
    prctl: Callable[[int, int], int] = ctypes.CDLL(None).prctl
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _be_child(
    work: Callable[[Connection], object], connection: Connection, theirs: Connection, folder: str
) -> None:
    """The child, from its first step to its last. It begins uninterrupted."""
    tempfile.tempdir = folder
    theirs.close()  # or the parent's end would not be seen
    with suppress(BaseException):
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell ignores it
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
        with be_known_by(Path(folder)):
            work(connection)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    shutil.rmtree(folder, ignore_errors=True)
