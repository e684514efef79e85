"""The course: how far one has come in it, the hints, and one's own earlier labs.

Nothing leaves the machine, and nothing is kept but what `make grade` and `make hint` leave under
build/.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from wakelab.errors import UserError
from wakelab.labs import Lab, given_sources, load_lab
from wakelab.report import Report, read_report, write_atomically
from wakelab.submission import Submission, collect, submission_of

HINTS = 3


# -- where one stands ------------------------------------------------------------------------------


class Standing(NamedTuple):
    """A lab, and what its last report says of the files as they are now.

    report  None: never graded, or not readable any more
    stale   the files have changed since
    """

    lab: Lab
    report: Report | None
    stale: bool = False

    @property
    def done(self) -> bool:
        """Full marks, for these very files."""
        return self.full and not self.stale

    @property
    def full(self) -> bool:
        """Full marks in the last report."""
        report = self.report
        return report is not None and report.points == report.max_points > 0


def report_path(root: Path, lab: Lab) -> Path:
    """Where `make grade` leaves the report of a lab."""
    return root / "build" / "reports" / lab.number / "report.json"


def standing(root: Path, lab: Lab) -> Standing:
    """What is known of a lab in this checkout."""
    try:
        report = read_report(report_path(root, lab))
    except UserError:
        return Standing(lab, None)
    now = collect(lab, lab.directory).sha256
    return Standing(lab, report, stale=report.hashes.get("submission") != now)


def next_of(standings: Sequence[Standing]) -> Standing | None:
    """The first that is not done; None when all are."""
    return next((each for each in standings if not each.done), None)


# -- hints -----------------------------------------------------------------------------------------


def hint_files(lab: Lab) -> list[Path]:
    """Its hints, the faintest first."""
    return sorted((lab.directory / "hints").glob("[1-9].md"))


def next_hint(root: Path, lab: Lab, *, anew: bool = False) -> tuple[int, int, str]:
    """The next hint: its number, how many there are, its text; the last one again when all were
    shown. `anew`: the first one. Raises UserError where the lab has none."""
    files = hint_files(lab)
    if not files:
        raise UserError(f"lab {lab.number} has no hints", str(lab.directory / "hints"))
    kept = root / "build" / "hints" / lab.number
    shown = 0 if anew else _number_in(kept)
    number = min(shown + 1, len(files))
    text = files[number - 1].read_text("utf-8")
    write_atomically(kept, f"{number}\n")
    return number, len(files), text


def _number_in(path: Path) -> int:
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return 0
    return int(text) if re.fullmatch(r"[0-9]{1,3}", text) else 0


# -- one's own earlier labs ------------------------------------------------------------------------


def with_own_parts(root: Path, lab: Lab, folder: Path) -> tuple[Lab, Submission, tuple[str, ...]]:
    """The lab with the student's own files of earlier labs in place of the references, what is
    handed in then, and the numbers of earlier labs that are not done yet.

    folder  of the lab's files, or a whole checkout; the earlier labs' are the checkout's. What
            comes later in the course (lab 05 is tried out with 08's button) stays the reference
    """
    home = folder if (folder / "lab").is_dir() else root
    names: list[str] = []
    contents: dict[str, bytes] = {}
    missing: list[str] = []
    for number in (each for each in lab.builds_on if each < lab.number):
        earlier = load_lab(root, number)
        theirs = collect(earlier, home)
        needed = _linked_from(root, lab, earlier)
        if home == root and not standing(root, earlier).done:
            missing.append(number)
        for file in theirs.files:
            if file.name in needed:
                names.append(file.name)
                contents[file.name] = file.data
        if theirs.problem is not None:
            missing.append(number)
    own = collect(lab, folder)
    if own.problem is not None:
        return lab, own, tuple(dict.fromkeys(missing))
    contents |= {file.name: file.data for file in own.files}
    whole = replace(lab, files=(*lab.files, *dict.fromkeys(names)))
    return whole, submission_of(whole, own.name, contents), tuple(dict.fromkeys(missing))


def _linked_from(root: Path, lab: Lab, earlier: Lab) -> set[str]:
    """Names of the earlier lab's files that are linked into this one."""
    linked = {path.name for path in given_sources(root, lab) if path.parent == earlier.reference}
    headers = {name for name in earlier.files if name.endswith(".h")}
    return {name for name in earlier.files if name in linked} | headers
