"""A folder or an archive, looked at one way: names in a folder, bytes of a file.

No link is followed, nothing is unpacked to disk, and nothing is read without a limit.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Protocol

from wakelab.errors import UserError

Parts = tuple[str, ...]
"""A path below the top, () for the top itself."""


class Kind(Enum):
    """What a name stands for."""

    FILE = "file"
    FOLDER = "folder"
    OTHER = "other"
    """A link, pipe, device: never read."""


class Unreadable(Exception):
    """Something that was handed in cannot be read: what is wrong, and what its author does next."""

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step


class Tree(Protocol):
    """See the module."""

    def names(self, at: Parts) -> Mapping[str, Kind]:
        """What lies in a folder; nothing where there is no such folder. Raises Unreadable."""

    def read(self, at: Parts, limit: int) -> bytes:
        """A file's bytes, one more than `limit` at most. Raises Unreadable."""


class FolderTree:
    """A folder on disk. Close it, or use it in a `with`.

    Every step down is by descriptor and without following a link, so what is swapped meanwhile
    leads nowhere else.
    """

    def __init__(self, path: Path) -> None:
        """Raises UserError where it cannot be opened."""
        try:
            self._top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise UserError(
                f"the folder cannot be opened: {error.strerror}",
                str(path),
                "check the path after SUBMISSIONS= and its rights",
            ) from None

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._top)

    def __enter__(self) -> FolderTree:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def names(self, at: Parts) -> Mapping[str, Kind]:
        """See Tree."""
        try:
            folder = self._descend(at)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise _refused(at, error) from None
        try:
            with os.scandir(folder) as entries:
                return {entry.name: _kind(entry) for entry in sorted(entries, key=_by_name)}
        except OSError as error:
            raise _refused(at, error) from None
        finally:
            os.close(folder)

    def read(self, at: Parts, limit: int) -> bytes:
        """See Tree."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        try:
            folder = self._descend(at[:-1])
            try:
                # Looked at before it is opened, because opening a device can act.
                if not stat.S_ISREG(os.stat(at[-1], dir_fd=folder, follow_symlinks=False).st_mode):
                    raise irregular(at[-1])
                descriptor = os.open(at[-1], flags, dir_fd=folder)
            finally:
                os.close(folder)
            with open(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise irregular(at[-1])
                return file.read(limit + 1)
        except OSError as error:
            raise _refused(at, error) from None

    def _descend(self, at: Parts) -> int:
        current = os.dup(self._top)
        for part in at:
            try:
                following = os.open(
                    part,
                    os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC,
                    dir_fd=current,
                )
            finally:
                os.close(current)
            current = following
        return current


class Below:
    """A folder of another tree, as a tree."""

    def __init__(self, tree: Tree, base: Parts) -> None:
        self._tree = tree
        self._base = base

    def names(self, at: Parts) -> Mapping[str, Kind]:
        """See Tree."""
        return self._tree.names((*self._base, *at))

    def read(self, at: Parts, limit: int) -> bytes:
        """See Tree."""
        return self._tree.read((*self._base, *at), limit)


class Picked:
    """Some files of another tree, each under a name of its own, as one flat folder."""

    def __init__(self, tree: Tree, files: Mapping[str, Parts]) -> None:
        self._tree = tree
        self._files = dict(files)

    def names(self, at: Parts) -> Mapping[str, Kind]:
        """See Tree."""
        if at:
            return {}
        return {
            name: self._tree.names(path[:-1]).get(path[-1], Kind.OTHER)
            for name, path in self._files.items()
        }

    def read(self, at: Parts, limit: int) -> bytes:
        """See Tree."""
        return self._tree.read(self._files["/".join(at)], limit)


def irregular(name: str) -> Unreadable:
    """What to say of a link, a pipe, a device."""
    return Unreadable(
        f"{name} is not a regular file (links, pipes and devices are not read)",
        "hand in the file itself, not a link to it",
    )


def _refused(at: Parts, error: OSError) -> Unreadable:
    return Unreadable(
        f"{'/'.join(at) or 'the folder'} cannot be read: {error.strerror}", "check its rights"
    )


def _by_name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _kind(entry: os.DirEntry[str]) -> Kind:
    if entry.is_dir(follow_symlinks=False):
        return Kind.FOLDER
    return Kind.FILE if entry.is_file(follow_symlinks=False) else Kind.OTHER
