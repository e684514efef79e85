"""The corpus: submissions that must fail with their own sentence, and that must pass.

A case is a folder in grader/corpus/LAB/{wrong,right}/ with the student's files and expected.toml:

    idea = "Tells the task first, acknowledges last."
    main = "reference"               # this file is the reference's, not in the folder
    check = "two-quick"              # the first check that fails; this and below only in wrong/
    verdict = "lost-wake"
    diagnosis = "late-acknowledge"   # "" where none is needed
    sentence = "acknowledged both"   # a piece of why, or of what was seen

or an entry in grader/corpus/LAB/mistakes.toml, under [[wrong]] or [[right]], with a name, the same
keys, and what is different from the reference:

    edits = [["button_interrupt.c", "old text", "new text"], …]

where the old text stands in the reference once. An empty old text stands for the whole file.
"""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wakelab.errors import UserError
from wakelab.labs import Lab

Edit = tuple[str, str, str]


@dataclass(frozen=True)
class Case:
    """One submission of the corpus, and what must come of it.

    folder    with its files; None where it is the reference with `edits`
    expected  what is written about it
    """

    lab: Lab
    name: str
    wrong: bool
    expected: Mapping[str, str]
    folder: Path | None = None
    edits: tuple[Edit, ...] = ()

    @property
    def id(self) -> str:
        """For people and for pytest."""
        return f"{self.lab.number}-{self.name}"

    def assemble(self, into: Path) -> Path:
        """Write the submission into a folder, which is made. Raises UserError where the corpus does
        not fit the reference."""
        into.mkdir(parents=True)
        for name in self.lab.files:
            if (
                self.folder is not None
                and self.expected.get(name.rpartition(".")[0]) != "reference"
            ):
                shutil.copyfile(self.folder / name, into / name)
            else:
                text = (self.lab.reference / name).read_text("utf-8")
                (into / name).write_text(self._edited(name, text), "utf-8")
        return into

    def _edited(self, name: str, text: str) -> str:
        for file, old, new in self.edits:
            if file != name:
                continue
            if old and text.count(old) != 1:
                raise UserError(
                    f"{self.id}: its text is in the reference {text.count(old)} times",
                    str(self.lab.reference / name),
                    f"mend the edit in grader/corpus/{self.lab.slug}/mistakes.toml: {old!r}",
                )
            text = text.replace(old, new) if old else new
        return text


def cases_of(root: Path, lab: Lab) -> list[Case]:
    """Every case of a lab, the wrong ones first. Raises UserError."""
    folder = root / "grader" / "corpus" / lab.slug
    found = [*_in_folders(lab, folder), *_in_table(lab, folder / "mistakes.toml")]
    return sorted(found, key=lambda case: (not case.wrong, case.name))


def _in_folders(lab: Lab, corpus: Path) -> Iterator[Case]:
    for kind in ("wrong", "right"):
        for folder in sorted(corpus.glob(f"{kind}/*/")):
            yield Case(lab, folder.name, kind == "wrong", _read(folder / "expected.toml"), folder)


def _in_table(lab: Lab, path: Path) -> Iterator[Case]:
    table = _read(path) if path.is_file() else {}
    for kind in ("wrong", "right"):
        for entry in table.get(kind, []):
            said = {key: value for key, value in entry.items() if isinstance(value, str)}
            edits = tuple((file, old, new) for file, old, new in entry["edits"])
            yield Case(lab, entry["name"], kind == "wrong", said, None, edits)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"not valid TOML: {error}", str(path), "correct it") from None
