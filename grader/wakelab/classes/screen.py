"""A class in the terminal: a bar while it is graded, plain lines where there is no terminal, and at
the end what an instructor wants to know first. Names are hostile: see `safe_text`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from wakelab.classes.grading import Graded
from wakelab.classes.intake import Intake
from wakelab.classes.summary import Summary
from wakelab.labs import Lab
from wakelab.render import safe_text
from wakelab.report import Verdict

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

_NAME = 28
_MISTAKES = 5
_NAMED = 20


class Screen:
    """Tells of one class."""

    def __init__(self, console: Console, lab: Lab, total: int) -> None:
        self._console = console
        self._lab = lab
        self._total = total
        self._done = 0
        self._known = 0
        self._bar: Progress | None = None

    def begin(self, intake: Intake) -> None:
        """What was found."""
        platform = "" if intake.platform == "folders" else f", as {intake.platform} exports them"
        self._line(
            f"Lab {self._lab.number} · {self._lab.title} · {_count(self._total, 'submission')}"
            f"{platform}",
            "bold",
        )

    def known(self, to_grade: int) -> None:
        """The cache has been looked through."""
        if self._known:
            rest = f"{to_grade} to grade" if to_grade else "nothing to grade"
            self._line(f"{self._known} known from before, {rest}", "dim")

    @contextmanager
    def progress(self, to_grade: int) -> Iterator[None]:
        """Shows how it goes while its body runs."""
        with _new_bar(self._console) as bar:
            task = bar.add_task("grading", total=to_grade)
            self._bar = bar
            try:
                assert task == 0
                yield
            finally:
                self._bar = None

    def result(self, graded: Graded) -> None:
        """One more is on disk."""
        self._done += 1
        self._known += graded.known
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0])
        if not self._console.is_terminal and not graded.known:
            report = graded.report
            points = f"{report.points}/{report.max_points}" if report is not None else "-"
            name = safe_text(graded.entry.name, _NAME)
            count = f"{self._done:>{len(str(self._total))}}/{self._total}"
            self._line(f"{count}  {name:<{_NAME}}  {points:>7}  {graded.verdict}")

    def interrupted(self) -> None:
        """Ctrl-C."""
        self._line(
            f"interrupted: {self._done} of {self._total} are graded and kept;"
            " the same command goes on from there",
            "bold yellow",
        )

    def end(
        self,
        intake: Intake,
        graded: Sequence[Graded],
        summary: Summary,
        folder: Path,
        uncached: str,
    ) -> None:
        """The result in short, what is to be looked at, and where everything is."""
        self._line("")
        self._line(
            f"{summary.graded} of {_count(summary.students, 'submission')} graded; "
            f"{summary.full} with full marks; mean {summary.mean:.1f}, median {summary.median:g} "
            f"of {summary.max_points}",
            "bold",
        )
        if summary.mistakes:
            self._line("")
            self._line("most frequent mistakes", "dim")
            for mistake in summary.mistakes[:_MISTAKES]:
                name, check = safe_text(mistake.diagnosis, 40), safe_text(mistake.check)
                self._line(f"{mistake.students:>5}  {name:<22} {check}")
        self._to_look_at(intake, graded, uncached)
        self._line("")
        for label, name in (
            ("page", "index.html"),
            ("table", "summary.csv"),
            ("reports", "results/"),
        ):
            self._line(f"{label:<8} {_short(folder)}/{name}")

    def _to_look_at(self, intake: Intake, graded: Sequence[Graded], uncached: str) -> None:
        lines = [(f"{name}: " if name else "") + sentence for name, sentence in intake.named]
        for each in graded:
            if each.trouble:
                lines.append(f"{each.entry.name}: not graded: {each.trouble}")
            elif each.verdict is Verdict.INFRA:
                lines.append(f"{each.entry.name}: not graded: see its report")
        if uncached:
            lines.append(f"reports could not be kept for next time: {uncached}")
        if not lines:
            return
        self._line("")
        self._line("to be looked at", "bold yellow")
        for line in lines[:_NAMED]:
            self._line(f"  {safe_text(line)}")
        if len(lines) > _NAMED:
            self._line(f"  and {len(lines) - _NAMED} more, in summary.csv and on the page", "dim")

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(text, style=style or None, markup=False, emoji=False)


def _new_bar(console: Console) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns: tuple[ProgressColumn, ...] = (
        BarColumn(),
        MofNCompleteColumn(),
        _rate_column(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _rate_column() -> ProgressColumn:
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Rate(ProgressColumn):
        """Submissions a second."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:.1f}/s" if speed else "", style="progress.data.speed")

    return Rate()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun if number == 1 else noun + 's'}"


def _short(folder: Path) -> str:
    """Relative to where the person is, where that is shorter."""
    try:
        return str(folder.relative_to(Path.cwd()))
    except ValueError:
        return str(folder)
