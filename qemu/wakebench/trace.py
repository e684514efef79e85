"""What happened on the board, in order, with bench time.

A trace is the bench's whole testimony: two runs are the same if their hashes are. It holds no wall
clock, no process id and no path, so it does not depend on the host.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from wakebench.exceptions import exception_name


class Kind(StrEnum):
    """Kinds of event. `name` and `value` of an Event mean what is said here."""

    RESET = "reset"
    EDGE = "edge"
    """`name` pin, `value` level, `note` latched, merged or unsensed."""
    TICK = "tick"
    """A millisecond has passed while the core was awake: `note` why nothing came of it, or ""."""
    ENTER = "enter"
    """A handler starts: `name` its function, `value` exception number, `pc` what it interrupted."""
    EXIT = "exit"
    """It has returned: `name`, `value` as at ENTER."""
    CALL = "call"
    """A traced function starts: `name`, `value` its first argument, `note` its role (poll, ...),
    `pc` the instruction that called it."""
    RETURN = "return"
    """It has returned: `name`, `value` the result, `note` its role."""
    LINE = "line"
    """A line on the console: `name` the text."""
    SLEEP = "sleep"
    """The core sleeps at a WFI."""
    WAKE_UP = "wake-up"
    """An interrupt ends the sleep."""
    TODO = "todo"
    """The program came to a step that is not written yet: `value` its number."""
    FORBIDDEN = "forbidden"
    """The program asked the host for something: `name` what, `pc` who."""
    END = "end"
    """Nothing more can happen: `name` why (see board.Ending)."""


class Event(NamedTuple):
    """One thing that happened. `ms` is bench time in milliseconds, `pc` where the core was,
    `exception` what it was handling (0: thread mode)."""

    ms: int
    kind: Kind
    pc: int = 0
    name: str = ""
    value: int = 0
    note: str = ""
    exception: int = 0

    def canonical(self) -> str:
        """The event as one line that is equal if and only if the event is."""
        numbers = f"{self.ms} {self.exception} {self.pc:08x} {self.value}"
        return f"{numbers} {self.kind} {str(self.name)!r} {str(self.note)!r}"


class Trace:
    """The events of one run, in order. With `keep`, of a long one only about so many of the last:
    numbers, length and digest are those of the whole all the same."""

    def __init__(self, events: Iterable[Event] = (), keep: int | None = None) -> None:
        self._events = list(events)
        self._keep = keep
        self._dropped = 0
        self._hash = hashlib.sha256()
        """Of what was dropped."""

    def add(self, event: Event) -> None:
        """Append."""
        self._events.append(event)
        if self._keep is not None and len(self._events) > 2 * self._keep:
            self._drop(len(self._events) - self._keep)

    def _drop(self, count: int) -> None:
        for event in self._events[:count]:
            self._hash.update(f"{event.canonical()}\n".encode())
        del self._events[:count]
        self._dropped += count

    def drop_last(self) -> None:
        """Take the last event back."""
        self._events.pop()

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events)

    def __len__(self) -> int:
        return self._dropped + len(self._events)

    def __getitem__(self, index: int) -> Event:
        return self._events[index if index < 0 else index - self._dropped]

    def since(self, index: int) -> list[Event]:
        """The events from number `index` on; of those that are kept."""
        return self._events[max(index - self._dropped, 0) :]

    def of(self, *kinds: Kind) -> list[Event]:
        """The events of these kinds."""
        return [e for e in self._events if e.kind in kinds]

    def lines(self) -> list[str]:
        """The console, line by line."""
        return [e.name for e in self._events if e.kind is Kind.LINE]

    def digest(self) -> str:
        """SHA-256 of the whole trace."""
        whole = self._hash.copy()
        whole.update("\n".join(e.canonical() for e in self._events).encode())
        return whole.hexdigest()


def story(events: Iterable[Event]) -> list[str]:
    """The events as a small time line for people, a line each.

    Lanes: what happens outside stands at the left, interrupts are marked `!`, the task `.`.
    """
    told = []
    for e in events:
        sentence = _tell(e)
        if sentence:
            told.append(f"{e.ms:>6} ms  {sentence}")
    return told


def _tell(e: Event) -> str:
    match e.kind:
        case Kind.RESET:
            return "reset"
        case Kind.EDGE:
            return f"edge     {e.name} {'1→0' if e.value == 0 else '0→1'}  ({e.note})"
        case Kind.TICK:
            return f"tick     {e.note or 'of SysTick'}"
        case Kind.ENTER:
            return f"handler  {e.name} starts"
        case Kind.EXIT:
            return f"handler  {e.name} returns"
        case Kind.CALL:
            return f"{e.note:<9}{e.name}()"
        case Kind.RETURN:
            result = {"poll": {0: " PENDING", 1: " READY"}.get(e.value, f" {e.value}")}
            return f"{'':<9}{e.name}() returns{result.get(e.note, '')}"
        case Kind.LINE:
            return f"line     {e.name!r}" + (
                f"  (printed by {exception_name(e.exception)})" if e.exception else ""
            )
        case Kind.SLEEP:
            return "sleep    the core waits in WFI"
        case Kind.WAKE_UP:
            return "wake-up  an interrupt is pending"
        case Kind.TODO:
            return f"to do    step {e.value} is not written yet"
        case Kind.FORBIDDEN:
            return f"refused  {e.name}"
        case Kind.END:
            return f"end      {e.name}"
