"""A class as one page: no script, nothing from elsewhere, and every name as text.

Names and findings are hostile (see `safe_text`); Jinja escapes them, and a policy in the page
forbids a browser whatever would get through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from wakelab.classes.grading import Graded
from wakelab.classes.intake import Entry
from wakelab.classes.summary import BINS, Summary, first_failed
from wakelab.content_policy import source_of
from wakelab.labs import Lab
from wakelab.render import safe_text
from wakelab.report import CheckResult, Report, Verdict

_HERE = Path(__file__).parent
_MAX_TEXT = 600
_TALLEST = 125


@dataclass(frozen=True)
class _Bar:
    """One bar of the distribution, in units of the drawing."""

    label: str
    count: int
    x: int
    y: float
    height: float


@dataclass(frozen=True)
class _Student:
    """One student on the page; `passed` and `skipped` are counts of checks."""

    entry: Entry
    report: Report | None
    verdict: str
    failed: CheckResult | None
    notes: tuple[str, ...]
    passed: int
    skipped: int


def to_page(
    lab: Lab,
    platform: str,
    named: Sequence[tuple[str, str]],
    results: Sequence[Graded],
    summary: Summary,
) -> str:
    """The page. The same results give the same bytes."""
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    lost = [(each.entry.name, f"not graded: {each.trouble}") for each in results if each.trouble]
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["safely"] = _safely
    return environment.get_template("page.html.j2").render(
        title=f"Lab {lab.number}: {lab.title}",
        policy=_policy(style),
        style=Markup(style),
        platform=platform,
        summary=summary,
        distribution=_bars(summary),
        named=[*named, *lost],
        students=[_student(each) for each in results],
    )


def _safely(text: str) -> str:
    return safe_text(text, _MAX_TEXT)


def _policy(style: str) -> str:
    """Only this very style, and nothing else."""
    source = source_of(style)
    return f"default-src 'none'; style-src {source}; base-uri 'none'; form-action 'none'"


def _bars(summary: Summary) -> list[_Bar]:
    tallest = max(1, *summary.bins)
    bars = []
    for number, count in enumerate(summary.bins):
        height = _TALLEST * count / tallest
        label = f"{100 * number // BINS}–{100 * (number + 1) // BINS - 1} %"
        label = label if number < BINS else "100 %"
        bars.append(_Bar(label, count, 5 + 60 * number, round(145 - height, 1), round(height, 1)))
    return bars


def _student(graded: Graded) -> _Student:
    report = graded.report
    notes = [*graded.entry.notes, graded.trouble]  # a problem is told by the report's findings
    verdicts = [check.verdict for check in report.checks] if report is not None else []
    return _Student(
        entry=graded.entry,
        report=report,
        verdict=str(graded.verdict),
        failed=first_failed(report) if report is not None else None,
        notes=tuple(note for note in notes if note),
        passed=verdicts.count(Verdict.PASS),
        skipped=verdicts.count(Verdict.SKIPPED),
    )
