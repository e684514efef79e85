"""Programs that were built before, for who grades, replays or debugs the same files again.

One file each, by a hash of all that went in. It is only as good as what the compiler made of those
very files, whoever handed them in: nothing of it is used for other files, so a file that broke out
of the compiler has nothing to gain here that it had not before.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from wakelab.report import CompilerMessage

MOST = 400
"""Programs kept; the ones not used for longest go first. Four to a submission, 60 kB each."""


class KeptBuild(NamedTuple):
    """A program that was linked, and what the compiler said of it."""

    elf: bytes
    messages: tuple[CompilerMessage, ...]


class KeptBuilds:
    """A folder of them. What cannot be read or written is not there: it is built again."""

    def __init__(self, folder: Path, most: int = MOST) -> None:
        self._folder = folder
        self._most = most

    def find(self, key: str) -> KeptBuild | None:
        """The one with that key. A damaged one is none."""
        path = self._folder / key
        try:
            checksum, said, elf = path.read_bytes().split(b"\n", 2)
            if checksum.decode() != _checksum(said, elf):
                return None
            messages = tuple(CompilerMessage(**each) for each in json.loads(said))
        except (OSError, ValueError, TypeError):
            return None
        with suppress(OSError):
            os.utime(path)
        return KeptBuild(elf, messages)

    def has(self, key: str) -> bool:
        """Whether there is one, as far as can be told without reading it."""
        return (self._folder / key).is_file()

    def keep(self, key: str, build: KeptBuild) -> None:
        """Whole, or not at all."""
        said = json.dumps([asdict(each) for each in build.messages]).encode()
        fresh = self._folder / f".new-{secrets.token_hex(8)}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            fresh.write_bytes(b"\n".join((_checksum(said, build.elf).encode(), said, build.elf)))
            os.replace(fresh, self._folder / key)
            self._drop_the_oldest()
        except OSError:
            with suppress(OSError):
                fresh.unlink()

    def _drop_the_oldest(self) -> None:
        kept = list(self._folder.iterdir())
        if len(kept) > self._most:
            kept.sort(key=lambda path: path.stat().st_mtime_ns)
            for path in kept[: len(kept) - self._most]:
                path.unlink(missing_ok=True)


def _checksum(said: bytes, elf: bytes) -> str:
    return hashlib.sha256(said + b"\n" + elf).hexdigest()
