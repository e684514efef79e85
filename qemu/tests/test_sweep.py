"""The sweep on tiny firmwares: several interrupts, priorities, and programs that do not want to be
swept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from firmwares import Bench, Build

import wakebench.sweep
from wakebench.explore import explore
from wakebench.image import Image
from wakebench.machine import find_qemu
from wakebench.sweep import (
    TICK,
    Moment,
    Outcome,
    Sweep,
    SweepError,
    Window,
    build_harness,
    ranked,
)

ROOT = Path(__file__).resolve().parents[2]
Start = Callable[..., Sweep]


@pytest.fixture
def start() -> Iterator[Start]:
    """`start(image, others=("UP",))`: a sweep of the way from `look` to the sleep."""
    with ExitStack() as stack:

        def make(image: Image, others: tuple[str, ...] = ()) -> Sweep:
            look = image.symbol("look")
            assert look is not None
            window = Window(look.address, "SELECT", "press", others=others)
            harness = build_harness(ROOT / ".cache")
            return stack.enter_context(Sweep(image, window, harness, find_qemu()))

        yield make


# ---- several interrupts, and priorities ---------------------------------------------------------

OTHERS = [("UP", {}, "GPIOE_IRQHandler"), (TICK, {"TICK": 1}, "SysTick_Handler")]


@pytest.mark.parametrize(("other", "defines", "handler"), OTHERS)
def test_what_only_a_nested_handler_shows(
    other: str, defines: dict[str, int], handler: str, build: Build, start: Start
) -> None:
    """A press of SELECT gets lost in the middle of the other handler's addition, and only there."""
    image = build("rivals", **defines, NESTED=1)
    sweep = start(image, (other,))
    # As 0 is the harness's: SELECT before the other, as the program has it.
    sweep.tell((), (other,), ranked({46: 0, 20: 0x80, 15: 0x80}))
    firsts = {name: sweep.singles(interrupt=name) for name in ("", other)}
    for found in firsts.values():
        assert len(found) > 10
        assert {p.outcome for p in found} == {Outcome.OK}
        assert {p.lines for p in found} == {1}  # of the press after it, where the other struck
    for second in ("", other):
        for first in firsts[""][::7]:
            assert {p.outcome for p in sweep.seconds(first, interrupt=second)} == {Outcome.OK}
    asleep = firsts[other][-1]
    assert asleep.place.moment is Moment.ASLEEP
    lost = [p for p in sweep.seconds(asleep) if p.outcome is Outcome.LOST]
    assert 1 <= len(lost) <= 4
    assert all(p.nested and image.name_at(p.place.pc) == handler for p in lost)
    assert {p.outcome for p in sweep.seconds(asleep, interrupt=other)} == {Outcome.OK}


@pytest.mark.parametrize(("other", "defines", "handler"), OTHERS)
def test_handlers_of_the_same_priority_do_not_interrupt_each_other(
    other: str, defines: dict[str, int], handler: str, build: Build, start: Start
) -> None:
    image = build("rivals", **defines)
    sweep = start(image, (other,))
    for first in sweep.singles(interrupt=other)[::5]:
        found = sweep.seconds(first)
        assert {p.outcome for p in found} == {Outcome.OK}
    assert any(p.nested and image.name_at(p.place.pc) == handler for p in found)


def test_no_tick_comes_by_time(build: Build, start: Start) -> None:
    """The program starts SysTick in the window, and takes each of its ticks for a press."""
    sweep = start(build("rivals", TICK=1, RUNS=1), (TICK,))
    for first in sweep.singles()[::5]:
        assert first.outcome is Outcome.OK
        assert {p.outcome for p in sweep.seconds(first)} == {Outcome.OK}
    ticks = sweep.singles(interrupt=TICK)
    assert len(ticks) > 10
    assert {p.outcome for p in ticks} == {Outcome.TWICE}


def test_priorities_keep_their_order_and_leave_the_highest_to_the_harness() -> None:
    assert ranked({46: 0x20, 20: 0x80}) == {46: 0x20, 20: 0x80}
    assert ranked({46: 0, 20: 0x20, 15: 0x80}) == {46: 0x20, 20: 0x40, 15: 0x80}
    assert ranked({46: 0, 20: 0}) == {46: 0x20, 20: 0x20}
    with pytest.raises(SweepError, match="all eight priorities"):
        ranked({number: 0x20 * number for number in range(8)})


# ---- programs that are hard to sweep ------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("NEVER_LOOKS", "has not come to where the sweep begins in 8,000,000 ticks"),
        ("SLEEPS_FIRST", "sleeps before it has come to the place where the sweep begins"),
        ("FAULTS_FIRST", "faults in main before it has come to where the sweep begins"),
        ("VECTORS", "moves the vector table"),
        ("OWN_VECTORS", "has brought the machine down: .*Lockup"),
        ("TIMER", "reprograms general-purpose timer 0 or 1"),
        ("PRIORITIES", "changes priorities while it is swept"),
        ("MASKS", "keeps every interrupt out for ever"),
    ],
)
def test_what_cannot_be_swept_is_told_why(
    how: str, said: str, build: Build, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakebench.sweep, "JOB_TIMEOUT_S", 3.0)
    with pytest.raises(SweepError, match=said):
        start(build("nuisance", HOW=how)).singles()


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("sweep_job", 7),
        ("sweep_base", 7),
        ("point", 7),
        ("sweep_result", 7),
        ("sweep_records", 7),  # an outcome
        ("sweep_records", 8),  # a moment
        ("__sweep_vectors", 7),
    ],
)
def test_who_writes_into_the_harness_is_told_so(
    name: str, word: int, build: Build, start: Start
) -> None:
    harness = Image(build_harness(ROOT / ".cache"))
    address = harness.value(name) + 4 * word
    with pytest.raises(SweepError, match="overwrites memory that is not its own"):
        sweep = start(build("nuisance", HOW="SCRIBBLES", AT=hex(address)))
        for first in sweep.singles()[::9]:
            sweep.seconds(first)


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        ("NOTHING", Outcome.OK),
        ("FAULTS", Outcome.FAULT),
        ("LOOPS", Outcome.RUNAWAY),
        ("NO_STACK", Outcome.FAULT),
    ],
)
def test_what_a_press_does_to_a_program_is_its_outcome(
    how: str, outcome: Outcome, build: Build, start: Start
) -> None:
    found = start(build("nuisance", HOW=how)).singles()
    assert outcome in {p.outcome for p in found} <= {outcome, Outcome.OK}


@pytest.mark.parametrize("dots", range(4))  # a call takes longer with each
def test_nothing_is_left_out_behind_a_call_of_the_host(
    dots: int, build: Build, bench: Bench, start: Start
) -> None:
    """The harness passes many strikes at once there: the sleep, and a fault, may be near."""
    board = bench("nuisance", HOW="CALLS", DOTS=dots)
    look = board.image.symbol("look")
    assert look is not None
    trace = explore(board, look.address, "SELECT", presses=1).window
    assert [p.place for p in start(board.image).singles()] == trace.moments()
    image = build("nuisance", HOW="CALLS_AND_FAULTS", DOTS=dots)
    found = start(image).singles()
    fault = found[-1].place.pc
    assert image.flash(fault, 2) == b"\x00\xde"
    assert [p.place.pc for p in found[-5:-1]] == [fault - 6, fault - 4, fault - 2, fault]
    assert {p.outcome for p in found} == {Outcome.FAULT}


def test_a_program_that_is_too_large_is_told_by_how_much(build: Build, start: Start) -> None:
    with pytest.raises(SweepError, match=r"it has [23],\d+ bytes of variables, .* room for 2,048"):
        start(build("nuisance", HOW="NOTHING", BYTES=3000))
