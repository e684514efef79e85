"""The summary of a GitHub Actions job, to be appended to the file `$GITHUB_STEP_SUMMARY` names.

Markdown as GitHub reads it, and so everything from a student is hostile: each sign that Markdown
could obey is escaped (any ASCII punctuation may be, says CommonMark), HTML is spelled out, and what
is shown as it is stands in a fence longer than any in it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from wakelab.formats.format import Surroundings
from wakelab.formats.words import (
    NOT_GRADED,
    clean,
    failed,
    headline,
    line,
    message_line,
    sentences,
    trouble,
)
from wakelab.report import CheckResult, Report, Verdict, Visibility

MAX_BYTES = 1_000_000
"""GitHub takes 1 MiB from a step and drops the summary beyond."""

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_ICONS = {Verdict.PASS: "✅", Verdict.SKIPPED: "➖", Verdict.INFRA: "⚠️"}


def to_github_summary(report: Report, _: Surroundings) -> str:
    """The table of checks, then every failure in full, the first one open."""
    head = f"## Lab {escaped(report.lab)}: {escaped(report.title)}"
    parts = [head, f"**{escaped(headline(report))}**", "\n".join(_table(report))]
    if why := trouble(report):
        parts += [escaped(NOT_GRADED), fenced(why)]
    if report.compiler_messages:
        messages = "\n".join(map(message_line, report.compiler_messages))
        parts += ["### The compiler says", fenced(messages)]
    for number, check in enumerate(each for each in report.checks if failed(each)):
        parts.append(_failure(check, unfolded=number == 0))
    while len(_page(parts).encode()) > MAX_BYTES:
        parts.pop()  # the last failures; the table still names them
    return _page(parts)


def escaped(text: str) -> str:
    """A line of text that Markdown and HTML show as it is."""
    return _PUNCTUATION.sub(r"\\\1", line(text))


def fenced(text: str) -> str:
    """Lines as they are, in a fence that nothing in them can end."""
    text = clean(text)
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _page(parts: list[str]) -> str:
    return "\n\n".join(parts) + "\n"


def _table(report: Report) -> Iterator[str]:
    yield "| | check | points | |"
    yield "|---|---|--:|---|"
    for check in report.checks:
        icon = _ICONS.get(check.verdict, "❌")
        verdict = "" if check.verdict is Verdict.PASS else str(check.verdict)
        points = f"{check.points}/{check.max_points}"
        if check.visibility is Visibility.WITHHELD:
            verdict, points = check.seen, ""
        yield f"| {icon} | {escaped(line(check.title, 200))} | {points} | {escaped(verdict)} |"


def _failure(check: CheckResult, *, unfolded: bool) -> str:
    title = html.escape(f"{line(check.title, 200)}: {check.verdict}")
    said = "\n".join(f"- *{label}*: {escaped(text)}" for label, text in sentences(check))
    story = fenced("\n".join(check.story)) if check.story else ""
    state = " open" if unfolded else ""
    body = "\n\n".join(part for part in (said, story) if part)
    # Up to the empty line it is HTML and no Markdown.
    return f"<details{state}><summary>{title}</summary>\n\n{body}\n\n</details>"
