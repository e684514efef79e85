"""Reports on disk: what was graded is there, whole, whatever happens next.

A file is written beside its place, flushed to the disk, and then given its name; the folder is
flushed, too. So after a crash a report is there as a whole or not at all.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from wakelab.errors import UserError
from wakelab.report import Report, Verdict, from_json, to_json

_SCHEMA = "wakelab/cached-report/v1"


def write_durably(path: Path, text: str) -> None:
    """Replace a file in one step that a power cut does not undo. Raises OSError."""
    folder = path.parent
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=folder)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Cache:
    """Reports by what they were made of. What no longer reads as it was written is not believed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> Report | None:
        """The report filed under `key`, without a name; None where there is none, or a damaged
        one."""
        try:
            envelope = json.loads(self._path(key).read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(envelope, dict) or envelope.get("schema") != _SCHEMA:
            return None
        text = envelope.get("report")
        if envelope.get("key") != key or not isinstance(text, str):
            return None
        if envelope.get("sha256") != _digest(key, text):
            return None
        try:
            return from_json(text)
        except UserError:
            return None

    def put(self, key: str, report: Report) -> None:
        """File a report. One that is our own failure is not kept: the next grading tries again.
        Raises OSError."""
        if report.verdict is Verdict.INFRA:
            return
        text = to_json(replace(report, submission=""))
        envelope = {"schema": _SCHEMA, "key": key, "sha256": _digest(key, text), "report": text}
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, json.dumps(envelope, sort_keys=True) + "\n")

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json"


def _digest(key: str, text: str) -> str:
    return hashlib.sha256(f"{key}\n{text}".encode()).hexdigest()


class Results:
    """The folder that the instructor gets; one grading at a time writes into it. Use it in a
    `with`.

    Everything raises UserError where it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reports = folder / "results"
        self._lock: int | None = None
        try:
            self._reports.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Now, and not after the first hour of grading.
            with tempfile.TemporaryFile(dir=self._reports) as probe:
                probe.write(b"\0" * 4096)
                probe.flush()
                os.fsync(probe.fileno())
        except BlockingIOError:
            self.close()
            raise UserError(
                "another grading is writing into this folder",
                str(folder),
                "wait for it, or choose another folder with OUT=",
            ) from None
        except OSError as error:
            self.close()
            raise self._refused(error) from None

    def close(self) -> None:
        """Let others write."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def keep(self, key: str, report: Report) -> None:
        """Write a student's report, unless it is there already."""
        self.write(f"results/{key}.json", to_json(report))

    def write(self, name: str, text: str) -> None:
        """Write a file of the folder, unless it is there already."""
        path = self._folder / name
        try:
            if path.is_file() and path.read_bytes() == text.encode():
                return
            write_durably(path, text)
        except OSError as error:
            raise self._refused(error) from None

    def forget_others(self, keys: frozenset[str]) -> None:
        """Remove reports of students who are no longer in the class, and what a crash left over."""
        try:
            for path in self._reports.iterdir():
                if path.name.removesuffix(".json") not in keys:
                    path.unlink()
        except OSError as error:
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> UserError:
        return UserError(
            f"results cannot be written: {error.strerror}",
            str(self._folder),
            "make room or choose another folder with OUT=, then the same command again: what was "
            "graded is not graded again",
        )
