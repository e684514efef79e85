"""A trace's events as the time line draws them. What the program says is in there as it is: whoever
shows it shows it as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from wakebench.trace import Event, Kind, story

LANES = ("pins", "interrupt", "wakes", "task", "core", "console")
"""From top to bottom."""

MAX_LABEL = 60
MAX_WORDS = 300


@dataclass(frozen=True)
class Mark:
    """An event on the time line.

    n      its number in the run
    ms     bench time
    kind   of the event
    lane   of LANES
    does   "open" or "close" of a bar, or "at" for a point
    label  short, beside the mark
    words  a sentence
    """

    n: int
    ms: int
    kind: str
    lane: str
    does: str
    label: str
    words: str


def marks(events: Iterable[Event], first: int = 0) -> list[dict[str, object]]:
    """The events as plain data, for JSON; `first` is the number of the first."""
    return [asdict(_mark(number, event)) for number, event in enumerate(events, first)]


class Feed:
    """Marks as events come, for a picture that lives. Ticks of a clock of which nothing came, and
    between which nothing else happened, are one mark, which is given again when it grows: `again`
    says that it takes the place of the last one."""

    def __init__(self) -> None:
        self._ticks = 0

    def add(self, events: Sequence[Event], first: int) -> list[dict[str, object]]:
        """More events; the first has number `first`."""
        found: list[dict[str, object]] = []
        at = 0
        while at < len(events):
            four = events[at : at + 4]
            if _is_idle_tick(four):
                self._ticks += 1
                mark = asdict(_ticks(first + at, four[-1].ms, self._ticks))
                if self._ticks > 1 and found:
                    found[-1] = {**mark, "again": found[-1].get("again", False)}
                else:
                    found.append({**mark, "again": self._ticks > 1})
                at += 4
            else:
                self._ticks = 0
                found.append(asdict(_mark(first + at, events[at])))
                at += 1
        return found


def _is_idle_tick(four: Sequence[Event]) -> bool:
    """Out of the sleep for the clock's handler, and back."""
    kinds = [event.kind for event in four]
    return (
        kinds == [Kind.WAKE_UP, Kind.ENTER, Kind.EXIT, Kind.SLEEP]
        and four[1].name == four[2].name == "SysTick_Handler"
    )


def _ticks(number: int, ms: int, count: int) -> Mark:
    label = "tick" if count == 1 else f"{count} ticks"
    words = f"{ms} ms {label} of SysTick, of which nothing came"
    return Mark(number, ms, "tick", "interrupt", "at", label, words)


def _mark(number: int, event: Event) -> Mark:
    lane, does, label = _drawn(event)
    told = story([event])
    words = " ".join(told[0].split()) if told else label
    return Mark(
        number,
        event.ms,
        str(event.kind),
        lane,
        does,
        _cut(label, MAX_LABEL),
        _cut(words, MAX_WORDS),
    )


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _drawn(event: Event) -> tuple[str, str, str]:
    """Lane, what it does there, label."""
    name = event.name
    match event.kind:
        case Kind.EDGE:
            return "pins", "at", f"{name} {'↓' if event.value == 0 else '↑'}"
        case Kind.TICK:
            return "pins", "at", "tick"
        case Kind.ENTER:
            return "interrupt", "open", name
        case Kind.EXIT:
            return "interrupt", "close", name
        case Kind.CALL if event.note in ("poll", "register"):
            return ("interrupt" if event.exception else "task"), "open", name
        case Kind.RETURN:
            result = {0: "PENDING", 1: "READY"}.get(event.value, "")
            lane = "interrupt" if event.exception else "task"
            return lane, "close", result if event.note == "poll" else name
        case Kind.CALL:
            return "wakes", "at", name
        case Kind.LINE:
            return "console", "at", name
        case Kind.SLEEP:
            return "core", "open", "asleep"
        case Kind.WAKE_UP:
            return "core", "close", "wake-up"
        case Kind.TODO:
            return "task", "at", f"to do: step {event.value}"
        case Kind.RESET:
            return "core", "at", "reset"
        case Kind.FORBIDDEN | Kind.END:
            return "core", "at", name
