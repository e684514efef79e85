"""The zip that an instructor uploads to Gradescope.

It holds what git tracks of the parts that grade one lab, as they are in the checkout, and nothing
else: no reference of that lab, no other lab's checks, nothing that merely lies about. The same
checkout gives the same bytes.
"""

from __future__ import annotations

import io
import os
import stat
import subprocess
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wakelab.errors import UserError
from wakelab.grade import plan_of
from wakelab.labs import Lab, header_folders
from wakelab.points import NO_CHANGES, load_points
from wakelab.running import checks_of

SCRIPTS = ("setup.sh", "run_autograder")
_EXECUTABLE, _PLAIN = 0o755, 0o644
# No date of a file is in the zip; this is the oldest that the format can say.
_NO_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Autograder:
    """What the zip is to do.

    points     the instructor's file of points, or None
    sweep      modes of the sweep on top of the lab's own
    trust      whether submissions run without the sandbox, for containers that allow none
    """

    points: Path | None = None
    sweep: tuple[str, ...] = ()
    trust: bool = False


@dataclass(frozen=True)
class _Member:
    name: str
    data: bytes
    mode: int = _PLAIN


def pack(root: Path, lab: Lab, wish: Autograder) -> bytes:
    """The zip. Raises UserError where the checkout is no git checkout, or the points are wrong."""
    members = [*_checkout(root, lab), *_scripts(root), *_wishes(root, lab, wish)]
    file = io.BytesIO()
    # Stored, not compressed: what a compressor makes depends on its version.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for member in sorted(members, key=lambda each: each.name):
            info = zipfile.ZipInfo(member.name, _NO_DATE)
            info.create_system = 3  # Unix, or the mode would not count
            info.external_attr = (stat.S_IFREG | member.mode) << 16
            archive.writestr(info, member.data)
    return file.getvalue()


def _checkout(root: Path, lab: Lab) -> Iterable[_Member]:
    names = _tracked(root, _parts(root, lab))
    if not any(name.startswith(f"lab/{lab.slug}/") for name in names):
        raise UserError(
            f"git does not track lab/{lab.slug}, so there is nothing to pack",
            str(root),
            "git add it first",
        )
    for name in names:
        path = root / name
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            raise UserError("not a regular file, so it cannot be packed", str(path), "replace it")
        yield _Member(
            f"wakelab/{name}",
            path.read_bytes(),
            _EXECUTABLE if mode & stat.S_IXUSR else _PLAIN,
        )


def _parts(root: Path, lab: Lab) -> list[str]:
    """What grading the lab reads. The references of earlier labs are linked in; its own is not."""
    references = [
        path.relative_to(root).as_posix()
        for number in lab.builds_on
        for path in sorted((root / "solution").glob(f"{number}-*/"))
    ]
    headers = [
        f":(glob){folder}/{name}"
        for folder in header_folders(root, lab)
        for name in ("*.h", "lab.toml")
    ]
    return [
        "LICENSE", "Makefile", "pyproject.toml", "requirements.lock",
        "grader/setup.sh", "grader/doctor.sh", "grader/wakelab",
        f"grader/checks/{lab.slug}", ":(glob)grader/checks/*.py",
        "qemu/wakebench", "qemu/sweep",
        "lab/board", ":(glob)lab/async/*", f"lab/{lab.slug}", *headers, *references,
    ]  # fmt: skip


def _tracked(root: Path, parts: Sequence[str]) -> list[str]:
    """Names below `root` that git tracks and that are there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--", *parts],
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=True,
        )
    except FileNotFoundError:
        raise UserError("git is not installed", next_step="apt-get install git") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise UserError(
            f"git does not tell which files belong to wakelab: {said}",
            str(root),
            "pack from a git checkout of wakelab (git clone)",
        ) from None
    except subprocess.TimeoutExpired:
        raise UserError("git did not answer within a minute", str(root)) from None
    names = [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    return [name for name in names if os.path.lexists(root / name)]


def _scripts(root: Path) -> Iterable[_Member]:
    folder = root / "grader" / "wakelab" / "autograder"
    for name in SCRIPTS:
        yield _Member(name, (folder / name).read_bytes(), _EXECUTABLE)


def _wishes(root: Path, lab: Lab, wish: Autograder) -> Iterable[_Member]:
    points = load_points(wish.points) if wish.points is not None else NO_CHANGES
    plan_of(lab, checks_of(root, lab), points)  # or each submission would find it wrong
    arguments = ["--lab", lab.number]
    for mode in wish.sweep:
        arguments += ["--sweep", mode]
    if wish.trust:
        arguments.append("--trust-this-code")
    yield _Member("arguments", "".join(f"{each}\n" for each in arguments).encode())
    yield _Member("lab", f"{lab.slug}\n".encode())
    if wish.points is not None:
        yield _Member("points.toml", wish.points.read_bytes())
