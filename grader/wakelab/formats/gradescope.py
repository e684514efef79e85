"""Gradescope's `results.json`.

Source: gradescope-autograders.readthedocs.io, "Autograder Specifications". Every text is declared
to be plain text; the default for the page's own text would be HTML. The sum is left to Gradescope,
which adds up the tests and keeps the sum to itself while a test is hidden.
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
    trouble,
)
from wakelab.points import as_the_student_sees
from wakelab.report import CheckResult, Report, Verdict, Visibility

FOR_THE_INSTRUCTOR = (
    "For the instructor: docs/instructors/formats.md says what to do, also where a container "
    "allows no sandbox (make gradescope TRUST=1 packs an autograder without it)."
)


def to_gradescope(report: Report, _: Surroundings) -> str:
    """Hidden checks are in it, marked `after_due_date`: Gradescope shows them when it is time."""
    if why := trouble(report):
        # A score is asked for. The words say that it is none, and `infra` that it is to be redone.
        return as_json({**_page(report, f"{NOT_GRADED}\n{why}"), "score": 0, "tests": []})
    seen = as_the_student_sees(report)
    words = [headline(seen), *map(message_line, report.compiler_messages)]
    tests = [_test(number, check) for number, check in enumerate(report.checks, 1)]
    return as_json({**_page(report, "\n".join(words)), "tests": tests})


def refusal(what: str) -> str:
    """A `results.json` for a submission that was not graded at all, in words."""
    return as_json(
        {
            "output": clean(f"{NOT_GRADED}\n{what.strip()}\n{FOR_THE_INSTRUCTOR}"),
            "output_format": "text",
            "stdout_visibility": "hidden",
            "extra_data": {"verdict": str(Verdict.INFRA)},
            "score": 0,
            "tests": [],
        }
    )


def _page(report: Report, output: str) -> dict[str, Any]:
    return {
        "output": clean(output),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "stdout_visibility": "hidden",
        "extra_data": {
            "schema": report.schema,
            "verdict": str(report.verdict),
            "versions": {line(tool): line(each) for tool, each in sorted(report.versions.items())},
            "hashes": {line(what): line(each) for what, each in sorted(report.hashes.items())},
        },
    }


def _test(number: int, check: CheckResult) -> dict[str, Any]:
    return {
        "number": str(number),
        "name": line(check.title, 200),
        "score": check.points,
        "max_score": check.max_points,
        "status": "passed" if check.verdict is Verdict.PASS else "failed",
        "output": details(check),
        "visibility": "visible" if check.visibility is Visibility.VISIBLE else "after_due_date",
        "extra_data": {
            "id": line(check.id),
            "verdict": str(check.verdict),
            "diagnosis": line(check.diagnosis),
            "trace_hash": line(check.trace_hash),
        },
    }
