"""What a class's results say together, and the table of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median

from wakelab.classes.grading import Graded
from wakelab.formats.cells import to_table
from wakelab.report import CheckResult, Report, Verdict

BINS = 10


@dataclass(frozen=True)
class CheckCount:
    """How a class did at one check. `skipped`: not run, because an earlier one failed."""

    id: str
    title: str
    passed: int
    failed: int
    skipped: int

    @property
    def share(self) -> float:
        """Of all, how many passed; 0 to 1."""
        return self.passed / max(1, self.passed + self.failed + self.skipped)


@dataclass(frozen=True)
class MistakeCount:
    """How many students made a mistake, and the check that most of them failed by it."""

    diagnosis: str
    students: int
    check: str


@dataclass(frozen=True)
class Summary:
    """A class in numbers.

    bins      students by points: tenths of all points, full marks apart at the end
    checks    the hardest first
    mistakes  the most frequent first
    """

    students: int
    graded: int
    max_points: int
    mean: float
    median: float
    full: int
    bins: tuple[int, ...]
    verdicts: tuple[tuple[str, int], ...]
    checks: tuple[CheckCount, ...]
    mistakes: tuple[MistakeCount, ...]


def summarise(results: Sequence[Graded]) -> Summary:
    """Over what was graded; what was not is only counted."""
    reports = [each.report for each in results if each.report is not None]
    sound = [report for report in reports if report.verdict is not Verdict.INFRA]
    points = [report.points for report in sound]
    most = max((report.max_points for report in sound), default=0)
    bins = [0] * (BINS + 1)
    for report in sound:
        bins[BINS * report.points // max(1, report.max_points)] += 1
    return Summary(
        students=len(results),
        graded=len(sound),
        max_points=most,
        mean=mean(points) if points else 0.0,
        median=float(median(points)) if points else 0.0,
        full=bins[BINS],
        bins=tuple(bins),
        verdicts=tuple(Counter(str(each.verdict) for each in results).most_common()),
        checks=tuple(sorted(_checks(sound), key=lambda check: check.share)),
        mistakes=tuple(_mistakes(sound)),
    )


def _checks(reports: Sequence[Report]) -> list[CheckCount]:
    titles: dict[str, str] = {}
    counts: dict[str, Counter[str]] = {}
    for report in reports:
        for check in report.checks:
            titles.setdefault(check.id, check.title)
            counts.setdefault(check.id, Counter())[_came_to(check)] += 1
    return [
        CheckCount(id_, titles[id_], count["passed"], count["failed"], count["skipped"])
        for id_, count in counts.items()
    ]


def _came_to(check: CheckResult) -> str:
    return {Verdict.PASS: "passed", Verdict.SKIPPED: "skipped"}.get(check.verdict, "failed")


def _mistakes(reports: Sequence[Report]) -> list[MistakeCount]:
    students: Counter[str] = Counter()
    checks: dict[str, Counter[str]] = {}
    for report in reports:
        by_diagnosis = {check.diagnosis: check for check in report.checks if check.diagnosis}
        for diagnosis, check in by_diagnosis.items():
            students[diagnosis] += 1
            checks.setdefault(diagnosis, Counter())[check.title] += 1
    return [
        MistakeCount(diagnosis, count, checks[diagnosis].most_common(1)[0][0])
        for diagnosis, count in sorted(students.items(), key=lambda item: (-item[1], item[0]))
    ]


def first_failed(report: Report) -> CheckResult | None:
    """The first check that was run and not passed."""
    fine = (Verdict.PASS, Verdict.SKIPPED)
    return next((check for check in report.checks if check.verdict not in fine), None)


HEAD = (
    *("name", "id", "late", "points", "max_points", "verdict", "first_failed", "diagnosis"),
    *("note", "files_sha256", "report"),
)


def to_csv(results: Sequence[Graded]) -> str:
    """One line for each student, by name. Points are empty where nothing was graded."""
    return to_table(HEAD, [_row(each) for each in results])


def _row(each: Graded) -> list[str | int]:
    entry, report = each.entry, each.report
    sound = report is not None and report.verdict is not Verdict.INFRA
    failed = first_failed(report) if report is not None else None
    problem = entry.submission.problem
    notes = [problem.what] if problem is not None else []
    notes += [*entry.notes, each.trouble]
    return [
        entry.name,
        entry.id,
        "late" if entry.late else "",
        report.points if report is not None and sound else "",
        report.max_points if report is not None and sound else "",
        str(each.verdict),
        failed.id if failed is not None else "",
        failed.diagnosis if failed is not None else "",
        "; ".join(note for note in notes if note),
        entry.submission.sha256 if entry.submission.problem is None else "",
        f"results/{entry.key}.json" if report is not None else "",
    ]
