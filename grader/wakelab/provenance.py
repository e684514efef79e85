"""What a verdict rests on beside the submission, as hashes: who graded, and what was linked."""

from __future__ import annotations

import hashlib
import os
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
    given = [
        path for path in _beside(lab.directory, _LINKED) if os.path.basename(path) not in lab.files
    ]
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
                if os.path.basename(path) not in lab.files
            ),
            *references,
            *given,
        ],
    )


def _below(folder: Path, kinds: frozenset[str]) -> list[str]:
    return [
        os.path.join(where, name)
        for where, _, names in os.walk(folder)
        for name in names
        if os.path.splitext(name)[1] in kinds
    ]


def _beside(folder: Path, kinds: frozenset[str]) -> list[str]:
    try:
        names = os.listdir(folder)
    except OSError:  # there is none
        return []
    return [os.path.join(folder, name) for name in names if os.path.splitext(name)[1] in kinds]


def _combined(root: Path, paths: Iterable[str | Path]) -> str:
    """Over names and contents, in the names' order; the same wherever the checkout lies. Names are
    strings here: as paths they would take as long as the rest."""
    above = os.path.join(root, "")
    files = {str(path).removeprefix(above).replace(os.sep, "/"): path for path in paths}
    combined = hashlib.sha256()
    for name, path in sorted(files.items()):
        if os.path.isfile(path):
            with open(path, "rb", buffering=0) as file:
                digest = hashlib.sha256(file.read()).hexdigest()
            combined.update(f"{digest}  {name}\n".encode())
    return combined.hexdigest()
