"""The board by hand: the engine, without anybody's eyes. What was done is done again bit by bit."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wakebench.machine import find_qemu
from wakebench.play import play
from wakebench.script import parse_script, script_text
from wakebench.trace import Kind, Trace
from wakelab.build import Builder
from wakelab.byhand import session as by_hand
from wakelab.byhand.hand import Hand
from wakelab.byhand.session import (
    Look,
    Mode,
    Pace,
    Pause,
    Press,
    PressAgain,
    Release,
    Restart,
    Resume,
    Session,
    Step,
)
from wakelab.errors import UserError
from wakelab.labs import checkout_root, load_lab
from wakelab.subject import Subject
from wakelab.submission import collect
from wakelab.toolchain import find_toolchain

ROOT = checkout_root()
LAB = load_lab(ROOT, "08")
CORPUS = ROOT / "grader" / "corpus" / LAB.slug
PATIENCE_S = 60.0
"""Protects the host only."""


@contextmanager
def opened(folder: Path, counting: bool = False) -> Iterator[Subject]:
    """The program in a folder, with the reference's files where it lacks some."""
    submission = collect(LAB, folder)
    with Builder(ROOT, find_toolchain()) as builder:
        build = builder.build(LAB, submission, levels=("Og",))
        with Subject(LAB, submission, build, find_qemu(), counting=counting) as subject:
            yield subject


def wrong(name: str, tmp_path: Path) -> Path:
    """A program of the corpus, whole."""
    for kind in ("wrong", "right"):
        for file in LAB.files:
            source = CORPUS / kind / name / file
            if source.exists():
                (tmp_path / file).write_bytes(source.read_bytes())
    for file in LAB.files:
        if not (tmp_path / file).exists():
            (tmp_path / file).write_bytes((LAB.reference / file).read_bytes())
    return tmp_path


@pytest.fixture(scope="module")
def reference() -> Iterator[Subject]:
    with opened(LAB.reference) as subject:
        yield subject


@pytest.fixture
def hand(reference: Subject) -> Hand:
    return Hand(reference, "Og")


def done_again(hand: Hand, subject: Subject) -> tuple[str, str]:
    """The trace of what was done, and that of its script, by their hashes."""
    script = parse_script(script_text("again", hand.steps), "again")
    board = subject.board("Og")
    failure = play(script, board)
    if hand.ended is None:
        assert failure is None
    return hand.board.trace.digest(), board.trace.digest()


# -- the hand --------------------------------------------------------------------------------------


def test_a_press_a_wait_a_release(hand: Hand, reference: Subject) -> None:
    hand.run()
    hand.pass_ms(20)
    hand.press("SELECT")
    hand.press("SELECT")  # it is down already
    hand.run()
    hand.release("UP")  # it is not down
    hand.pass_ms(3)
    hand.release("SELECT")
    hand.run()
    assert hand.board.trace.lines() == ["Interrupt fired!"]
    assert script_text("x", hand.steps).splitlines()[3:] == [
        *("  - wait: asleep", "  - wait: {ms: 20}", "  - press: SELECT", "  - wait: asleep"),
        *("  - wait: {ms: 3}", "  - release: SELECT", "  - wait: asleep"),
    ]
    ours, theirs = done_again(hand, reference)
    assert ours == theirs


@pytest.mark.parametrize("instructions", [1, 2, 3, 30, 100, 2_000_000])
def test_again_some_instructions_later(hand: Hand, reference: Subject, instructions: int) -> None:
    hand.run()
    start = len(hand.board.trace)
    hand.press_again("SELECT", instructions)
    edges = [e for e in hand.board.trace.since(start) if e.kind is Kind.EDGE]
    assert [e.value for e in edges] == [0, 1, 0]
    hand.run()
    assert hand.pressed == {"SELECT"}
    ours, theirs = done_again(hand, reference)
    assert ours == theirs


def test_what_is_said_in_one_step(hand: Hand) -> None:
    hand.run()
    hand.run()
    hand.pass_ms(3_600_000)
    hand.pass_ms(5)
    hand.pass_ms(6)
    hand.run()
    hand.press("UP")
    hand.execute(1)
    assert hand.execute(5) == 0, "nobody waits for UP, so the core sleeps on"
    said = script_text("x", hand.steps).splitlines()[3:]
    assert said == [
        *("  - wait: asleep", "  - wait: {ms: 3600000}", "  - wait: {ms: 11}"),
        *("  - press: UP", "  - wait: asleep"),
    ]


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("press"), st.sampled_from(["SELECT", "SELECT", "UP"])),
        st.tuples(st.just("release"), st.sampled_from(["SELECT", "SELECT", "UP"])),
        st.tuples(st.just("execute"), st.integers(1, 120)),
        st.tuples(st.just("pass_ms"), st.integers(1, 50)),
        st.tuples(st.just("press_again"), st.just("SELECT"), st.integers(1, 150)),
        st.tuples(st.just("run")),
    ),
    max_size=14,
)


@given(acts=ACTS)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_whatever_was_done_is_done_again(reference: Subject, acts: list[tuple[str, ...]]) -> None:
    hand = Hand(reference, "Og")
    for name, *words in acts:
        getattr(hand, name)(*words)
    if not hand.steps:
        return
    ours, theirs = done_again(hand, reference)
    assert ours == theirs


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("loops-in-main", "loop"),
        ("busy-polling", "polling"),
        ("null-call", "fault"),
        ("no-acknowledge", "storm"),
        ("runs-host-command", "forbidden"),
        ("calls-exit", "exit"),
        ("flood", "flood"),
        ("with-clock", ""),
    ],
)
def test_programs_that_end_end_in_the_script_too(name: str, said: str, tmp_path: Path) -> None:
    with opened(wrong(name, tmp_path)) as subject:
        hand = Hand(subject, "Og")
        for _ in range(3):
            hand.run()
            hand.pass_ms(7)
            hand.press("SELECT")
            hand.run()
            hand.release("SELECT")
        assert (hand.ended.ending.value if hand.ended else "") == said
        ours, theirs = done_again(hand, subject)
        assert ours == theirs
        hand.restart()
        assert hand.ended is None and hand.steps == []
        assert hand.execute(20) == 20


# -- the session -----------------------------------------------------------------------------------


class Clock:
    """The host's, in our hands."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def until(session: Session, there: Callable[[Look], bool]) -> Look:
    """Look until it is so."""
    latest = time.monotonic() + PATIENCE_S
    look = session.look()
    while not there(look):
        assert time.monotonic() < latest, look.state
        assert not look.closed, look.state
        look = session.look(look.run, 0, look.version, 1)
    return look


def lines(look: Look) -> list[str]:
    return [e.name for e in look.events if e.kind is Kind.LINE]


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(lambda: opened(LAB.reference), "Og") as session:
        yield session


def test_a_press_is_seen_by_all_who_look(session: Session) -> None:
    first = session.look()
    assert first.state.mode is Mode.ASLEEP and not lines(first)
    assert first.state.where is not None and first.state.where.instruction.endswith("wfi")
    seen: list[Look] = []
    other = threading.Thread(
        target=lambda: seen.append(session.look(first.run, first.next, first.version, PATIENCE_S))
    )
    other.start()
    assert session.send(Press("SELECT"))
    look = until(session, lambda look: lines(look) == ["Interrupt fired!"])
    other.join(PATIENCE_S)
    assert seen[0].first == first.next and seen[0].events[0].kind is Kind.EDGE
    assert look.state.pressed == ("SELECT",)
    session.send(Release("SELECT"))
    until(session, lambda look: look.state.pressed == ())


def test_pause_step_and_slow_motion(session: Session) -> None:
    session.send(Pause())
    session.send(Press("SELECT"))
    look = until(session, lambda look: look.state.pressed != ())
    assert not lines(look)
    session.send(Step(4))
    look = until(session, lambda look: look.state.mode is Mode.PAUSED)
    assert not lines(look)
    assert look.state.where is not None and look.state.where.line
    before = look.state.where
    session.send(Step())
    until(session, lambda look: look.state.where != before)
    session.send(Pace(400))
    session.send(Resume())
    until(session, lambda look: look.state.mode is Mode.RUNNING)
    until(session, lambda look: lines(look) == ["Interrupt fired!"])
    look = until(session, lambda look: look.state.mode is Mode.ASLEEP)
    assert look.state.pace == 400
    ours = Trace(look.events).digest()
    script = parse_script(session.script("again"), "again")
    with opened(LAB.reference) as subject:
        board = subject.board("Og")
        assert play(script, board) is None
        assert board.trace.digest() == ours


def test_slow_motion_begins_in_the_sleep(session: Session) -> None:
    session.send(Pace(300))
    session.send(Press("SELECT"))
    look = until(session, lambda look: look.state.mode is Mode.RUNNING)
    assert not lines(look)
    until(session, lambda look: lines(look) == ["Interrupt fired!"])
    until(session, lambda look: look.state.mode is Mode.ASLEEP)


def test_restart_begins_anew_and_may_pause(session: Session) -> None:
    session.send(PressAgain("SELECT", 3))
    before = until(session, lambda look: lines(look) == ["Interrupt fired!"])
    session.send(Restart(paused=True))
    look = until(session, lambda look: look.run == before.run + 1)
    assert [e.kind for e in look.events] == [Kind.RESET] and look.first == 0
    assert look.state.mode is Mode.PAUSED and look.state.steps == 0
    assert session.look(before.run, before.next).events == look.events, "of another run all"


def test_time_follows_the_hosts_clock() -> None:
    clock = Clock()
    with Session(lambda: opened(LAB.reference), "Og", clock) as session:
        clock.now += 1.5
        session.send(Press("SELECT"))
        look = until(session, lambda look: lines(look) == ["Interrupt fired!"])
        assert look.state.ms == 1500
        clock.now += by_hand.IDLE_S + 30
        until(session, lambda look: look.state.idle)
        session.send(Release("SELECT"))
        look = until(session, lambda look: look.state.pressed == ())
        assert look.state.ms == 1500 and not look.state.idle


def test_a_programs_clock_ticks_until_nobody_does_anything(tmp_path: Path) -> None:
    with Session(lambda: opened(wrong("with-clock", tmp_path)), "Og") as session:
        look = until(session, lambda look: look.state.ms > 30)
        handlers = {e.name for e in look.events if e.kind is Kind.ENTER}
        assert handlers == {"SysTick_Handler"}
    clock = Clock()
    with Session(lambda: opened(tmp_path), "Og", clock) as session:
        clock.now += by_hand.IDLE_S + 1
        look = until(session, lambda look: look.state.idle)
        clock.now += 10
        session.send(Pause())
        look = until(session, lambda look: look.state.paused)
        assert look.state.ms == 0 and not look.state.idle


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("loops-in-main", "loop: 6000000 instructions in main (main.c:"),
        ("null-call", "fault: UsageFault"),
        ("runs-host-command", "forbidden: SYS_SYSTEM"),
    ],
)
def test_an_end_says_why_and_where(name: str, said: str, tmp_path: Path) -> None:
    with Session(lambda: opened(wrong(name, tmp_path)), "Og") as session:
        session.send(Press("SELECT"))
        look = until(session, lambda look: look.state.mode is Mode.ENDED)
        assert said in look.state.why, look.state.why
        session.send(Press("UP"))
        session.send(Restart(paused=True))
        look = until(session, lambda look: look.state.mode is Mode.PAUSED)
        assert look.state.why == ""
        session.send(Step(3))
        until(session, lambda look: look.state.steps == 1)


def test_qemu_killed_is_said_and_a_restart_works() -> None:
    machines: list[int] = []

    @contextmanager
    def watched() -> Iterator[Subject]:
        with opened(LAB.reference) as subject:
            assert subject._machine is not None and subject._machine._process is not None
            machines.append(subject._machine._process.pid)
            yield subject

    with Session(watched, "Og") as session:
        os.kill(machines[0], signal.SIGKILL)
        look = until(session, lambda look: look.state.mode is Mode.ENDED)
        assert "QEMU was ended by somebody else" in look.state.why
        session.send(Restart())
        until(session, lambda look: look.state.mode is Mode.ASLEEP)
        session.send(Press("SELECT"))
        until(session, lambda look: lines(look) == ["Interrupt fired!"])


def test_who_sends_too_much_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_hand, "QUEUED", 3)
    with Session(lambda: opened(LAB.reference), "Og") as session:
        taken = [session.send(Step(20_000)) for _ in range(50)]
        assert True in taken and False in taken


def test_what_cannot_be_opened_is_told_to_who_opens() -> None:
    @contextmanager
    def broken() -> Iterator[Subject]:
        raise UserError("it does not build")
        yield

    with pytest.raises(UserError, match="does not build"), Session(broken, "Og"):
        pass


def test_old_events_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_hand, "KEPT_EVENTS", 30)
    monkeypatch.setattr("wakelab.byhand.hand.KEPT_EVENTS", 30)
    with Session(lambda: opened(LAB.reference), "Og") as session:
        for number in range(12):
            session.send(Press("SELECT"))
            until(session, lambda look, n=number: look.state.pressed != ())  # type: ignore[misc]
            session.send(Release("SELECT"))
            until(session, lambda look: look.state.pressed == ())
        look = session.look()
        assert look.first > 0 and len(look.events) <= 60
        assert look.next > 100
        script = parse_script(session.script("again"), "again")
    with opened(LAB.reference) as subject:
        board = subject.board("Og")
        assert play(script, board) is None
        assert len(board.trace) == look.next


def test_signals_are_left_to_the_first_thread() -> None:
    """Else one that the kernel gives to the session's would be noticed by nobody."""
    masks: list[set[int]] = []

    @contextmanager
    def program() -> Iterator[Subject]:
        masks.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
        with opened(LAB.reference) as subject:
            yield subject

    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with Session(program, "Og"):
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP} <= masks[0]


def test_nothing_is_left_of_a_session() -> None:
    with ExitStack() as owned:
        session = owned.enter_context(Session(lambda: opened(LAB.reference), "Og"))
        thread = session._thread
    assert not thread.is_alive()
    assert session.look(timeout_s=PATIENCE_S).closed
    session.close()
