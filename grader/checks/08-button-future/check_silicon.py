"""Lab 08: what QEMU forgives and the chip does not."""

from __future__ import annotations

from wakelab.checking import check
from wakelab.silicon import expect_silicon
from wakelab.subject import Subject


@check("It would work on the real chip, too", points=0, needs=["one-line"])
def check_silicon(subject: Subject) -> None:
    """Clock gates, pins, priorities and registers, from the accesses that were seen. Worth nothing:
    what is graded is the emulated board."""
    expect_silicon(subject)
