"""What a student sees, and what a hostile program cannot make the terminal do.

The goldens are made by `python grader/tests/test_render.py`, and read before they are committed.
"""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from wakelab.points import as_the_student_sees
from wakelab.render import MAX_STORY, render_report, render_story, safe_text
from wakelab.report import (
    CheckResult,
    CompilerMessage,
    Place,
    Report,
    Verdict,
    from_json,
    make_report,
)

GOLDEN = Path(__file__).parent / "golden"
HOSTILE = (
    "\x1b[2J\x1b]0;title\x07\x1b]8;;http://evil\x1b\\[bold red]x[/]\r\x08\x9b31m\x85\u2028\u202e"
    "\u200b\ufeff\ud800\x00\x7f:boom: 日本語 " + "y" * 5000
)


def sample() -> Report:
    return from_json((GOLDEN / "report.json").read_bytes())


def hostile() -> Report:
    check = CheckResult(
        HOSTILE,
        HOSTILE,
        Verdict.WRONG,
        0,
        1,
        expected=HOSTILE,
        seen=HOSTILE,
        why=HOSTILE,
        hint=HOSTILE,
        place=Place(HOSTILE, 1, HOSTILE, 0),
        story=(HOSTILE,) * 3,
        level=HOSTILE,
    )
    message = CompilerMessage(HOSTILE, 1, 1, "error", HOSTILE, "O0")
    report = make_report(HOSTILE, HOSTILE, HOSTILE, [check, check], compiler_messages=[message] * 9)
    return replace(report, versions={HOSTILE: HOSTILE})


def drawn(report: Report, width: int = 80, encoding: str = "utf-8", color: bool = False) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    console = Console(
        file=file,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
        _environ={},
    )
    render_report(report, console)
    file.flush()
    return raw.getvalue().decode(encoding)


GOLDENS = {
    "render-80.txt": {},
    "render-80-color.txt": {"color": True},
    "render-40.txt": {"width": 40},
    "render-200.txt": {"width": 200},
    "render-80-ascii.txt": {"encoding": "ascii"},
}


@pytest.mark.parametrize("name", GOLDENS)
def test_the_golden_pages(name: str) -> None:
    page = drawn(sample(), **GOLDENS[name])  # type: ignore[arg-type]
    assert page == (GOLDEN / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp437"])
@pytest.mark.parametrize("report", [sample(), hostile()], ids=["sample", "hostile"])
def test_no_page_is_wider_than_the_terminal(report: Report, width: int, encoding: str) -> None:
    for line in drawn(report, width, encoding).split("\n"):
        assert cell_len(line) <= width


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_control_character_gets_through(width: int) -> None:
    page = drawn(hostile(), width)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u200b\ufeff\ud800]", page)


def test_with_colour_only_colours_get_through() -> None:
    page = drawn(hostile(), color=True)
    assert not re.search(r"[\x00-\x09\x0b-\x1a\x1c-\x1f]", page)
    assert not re.sub(r"\x1b\[[0-9;]*m", "", page).count("\x1b")


def test_markup_and_emoji_names_are_text() -> None:
    check = CheckResult("id", "[bold]t[/bold] :boom:", Verdict.WRONG, 0, 1, seen="[/] [link=x] [r]")
    page = drawn(make_report("08", "t", "s", [check]))
    assert "[bold]t[/bold] :boom:" in page
    assert "[/] [link=x] [r]" in page


def test_a_page_is_bounded() -> None:
    many = [hostile().checks[0]] * 30
    page = drawn(
        make_report("08", "t", "s", [replace(each, story=("e",) * 10**5) for each in many])
    )
    assert page.count("\n") < 300


def test_without_a_terminal_or_with_no_color_there_are_no_codes() -> None:
    assert "\x1b" not in drawn(sample())
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, _environ={"NO_COLOR": "1"})
    render_report(sample(), console)
    assert not re.search(r"\x1b\[(?:\d+;)*[349]\d", file.getvalue())


def test_the_first_failure_is_in_full_and_the_others_in_brief() -> None:
    first = CheckResult("a", "A", Verdict.WRONG, 0, 1, "ea", "sa", "wa", "ha", story=("ta",))
    second = CheckResult("b", "B", Verdict.WRONG, 0, 1, "eb", "sb", "wb", "hb", story=("tb",))
    left_out = CheckResult("c", "C", Verdict.SKIPPED, 0, 1, "ec", "sc", "wc", "hc")
    page = drawn(make_report("08", "t", "s", [first, second, left_out])).split("\n")
    words = {word for line in page for word in line.split()}
    assert {"ea", "sa", "wa", "ha", "ta", "eb", "sb"} <= words
    assert not {"wb", "hb", "tb", "ec", "sc", "wc", "hc"} & words


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (Verdict.PASS, "this lab is done"),
        (Verdict.BUILD, "put the first error right, then make grade LAB=08"),
        (Verdict.TODO, "first step that is to do"),
        (Verdict.INFRA, "make doctor"),
        (Verdict.BUSY, "then make grade LAB=08"),
    ],
)
def test_the_next_step(verdict: Verdict, said: str) -> None:
    page = drawn(make_report("08", "t", "s", [CheckResult("a", "A", verdict, 0, 1)]))
    assert said in page.rstrip("\n").rpartition("\n")[2]


def test_errors_of_the_compiler_go_before_warnings_and_are_few() -> None:
    messages = [CompilerMessage("main.c", 3, 1, "warning", "w", "O0")] * 6
    messages.append(CompilerMessage("main.c", 9, 1, "error", "bad", "O0"))
    page = drawn(make_report("08", "t", "s", [], compiler_messages=messages))
    assert page.index("main.c:9: error") < page.index("main.c:3: warning")
    assert "and 2 more" in page


def test_a_story_keeps_its_start_and_its_end() -> None:
    file = io.StringIO()
    render_story([f"event {number}" for number in range(1000)], Console(file=file, width=80))
    lines = file.getvalue().splitlines()
    assert len(lines) == MAX_STORY
    assert (lines[0].strip(), lines[-1].strip()) == ("event 0", "event 999")
    assert any("961 events left out" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain ünï 日本", "plain ünï 日本"),
        ("a\tb", "a   b"),
        ("a\nb", "a\\nb"),
        ("\x1b[31mred\x9b", "\\x1b[31mred\\x9b"),
        ("\r\x00\x7f", "\\r\\x00\\x7f"),
        ("\u202e\u2066\u200b\ufeff\ud800", "\\u202e\\u2066\\u200b\\ufeff\\ud800"),
        ("a\xa0b", "a b"),
        ("12345678901", "1234567890 …"),
    ],
)
def test_safe_text(text: str, safe: str) -> None:
    assert safe_text(text, 10 if text.startswith("123") else 400) == safe


def test_safe_text_keeps_newlines_when_asked() -> None:
    assert safe_text("a\nb\r\n", lines=True) == "a\nb\\r\n"


def test_what_is_hidden_until_the_due_date_is_announced() -> None:
    report = as_the_student_sees(sample())
    page = drawn(report)
    (row,) = [line for line in page.splitlines() if "The CPU sleeps" in line]
    assert row.split()[-1] == "later" and "/" not in row
    assert "2 of 6 points" in page
    assert "1 check more is shown after the due date" in page
    passed = replace(report, verdict=Verdict.PASS)
    assert "all that is shown yet is right" in drawn(passed)
    assert "due date" not in drawn(sample())


if __name__ == "__main__":
    for golden, options in GOLDENS.items():
        (GOLDEN / golden).write_text(drawn(sample(), **options), encoding="utf-8")  # type: ignore[arg-type]
