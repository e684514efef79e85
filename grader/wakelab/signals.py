"""Signals as something that a loop waits for, beside keys and files: nothing is interrupted."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Self

KILLED_BY = 128
"""Added to a signal's number it makes the exit code, as a shell counts."""

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OTHERS = (signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH)


@contextmanager
def left_to_this_thread() -> Iterator[None]:
    """Threads that are started within get none of these signals, which the kernel gives to any: so
    nothing that they wait for is interrupted."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*ENDING, *OTHERS})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Signals:
    """Takes note of those above, except for those that are ignored (in the background of a shell
    Ctrl-C is). Use it in `with`; wait until `fileno` can be read, and `take` them then.

    Python's handlers run between two of its instructions, so one that is called for just before a
    select begins would wait for the select to end: the very race of lab 05. What ends the select is
    a byte that the handler below Python's writes at once (signal.set_wakeup_fd).
    """

    def __enter__(self) -> Self:
        self._owner = os.getpid()
        self._noted: list[int] = []
        self._reading, self._writing = os.pipe()
        for end in (self._reading, self._writing):
            os.set_blocking(end, False)
        heard = [each for each in (*ENDING, *OTHERS) if signal.getsignal(each) != signal.SIG_IGN]
        self._woken_before = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        self._before = {each: signal.signal(each, self._note) for each in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        signal.set_wakeup_fd(self._woken_before)
        os.close(self._reading)
        os.close(self._writing)

    def _note(self, number: int, _: FrameType | None) -> None:
        if os.getpid() == self._owner:  # a forked process has this, too, until it forgets it
            self._noted.append(number)

    def fileno(self) -> int:
        """For select."""
        return self._reading

    def take(self) -> list[int]:
        """What has come, in order; now and then nothing."""
        with suppress(BlockingIOError):
            os.read(self._reading, 4096)
        noted, self._noted = self._noted, []
        return noted

    def stop(self) -> None:
        """Stop this process as Ctrl-Z does; returns when it goes on."""
        before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, before)
