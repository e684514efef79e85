"""The JSON that check50 prints, for tools that read it.

Source: cs50.github.io/check50, "JSON specification".
"""

from __future__ import annotations

from typing import Any

from wakelab.formats.format import Surroundings
from wakelab.formats.words import as_json, clean, line, message_line, reason, trouble
from wakelab.report import CheckResult, Report, Verdict


def to_check50(report: Report, _: Surroundings) -> str:
    """Where nothing was graded there is an `error` in place of the `results`."""
    page = {
        "slug": f"wakelab/{line(report.lab)}",
        "version": line(report.versions.get("wakelab", "0")),
    }
    if why := trouble(report):
        error = {"type": "InfraError", "value": why, "traceback": [], "data": {}}
        return as_json({**page, "error": error})
    return as_json({**page, "results": [_result(report, check) for check in report.checks]})


def _result(report: Report, check: CheckResult) -> dict[str, Any]:
    passed = {Verdict.PASS: True, Verdict.SKIPPED: None}.get(check.verdict, False)
    log = [line(each, 300) for each in check.story]
    if check.verdict is Verdict.BUILD:
        log = [message_line(each) for each in report.compiler_messages]
    return {
        "name": line(check.id),
        "description": line(check.title, 200),
        "passed": passed,
        "log": log,
        "cause": None if passed else _cause(check),
        "data": {
            "points": check.points,
            "max_points": check.max_points,
            "verdict": str(check.verdict),
            "trace_hash": line(check.trace_hash),
        },
        "dependency": line(check.needs[0]) if check.needs else None,
    }


def _cause(check: CheckResult) -> dict[str, str | None]:
    cause: dict[str, str | None] = {
        "rationale": reason(check),
        "help": clean(check.hint) or None,
    }
    if check.verdict is not Verdict.SKIPPED and check.expected and check.seen:
        cause |= {"expected": clean(check.expected), "actual": clean(check.seen)}
    return cause
