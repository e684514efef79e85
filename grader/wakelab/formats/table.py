"""One report as a table, a line for each check, for the instructor's spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator

from wakelab.formats.cells import to_table
from wakelab.formats.format import Surroundings
from wakelab.report import Report

HEAD = (
    "lab", "submission", "check", "title", "verdict", "points", "max_points", "visibility",
    "diagnosis", "level", "expected", "seen", "why", "hint", "file", "line", "trace_hash",
    "submission_sha256",
)  # fmt: skip


def to_csv(report: Report, _: Surroundings) -> str:
    """Everything is in it, hidden or not."""
    return to_table(HEAD, _rows(report))


def _rows(report: Report) -> Iterator[tuple[str | int, ...]]:
    for check in report.checks:
        place = check.place
        yield (
            report.lab,
            report.submission,
            check.id,
            check.title,
            str(check.verdict),
            check.points,
            check.max_points,
            str(check.visibility),
            check.diagnosis,
            check.level,
            check.expected,
            check.seen,
            check.why,
            check.hint,
            place.file if place else "",
            place.line if place else "",
            check.trace_hash,
            report.hashes.get("submission", ""),
        )
