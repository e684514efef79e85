"""What a verdict rests on beside the submission, as hashes: who graded, and what was linked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from wakelab.labs import Lab, header_folders

# What is read when wakelab grades. Caches, notes and what an editor leaves beside are not.
_DECIDES = frozenset({".py", ".json", ".toml", ".c", ".h", ".ld", ".S", ".yaml"})
_LINKED = frozenset({".c", ".h", ".ld", ".S"})
_HEADERS = frozenset({".h"})


def grader_hash(root: Path, lab: Lab) -> str:
    """SHA-256 over all that decides a verdict: the grader and the bench, the sweep's part inside
    the guest, the lab's checks and its lab.toml, and the versions of the libraries."""
    return _combined(
        root,
        [
            *_below(root / "grader" / "wakelab", _DECIDES),
            *_below(root / "qemu" / "wakebench", _DECIDES),
            *_below(root / "qemu" / "sweep", _DECIDES),
            *_below(root / "grader" / "checks" / lab.slug, _DECIDES),
            *_beside(root / "grader" / "checks", _DECIDES),
            lab.directory / "lab.toml",
            root / "requirements.lock",
        ],
    )


def lab_hash(root: Path, lab: Lab) -> str:
    """SHA-256 over what is compiled beside the submission: the board, the async core, references
    of earlier labs, and what the exercise gives."""
    given = [path for path in _beside(lab.directory, _LINKED) if path.name not in lab.files]
    references = [
        path
        for number in lab.builds_on
        for folder in sorted((root / "solution").glob(f"{number}-*/"))
        for path in _beside(folder, _LINKED)
    ]
    return _combined(
        root,
        [
            *_below(root / "lab" / "board", _LINKED),
            *_beside(root / "lab" / "async", _LINKED),
            *(
                path
                for name in header_folders(root, lab)
                for path in _beside(root / name, _HEADERS)
                if path.name not in lab.files
            ),
            *references,
            *given,
        ],
    )


def _below(folder: Path, kinds: frozenset[str]) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix in kinds and path.is_file()]


def _beside(folder: Path, kinds: frozenset[str]) -> list[Path]:
    return [path for path in folder.glob("*") if path.suffix in kinds and path.is_file()]


def _combined(root: Path, paths: Iterable[Path]) -> str:
    """Over names and contents, in the names' order; the same wherever the checkout lies."""
    files = {path.relative_to(root).as_posix(): path for path in paths if path.is_file()}
    combined = hashlib.sha256()
    for name, path in sorted(files.items()):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        combined.update(f"{digest}  {name}\n".encode())
    return combined.hexdigest()
