"""The names of the board's pins, and which pins the buttons and the LED are wired to.

The board has seven ports, A to G, of eight pins each: `PA0` to `PG7`. Five buttons and one LED
have names of their own. A button is active low: pressed is level 0, released is level 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

PORTS = "ABCDEFG"
PINS_PER_PORT = 8
PIN_NAMES_IN_WORDS = "PA0 to PG7, UP, DOWN, LEFT, RIGHT, SELECT or LED"

_LONGEST_WORD_COMPARED = 64


@dataclass(frozen=True)
class Pin:
    """One pin of the board: its port, a letter from A to G, and its number in it, 0 to 7.

    Raises ValueError when the board has no such pin.
    """

    port: str
    number: int

    def __post_init__(self) -> None:
        if len(self.port) != 1 or self.port not in PORTS:
            raise ValueError(f"the board has no port {self.port!r}; its ports are A to G")
        if not 0 <= self.number < PINS_PER_PORT:
            raise ValueError(f"port {self.port} has no pin {self.number}; its pins are 0 to 7")

    @property
    def name(self) -> str:
        """The name on the chip, for example `PF1`."""
        return f"P{self.port}{self.number}"


BUTTONS: Mapping[str, Pin] = MappingProxyType(
    {
        "UP": Pin("E", 0),
        "DOWN": Pin("E", 1),
        "LEFT": Pin("E", 2),
        "RIGHT": Pin("E", 3),
        "SELECT": Pin("F", 1),
    }
)
"""The five buttons, in the board's order. Pressed is level 0."""

LED = Pin("F", 0)
"""The LED. Lit is level 1."""

PINS: Mapping[str, Pin] = MappingProxyType(
    {
        **{f"P{port}{number}": Pin(port, number) for port in PORTS for number in range(8)},
        **BUTTONS,
        "LED": LED,
    }
)
"""Every name that `pin` knows."""


def pin(name: str) -> Pin:
    """The pin that is called `name`: `PA0` to `PG7`, a button's name, or `LED`.

    Raises ValueError, with a sentence for people, when no pin is called that.
    """
    found = PINS.get(name)
    if found is None:
        match = closest(name, PINS)
        suggestion = f' Did you mean "{match}"?' if match else ""
        raise ValueError(f"{name!r} is not a pin; expected {PIN_NAMES_IN_WORDS}.{suggestion}")
    return found


def closest(word: str, choices: Iterable[str]) -> str | None:
    """The one of `choices` that `word` was most likely meant to be, or None if none is near.

    Capital and small letters count as the same.
    """
    by_folded = {choice.casefold(): choice for choice in choices}
    folded = word[:_LONGEST_WORD_COMPARED].strip().casefold()
    matches = difflib.get_close_matches(folded, by_folded, n=1)
    return by_folded[matches[0]] if matches else None
