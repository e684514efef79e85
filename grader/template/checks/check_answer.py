"""The checks of this lab. What there is to use: docs/instructors/new-lab.md."""

from __future__ import annotations

from wakelab import build_checks, press_checks
from wakelab.checking import Finding, check, shared_check
from wakelab.report import Verdict
from wakelab.subject import Subject

check_builds = shared_check(build_checks.expect_builds, "It compiles and links", 0)
check_written = shared_check(
    press_checks.expect_written, "Every step is written", 0, needs=["builds"]
)
check_host = shared_check(
    press_checks.expect_host, "It asks nothing of the host", 5, needs=["written"]
)


@check("The answer is right", points=90, needs=["host"])
def check_answer(subject: Subject) -> None:
    """Asked by a press, as main does."""
    board = subject.board()
    board.wait_asleep()
    board.press(subject.button)
    board.wait_asleep()
    if not board.count_lines("42"):
        raise Finding(
            Verdict.WRONG,
            "42",
            ", ".join(board.trace.lines()) or "no line",
            why="What the student needs to know: a sentence that fits this mistake and no other.",
            hint="A question that leads there.",
            diagnosis="wrong-answer",
        )


check_warnings = shared_check(
    build_checks.expect_warnings, "The compiler has no warning", 5, needs=["written"]
)
