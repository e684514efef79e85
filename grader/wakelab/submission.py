"""Takes in what a student hands in. Hostile until proven otherwise.

Only the files that the lab names are looked at, only regular ones are read, never through a
symbolic link below the path that was typed, and never more than a limit.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wakelab.errors import UserError
from wakelab.labs import Lab, all_labs

MAX_FILE_BYTES = 256 * 1024

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@dataclass(frozen=True)
class Problem:
    """Why a submission cannot be built, as a sentence, and what its author does next."""

    what: str
    next_step: str


@dataclass(frozen=True)
class SourceFile:
    """One file handed in: its plain name, its exact bytes, their SHA-256 in hex."""

    name: str
    data: bytes
    sha256: str


@dataclass(frozen=True)
class Submission:
    """What was handed in.

    name     the last part of the path, for people
    files    in the lab's order; complete exactly when `problem` is None
    sha256   over names and contents of all files, in hex; independent of where they lay
    problem  the student's mistake that leaves nothing to build, or None
    """

    name: str
    files: tuple[SourceFile, ...]
    sha256: str
    problem: Problem | None


class _Unfit(Exception):
    """A file that cannot be taken; carries the problem."""

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(what)
        self.problem = Problem(what, next_step)


def collect(lab: Lab, path: Path) -> Submission:
    """Read the lab's files from a folder that holds just them, or from a whole checkout.

    Raises UserError when there is no such folder; a student's mistake becomes `problem` instead.
    """
    top = _open_top(path)
    try:
        files, problem = _collect_below(top, lab)
    finally:
        os.close(top)
    return Submission(path.resolve().name or "submission", files, _combined_hash(files), problem)


def submission_of(lab: Lab, name: str, contents: Mapping[str, bytes]) -> Submission:
    """What was handed in, from its contents: whoever read them did so within MAX_FILE_BYTES + 1.

    `contents` has at least one of the lab's files; the others count as missing, and files that are
    not the lab's are left out. A student's mistake becomes `problem`.
    """
    files: list[SourceFile] = []
    problem = _missing_files(lab, [each for each in lab.files if each not in contents])
    try:
        for each in lab.files if problem is None else ():
            files.append(_source_file(each, contents[each]))
    except _Unfit as unfit:
        problem = unfit.problem
    taken = tuple(files)
    return Submission(name, taken, _combined_hash(taken), problem)


def unreadable(name: str, what: str, next_step: str) -> Submission:
    """A submission of which nothing can be taken."""
    return Submission(name, (), _combined_hash(()), Problem(what, next_step))


def _open_top(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        what, advice = "there is no such folder", "check the path after SUBMISSION="
    except NotADirectoryError:
        what, advice = "a submission is a folder, and this is none", "give the folder it lies in"
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        what, advice = f"the folder cannot be opened: {reason}", "check the path and its rights"
    raise UserError(what, str(path), advice)


def _collect_below(top: int, lab: Lab) -> tuple[tuple[SourceFile, ...], Problem | None]:
    if any(_exists(top, name) for name in lab.files):
        return _read_all(top, lab)
    try:
        nested = _open_nested(top, ("lab", lab.directory.name))
    except _Unfit as unfit:
        return (), unfit.problem
    if nested is None:
        if (other := _other_lab(lab, set(os.listdir(top)))) is not None:
            return (), Problem(
                f"these are the files of lab {other.number}, and this is lab {lab.number}: there is"
                f" no {' and no '.join(lab.files)}",
                f"make grade LAB={other.number}; or hand in {' and '.join(lab.files)}",
            )
        return (), Problem(
            "nothing is handed in: the folder is empty"
            if not os.listdir(top)
            else f"the folder holds no {' and no '.join(lab.files)}",
            f"hand in {' and '.join(lab.files)}, "
            f"or a whole checkout with lab/{lab.directory.name}/ in it",
        )
    try:
        return _read_all(nested, lab)
    finally:
        os.close(nested)


def _other_lab(lab: Lab, names: set[str]) -> Lab | None:
    """The lab whose files these are, all of them, and not this one's."""
    others = (each for each in all_labs(lab.directory.parents[1]) if each.number != lab.number)
    return next((each for each in others if names.issuperset(each.files)), None)


def _exists(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # there, but out of reach: reading it will say why
    return True


def _open_nested(top: int, parts: tuple[str, ...]) -> int | None:
    """The folder below `top`, without following a link; None when it is not there."""
    current = os.dup(top)
    for depth, part in enumerate(parts, 1):
        shown = "/".join(parts[:depth])
        try:
            following = os.open(part, _DIRECTORY, dir_fd=current)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise _Unfit(
                    f"{shown} is not a folder (a link is not followed)",
                    "put the real folder there",
                ) from None
            raise _Unfit(
                f"{shown} cannot be opened: {error.strerror}", "check its rights"
            ) from None
        finally:
            os.close(current)
        current = following
    return current


def _read_all(directory: int, lab: Lab) -> tuple[tuple[SourceFile, ...], Problem | None]:
    missing = _missing_files(lab, [name for name in lab.files if not _exists(directory, name)])
    if missing is not None:
        return (), missing
    files: list[SourceFile] = []
    for name in lab.files:
        try:
            files.append(_source_file(name, _read_file(directory, name)))
        except _Unfit as unfit:
            return tuple(files), unfit.problem
    return tuple(files), None


def _missing_files(lab: Lab, missing: Sequence[str]) -> Problem | None:
    if not missing:
        return None
    return Problem(
        f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing",
        f"hand in {' and '.join(lab.files)} together, spelled exactly so",
    )


def _read_file(directory: int, name: str) -> bytes:
    descriptor = _open_regular(directory, name)
    try:
        return _read_limited(descriptor, name)
    finally:
        os.close(descriptor)


def _source_file(name: str, data: bytes) -> SourceFile:
    """The file, if its content is fit for a compiler. Raises _Unfit."""
    if len(data) > MAX_FILE_BYTES:
        raise _Unfit(
            f"{name} is larger than {MAX_FILE_BYTES // 1024} KiB",
            "hand in your own source code only",
        )
    if not data.strip():
        raise _Unfit(f"{name} is empty", "start from the lab's file of that name")
    if b"\0" in data:
        raise _Unfit(
            f"{name} is not a text file: it holds NUL bytes",
            "save it as UTF-8 text (not UTF-16), and hand in the source, not the object file",
        )
    return SourceFile(name, data, hashlib.sha256(data).hexdigest())


def _open_regular(directory: int, name: str) -> int:
    """A descriptor of a regular file. Looks before it opens, because opening a device can act."""
    irregular = _Unfit(
        f"{name} is not a regular file (links, pipes and devices are not read)",
        f"put the file itself there, not a link to it: cp --dereference {name} …",
    )
    try:
        if not stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            raise irregular
        descriptor = os.open(name, _FILE, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise irregular from None
        raise _Unfit(
            f"{name} cannot be read: {error.strerror}", f"check its rights: chmod u+r {name}"
        ) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # swapped in between
        os.close(descriptor)
        raise irregular
    return descriptor


def _read_limited(descriptor: int, name: str) -> bytes:
    data = b""
    try:
        while len(data) <= MAX_FILE_BYTES:
            chunk = os.read(descriptor, MAX_FILE_BYTES + 1 - len(data))
            if not chunk:
                break
            data += chunk
    except OSError as error:
        raise _Unfit(f"{name} cannot be read: {error.strerror}", "hand it in again") from None
    return data


def _combined_hash(files: tuple[SourceFile, ...]) -> str:
    combined = hashlib.sha256()
    for file in files:
        combined.update(f"{file.sha256}  {file.name}\n".encode())
    return combined.hexdigest()
