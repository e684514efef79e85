"""A program as its author has it: saved again before each grading, with something changed."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from wakelab.labs import Lab


class Edited:
    """A copy of a lab's reference in a new `folder`."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        shutil.copytree(lab.reference, folder)
        self.folder = folder
        self._file = folder / next(name for name in lab.files if name.endswith(".c"))
        self._source = self._file.read_text(encoding="utf-8")

    def save(self) -> None:
        """With a comment that it never had before, so that nothing of it is known (see
        wakelab.kept_builds). As an editor does that puts a new file in the old one's place."""
        new = self.folder / "new"
        new.write_text(f"{self._source}\n/* {secrets.token_hex(8)} */\n", encoding="utf-8")
        new.replace(self._file)
