"""PrairieLearn's `results.json`, at most 1 MB.

Source: docs of PrairieLearn, "External grading". Its page escapes HTML in every text it shows.
"""

from __future__ import annotations

from typing import Any

from wakelab.formats.format import Surroundings
from wakelab.formats.words import (
    NOT_GRADED,
    as_json,
    clean,
    details,
    headline,
    line,
    message_line,
    reason,
    trouble,
)
from wakelab.report import CheckResult, Report, Verdict

MAX_BYTES = 1_000_000


def to_prairielearn(report: Report, _: Surroundings) -> str:
    """What does not compile, or we could not grade, is "not gradable" and costs no attempt."""
    if why := trouble(report):
        return _ungradable([NOT_GRADED, why])
    if report.verdict is Verdict.BUILD:
        errors = [each for each in report.compiler_messages if each.severity == "error"]
        broken = next(check for check in report.checks if check.verdict is Verdict.BUILD)
        return _ungradable([*map(message_line, errors[:20]), reason(broken)])
    for limit in (4000, 1000, 250, 0):
        text = as_json(_result(report, limit))
        if len(text) <= MAX_BYTES:
            break
    return text


def _ungradable(errors: list[str]) -> str:
    return as_json({"gradable": False, "format_errors": [clean(each) for each in errors]})


def _result(report: Report, limit: int) -> dict[str, Any]:
    share = report.points / report.max_points if report.max_points else 0.0
    return {
        "gradable": True,
        "score": round(share, 6),
        "message": headline(report),
        "output": "\n".join(map(message_line, report.compiler_messages[:50])),
        "tests": [_test(check, limit) for check in report.checks],
    }


def _test(check: CheckResult, limit: int) -> dict[str, Any]:
    return {
        "name": line(check.title, 200),
        "points": check.points,
        "max_points": check.max_points,
        "message": "" if check.verdict is Verdict.PASS else str(check.verdict),
        "output": details(check, limit) if limit else "",
    }
