"""`wakelab verify`: grade again, and compare with a report bit by bit.

A report proves nothing by itself; anybody can write one. It is right when the submission, graded
again by this wakelab, gives the same bits. The name under which it was handed in is for people and
comes from a folder, so it is told and not compared: what ties a report to a submission is the hash.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wakelab.confinement import Confinement
from wakelab.errors import InfraError, UserError
from wakelab.grade import grade_submission
from wakelab.labs import load_lab
from wakelab.points import NO_CHANGES, PointsPlan
from wakelab.render import safe_text
from wakelab.report import Report, Verdict, from_json, read_bytes, to_json
from wakelab.submission import collect
from wakelab.sweep_option import SWEEP_MODES

if TYPE_CHECKING:
    from rich.console import Console

MAX_SHOWN = 20

_NOTHING = "nothing"


@dataclass(frozen=True)
class Difference:
    """One place at which two reports differ: its path, and both values as JSON, or "nothing"."""

    path: str
    claimed: str
    found: str


@dataclass(frozen=True)
class Verification:
    """What came of grading again.

    differences  in the order in which they help: versions, hashes, the sums, then the checks
    rewritten    the content is right, but the file is not as wakelab writes it
    claimed      the report's name of the submission
    found        what the submission is called here
    """

    differences: tuple[Difference, ...]
    rewritten: bool
    claimed: str
    found: str

    @property
    def same(self) -> bool:
        """Whether the report is what this wakelab writes for this submission."""
        return not self.differences and not self.rewritten


def verify(
    root: Path,
    path: Path,
    folder: Path,
    confinement: Confinement,
    points: PointsPlan = NO_CHANGES,
) -> Verification:
    """Grade the submission in `folder` again, as the report at `path` says it was graded.

    Raises UserError where there is no such report or submission, or where the report needs an
    instructor's points that were not given; InfraError where grading again came to nothing.
    """
    data = read_bytes(path)
    claimed = from_json(data, str(path))
    if "points" in claimed.hashes and points is NO_CHANGES:
        raise UserError(
            "the report was made with an instructor's own points, and they were not given",
            str(path),
            "add --points FILE (POINTS=FILE with make)",
        )
    if unknown := [mode for mode in claimed.modes if mode not in SWEEP_MODES]:
        raise UserError(
            f"the report was made with a mode that this wakelab has not: {safe_text(unknown[0])}",
            str(path),
            f"modes: {', '.join(SWEEP_MODES)}",
        )
    lab = load_lab(root, claimed.lab)
    found = grade_submission(root, lab, collect(lab, folder), confinement, claimed.modes, points)
    if found.verdict is Verdict.INFRA:
        trouble = next(check for check in found.checks if check.verdict is Verdict.INFRA)
        raise InfraError(
            f"the submission could not be graded again: {safe_text(trouble.seen)}",
            str(folder),
            "make doctor, then verify again",
        )
    return compare(data, claimed, found)


def compare(data: bytes, claimed: Report, found: Report) -> Verification:
    """The report `claimed`, whose file holds `data`, beside what grading again `found`."""
    named = replace(found, submission=claimed.submission)
    differences = tuple(_differences(claimed, named))
    rewritten = not differences and data != to_json(named).encode("ascii")
    return Verification(differences, rewritten, claimed.submission, found.submission)


def render_verification(verification: Verification, path: Path, console: Console) -> None:
    """Print what came of it. Everything from the report is hostile."""

    def say(text: str, style: str = "", indent: str = "") -> None:
        console.print(f"{indent}{text}", style=style, markup=False, soft_wrap=True)

    name = safe_text(str(path))
    if verification.same:
        say(f"the same: {name} is what this submission gets, bit by bit", "green")
    elif verification.rewritten:
        say(f"differs: {name} is not as wakelab wrote it", "red")
        say("The content is right. Somebody has written the file again, or edited it;", indent="  ")
        say("two programs that read it may read different things.", indent="  ")
    else:
        say(f"differs: {name} is not what this submission gets", "red")
        for difference in verification.differences[:MAX_SHOWN]:
            say(f"{safe_text(difference.path)}", "bold", "  ")
            say(f"report  {difference.claimed}", indent="    ")
            say(f"again   {difference.found}", indent="    ")
        if (more := len(verification.differences) - MAX_SHOWN) > 0:
            say(f"and {more} more", "dim", "  ")
        for line in _explained(verification.differences):
            say(line, indent="  ")
    if verification.claimed != verification.found:
        say(
            f"note: the report says {safe_text(verification.claimed, 60)!r}, the folder "
            f"{safe_text(verification.found, 60)!r}; names are not compared, the hash is",
            "dim",
        )


def _explained(differences: tuple[Difference, ...]) -> Iterator[str]:
    paths = [each.path for each in differences]
    if "hashes.submission" in paths:
        yield "The report is about another submission than this one."
    tools = [path.startswith(("versions.", "hashes.grader", "hashes.lab")) for path in paths]
    if any(tools):
        yield "Another wakelab, or other tools, made the report. That alone explains"
        yield "nothing away: verify with the versions that it names, to know the rest."
    if all(tools):
        yield "Nothing else differs: verdicts, points and traces are the same here."


_ORDER = ("schema", "lab", "versions", "hashes", "modes", "verdict", "points", "max_points")


def _differences(claimed: Report, found: Report) -> Iterator[Difference]:
    one, two = json.loads(to_json(claimed)), json.loads(to_json(found))
    rest = [key for key in one if key not in _ORDER]
    for key in (*_ORDER, *rest):
        yield from _between(key, one[key], two[key])


def _between(path: str, one: object, two: object) -> Iterator[Difference]:
    if isinstance(one, dict) and isinstance(two, dict):
        for key in sorted(one.keys() | two.keys()):
            yield from _between(f"{path}.{key}", one.get(key, _Absent), two.get(key, _Absent))
    elif isinstance(one, list) and isinstance(two, list):
        for at in range(max(len(one), len(two))):
            left = one[at] if at < len(one) else _Absent
            right = two[at] if at < len(two) else _Absent
            yield from _between(f"{path}[{at}]", left, right)
    elif type(one) is not type(two) or one != two:
        yield Difference(path, _shown(one), _shown(two))


class _Absent:
    """Stands for a key or an item that one of the two has not."""


def _shown(value: object) -> str:
    if value is _Absent:
        return _NOTHING
    return safe_text(json.dumps(value, sort_keys=True), 200)
