"""Lab 08: a press before every instruction, two of them, and, where it is asked for, three.

Found from inside the guest, confirmed from outside.
"""

from __future__ import annotations

from wakelab import sweep_checks
from wakelab.checking import check
from wakelab.subject import Subject


@check(
    "A press before every instruction",
    points=7,
    needs=["first-wait", "two-quick"],
    mode="singles",
    explores=True,
)
def check_singles(subject: Subject) -> None:
    """One press at every instruction boundary of the wait."""
    sweep_checks.expect_singles(subject)


@check(
    "What it shares with the interrupt is protected",
    points=5,
    needs=["singles"],
    mode="singles",
    explores=True,
)
def check_sharing(subject: Subject) -> None:
    """No object that both the interrupt and the task touch is left without protection."""
    sweep_checks.expect_sharing(subject)


@check(
    "Two presses, before any two instructions",
    points=5,
    needs=["singles"],
    mode="pairs",
    explores=True,
)
def check_pairs(subject: Subject) -> None:
    """Two presses, each at every boundary that matters of the wait and of all that follows."""
    sweep_checks.expect_pairs(subject)


@check(
    "Three presses, at selected places", points=0, needs=["pairs"], mode="triples", explores=True
)
def check_triples(subject: Subject) -> None:
    """Three presses, where something that a handler touches is about to happen."""
    sweep_checks.expect_triples(subject)


@check(
    "A press before every instruction at -O0, -O2 and -Os",
    points=3,
    needs=["singles", "levels"],
    mode="singles",
    levels=True,
)
def check_singles_levels(subject: Subject, level: str) -> None:
    """One press before every instruction of the wait that matters, at another level."""
    sweep_checks.expect_singles_levels(subject, level)


@check("Certificate", points=0, needs=["pairs"], mode="pairs", explores=True)
def check_certificate(subject: Subject) -> None:
    """Says what was tried, what a press costs, and how long the core sleeps."""
    sweep_checks.certify(subject)
