"""What page and session say to each other, as JSON.

From the page, one object a message: `{"do": "press", "button": "SELECT"}`; also release, again
(with `instructions`), pause, resume, step (`count`), pace (`instructions` or null), restart
(`paused`), and script, which is answered by `{"script": …, "play": …}`.
To the page: what is new to see (see `news`).
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from typing import Any

from wakebench.pin_names import BUTTONS
from wakebench.trace import Kind
from wakelab.byhand.session import (
    FASTEST,
    MOST_AGAIN,
    Command,
    Look,
    Pace,
    Pause,
    Press,
    PressAgain,
    Release,
    Restart,
    Resume,
    State,
    Step,
)
from wakelab.pictures.events import Feed

MAX_MESSAGE = 1000
"""Bytes of a message from the page."""

MOST_EVENTS = 4000
"""In a message to the page; it shows no more, so older ones are left out."""

MAX_LINE = 1000
"""Characters of a console line."""

MOST_LINES = 500
"""Of the console, in a message."""

SCRIPT = "script"
"""The question for the script, which is no command."""


class Nonsense(Exception):
    """Not what our page says: whoever says it is not our page."""


def understood(text: str | bytes) -> Command | str:
    """A command, or SCRIPT. Raises Nonsense."""
    try:
        said = json.loads(text)
        word = said.pop("do")
        found = _command(word, said)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Nonsense from None
    if said:
        raise Nonsense
    return found


def _command(word: object, said: dict[str, Any]) -> Command | str:
    match word:
        case "press":
            return Press(_button(said))
        case "release":
            return Release(_button(said))
        case "again":
            return PressAgain(_button(said), _number(said, "instructions", MOST_AGAIN))
        case "pause":
            return Pause()
        case "resume":
            return Resume()
        case "step":
            return Step(_number(said, "count", MOST_AGAIN))
        case "pace":
            slow = said["instructions"] is not None
            return Pace(
                _number(said, "instructions", FASTEST) if slow else said.pop("instructions")
            )
        case "restart":
            paused = said.pop("paused")
            if not isinstance(paused, bool):
                raise Nonsense
            return Restart(paused)
        case "script":
            return SCRIPT
    raise Nonsense


def _button(said: dict[str, Any]) -> str:
    button = said.pop("button")
    if button not in BUTTONS:
        raise Nonsense
    return str(button)


def _number(said: dict[str, Any], name: str, most: int) -> int:
    number = said.pop(name)
    if type(number) is not int or not 1 <= number <= most:
        raise Nonsense
    return number


class News:
    """What one page is told, look by look."""

    def __init__(self) -> None:
        self._run = -1
        self._feed = Feed()
        self._picture: bytes | None = None

    def _state(self, state: State) -> dict[str, object]:
        """As JSON holds it; the display's picture only when it is another one."""
        told = {**asdict(state), "picture": None}
        if state.picture != self._picture:
            self._picture = state.picture
            told["picture"] = base64.b64encode(state.picture).decode("ascii")
        return told

    def of(self, look: Look) -> str:
        """The message: `anew` where another run has begun, `events` (pictures.events.Mark), the
        console's `lines`, the `state`."""
        anew = look.run != self._run
        if anew:
            self._run, self._feed = look.run, Feed()
        events = look.events[-MOST_EVENTS:]
        first = look.next - len(events)
        lines = [e.name[:MAX_LINE] for e in events if e.kind is Kind.LINE][-MOST_LINES:]
        return json.dumps(
            {
                "anew": anew,
                "events": self._feed.add(events, first),
                "lines": lines,
                "state": self._state(look.state),
                "closed": look.closed,
            }
        )
