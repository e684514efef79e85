"""The formats that there are, and the way from a report to each of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wakelab.errors import UserError
from wakelab.formats.autolab import to_autolab
from wakelab.formats.check50 import to_check50
from wakelab.formats.classroom50 import VARIABLES, to_classroom50
from wakelab.formats.format import Audience, Format, Surroundings
from wakelab.formats.github_annotations import to_github_annotations
from wakelab.formats.github_summary import to_github_summary
from wakelab.formats.gitlab import to_gitlab
from wakelab.formats.gradescope import to_gradescope
from wakelab.formats.html import to_html
from wakelab.formats.junit import to_junit
from wakelab.formats.prairielearn import to_prairielearn
from wakelab.formats.table import to_csv
from wakelab.points import as_the_student_sees
from wakelab.report import Report, write_atomically, write_report

_STUDENT, _PLATFORM, _INSTRUCTOR = Audience.STUDENT, Audience.PLATFORM, Audience.INSTRUCTOR

FORMATS = (
    Format("gradescope", "results.json", "Gradescope", _PLATFORM, to_gradescope),
    Format(
        "classroom50", "result.json", "Classroom 50, version 1", _STUDENT, to_classroom50, VARIABLES
    ),
    Format(
        "github-annotations", "annotations.txt", "GitHub Actions: lines for a step to print",
        _STUDENT, to_github_annotations,
    ),
    Format(
        "github-summary", "summary.md", "GitHub Actions: the job's summary",
        _STUDENT, to_github_summary,
    ),
    Format("junit", "junit.xml", "JUnit, for GitLab, Jenkins and others", _STUDENT, to_junit),
    Format(
        "gitlab", "gl-code-quality-report.json", "GitLab: code quality", _STUDENT, to_gitlab
    ),
    Format("autolab", "autolab.txt", "Autolab: what its grader prints", _STUDENT, to_autolab),
    Format(
        "prairielearn", "prairielearn.json", "PrairieLearn (its results.json)",
        _STUDENT, to_prairielearn,
    ),
    Format("check50", "check50.json", "the JSON of check50", _STUDENT, to_check50),
    Format("html", "report.html", "a page for a browser", _STUDENT, to_html),
    Format("csv", "report.csv", "a table for a spreadsheet", _INSTRUCTOR, to_csv),
)  # fmt: skip


def format_named(name: str) -> Format:
    """Raises UserError where there is none of that name."""
    for each in FORMATS:
        if each.name == name:
            return each
    raise UserError(
        f"there is no format {name!r}", next_step=f"one of: {', '.join(e.name for e in FORMATS)}"
    )


def missing_variables(shape: Format, surroundings: Surroundings) -> tuple[str, ...]:
    """The platform's variables that the format must have and that are not set."""
    return tuple(name for name in shape.variables if not surroundings.environment.get(name))


def require_variables(shape: Format, surroundings: Surroundings) -> None:
    """Raises UserError where the platform did not say what the format must hold."""
    if missing := missing_variables(shape, surroundings):
        raise UserError(
            f"{shape.title} needs to be told {', '.join(missing)}",
            "the environment",
            "run it where that platform runs graders; it sets these variables",
        )


def convert(
    report: Report, shape: Format, surroundings: Surroundings, *, show_hidden: bool = False
) -> str:
    """The report in that shape. Before the due date, a format that students read holds no finding
    of a hidden check; `show_hidden` is for afterwards.

    Raises UserError where the platform did not say what the format must hold.
    """
    require_variables(shape, surroundings)
    if shape.audience is Audience.STUDENT and not show_hidden:
        report = as_the_student_sees(report)
    return shape.convert(report, surroundings)


def write_in_shapes(
    report: Report,
    folder: Path,
    shapes: Sequence[Format],
    surroundings: Surroundings,
    *,
    show_hidden: bool = False,
) -> Path:
    """Put a report into a folder, as report.json, whose path is returned, and in each shape beside
    it. Raises UserError where that cannot be, else as `convert`."""
    path = folder / "report.json"
    write_report(report, path)
    for shape in shapes:
        text = convert(report, shape, surroundings, show_hidden=show_hidden)
        write_atomically(folder / shape.file, text)
    return path
