"""What an Autolab grader prints: words for the student, and on the last line the scores.

Source: docs.autolabproject.com, "Guide for Lab Authors". Each check is a problem, named by its id.
"""

from __future__ import annotations

import json

from wakelab.formats.format import Surroundings
from wakelab.formats.words import NOT_GRADED, details, headline, line, message_line, trouble
from wakelab.report import Report, Verdict


def to_autolab(report: Report, _: Surroundings) -> str:
    """Without a last line of scores where nothing was graded: Autolab then says that it got none,
    and records no mark."""
    if why := trouble(report):
        return f"{NOT_GRADED}\n{why}\n"
    lines = [f"Lab {line(report.lab)}: {line(report.title)}: {headline(report)}", ""]
    lines += map(message_line, report.compiler_messages)
    for check in report.checks:
        sign = {Verdict.PASS: "+", Verdict.SKIPPED: "-"}.get(check.verdict, "x")
        lines.append(f"{sign} {check.points}/{check.max_points} {line(check.title, 200)}")
        if check.verdict is not Verdict.PASS:
            lines += [f"    {each}" for each in details(check).split("\n")]
    scores = {line(check.id): check.points for check in report.checks if check.max_points}
    lines += ["", json.dumps({"scores": scores, "scoreboard": [report.points]})]
    return "\n".join(lines) + "\n"
