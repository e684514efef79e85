"""The trace: equal if and only if the events are, and told so that people understand it."""

from __future__ import annotations

import pytest

from wakebench.pins import Edge
from wakebench.trace import Event, Kind, Trace, story

EVENT = Event(3, Kind.EDGE, 0x1234, "SELECT", 1, "latched", 46)
OTHER = {
    "ms": 4,
    "kind": Kind.LINE,
    "pc": 0x1236,
    "name": "LEFT",
    "value": 0,
    "note": "merged",
    "exception": 0,
}


def test_every_field_has_another_value() -> None:
    assert set(Event._fields) == set(OTHER)


@pytest.mark.parametrize("name", OTHER)
def test_digest_depends_on_every_field(name: str) -> None:
    changed = EVENT._replace(**{name: OTHER[name]})
    assert Trace([changed]).digest() != Trace([EVENT]).digest()


def test_digest_depends_on_order_and_number() -> None:
    later = EVENT._replace(ms=4)
    digests = [
        Trace(events).digest()
        for events in ([], [EVENT], [EVENT, EVENT], [EVENT, later], [later, EVENT])
    ]
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Event(0, Kind.LINE, name="a\nb"), Event(0, Kind.LINE, name="a\\nb")),
        (Event(0, Kind.LINE, name="a' 'b"), Event(0, Kind.LINE, name="a", note="b")),
        (Event(0, Kind.LINE, name="x", note=""), Event(0, Kind.LINE, name="", note="x")),
        (Event(1, Kind.LINE, exception=1), Event(11, Kind.LINE)),
    ],
)
def test_a_program_cannot_forge_an_event_with_its_text(one: Event, other: Event) -> None:
    assert Trace([one]).digest() != Trace([other]).digest()


def test_a_program_cannot_forge_a_second_event() -> None:
    two = Trace([Event(0, Kind.LINE, name=text) for text in ("a", "b")])
    for quoted in ("a ''\n0 0 00000000 0 line b", "a' ''\n0 0 00000000 0 line 'b"):
        assert Trace([Event(0, Kind.LINE, name=quoted)]).digest() != two.digest()


def test_digest_is_of_the_text_not_of_the_enum() -> None:
    """An Edge and its text are equal, so two events with them are one and the same."""
    as_enum, as_text = EVENT._replace(note=Edge.LATCHED), EVENT._replace(note="latched")
    assert as_enum == as_text
    assert Trace([as_enum]).digest() == Trace([as_text]).digest()


def test_looking_into_a_trace() -> None:
    reset, line, sleep = Event(0, Kind.RESET), Event(1, Kind.LINE, name="a"), Event(2, Kind.SLEEP)
    trace = Trace([reset])
    trace.add(line)
    trace.add(sleep)
    assert list(trace) == [reset, line, sleep]
    assert len(trace) == 3
    assert trace[1] is line
    assert trace.since(1) == [line, sleep]
    assert trace.of(Kind.SLEEP, Kind.RESET) == [reset, sleep]
    assert trace.lines() == ["a"]
    trace.drop_last()
    assert list(trace) == [reset, line]


def test_story() -> None:
    told = story(
        [
            Event(0, Kind.RESET),
            Event(12, Kind.EDGE, name="SELECT", value=0, note=Edge.LATCHED),
            Event(12, Kind.EDGE, name="SELECT", value=1, note=Edge.UNSENSED),
            Event(12, Kind.WAKE_UP),
            Event(12, Kind.ENTER, name="GPIOF_IRQHandler", value=46),
            Event(12, Kind.EXIT, name="GPIOF_IRQHandler", value=46),
            Event(12, Kind.CALL, name="task_poll", note="poll"),
            Event(12, Kind.RETURN, name="task_poll", value=1, note="poll"),
            Event(12, Kind.RETURN, name="task_poll", value=0, note="poll"),
            Event(12, Kind.LINE, name="hello\x1b[2J"),
            Event(12, Kind.LINE, name="hello", exception=15),
            Event(12, Kind.TODO, value=3),
            Event(12, Kind.FORBIDDEN, name="SYS_OPEN"),
            Event(1234567, Kind.SLEEP),
            Event(1234567, Kind.END, name="exit"),
        ]
    )
    assert told == [
        "     0 ms  reset",
        "    12 ms  edge     SELECT 1→0  (latched)",
        "    12 ms  edge     SELECT 0→1  (unsensed)",
        "    12 ms  wake-up  an interrupt is pending",
        "    12 ms  handler  GPIOF_IRQHandler starts",
        "    12 ms  handler  GPIOF_IRQHandler returns",
        "    12 ms  poll     task_poll()",
        "    12 ms           task_poll() returns READY",
        "    12 ms           task_poll() returns PENDING",
        "    12 ms  line     'hello\\x1b[2J'",
        "    12 ms  line     'hello'  (printed by SysTick)",
        "    12 ms  to do    step 3 is not written yet",
        "    12 ms  refused  SYS_OPEN",
        "1234567 ms  sleep    the core waits in WFI",
        "1234567 ms  end      exit",
    ]


def test_every_kind_of_event_has_a_sentence() -> None:
    assert all(len(story([Event(0, kind)])) == 1 for kind in Kind)
