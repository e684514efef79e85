"""Reports for the tests of formats, and the golden files made from them.

Run as a program it writes the golden files again; read their diff before you commit it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from wakelab.formats.format import Format, Surroundings
from wakelab.formats.registry import FORMATS, convert
from wakelab.report import (
    CheckResult,
    CompilerMessage,
    Place,
    Report,
    Verdict,
    Visibility,
    make_report,
)

GOLDEN = Path(__file__).parent / "golden" / "formats"

SURROUNDINGS = Surroundings(
    environment={
        "CLASSROOM": "embedded",
        "ASSIGNMENT": "lab-08",
        "OWNER": "alice",
        "SUBMISSION_TAG": "submit/2026-06-01T14-32-05Z-a1b2c3d",
        "COMMIT_URL": "https://github.example/alice/lab-08/commit/a1b2c3d",
        "RELEASE_URL": "https://github.example/alice/lab-08/releases/tag/submit%2Fa1b2c3d",
    },
    folder="lab/08-button-future",
    now="2026-06-01T14:32:01Z",
)

VERSIONS = {"wakelab": "0.1.0", "qemu": "7.2.22", "gcc": "12.2.1", "python": "3.11.2"}
HASHES = {"submission": "cd" * 32, "grader": "ef" * 32, "lab": "01" * 32, "elf-Os": "23" * 32}

HOSTILE = (
    "\x1b[2J\x1b]0;evil\x07\r\n::error::pwned\n::set-output name=x::y\n##[error]pwned\n"
    "<script>alert(1)</script> & <img src=x onerror=alert(1)> [a](http://evil) ![b](http://evil)\n"
    '```\n# head\n| cell | `code` *bold* ~~~ \\ </summary></details>\n{"scores": {"builds": 9}}\n'
    '=HYPERLINK("http://evil");=1+1 %0A::error:: ]]> \u202ebackwards \u2028 \ud800 \x00 @everyone'
)


def _report(checks: list[CheckResult], *messages: CompilerMessage) -> Report:
    return make_report(
        "08",
        "The button future",
        "alice",
        checks,
        compiler_messages=messages,
        versions=VERSIONS,
        hashes=HASHES,
    )


BUILDS = CheckResult("builds", "It compiles and links", Verdict.PASS, 0, 0, trace_hash="aa" * 32)
LINES = CheckResult(
    "one-line", "One press, one line", Verdict.PASS, 10, 10, trace_hash="ab" * 32, needs=("builds",)
)
SWEEP = CheckResult(
    "singles", "A press before every instruction", Verdict.PASS, 20, 20, needs=("one-line",)
)
LATER = CheckResult("later", "Stands on the sweep", Verdict.PASS, 5, 5, needs=("singles",))
WARNING = CompilerMessage("button_future.c", 7, 9, "warning", "unused variable 'x'", "O0 Og O2 Os")


def passing() -> Report:
    """Full marks."""
    return _report([BUILDS, LINES, SWEEP])


def failing() -> Report:
    """A lost wake-up, a check that stands on it, and one that is hidden until it is due."""
    lost = replace(
        SWEEP,
        verdict=Verdict.LOST_WAKE,
        points=0,
        expected='"Interrupt fired!" once for press 2',
        seen="nothing; the task slept on with press 2 undelivered",
        why="You looked before you left your phone number.",
        hint="What if the button is pressed between line 40 and line 42?",
        place=Place("button_future.c", 41, "\tatomic_waker_register(&slot, cx->waker);", 0x1E2),
        story=("press SELECT    before 0x1e2", "wake            the slot is empty", "sleep"),
        diagnosis="check-then-register",
        level="Os",
        trace_hash="ac" * 32,
    )
    later = replace(
        LATER,
        verdict=Verdict.SKIPPED,
        points=0,
        expected="first: A press before every instruction",
        seen="not run, because that check has not passed",
    )
    hidden = CheckResult(
        "two-quick",
        "Two quick presses, two lines",
        Verdict.DOUBLE,
        0,
        10,
        expected="two lines",
        seen="three lines: THIS STAYS HIDDEN",
        why="THIS STAYS HIDDEN",
        needs=("one-line",),
        trace_hash="ad" * 32,
        visibility=Visibility.AFTER_DUE_DATE,
    )
    return _report([BUILDS, LINES, lost, later, hidden], WARNING)


def unbuilt() -> Report:
    """It does not compile."""
    broken = replace(
        BUILDS,
        verdict=Verdict.BUILD,
        expected="a program",
        seen="2 errors; the first: expected ';' before 'return'",
        place=Place("button_future.c", 12, "    int x = 1"),
        trace_hash="",
    )
    rest = [
        replace(
            each,
            verdict=Verdict.SKIPPED,
            points=0,
            expected="first: It compiles and links",
            seen="not run, because that check has not passed",
            trace_hash="",
        )
        for each in (LINES, SWEEP)
    ]
    return _report(
        [broken, *rest],
        CompilerMessage("button_future.c", 12, 14, "error", "expected ';' before 'return'", "O0"),
        CompilerMessage("", 0, 0, "error", "undefined reference to 'GPIOF_IRQHandler'", "O0 Og"),
        WARNING,
    )


def hostile() -> Report:
    """Every text that a student has a say in wants to be obeyed."""
    wrong = CheckResult(
        "one-line",
        "One press, one line",
        Verdict.WRONG,
        0,
        10,
        expected=HOSTILE,
        seen=HOSTILE,
        why=HOSTILE,
        hint=HOSTILE,
        place=Place(f"main.c,line=1::{HOSTILE}", 3, HOSTILE),
        story=(HOSTILE, "```````"),
        diagnosis=HOSTILE,
        level=HOSTILE,
        trace_hash=HOSTILE,
        needs=(HOSTILE,),
    )
    message = CompilerMessage(f"x::,{HOSTILE}", 1, 1, "warning", HOSTILE, HOSTILE)
    report = _report([BUILDS, wrong], message)
    return replace(report, title=HOSTILE, submission=HOSTILE, versions={HOSTILE: HOSTILE})


def broken() -> Report:
    """Our fault: the bench failed."""
    trouble = replace(
        SWEEP,
        verdict=Verdict.INFRA,
        points=0,
        expected="the bench to do its work",
        seen="QEMU ended before it answered",
        hint="this is not about your code; `make doctor` checks the tools",
    )
    return _report([BUILDS, LINES, trouble])


SAMPLES = {each.__name__: each for each in (passing, failing, unbuilt, hostile, broken)}


def golden_path(sample: str, shape: Format) -> Path:
    return GOLDEN / shape.name / f"{sample}{Path(shape.file).suffix}"


def _write_golden() -> None:
    from wakelab.errors import InfraError

    for name, sample in SAMPLES.items():
        for shape in FORMATS:
            if shape.name == "html":
                continue
            path = golden_path(name, shape)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                text = convert(sample(), shape, SURROUNDINGS)
            except InfraError:
                path.unlink(missing_ok=True)
                continue
            path.write_text(text, encoding="utf-8", newline="")


if __name__ == "__main__":
    _write_golden()
