"""Annotations for GitHub Actions: lines that its runner reads from a step's output.

Source: docs.github.com, "Workflow commands for GitHub Actions", and actions/toolkit for the
escapes and for the ten annotations of a kind that a step may have.
"""

from __future__ import annotations

from collections.abc import Iterator

from wakelab.formats.format import Surroundings
from wakelab.formats.words import NOT_GRADED, details, failed, headline, line, trouble
from wakelab.report import Report, Verdict

MOST_OF_A_KIND = 10


def to_github_annotations(report: Report, surroundings: Surroundings) -> str:
    """One command a line, the first failures first, and a last one with the sum."""
    made = [*_compiler(report, surroundings), *_checks(report, surroundings)]
    lines: list[str] = []
    left_out = 0
    # A notice is kept for the sum.
    room = {"error": MOST_OF_A_KIND, "warning": MOST_OF_A_KIND, "notice": MOST_OF_A_KIND - 1}
    for kind, command in made:
        room[kind] -= 1
        if room[kind] >= 0:
            lines.append(command)
        else:
            left_out += 1
    more = f"; {left_out} more findings are in the job's summary" if left_out else ""
    said = f"{NOT_GRADED} {trouble(report)}" if trouble(report) else headline(report) + more
    kind = "error" if trouble(report) else "notice"
    lines.append(_command(kind, said, title=f"wakelab, lab {line(report.lab, 10)}"))
    return "".join(f"{each}\n" for each in lines)


def _compiler(report: Report, surroundings: Surroundings) -> Iterator[tuple[str, str]]:
    errors_first = sorted(report.compiler_messages, key=lambda each: each.severity != "error")
    for message in errors_first:
        kind = "error" if message.severity == "error" else "warning"
        where = _at(surroundings, message.file, message.line, message.column)
        yield kind, _command(kind, message.text, **where, title="compiler")


def _at(surroundings: Surroundings, file: str, number: int, column: int = 0) -> dict[str, str]:
    """The properties that say where; none for what lies outside the repository."""
    path = surroundings.path(file)
    if not path:
        return {}
    found = {"file": path, "line": str(number or ""), "col": str(column or "")}
    return {name: value for name, value in found.items() if value}


def _checks(report: Report, surroundings: Surroundings) -> Iterator[tuple[str, str]]:
    for check in report.checks:
        if failed(check):
            kind = "notice" if check.verdict is Verdict.TODO else "error"
            where = _at(surroundings, check.place.file, check.place.line) if check.place else {}
            title = f"{check.verdict}: {line(check.title, 150)}"
            yield kind, _command(kind, details(check), **where, title=title)


def _command(kind: str, message: str, **properties: str) -> str:
    """A line that can be one command only, whatever the texts hold."""
    given = ",".join(
        f"{name}={_property(line(value))}" for name, value in properties.items() if value
    )
    return f"::{kind}{' ' if given else ''}{given}::{_data(message)}"


def _data(text: str) -> str:
    cleaned = "\n".join(line(each) for each in text.split("\n"))
    return cleaned.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
