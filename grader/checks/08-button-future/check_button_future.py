"""Lab 08: one press, one line, whenever it comes; and sleep in between."""

from __future__ import annotations

from wakelab import build_checks, press_checks
from wakelab.checking import check
from wakelab.subject import Subject


@check("It compiles and links", points=0)
def check_builds(subject: Subject) -> None:
    """The files handed in build with the board, the async core and the references."""
    build_checks.expect_builds(subject)


@check("Every step is written", points=0, needs=["builds"])
def check_written(subject: Subject) -> None:
    """No TODO is reached, neither before nor after a press."""
    press_checks.expect_written(subject)


@check("It asks nothing of the host", points=5, needs=["written"])
def check_host(subject: Subject) -> None:
    """The program prints on its console and asks the host for nothing else."""
    press_checks.expect_host(subject)


@check("A press runs the handler once, and it acknowledges", points=10, needs=["host"])
def check_handler(subject: Subject) -> None:
    """Press, and the handler of the button's port runs, once, and clears RIS."""
    press_checks.expect_handler(subject)


@check("It sleeps, and polls only when woken", points=10, needs=["handler"])
def check_sleeps(subject: Subject) -> None:
    """With nothing to do the core is in WFI; a WFI that returns for no reason causes no poll."""
    press_checks.expect_sleeps(subject)


@check("One press, one line, at every spacing", points=10, needs=["sleeps"])
def check_one_line(subject: Subject) -> None:
    """The line comes with the press, not with the release, and comes once, press after press."""
    press_checks.expect_one_line(subject)


@check("Spurious wakes and polls do no harm", points=10, needs=["one-line"])
def check_spurious(subject: Subject) -> None:
    """The task is woken although nothing happened, once and three times; then somebody presses."""
    press_checks.expect_spurious(subject)


@check("A press just before the sleep, and during it", points=10, needs=["one-line"])
def check_sleep_moments(subject: Subject) -> None:
    """The last instant before WFI executes, and the sleep itself, after reset and after a press."""
    press_checks.expect_sleep_moments(subject)


@check(
    "A press while the task gets ready to wait", points=5, needs=["sleep-moments"], explores=True
)
def check_first_wait(subject: Subject) -> None:
    """A press before the first init, and one at every step from the first poll to the first
    sleep."""
    press_checks.expect_first_wait(subject)


@check("Two quick presses, two lines", points=10, needs=["sleep-moments"], explores=True)
def check_two_quick(subject: Subject) -> None:
    """A second press at every step of the way from the first one back to sleep."""
    press_checks.expect_two_quick(subject)


@check("It works at -O0, -O2 and -Os as well", points=5, needs=["one-line"], levels=True)
def check_levels(subject: Subject, level: str) -> None:
    """Two presses, a quick one and a spurious wake at another optimisation level, and no warning
    that the main one does not have."""
    press_checks.expect_levels(subject, level)


@check("The compiler has no warning", points=5, needs=["written"])
def check_warnings(subject: Subject) -> None:
    """-Wall -Wextra -Wpedantic, at the main level."""
    build_checks.expect_warnings(subject)
