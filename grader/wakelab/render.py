"""The report in the terminal, to be understood in ten seconds.

Everything that a student's program or source could have put into a report is hostile: it passes
`safe_text` first and is never read as markup. rich is imported when something is drawn.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from wakelab.report import CheckResult, CompilerMessage, Place, Report, Verdict, Visibility

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

NEEDS = "needs "
"""How `seen` begins where nothing was run, because an earlier lab is missing."""

MAX_TEXT = 400
MAX_STORY = 40
MAX_SHOWN_MESSAGES = 5

_LABEL = 10
"""Width of "expected", "seen", … with the space after."""

_STYLES = {
    Verdict.PASS: "green",
    Verdict.TODO: "cyan",
    Verdict.SKIPPED: "dim",
    Verdict.INFRA: "magenta",
}


def safe_text(text: str, limit: int = MAX_TEXT, *, lines: bool = False) -> str:
    """The text with nothing left that a terminal or a reader could obey: control codes, escape
    codes, changes of direction and invisible characters are spelled out (`\\x1b`), tabs become
    spaces. A newline stays one with `lines`, else it is spelled out too. Longer than `limit`
    characters is cut, and says so."""
    cut = len(text) > limit
    text = text[:limit].expandtabs(4)
    shown = "".join(
        character
        if character.isprintable() or (lines and character == "\n")
        else _spelled(character)
        for character in text
    )
    return f"{shown} …" if cut else shown


def _spelled(character: str) -> str:
    if unicodedata.category(character) == "Zs":  # the other spaces
        return " "
    return character.encode("unicode_escape").decode("ascii")


def render_report(report: Report, console: Console) -> None:
    """Print a report: a header, a line for each check, the first failure in full, the others in
    brief, the sum and the next step. Raises nothing but what the console's file raises."""
    _Page(console).report(report)


class Parts(NamedTuple):
    """A report in parts, for who has less room: lines that are safe to show, in the width and the
    encoding of one console. What there is nothing of is empty.

    head      the lab, and a rule
    checks    a line for each
    compiler  its messages
    finding   the first check that does not pass: what was expected, what was seen, why, where
    story     what happened then, up to the failure
    hint      to it
    points    the sum, on one line
    withheld  that something is shown later only
    """

    head: tuple[Text, ...]
    checks: tuple[Text, ...]
    compiler: tuple[Text, ...]
    finding: tuple[Text, ...]
    story: tuple[Text, ...]
    hint: tuple[Text, ...]
    points: Text
    withheld: tuple[Text, ...]


def parts_of(report: Report, console: Console) -> Parts:
    """The parts of a report, drawn for a console, but not on it."""
    return _Drawn(console).parts(report)


def render_story(lines: Sequence[str], console: Console) -> None:
    """Print a trace in words, one event a line, at most MAX_STORY of them."""
    _Page(console).story(lines, indent=2)


class _Signs(NamedTuple):
    """The characters that a terminal may not have."""

    passed: str
    failed: str
    left_out: str
    rule: str
    bar: str
    dot: str


_UNICODE = _Signs("✓", "✗", "–", "─", "│", "·")
_ASCII = _Signs("+", "x", "-", "-", "|", "-")


class _Page:
    """Draws on one console, in its width and encoding."""

    def __init__(self, console: Console) -> None:
        from rich.text import Text

        self._text = Text
        self.console = console
        self.width = max(20, console.width)
        self.encoding = console.encoding
        self.signs = _UNICODE if self._can_encode("".join(_UNICODE)) else _ASCII

    def _can_encode(self, text: str) -> bool:
        try:
            text.encode(self.encoding)
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    def _fit(self, text: str) -> str:
        """The text in what the console's encoding has."""
        if self._can_encode(text):
            return text
        for fancy, plain in (("…", "..."), ("–", "-"), ("→", "->"), ("·", "-"), ("│", "|")):
            text = text.replace(fancy, plain)
        try:
            return text.encode(self.encoding, "backslashreplace").decode(self.encoding)
        except LookupError:
            return text.encode("ascii", "backslashreplace").decode("ascii")

    def _safe(self, text: str, limit: int = MAX_TEXT, *, lines: bool = False) -> str:
        return self._fit(safe_text(text, limit, lines=lines))

    def _print(self, *parts: tuple[str, str]) -> None:
        """One line, each part with its style; what is too long is cut, never wrapped."""
        self._draw(self._text.assemble(*parts))

    def _draw(self, line: Text) -> None:
        self.console.print(line, no_wrap=True, overflow="crop", crop=True)

    def _columns(self, text: str) -> int:
        return int(self._text(text).cell_len)

    def _shortened(self, text: str, columns: int) -> Text:
        shown = self._text(text)
        if shown.cell_len > columns:
            mark = self._fit("…")
            shown.truncate(max(1, columns - len(mark)))
            shown.append(mark)
        return shown

    def _paragraph(
        self, label: str, text: str, style: str = "", indent: int = 2, column: int = _LABEL
    ) -> None:
        """A label, and the text beside it in a column of its own."""
        if not text:
            return
        lead = indent + column
        body = self._text(text, style=style)
        wrapped = [
            line
            for part in body.split("\n", allow_blank=False)
            for line in part.wrap(self.console, max(10, self.width - lead - 1))
        ]
        for number, line in enumerate(wrapped):
            line.rstrip()
            head = label if number == 0 else ""
            self._print_line(f"{' ' * indent}{head:<{column}}", "dim", line)

    def _print_line(self, head: str, style: str, body: Text) -> None:
        self._draw(self._text.assemble((head, style), body))

    # The parts of a report, in the order of the page.

    def report(self, report: Report) -> None:
        self._header(report)
        self._table(report)
        if report.compiler_messages:
            self._compiler(report.compiler_messages)
        failed = [check for check in report.checks if _is_failure(check)]
        if report.verdict is Verdict.SKIPPED:
            failed = list(report.checks[:1])
        if failed:
            self._in_full(failed[0])
            for check in failed[1:]:
                self._in_brief(check)
        self._remarks(report)
        self._sum(report)

    def _remarks(self, report: Report) -> None:
        """What checks that have passed say all the same."""
        for check in report.checks:
            if check.verdict is Verdict.PASS and check.seen:
                self._print(("", ""))
                title = self._shortened(self._safe(check.title, 200), self.width - 4)
                sign = self._text(f" {self.signs.passed} ", style=_style(check.verdict))
                self._draw(self._text.assemble(sign, title))
                self._paragraph("seen", self._safe(check.seen, 600, lines=True))
                if check.place is not None:
                    self._place(check.place)
                self.story(check.story, indent=4)

    def _header(self, report: Report) -> None:
        name = self._safe(report.submission, 60)
        head = f"Lab {self._safe(report.lab, 10)} {self.signs.dot} {self._safe(report.title, 80)}"
        tail = f" {self.signs.dot} {name}" if name else ""
        room = self.width - self._columns(tail) - 1
        if room < 20:
            tail, room = "", self.width - 1
        line = self._shortened(head, room)
        line.stylize("bold")
        self._draw(self._text.assemble(line, (tail, "dim")))
        self._print((self.signs.rule * (self.width - 1), "dim"))

    def _table(self, report: Report) -> None:
        points = [_points(check) for check in report.checks]
        verdicts = [_outcome(check) for check in report.checks]
        wide = max(map(len, points), default=0)
        right = max(map(len, verdicts), default=0)
        room = max(8, self.width - 1 - 3 - (wide + 1) - (right + 2 if right else 0))
        for check, score, verdict in zip(report.checks, points, verdicts, strict=True):
            title = self._shortened(self._safe(check.title, 200), room)
            title.pad_right(room - title.cell_len)
            style = _style(check.verdict)
            title.stylize("dim" if check.verdict is Verdict.SKIPPED else "")
            line = self._text.assemble(
                (f" {self._sign(check.verdict)} ", style),
                title,
                f" {score:>{wide}}",
                (f"  {verdict}" if verdict else "", style),
            )
            self._draw(line)

    def _sign(self, verdict: Verdict) -> str:
        if verdict is Verdict.PASS:
            return self.signs.passed
        if verdict in (Verdict.SKIPPED, Verdict.INFRA):
            return self.signs.left_out
        return self.signs.failed

    def _compiler(self, messages: Sequence[CompilerMessage]) -> None:
        self._print(("", ""))
        ordered = sorted(messages, key=lambda message: message.severity != "error")
        for message in ordered[:MAX_SHOWN_MESSAGES]:
            style = "red" if message.severity == "error" else "yellow"
            place = _message_place(message)
            head = f"{place}: {message.severity}" if place else message.severity
            self._print((f"  {self._safe(head, 100)}", style))
            self._paragraph("", self._safe(message.text), column=2)
        if len(ordered) > MAX_SHOWN_MESSAGES:
            self._print((f"  and {len(ordered) - MAX_SHOWN_MESSAGES} more", "dim"))

    def _in_full(self, check: CheckResult) -> None:
        self._print(("", ""))
        self._finding(check)
        if check.story:
            self._print(("  what happened", "dim"))
            self.story(check.story, indent=4)
        self._hint(check)

    def _finding(self, check: CheckResult) -> None:
        level = f" {self.signs.dot} -{self._safe(check.level, 20)}" if check.level else ""
        title = self._safe(check.title, 200)
        sign = f" {self._sign(check.verdict)} "
        tail = f" {self.signs.dot} {check.verdict}{level}"
        shown = self._shortened(title, max(8, self.width - 1 - len(sign) - self._columns(tail)))
        style = _style(check.verdict)
        line = self._text.assemble((sign, style), shown, (tail, style))
        line.stylize("bold")
        self._draw(line)
        self._paragraph("expected", self._safe(check.expected, lines=True))
        self._paragraph("seen", self._safe(check.seen, lines=True))
        self._paragraph("why", self._safe(check.why, lines=True), style="bold")
        if check.place is not None:
            self._place(check.place)

    def _hint(self, check: CheckResult) -> None:
        self._paragraph("hint", self._safe(check.hint, lines=True), style="cyan")

    def _in_brief(self, check: CheckResult) -> None:
        self._print(("", ""))
        title = self._shortened(self._safe(check.title, 200), self.width - 4)
        style = _style(check.verdict)
        sign = self._text(f" {self._sign(check.verdict)} ", style=style)
        self._draw(self._text.assemble(sign, title))
        for label, text in (("expected", check.expected), ("seen", check.seen)):
            if text:
                body = self._shortened(self._safe(text), max(8, self.width - 3 - _LABEL))
                self._print_line(f"  {label:<{_LABEL}}", "dim", body)

    def _place(self, place: Place) -> None:
        where = self._safe(place.file, 60)
        if place.line:
            where += f":{place.line}"
        if place.address is not None:
            where += f" (at 0x{place.address:x})"
        self._paragraph("where", where)
        if place.text.strip():
            number = f"  > {place.line:>4} {self.signs.bar} "
            source = self._shortened(
                self._safe(place.text.rstrip(), 200), max(8, self.width - 1 - len(number))
            )
            source.stylize("bold")
            self._print_line(number, "red", source)

    def story(self, lines: Sequence[str], indent: int) -> None:
        shown: Iterable[str] = lines
        if len(lines) > MAX_STORY:
            # The end tells what went wrong; the start is where the reader comes in.
            left_out = f"… {len(lines) - MAX_STORY + 1} events left out …"
            shown = (*lines[: MAX_STORY // 2], left_out, *lines[-(MAX_STORY // 2 - 1) :])
        for line in shown:
            body = self._shortened(self._safe(line, 300), max(8, self.width - 1 - indent))
            self._print_line(" " * indent, "", body)

    def _sum(self, report: Report) -> None:
        self._print(("", ""))
        self._points(report)
        self._withheld(report)
        self._paragraph("Next:", self._fit(_next_step(report)), indent=1, column=6)

    def _withheld(self, report: Report) -> None:
        if withheld := sum(map(_is_withheld, report.checks)):
            checks = "1 check more is" if withheld == 1 else f"{withheld} checks more are"
            text = f"{checks} shown after the due date, and in no sum before"
            self._paragraph("", text, style="dim", indent=1, column=0)

    def _points(self, report: Report) -> None:
        style = _style(report.verdict)
        self._print(
            (f" {report.points} of {report.max_points} points", f"bold {style}"),
            ("" if report.verdict is Verdict.PASS else f"  {report.verdict}", style),
        )


class _Drawn(_Page):
    """Keeps the lines instead of printing them."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._lines: list[Text] = []

    def _draw(self, line: Text) -> None:
        line.no_wrap, line.overflow = True, "crop"
        self._lines.append(line)

    def _taken(self) -> tuple[Text, ...]:
        """The lines since the last time; no blank ones around them."""
        lines, self._lines = self._lines, []
        while lines and not lines[0].plain.strip():
            del lines[0]
        return tuple(lines)

    def parts(self, report: Report) -> Parts:
        self._header(report)
        head = self._taken()
        self._table(report)
        checks = self._taken()
        if report.compiler_messages:
            self._compiler(report.compiler_messages)
        compiler = self._taken()
        failed = next(filter(_is_failure, report.checks), None)
        if failed:
            self._finding(failed)
        finding = self._taken()
        if failed and failed.story:
            self.story(failed.story, indent=4)
        story = self._taken()
        if failed:
            self._hint(failed)
        hint = self._taken()
        self._points(report)
        (points,) = self._taken()
        self._withheld(report)
        return Parts(head, checks, compiler, finding, story, hint, points, self._taken())


def _is_withheld(check: CheckResult) -> bool:
    return check.visibility is Visibility.WITHHELD


def _points(check: CheckResult) -> str:
    return "" if _is_withheld(check) else f"{check.points}/{check.max_points}"


def _outcome(check: CheckResult) -> str:
    if _is_withheld(check):
        return "later"
    if check.verdict is Verdict.SKIPPED and check.seen.startswith(NEEDS):
        return f"{check.verdict}: {check.seen}"
    return "" if check.verdict is Verdict.PASS else str(check.verdict)


def _is_failure(check: CheckResult) -> bool:
    return check.verdict not in (Verdict.PASS, Verdict.SKIPPED)


def _style(verdict: Verdict) -> str:
    return _STYLES.get(verdict, "red")


def _message_place(message: CompilerMessage) -> str:
    return f"{message.file}:{message.line}" if message.line else message.file


def _next_step(report: Report) -> str:
    if report.verdict is Verdict.SKIPPED and report.checks:
        return report.checks[0].hint
    again = f"make grade LAB={safe_text(report.lab, 10)}"
    if report.verdict is Verdict.PASS:
        withheld = any(map(_is_withheld, report.checks))
        return "all that is shown yet is right" if withheld else "this lab is done"
    if report.verdict is Verdict.BUILD:
        return f"put the first error right, then {again}"
    if report.verdict is Verdict.TODO:
        return f"write the first step that is to do, then {again}"
    if report.verdict is Verdict.INFRA:
        return "this is not your program's fault: make doctor"
    return f"put the first failed check right, then {again}"
