"""One core for a grading: the bench and its QEMU take turns, so two cores would only mean that each
turn begins by waking the other core, which costs a quarter of the time.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROCESSOR = 38
"""Of the fields of /proc/thread-self/stat, from 0 (proc(5))."""


def stay_on_core(number: int) -> None:
    """Keep the calling thread, and all that it starts from now on, on one of the cores that it may
    use: the one of that number, counted round. Does nothing where the host has no such thing."""
    if sys.platform == "linux":
        usable = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {usable[number % len(usable)]})


def keep_off_core(number: int) -> None:
    """The opposite: what the calling thread starts from now on uses the other cores, if there are
    any."""
    if sys.platform == "linux":
        usable = sorted(os.sched_getaffinity(0))
        others = {*usable} - {usable[number % len(usable)]}
        os.sched_setaffinity(0, others or usable)


@contextmanager
def on_core(number: int) -> Iterator[None]:
    """`stay_on_core` within; what was started there stays where it is."""
    if sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    stay_on_core(number)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def on_this_core() -> Iterator[None]:
    """Within, keep to the core on which the calling thread runs just now. Where several processes
    grade, the kernel has found each the core with the least to do, and may find another one for
    the next grading: no number has to be agreed on, which those in different containers could not.
    """
    if sys.platform != "linux":
        yield
        return
    _, _, fields = Path("/proc/thread-self/stat").read_text().rpartition(") ")
    number = int(fields.split()[_PROCESSOR - 2])
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {number} & before or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
