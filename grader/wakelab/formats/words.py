"""What is said of a check, in every format the same. Nothing in it can be obeyed by a terminal;
what else a format would obey is for its own module to spell out."""

from __future__ import annotations

import json

from wakelab.render import safe_text
from wakelab.report import CheckResult, CompilerMessage, Report, Verdict

MAX_TEXT = 4000

NOT_GRADED = (
    "wakelab could not grade this submission. The fault is not the program's; "
    "nothing is lost, and it has to be graded again."
)


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """Several lines at most, every other control code spelled out."""
    return safe_text(text, limit, lines=True)


def line(text: str, limit: int = MAX_TEXT) -> str:
    """One line."""
    return safe_text(text, limit)


def headline(report: Report) -> str:
    """The sum and the verdict in a line."""
    points = f"{report.points} of {report.max_points} points"
    return points if report.verdict is Verdict.PASS else f"{points}: {report.verdict}"


def reason(check: CheckResult) -> str:
    """Why it did not pass, in one sentence."""
    return clean(check.why or check.seen or str(check.verdict))


def sentences(check: CheckResult) -> list[tuple[str, str]]:
    """What is said of a check, with a label to each; empty when there is nothing to say."""
    labelled = [
        ("expected", check.expected),
        ("seen", check.seen),
        ("why", check.why),
        ("hint", check.hint),
        ("where", _where(check)),
    ]
    return [(label, clean(text)) for label, text in labelled if text]


def details(check: CheckResult, limit: int = MAX_TEXT) -> str:
    """All that is said of a check, and its story, as lines of plain text."""
    lines = [f"{label}: {text}" for label, text in sentences(check)]
    return clean("\n".join([*lines, *(line(each, 300) for each in check.story)]), limit)


def message_line(message: CompilerMessage) -> str:
    """A compiler's message as compilers write it."""
    place = ":".join(str(part) for part in (message.file, message.line, message.column) if part)
    head = f"{place}: {message.severity}" if place else message.severity
    return line(f"{head}: {message.text}", 600)


def failed(check: CheckResult) -> bool:
    """Whether the check found something."""
    return check.verdict not in (Verdict.PASS, Verdict.SKIPPED, Verdict.INFRA)


def trouble(report: Report) -> str:
    """What went wrong on our side, or empty."""
    broken = [check for check in report.checks if check.verdict is Verdict.INFRA]
    if report.verdict is not Verdict.INFRA:
        return ""
    return clean(broken[0].seen) if broken else "no check ran"


def as_json(value: object) -> str:
    """JSON for people and programs: ASCII only, a final newline, keys in the order given."""
    return json.dumps(value, indent=2, ensure_ascii=True) + "\n"


def _where(check: CheckResult) -> str:
    place = check.place
    if place is None:
        return ""
    return f"{place.file}:{place.line}: {place.text.strip()}"
