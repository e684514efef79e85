"""A new lab from the template in grader/template/: a folder each in lab/, solution/,
grader/checks/ and grader/corpus/; nothing else is touched."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from wakelab.errors import UserError

PARTS = {
    "lab": "lab",
    "solution": "solution",
    "checks": "grader/checks",
    "corpus": "grader/corpus",
}
"""Folder of the template, and where it goes."""

_NAME = re.compile(r"\d\d-[a-z0-9]+(?:-[a-z0-9]+)*")


def make_lab(root: Path, name: str) -> list[Path]:
    """The folders that were made. Raises UserError, and then none was."""
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} is no name for a lab", next_step="two digits and a name, as 13-mine"
        )
    taken = sorted((root / "lab").glob(f"{name[:2]}-*"))
    targets = {part: root / home / name for part, home in PARTS.items()}
    taken += [target for target in targets.values() if target.exists()]
    if taken:
        raise UserError(f"lab {name[:2]} is there already", str(taken[0]), "take another number")
    for part, target in targets.items():
        shutil.copytree(root / "grader" / "template" / part, target)
    return list(targets.values())
