"""Ctrl-C and SIGTERM: where they take effect, and where not yet.

Free of other imports of ours: what starts a command needs it before everything else.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Self, TypeVar

Item = TypeVar("Item")


def quiet_until_heard() -> None:
    """Have Ctrl-C end this process without a word from Python until somebody listens; unless it is
    ignored, as a shell has it for what runs in the background."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def heard() -> Iterator[None]:
    """Within, Ctrl-C raises KeyboardInterrupt, unless it is ignored. Where Python can raise nothing
    (while it destroys an object, and at some moments of an import) it ends the process."""
    before, hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
    if before is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.unraisablehook = partial(_end_if_interrupted, hook)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, before)


def _end_if_interrupted(
    otherwise: Callable[[sys.UnraisableHookArgs], object], what: sys.UnraisableHookArgs
) -> None:
    """Or Python would complain, and go on as if nothing had been said. What the process has started
    and made is put away as if it had been killed."""
    if what.exc_type is KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    otherwise(what)


class PutOff:
    """Within, Ctrl-C raises KeyboardInterrupt where something is waited for, and nowhere else: what
    keeps a result and tells of it is not cut in two. (rich, interrupted at a wrong moment of a
    print, would keep all that it prints later for itself.)

    For the main thread of a process with others. What `uninterrupted` blocks in one thread, the
    kernel gives to another, and Python raises it here all the same.

    It is raised once, at the end of the `with` if not before: who presses Ctrl-C twice must not
    break what puts everything away. What is ignored stays so.
    """

    def __init__(self) -> None:
        self._noted = self._waiting = self._raised = False

    def __enter__(self) -> Self:
        self._before = signal.getsignal(signal.SIGINT)
        if callable(self._before):
            signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)
        self.take()

    def _note(self, *_: object) -> None:
        self._noted = True
        if self._waiting:
            self.take()

    def take(self) -> None:
        """Raise what has been put off."""
        if self._noted and not self._raised:
            self._raised = True
            raise KeyboardInterrupt

    def between(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items. It may be interrupted while one is waited for, not while one is in use."""
        waited = iter(items)
        while True:
            try:
                self._waiting = True
                self.take()
                item = next(waited)
            except StopIteration:
                return
            finally:
                self._waiting = False
            yield item


@contextmanager
def uninterrupted() -> Iterator[None]:
    """What tells this thread to end takes effect when this is over."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
