"""Saves, noticed by looking at the files: also where the system tells of no changes (network and
shared folders, WSL's /mnt/c), and without a thread, because this process forks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from wakelab.labs import Lab

LOOK_S = 0.02
"""How long to wait between two looks."""

SETTLE_S = 0.05
"""A save is over when the files have stayed as they are for so long: editors write several files,
truncate before they write, and put a new file in the old one's place. Longer than the step of a
file's time stamp, so that what is written within one step is not missed."""

_Stamp = tuple[int, int, int, int] | None
"""Of a file, None where there is none: which it is, its two times in ns, its size in bytes."""


class Saves:
    """The files of one submission, as somebody edits them."""

    def __init__(self, lab: Lab, folder: Path, now: Callable[[], float]) -> None:
        """`folder` as for wakelab.submission.collect; `now` in seconds. What is there already
        counts as a save."""
        self._paths = [
            parent / name
            for parent in (folder, folder / "lab" / lab.directory.name)
            for name in lab.files
        ]
        self._now = now
        self._stamps: list[_Stamp] | None = None
        self._changed_at = 0.0
        self._told = False

    def look(self) -> bool:
        """Whether the files have changed since the last look."""
        stamps = [_stamp(path) for path in self._paths]
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        self._changed_at = self._now()
        self._told = False
        return True

    def settled(self) -> bool:
        """Whether a save is over that this has not been said of before."""
        if self._told or self._now() - self._changed_at < SETTLE_S:
            return False
        self._told = True
        return True


def _stamp(path: Path) -> _Stamp:
    try:
        found = os.stat(path, follow_symlinks=False)
    except (OSError, ValueError):
        return None
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size
