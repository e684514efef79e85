"""Lab 08: a press before every instruction, and two of them.

Found from inside the guest, confirmed from outside.
"""

from __future__ import annotations

from wakelab.checking import check
from wakelab.counterexample import explain
from wakelab.schedule import confirm
from wakelab.subject import Subject
from wakelab.sweeping import Swept, schedules, sweep


@check("A press before every instruction", points=10, needs=["first-wait", "two-quick"])
def check_singles(subject: Subject) -> None:
    """One press at every instruction boundary of the wait, at every optimisation level."""
    for level in subject.levels:
        _expect_nothing(subject, sweep(subject, level, pairs=False))


@check("Two presses, before any two instructions", points=10, needs=["singles"])
def check_pairs(subject: Subject) -> None:
    """Two presses, each at every boundary that matters of the wait and of all that follows."""
    _expect_nothing(subject, sweep(subject, "Og", pairs=True))


def _expect_nothing(subject: Subject, swept: Swept) -> None:
    """Raise the first of what was found that is seen from outside, too."""
    for schedule in schedules(swept, subject.lab.number):
        confirmed = confirm(schedule, subject)
        if confirmed is not None:
            raise explain(*confirmed, subject)
