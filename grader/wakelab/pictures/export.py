"""A run for other people's viewers: VCD (GTKWave, PulseView) and the Chrome trace format
(Perfetto).

Both want a time, and nearly everything on the bench happens while no time passes. So an event's
time is its millisecond, and within it one microsecond more for each event before it: order is exact
to the microsecond, milliseconds are the bench's (a millisecond with more than a thousand events
pushes the next one back).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING

from vcd import VCDWriter

from wakebench.pin_names import BUTTONS
from wakebench.trace import Event, Kind

if TYPE_CHECKING:
    from vcd.writer import Variable

US_IN_MS = 1000


def timed(events: Sequence[Event]) -> Iterator[tuple[int, Event]]:
    """Each event with its time in microseconds."""
    now = -1
    for event in events:
        now = max(now + 1, event.ms * US_IN_MS)
        yield now, event


# -- VCD -------------------------------------------------------------------------------------------


def to_vcd(title: str, events: Sequence[Event]) -> str:
    """Value changes: the buttons' pins, the exception that is handled (0: the task), whether the
    core sleeps, calls of poll and register, wakes, lines printed. Names are ours, and what the
    program prints is counted, not written: nothing of the program's gets into the file."""
    out = StringIO()
    with VCDWriter(
        out, timescale="1 us", comment=_plain(title), date="", version="wakelab"
    ) as writer:
        pins = {name: writer.register_var("pins", name, "wire", size=1, init=1) for name in BUTTONS}
        exception = writer.register_var("core", "exception", "integer", size=16, init=0)
        asleep = writer.register_var("core", "asleep", "wire", size=1, init=0)
        tick = writer.register_var("core", "tick", "event", size=1)
        poll = writer.register_var("task", "poll", "wire", size=1, init=0)
        register = writer.register_var("task", "register", "wire", size=1, init=0)
        ready = writer.register_var("task", "ready", "event", size=1)
        woken = writer.register_var("task", "woken", "event", size=1)
        lines = writer.register_var("console", "lines", "integer", size=32, init=0)
        inside: list[int] = []
        printed = 0
        now = 0

        def change(variable: Variable[int | str], value: object) -> None:
            writer.change(variable, now, value)  # type: ignore[arg-type]

        for now, event in timed(events):  # noqa: B007  (read by `change`)
            match event.kind:
                case Kind.EDGE if event.name in pins:
                    change(pins[event.name], event.value)
                case Kind.ENTER:
                    inside.append(event.value)
                    change(exception, event.value)
                case Kind.EXIT:
                    if inside:
                        inside.pop()
                    change(exception, inside[-1] if inside else 0)
                case Kind.SLEEP | Kind.WAKE_UP:
                    change(asleep, int(event.kind is Kind.SLEEP))
                case Kind.TICK:
                    change(tick, True)
                case Kind.CALL | Kind.RETURN if event.note in ("poll", "register"):
                    open_ = int(event.kind is Kind.CALL)
                    change(poll if event.note == "poll" else register, open_)
                    if not open_ and event.note == "poll" and event.value == 1:
                        change(ready, True)
                case Kind.CALL if event.note == "woken":
                    change(woken, True)
                case Kind.LINE:
                    printed += 1
                    change(lines, printed)
        writer.flush(now + 1)
    return out.getvalue()


def _plain(text: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() and c != "$" else "?" for c in text)


# -- the Chrome trace format -----------------------------------------------------------------------

THREADS = {1: "pins", 2: "interrupts", 3: "task", 4: "core", 5: "console"}


def to_perfetto(title: str, events: Sequence[Event]) -> str:
    """JSON in the trace event format: threads for pins, interrupts, task, core and console; slices
    for handlers, polls and sleeps; instants for edges, wakes and lines; a flow from each wake of a
    task to the next poll."""
    out: list[dict[str, object]] = [_meta("process_name", 0, f"wakelab: {title}")]
    out += [_meta("thread_name", tid, name) for tid, name in THREADS.items()]
    out += [_meta("thread_sort_index", tid, tid) for tid in THREADS]
    opened: dict[int, int] = {}
    pending: int | None = None
    flows = 0
    last = 0
    for now, event in timed(events):
        last = now
        common = {"pid": 1, "ts": now, "cat": str(event.kind)}
        for each in _records(event):
            tid = int(each["tid"])  # type: ignore[call-overload]
            opened[tid] = opened.get(tid, 0) + {"B": 1, "E": -1}.get(str(each["ph"]), 0)
            if opened[tid] < 0:  # its beginning was before the first event
                opened[tid] = 0
                continue
            out.append({**common, **each})
        if event.kind is Kind.CALL and event.note == "woken":
            flows += 1
            pending = flows
            tid = 2 if event.exception else 3
            out.append({**common, "ph": "s", "id": flows, "tid": tid, "name": "wake"})
        elif event.kind is Kind.CALL and event.note == "poll" and pending is not None:
            out.append({**common, "ph": "f", "bp": "e", "id": pending, "tid": 3, "name": "wake"})
            pending = None
    for tid, count in opened.items():
        out += [{"pid": 1, "ts": last + 1, "ph": "E", "tid": tid}] * count
    return json.dumps({"displayTimeUnit": "ms", "traceEvents": out}) + "\n"


def _meta(name: str, tid: int, value: object) -> dict[str, object]:
    key = "sort_index" if name.endswith("index") else "name"
    return {"ph": "M", "pid": 1, "tid": tid, "name": name, "args": {key: value}}


def _records(event: Event) -> Iterator[dict[str, object]]:
    name = event.name
    side = 2 if event.exception else 3
    instant = {"ph": "i", "s": "t"}
    noted = {"args": {"note": event.note}}
    match event.kind:
        case Kind.EDGE:
            yield {
                **instant,
                "tid": 1,
                "name": f"{name} {event.value}",
                "args": {"note": event.note},
            }
        case Kind.TICK:
            yield {**instant, "tid": 1, "name": "tick", **noted}
        case Kind.ENTER:
            args = {"exception": event.value, "interrupted": f"{event.pc:#x}"}
            yield {"ph": "B", "tid": 2, "name": name, "args": args}
        case Kind.EXIT:
            yield {"ph": "E", "tid": 2}
        case Kind.CALL if event.note in ("poll", "register"):
            yield {"ph": "B", "tid": side, "name": name, "args": {"argument": f"{event.value:#x}"}}
        case Kind.RETURN:
            yield {"ph": "E", "tid": side, "args": {"result": event.value}}
        case Kind.CALL:
            yield {**instant, "tid": side, "name": name, "args": {"role": event.note}}
        case Kind.LINE:
            yield {**instant, "tid": 5, "name": name}
        case Kind.SLEEP:
            yield {"ph": "B", "tid": 4, "name": "asleep"}
        case Kind.WAKE_UP:
            yield {"ph": "E", "tid": 4}
        case Kind.RESET | Kind.TODO | Kind.FORBIDDEN | Kind.END:
            words = f"to do: step {event.value}" if event.kind is Kind.TODO else name
            yield {
                **instant,
                "tid": 4,
                "name": words or str(event.kind),
                "args": {"note": event.note},
            }


@dataclass(frozen=True)
class Export:
    """A shape: what it is called, how its files end, who reads it."""

    name: str
    ending: str
    reader: str
    convert: Callable[[str, Sequence[Event]], str]


EXPORTS = (
    Export("vcd", ".vcd", "GTKWave, PulseView", to_vcd),
    Export("perfetto", ".json", "ui.perfetto.dev, chrome://tracing", to_perfetto),
)
