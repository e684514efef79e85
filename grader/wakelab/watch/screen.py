"""What `wakelab watch` shows: one screen, or a line for each verdict where there is no terminal.

Whatever comes from a program, a compiler or a file's name has gone through `safe_text`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wakelab.labs import Lab
from wakelab.lines import Lines
from wakelab.render import Parts, parts_of, safe_text
from wakelab.report import CheckResult, Report, Verdict

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

KEYS = (("h", "hint"), ("n", "next lab"), ("r", "report"), ("q", "quit"))

_STORY_BESIDE_CHECKS = 12
"""So many lines of the story are worth more than the list of checks."""

_SHORTEST_STORY = 4

_NO_FINDING = (Verdict.PASS, Verdict.SKIPPED)


@dataclass(frozen=True)
class View:
    """What there is to show.

    report     of the last grading, as the student sees it; None: there is none
    trouble    why it has none, or what else went wrong, for people; hostile
    graded     when that was
    under_way  whether what was saved since then is being graded
    hint       whether it is asked for
    note       the answer to the last key
    """

    lab: Lab
    report: Report | None = None
    trouble: str = ""
    graded: str = ""
    under_way: bool = False
    hint: bool = False
    note: str = ""


def screen_of(view: View, console: Console) -> list[Text]:
    """As many lines as the console has."""
    page = _Page(console)
    parts = None if view.report is None else parts_of(view.report, console)
    head = list(parts.head) if parts else page.head(view.lab)
    foot = page.foot(view, parts)
    room = max(1, console.height - len(head) - len(foot))
    body: list[Text] = []
    if view.trouble:
        body = page.wrapped(safe_text(view.trouble, 4000, lines=True), "magenta")
    elif parts and view.report:
        body = page.fitted(parts, view.report, room, hint=view.hint)
    body = page.cropped(body, room)
    return [*head, *body, *page.blank(room - len(body)), *foot]


def line_of(view: View, console: Console) -> str:
    """The verdict on one line of the console's width."""
    lab, report = view.lab.number, view.report
    words = [f"lab {lab}"]
    if report is not None:
        words += [f"{report.points}/{report.max_points}", str(report.verdict), _in_words(report)]
    if view.trouble:
        words.append(view.trouble.splitlines()[0])
    text = "  ".join(filter(None, words))
    return _Page(console).shortened(safe_text(text, 2000), console.width - 1)


def first_finding(report: Report | None) -> CheckResult | None:
    """The first check that does not pass; None where all do."""
    checks = () if report is None else report.checks
    return next((each for each in checks if each.verdict not in _NO_FINDING), None)


def _in_words(report: Report) -> str:
    """The first thing that is not right; empty where all is."""
    finding = first_finding(report)
    if finding is None:
        return ""
    if finding.verdict is Verdict.BUILD:
        where = f"{finding.place.file}:{finding.place.line}: " if finding.place else ""
        return f"{where}{finding.seen}"
    return finding.title


class _Page(Lines):
    """The parts of the screen."""

    def cropped(self, lines: Sequence[Text], room: int) -> list[Text]:
        """What there is room for, and a line that says that there is more."""
        if len(lines) <= room:
            return list(lines)
        return [
            *lines[: max(0, room - 1)],
            self.line((" … more: key r, or a larger window", "dim")),
        ]

    def head(self, lab: Lab) -> list[Text]:
        """Before the first report."""
        title = f"Lab {lab.number} · {safe_text(lab.title, 80)}"
        return [self.line((title, "bold")), self.line(("─" * (self._width - 1), "dim"))]

    def foot(self, view: View, parts: Parts | None) -> list[Text]:
        """The sum, when it was graded or that it is being graded, and the keys."""
        if view.under_way:
            status = self.line((" being graded …", "bold yellow"))
        elif parts:
            status = parts.points.copy()
            status.append(self.fit(f"  {view.graded}"), "dim")
            status.truncate(self._width - 1)
        else:
            status = self.line((f" {view.graded}", "dim"))
        keys: list[tuple[str, str]] = []
        for key, what in KEYS:
            keys += [(f" {key}", "bold"), (f" {what} ", "dim")]
        if view.note:
            keys.append((f" {safe_text(view.note, 200)}", "yellow"))
        return [self.line(), status, self.line(*keys)]

    def fitted(self, parts: Parts, report: Report, room: int, *, hint: bool) -> list[Text]:
        """The parts of a report in the room that there is: the story is cut in the middle first,
        then the checks that were skipped are counted instead of listed, then all of them."""
        said = [*self._spaced(parts.compiler), *self._spaced(parts.finding)]
        last = [*(parts.hint if hint else ()), *self._spaced(parts.withheld)]
        story = list(parts.story)
        title = [self.line(("  what happened", "dim"))] if story else []
        pairs = zip(parts.checks, report.checks, strict=True)
        tried = [line for line, check in pairs if check.verdict is not Verdict.SKIPPED]
        beside = min(len(story), _STORY_BESIDE_CHECKS)
        for checks, shortest in (
            (list(parts.checks), beside),
            ([*tried, self._count(report)], beside),
            ([self._count(report)], min(len(story), _SHORTEST_STORY)),
        ):
            around = [*checks, *said]
            left = room - len(around) - len(title) - len(last)
            if left >= shortest:
                return [*around, *title, *self._cut(story, left), *last]
        return [*around, *last]

    def _spaced(self, lines: Sequence[Text]) -> list[Text]:
        return [self.line(), *lines] if lines else []

    def _cut(self, story: list[Text], room: int) -> list[Text]:
        """The end tells what went wrong; the start is where the reader comes in."""
        if len(story) <= room:
            return story
        first = room // 3
        left_out = len(story) - room + 1
        mark = self.line((f"    … {left_out} events left out …", "dim"))
        return [*story[:first], mark, *story[len(story) - (room - 1 - first) :]]

    def _count(self, report: Report) -> Text:
        """What passes, in a line."""
        counts = Counter(check.verdict for check in report.checks)
        passed = counts.pop(Verdict.PASS, 0)
        waiting = counts.pop(Verdict.SKIPPED, 0)
        words = [(f" {passed} of {len(report.checks)} checks pass", "green" if passed else "")]
        if failed := counts.total():
            words.append((f" · {failed} {'does' if failed == 1 else 'do'} not", "red"))
        if waiting:
            words.append((f" · {waiting} skipped until then", "dim"))
        return self.line(*words)
