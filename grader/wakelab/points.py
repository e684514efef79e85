"""What a check is worth, and what stays hidden until an exercise is due.

The checks bring points of their own. A lab's `lab.toml`, or a file of the instructor's, changes
them:

    hidden = ["levels"]

    [points]
    one-line = 20
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wakelab.checking import Spec, counted
from wakelab.errors import UserError
from wakelab.report import CheckResult, Report, Verdict, Visibility, overall_verdict

KEYS = ("points", "hidden")
MOST = 10_000
MAX_FILE_BYTES = 64 * 1024


@dataclass(frozen=True)
class PointsPlan:
    """Changes to what the checks say of themselves.

    points  id of a check to its points
    hidden  ids of the checks whose findings the student sees after the due date
    where   the file that says so, for errors
    sha256  of that file, when it is the instructor's own; empty for a lab.toml
    """

    points: Mapping[str, int]
    hidden: tuple[str, ...] = ()
    where: str = ""
    sha256: str = ""

    def changed_by(self, other: PointsPlan) -> PointsPlan:
        """This plan with what `other` says on top. Hidden checks are those of `other`: what is
        hidden is one decision, and to hide nothing is one, too."""
        return replace(other, points={**self.points, **other.points})

    def applied(self, spec: Spec) -> Spec:
        """The check as it counts here."""
        return replace(spec, points=self.points.get(spec.id, spec.points))

    def visibility(self, spec: Spec) -> Visibility:
        """When the student may see what this check finds."""
        return Visibility.AFTER_DUE_DATE if spec.id in self.hidden else Visibility.VISIBLE


NO_CHANGES = PointsPlan({})


def load_points(path: Path) -> PointsPlan:
    """The plan in an instructor's own file. Raises UserError."""
    where = str(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise UserError(
                f"larger than {MAX_FILE_BYTES // 1024} KiB, so it is no file of points",
                where,
                "see docs/instructors/points.md",
            )
        table = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"not valid TOML: {error}", where, "correct it") from None
    except OSError as error:
        raise UserError(
            f"the file of points cannot be read: {error.strerror}",
            where,
            "check the path after --points, or POINTS=",
        ) from None
    for key in table:
        if key not in KEYS:
            raise UserError(f"unknown key {key!r}", where, f"known: {', '.join(KEYS)}")
    return replace(read_plan(table, where), sha256=hashlib.sha256(data).hexdigest())


def read_plan(table: Mapping[str, object], where: str) -> PointsPlan:
    """The plan that a file's table holds under `points` and `hidden`. Raises UserError."""
    points = table.get("points", {})
    if not isinstance(points, dict):
        raise UserError("'points' must be a table", where, "write: [points]")
    for name, worth in points.items():
        if not isinstance(worth, int) or isinstance(worth, bool) or not 0 <= worth <= MOST:
            raise UserError(
                f"'points.{name}' is {worth!r}", where, f"write a whole number from 0 to {MOST}"
            )
    hidden = table.get("hidden", [])
    if not isinstance(hidden, list) or not all(isinstance(name, str) for name in hidden):
        raise UserError(
            "'hidden' must be a list of checks",
            where,
            'write: hidden = ["…"], above the first [table]',
        )
    if not points and "hidden" not in table:
        return NO_CHANGES
    return PointsPlan(dict(points), tuple(hidden), where)


def require_known(plan: PointsPlan, specs: Sequence[Spec]) -> None:
    """Raises UserError where a plan names a check that is not there, or hides one that a check in
    plain sight would give away."""
    known = [spec.id for spec in specs]
    named = [*((f"points.{name}", name) for name in plan.points), *_hidden_keys(plan.hidden)]
    for key, name in named:
        if name not in known:
            raise UserError(
                f"'{key}': there is no check {name!r}", plan.where, f"checks: {', '.join(known)}"
            )
    for spec in specs:
        for need in spec.needs:
            if need in plan.hidden and spec.id not in plan.hidden:
                raise UserError(
                    f"'hidden' holds {need!r}, and {spec.id!r} stands on it: where that is "
                    "skipped, everybody knows that the hidden check failed",
                    plan.where,
                    f"hide {spec.id!r}, too",
                )


def _hidden_keys(hidden: Iterable[str]) -> Iterable[tuple[str, str]]:
    return (("hidden", name) for name in hidden)


def as_the_student_sees(report: Report) -> Report:
    """The report before the due date: a hidden check is there by name, without its finding, and
    what it is worth is in no sum. The same report where nothing is hidden."""
    if all(check.visibility is not Visibility.AFTER_DUE_DATE for check in report.checks):
        return report
    shown = [check for check in report.checks if check.visibility is Visibility.VISIBLE]
    return replace(
        report,
        # Where nothing is shown there is nothing to be said of the program yet.
        verdict=overall_verdict(shown) if shown else Verdict.SKIPPED,
        points=sum(check.points for check in shown),
        max_points=sum(check.max_points for check in shown),
        checks=tuple(_withheld(check) for check in report.checks),
    )


def _withheld(check: CheckResult) -> CheckResult:
    if check.visibility is not Visibility.AFTER_DUE_DATE:
        return check
    return CheckResult(
        id=check.id,
        title=check.title,
        verdict=Verdict.SKIPPED,
        points=0,
        max_points=0,
        expected=f"worth {counted(check.max_points, 'point')}, in no sum yet",
        seen="what it found is shown after the due date",
        needs=check.needs,
        visibility=Visibility.WITHHELD,
    )
