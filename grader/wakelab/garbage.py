"""Python's collection of garbage, put off while there is none."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def leave_it() -> None:
    """For a process that ends soon: it makes little garbage, and looking for it takes a thirtieth
    of a grading."""
    gc.disable()


@contextmanager
def all_stays() -> Iterator[None]:
    """For imports: what is made within stays. No collection goes through it in vain, now or later;
    nor is it copied for a process that is forked off, only because a collection has marked it."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
