"""The moments at which the world outside may change a pin."""

from __future__ import annotations

from enum import StrEnum


class When(StrEnum):
    """The moment at which a stimulus is given."""

    NOW = "now"
    """At once, wherever the program is."""
    BEFORE_SLEEP = "before-sleep"
    """Run up to the program's WFI, give the stimulus, then let the WFI execute."""
    ASLEEP = "asleep"
    """Run until the CPU sleeps, then give the stimulus during the sleep."""
