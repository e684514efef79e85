"""What an instructor reads: the numbers are right, and no name or finding does anything."""

import csv
import html.parser
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from wakelab.classes.grading import Graded
from wakelab.classes.intake import Entry, Intake
from wakelab.classes.page import to_page
from wakelab.classes.screen import Screen
from wakelab.classes.summary import HEAD, summarise, to_csv
from wakelab.labs import checkout_root, load_lab
from wakelab.report import CheckResult, CompilerMessage, Place, Report, Verdict, make_report
from wakelab.submission import Submission, unreadable

LAB = load_lab(checkout_root(), "08")

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}{% include '/etc/passwd' %}",
    '=HYPERLINK("http://x")',
    "a\nb\x1b[31mred\x1b]0;title\x07",
    "\u202egnp.exe",
    "[bold red]markup[/]",
    "</style><style>*{display:none}</style>",
    "&lt;b&gt;",
    "not \udcff UTF-8",
]


def check(
    name: str, verdict: Verdict = Verdict.PASS, points: int = 10, diagnosis: str = ""
) -> CheckResult:
    got = points if verdict is Verdict.PASS else 0
    return CheckResult(name, f"Check {name}", verdict, got, points, diagnosis=diagnosis)


def graded(name: str, *checks: CheckResult, trouble: str = "", late: bool = False) -> Graded:
    submission = Submission("", (), "ab" * 32, None)
    entry = Entry(f"key-{abs(hash(name))}", name, "17", late, submission)
    report = make_report("08", "T", name, checks) if checks else None
    return Graded(entry, report, trouble)


WRONG, SKIPPED = Verdict.WRONG, Verdict.SKIPPED
A_CLASS = [
    graded("Ada", check("a"), check("b")),
    graded("Bob", check("a"), check("b", WRONG, diagnosis="late-mask")),
    graded("Cyd", check("a", WRONG, diagnosis="nvic-off"), check("b", SKIPPED), late=True),
    graded("Dan", check("a"), check("b", Verdict.LOST_WAKE, diagnosis="late-mask")),
    graded("Eve", trouble="the grading process died"),
    graded("Fay", check("a", Verdict.INFRA), check("b")),
]


def intake_of(results: list[Graded], *named: tuple[str, str]) -> Intake:
    return Intake("Moodle", tuple(each.entry for each in results), named)


def test_the_numbers() -> None:
    summary = summarise(A_CLASS)
    assert (summary.students, summary.graded, summary.full, summary.max_points) == (6, 4, 1, 20)
    assert (summary.mean, summary.median) == (10.0, 10.0)
    assert summary.bins == (1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1)
    assert [(c.id, c.passed, c.failed, c.skipped) for c in summary.checks] == [
        ("b", 1, 2, 1),
        ("a", 3, 1, 0),
    ]
    assert [(m.diagnosis, m.students, m.check) for m in summary.mistakes] == [
        ("late-mask", 2, "Check b"),
        ("nvic-off", 1, "Check a"),
    ]
    assert dict(summary.verdicts)["infra"] == 2


def test_a_mistake_counts_once_for_each_student() -> None:
    twice = [graded("Ada", check("a", WRONG, diagnosis="x"), check("b", WRONG, diagnosis="x"))]
    assert [m.students for m in summarise(twice).mistakes] == [1]


def test_nothing_graded_is_no_division_by_zero() -> None:
    summary = summarise([graded("Eve", trouble="died")])
    assert (summary.graded, summary.mean, summary.max_points) == (0, 0.0, 0)
    assert "Eve" in to_page(LAB, "folders", (), [graded("Eve", trouble="died")], summary)


def table(results: list[Graded]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(to_csv(results), newline="")))


def test_the_table() -> None:
    rows = {row["name"]: row for row in table(A_CLASS)}
    assert tuple(rows["Ada"]) == HEAD
    assert rows["Ada"]["points"] == "20" and rows["Ada"]["verdict"] == "pass"
    assert rows["Bob"]["first_failed"] == "b" and rows["Bob"]["diagnosis"] == "late-mask"
    assert rows["Cyd"]["late"] == "late"
    for lost in ("Eve", "Fay"):
        assert rows[lost]["points"] == rows[lost]["max_points"] == "", "never the student's score"
        assert rows[lost]["verdict"] == "infra"
    assert rows["Eve"]["note"] == "the grading process died" and rows["Eve"]["report"] == ""


@pytest.mark.parametrize("name", HOSTILE)
def test_no_cell_is_a_formula_or_more_than_a_cell(name: str) -> None:
    results = [graded(name, check("a"))]
    entry = replace(results[0].entry, submission=unreadable("", name, "again"), notes=(name,))
    (row,) = table([replace(results[0], entry=entry)])
    for cell in row.values():
        assert not re.match(r"\s*[=+\-@]", cell)
        assert cell.isprintable()
    assert to_csv(results).encode().count(b"\r\n") == 2


class Tags(html.parser.HTMLParser):
    """Every element of a page, and its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.data: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.data.append(data)


def hostile_report(text: str) -> Report:
    bad = CheckResult(
        *("a", text, WRONG, 0, 10, text, text, text, text),
        place=Place(text, 3, text, 4),
        story=(text,),
        diagnosis=text,
        level=text,
    )
    message = CompilerMessage(text, 1, 1, "error", text, "Og")
    return make_report("08", text, text, [bad], compiler_messages=[message])


def page_of(results: list[Graded], *named: tuple[str, str]) -> str:
    return to_page(LAB, "Moodle", named, results, summarise(results))


def test_names_and_findings_are_text_on_the_page() -> None:
    tame = [graded(f"n{n}", check("a")) for n in range(len(HOSTILE))]
    wild = []
    for each, text in zip(tame, HOSTILE, strict=True):
        entry = replace(each.entry, name=text, id=text, notes=(text,))
        wild.append(Graded(entry, hostile_report(text), text))
    calm = [Graded(replace(each.entry, notes=("x",)), hostile_report("x"), "x") for each in tame]
    named = [(text, text) for text in HOSTILE]
    shown, plain = Tags(), Tags()
    shown.feed(page_of(wild, *named))
    plain.feed(page_of(calm, *(("x", "x") for _ in HOSTILE)))

    page_of(wild, *named).encode()  # a name on a disk need not be text

    def shape(tags: Tags) -> list[str]:
        return [tag for tag, _ in tags.tags if tag not in ("tr", "td", "code")]

    assert shape(shown) == shape(plain)
    assert {tag for tag, _ in shown.tags} == {tag for tag, _ in plain.tags}
    text = "".join(shown.data)
    assert "<script>alert(1)</script>" in text and "{{ 7*7 }}" in text
    assert "\\x1b" in text and "\x1b" not in text
    assert "\\u202e" in text and "\u202e" not in text


def test_the_page_asks_for_nothing_and_runs_nothing() -> None:
    page = page_of(A_CLASS)
    tags = Tags()
    tags.feed(page)
    names = {tag for tag, _ in tags.tags}
    assert not names & {"script", "img", "link", "iframe", "form", "object", "embed", "base"}
    for _, attributes in tags.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("href", "src"):
            assert re.match(r"#|results/|$", attributes.get(name) or "")
    (policy,) = [each["content"] for tag, each in tags.tags if each.get("http-equiv")]
    assert policy is not None
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "url(" not in page and "@import" not in page


def test_every_link_on_the_page_leads_somewhere() -> None:
    tags = Tags()
    tags.feed(page_of(A_CLASS))
    there = {each["id"] for _, each in tags.tags if "id" in each}
    links = [each["href"] or "" for tag, each in tags.tags if tag == "a"]
    assert {link[1:] for link in links if link.startswith("#")} == there
    reports = {link for link in links if link.startswith("results/")}
    assert reports == {f"results/{r.entry.key}.json" for r in A_CLASS if r.report is not None}


def test_the_page_is_the_same_each_time() -> None:
    assert page_of(A_CLASS) == page_of(A_CLASS)


def printed(width: int, results: list[Graded], *named: tuple[str, str], terminal: bool) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, highlight=False)
    screen = Screen(console, LAB, len(results))
    intake = intake_of(results, *named)
    screen.begin(intake)
    screen.known(len(results))
    with screen.progress(len(results)):
        for each in results:
            screen.result(each)
    screen.end(intake, results, summarise(results), Path("build/class/x"), "")
    return file.getvalue()


def test_lines_without_a_terminal() -> None:
    text = printed(80, A_CLASS, ("Ada", "something"), terminal=False)
    assert "\x1b" not in text
    assert max(len(line) for line in text.splitlines()) <= 80
    assert re.search(r"^1/6  Ada +20/20  pass$", text, re.MULTILINE)
    assert "4 of 6 submissions graded; 1 with full marks; mean 10.0, median 10 of 20" in text
    assert "  Ada: something" in text
    assert "  Eve: not graded: the grading process died" in text
    assert "    2  late-mask" in text


def test_a_bar_on_a_terminal() -> None:
    text = printed(80, A_CLASS, terminal=True)
    assert "6/6" in text and "Ada  " not in text


@pytest.mark.parametrize("terminal", [True, False])
def test_names_do_nothing_to_a_terminal(terminal: bool) -> None:
    results = [Graded(graded(text).entry, hostile_report(text)) for text in HOSTILE]
    text = printed(80, results, *((text, text) for text in HOSTILE), terminal=terminal)
    codes = set(re.findall(r"\x1b.{0,6}", text))
    assert not [code for code in codes if code.startswith(("\x1b]", "\x1b[31mred"))]
    assert "\u202e" not in text and "\x07" not in text
    assert "[bold red]markup" in text
