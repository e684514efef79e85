"""One line of the table: what was measured, and how far it is from its target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Step = Callable[[], None]
"""Called after each repetition of a measure, for the progress bar."""


@dataclass(frozen=True)
class Row:
    """A measure, or a part of the one above it.

    what    for people; a part begins with two spaces
    shown   the value with its unit
    value   the number to compare with the target, in the target's unit; None: nothing to compare
    target  the most it may be; None: no target
    unit    of the target; empty for a plain number
    """

    what: str
    shown: str
    value: float | None = None
    target: float | None = None
    unit: str = ""

    @property
    def target_shown(self) -> str:
        """The target with its unit, or nothing."""
        if self.target is None:
            return ""
        return f"≤ {self.target:g} {self.unit}".rstrip()

    @property
    def ratio(self) -> float | None:
        """Value by target: 1 or less is on target."""
        if self.value is None or not self.target:
            return None
        return self.value / self.target

    @property
    def verdict(self) -> str:
        """`ok`, `not`, or nothing where there is no target."""
        return "" if self.ratio is None else "ok" if self.ratio <= 1 else "not"


def part(what: str, shown: str) -> Row:
    """A part of the measure above it, without a target of its own."""
    return Row(f"  {what}", shown)
