"""GitLab's code quality report: what has a line in the source, beside that line in a merge request.

Source: docs.gitlab.com, "Code Quality", "Code Quality report format". What has no line is in the
JUnit report, which GitLab shows, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from wakelab.formats.format import Surroundings
from wakelab.formats.words import as_json, failed, line, reason
from wakelab.report import Report, Verdict


def to_gitlab(report: Report, surroundings: Surroundings) -> str:
    """One entry for each compiler message and each failed check that has a line."""
    found = [*_compiler(report), *_checks(report)]
    seen: dict[str, int] = {}
    entries = (_entry(each, seen, surroundings) for each in found)
    return as_json([entry for entry in entries if entry])


_Found = tuple[str, str, str, str, int]
"""check's name, description, severity, file, line"""


def _compiler(report: Report) -> Iterator[_Found]:
    for message in report.compiler_messages:
        if message.file and message.line:
            severity = "blocker" if message.severity == "error" else "minor"
            yield "compiler", message.text, severity, message.file, message.line


def _checks(report: Report) -> Iterator[_Found]:
    for check in report.checks:
        if failed(check) and check.place is not None and check.place.file and check.place.line:
            severity = "info" if check.verdict is Verdict.TODO else "major"
            description = f"{check.title}: {reason(check)}"
            yield check.id, description, severity, check.place.file, check.place.line


def _entry(
    found: _Found, seen: dict[str, int], surroundings: Surroundings
) -> dict[str, Any] | None:
    """None for what lies outside the repository."""
    name, description, severity, file, number = found
    path = line(surroundings.path(file), 300)
    if not path:
        return None
    # Without the line, so that a finding stays the same one when lines are added above it; a
    # second one like it gets a number, because GitLab drops what has a fingerprint twice.
    same = f"{name}\0{description}\0{path}"
    seen[same] = seen.get(same, 0) + 1
    fingerprint = hashlib.sha256(f"{same}\0{seen[same]}".encode(errors="backslashreplace"))
    return {
        "description": line(description, 600),
        "check_name": line(f"wakelab/{name}", 100),
        "fingerprint": fingerprint.hexdigest(),
        "severity": severity,
        "location": {"path": path, "lines": {"begin": number}},
    }
