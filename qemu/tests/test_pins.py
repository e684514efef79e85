"""Pins by name, and what became of a level that was set on one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from firmwares import Bench, Build

from wakebench.board import Board, Unmet
from wakebench.core import Budget, Core
from wakebench.machine import Machine, Qemu
from wakebench.pin_names import BUTTONS, PINS, Pin
from wakebench.pins import GPIO_DIR, GPIO_IBE, GPIO_IEV, GPIO_IM, GPIO_IS, PORTS, Edge

GPIO_ICR = 0x41C
CHIP_NAMES = sorted(name for name in PINS if name not in BUTTONS and name != "LED")


def test_every_pin_of_every_port(bench: Bench) -> None:
    """56 pins, each by its name on the chip; the program tells of that pin and of no other."""
    board = bench("all_ports")
    board.wait_asleep()
    assert len(CHIP_NAMES) == 56
    idle = dict.fromkeys(BUTTONS.values(), 1)
    for name in CHIP_NAMES:
        level = 1 - idle.get(PINS[name], 0)
        for each in (level, 1 - level):
            before = len(board.trace.lines())
            assert board.set_pin(name, each) is Edge.LATCHED
            board.wait_asleep()
            assert board.trace.lines()[before:] == [f"{name}={each}"]


@pytest.mark.parametrize("button", BUTTONS)
def test_every_button(bench: Bench, button: str) -> None:
    board = bench("all_ports")
    board.wait_asleep()
    assert board.press(button) is Edge.LATCHED
    board.wait_asleep()
    assert board.release(button) is Edge.LATCHED
    board.wait_asleep()
    chip = BUTTONS[button].name
    assert board.trace.lines() == [f"{chip}=0", f"{chip}=1"]
    assert [e.name for e in board.trace if e.kind == "edge"] == [button, button]


def test_idle_after_each_reset(bench: Bench) -> None:
    """Released buttons read 1, no edge waits, and the first press makes one. Also where the run
    before ended with the button down."""
    board = bench("sleeper")
    for _ in range(3):
        for button in BUTTONS:
            board.expect_pin(button, 1)
            assert board.port(button).raw == 0
        board.wait_asleep()
        assert board.press("SELECT") is Edge.LATCHED
        board.expect_pin("SELECT", 0)
        board.wait_line("press 1")
        board.reset()


def test_latched_merged_unsensed(bench: Bench) -> None:
    """The falling edge interrupts; while its bit is set, another one is lost in it."""
    board = bench("sleeper")
    board.wait_asleep()
    assert board.press("SELECT") is Edge.LATCHED
    assert board.press("SELECT") is Edge.UNSENSED, "the level does not change"
    assert board.release("SELECT") is Edge.UNSENSED, "a rising edge"
    assert board.press("SELECT") is Edge.MERGED
    board.wait_asleep()
    assert board.count_lines("press") == 1
    assert board.presses() == 1
    assert board.release("SELECT") is Edge.UNSENSED
    assert board.press("SELECT") is Edge.LATCHED
    assert [str(e.note) for e in board.trace if e.kind == "edge"] == [
        *("latched", "unsensed", "unsensed", "merged", "unsensed", "latched")
    ]


def test_rising_edge(bench: Bench) -> None:
    board = bench("all_ports", RISING=1)
    board.wait_asleep()
    assert board.press("UP") is Edge.UNSENSED
    assert board.release("UP") is Edge.LATCHED
    board.wait_line("PE0=1")


def test_presses_are_counted_by_their_falling_edge(bench: Bench) -> None:
    """A release that waits to be acknowledged is not a press that does."""
    board = bench("all_ports")
    board.wait_asleep()
    board.press("SELECT")
    assert board.presses() == 0
    board.wait_asleep()
    assert board.presses() == 1
    assert board.release("SELECT") is Edge.LATCHED
    assert board.presses() == 1
    board.wait_asleep()
    assert board.presses() == 1


def test_an_output_takes_no_notice(bench: Bench) -> None:
    board = bench("led")
    board.wait_asleep()
    assert board.set_pin("LED", 1) is Edge.UNSENSED
    board.expect_pin("LED", 0)


def test_names_in_the_trace(bench: Bench) -> None:
    """As people know the pin, whichever name was used."""
    board = bench("sleeper")
    for name in ("SELECT", "PF1", Pin("F", 1)):
        board.set_pin(name, 1)
    board.set_pin("PF0", 1)
    board.set_pin("PA7", 1)
    assert [e.name for e in board.trace if e.kind == "edge"] == ["SELECT"] * 3 + ["LED", "PA7"]


def test_unknown_names(bench: Bench) -> None:
    board = bench("sleeper")
    with pytest.raises(Unmet, match="a button"):
        board.press("PF1")
    with pytest.raises(ValueError, match="'PH0' is not a pin"):
        board.set_pin("PH0", 1)
    assert len(board.trace) == 1


# -- the edge rules, register by register --------------------------------------------------------


@pytest.fixture
def core(build: Build, qemu: Qemu) -> Iterator[Core]:
    """A machine whose port G the test sets up itself."""
    with Machine(build("sleeper").path, qemu) as machine:
        core = Core(machine, Budget())
        core.reset()
        yield core


RULES = [
    # sense, both edges, event, direction: what becomes of 0→1, and of 1→0 while the bit is set
    (0, 0, 0, 0, Edge.UNSENSED, Edge.LATCHED),
    (0, 0, 1, 0, Edge.LATCHED, Edge.UNSENSED),
    (0, 1, 0, 0, Edge.LATCHED, Edge.MERGED),
    (0, 1, 1, 0, Edge.LATCHED, Edge.MERGED),
    (1, 0, 1, 0, Edge.LATCHED, Edge.UNSENSED),
    (0, 1, 0, 1, Edge.UNSENSED, Edge.UNSENSED),
]


@pytest.mark.parametrize(("sense", "both", "event", "direction", "up", "down"), RULES)
def test_edge_rules(
    core: Core, sense: int, both: int, event: int, direction: int, up: Edge, down: Edge
) -> None:
    where, base = Pin("G", 3), PORTS["G"]
    bit = 1 << where.number
    settings = {GPIO_IS: sense, GPIO_IBE: both, GPIO_IEV: event, GPIO_DIR: direction}
    for offset, on in settings.items():
        core.write_word(base + offset, bit * on)
    core.write_word(base + GPIO_IM, 0)
    core.write_word(base + GPIO_ICR, 0xFF)
    assert core.edge(where, 1) is up
    assert core.edge(where, 1) is Edge.UNSENSED
    assert core.edge(where, 0) is down
    state = core.pins.port(where)
    assert (state.sense, state.both_edges, state.event, state.direction) == tuple(
        bit * on for on in (sense, both, event, direction)
    )


def test_merged_of_the_selected_edge_only(core: Core) -> None:
    where, base = Pin("G", 0), PORTS["G"]
    core.write_word(base + GPIO_IEV, 1)
    assert core.edge(where, 1) is Edge.LATCHED
    assert core.edge(where, 0) is Edge.UNSENSED
    assert core.edge(where, 1) is Edge.MERGED
    core.write_word(base + GPIO_DIR, 1)
    assert core.edge(where, 0) is Edge.UNSENSED
    assert core.edge(where, 1) is Edge.UNSENSED, "an output, though RIS is still set"


def test_board_and_core_agree(bench: Bench) -> None:
    board: Board = bench("sleeper")
    board.wait_asleep()
    state = board.port("SELECT")
    assert (state.mask, state.direction, state.sense, state.event) == (2, 0, 0, 0)
