"""Classroom 50's `result.json`, version 1.

Source: the wiki of foundation50/classroom50, "Advanced Autograding", "The result.json contract".
Its runner says in variables whose submission this is, and stamps the rest itself.
"""

from __future__ import annotations

from wakelab.errors import InfraError
from wakelab.formats.format import Surroundings
from wakelab.formats.words import as_json, line, trouble
from wakelab.report import Report, Verdict

SCHEMA = "classroom50/result/v1"
VARIABLES = ("CLASSROOM", "ASSIGNMENT", "SUBMISSION_TAG", "COMMIT_URL", "RELEASE_URL")


def to_classroom50(report: Report, surroundings: Surroundings) -> str:
    """Raises InfraError where there is no score to hand on: the runner makes `status=error` of a
    command that fails, and a score of 0 would be a mark."""
    if why := trouble(report):
        raise InfraError(
            f"the submission was not graded, so there is no score for Classroom 50: {why}",
            next_step="run the workflow again",
        )
    environment = surroundings.environment
    result = {
        "schema": SCHEMA,
        "classroom": environment["CLASSROOM"],
        "assignment": environment["ASSIGNMENT"],
        "owner": environment.get("OWNER") or environment.get("USERNAME", ""),
        "submission": environment["SUBMISSION_TAG"],
        "commit": environment["COMMIT_URL"],
        "release": environment["RELEASE_URL"],
        "review": environment.get("REVIEW_URL") or environment["COMMIT_URL"],
        "datetime": surroundings.now,
        "score": report.points,
        "max-score": report.max_points,
        "tests": [
            {
                "test-name": line(f"{check.id}: {check.title}", 200),
                "passed": check.verdict is Verdict.PASS,
                "score": check.points,
                "max-score": check.max_points,
            }
            for check in report.checks
        ],
    }
    if not result["owner"]:
        del result["owner"]
    return as_json(result)
