"""Ctrl-C and SIGTERM: where they take effect, and where not yet.

Free of other imports of ours: what starts a command needs it before everything else.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial


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


@contextmanager
def uninterrupted() -> Iterator[None]:
    """What tells this thread to end takes effect when this is over."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
