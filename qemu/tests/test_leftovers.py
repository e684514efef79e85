"""A reset is a power cycle: what a program has written anywhere, no later run finds."""

from __future__ import annotations

import pytest
from firmwares import Build

from wakebench import core
from wakebench.board import Board, Points
from wakebench.core import Core
from wakebench.leftovers import LEFTOVERS
from wakebench.machine import Machine, Qemu
from wakebench.probe import Registers, Stop

BLOCKS = (
    *((0x4000_4000 + 0x1000 * n + 0x3FC, 0x200) for n in range(4)),
    *((0x4002_4000 + 0x1000 * n + 0x3FC, 0x200) for n in range(3)),
    *((0x4000_C000 + 0x1000 * n, 0x60) for n in range(3)),
    *((0x4003_0000 + 0x1000 * n, 0x60) for n in range(4)),
    *((0x4000_8000, 0x40), (0x4002_0000, 0x30), (0x4003_8000, 0x100), (0x400F_E000, 0x200)),
    *((0xE000_E010, 0x10), (0xE000_E100, 8), (0xE000_E200, 8), (0xE000_E280, 8), (0xE000_E300, 8)),
    *((0xE000_E400, 48), (0xE000_ED00, 0x40)),
)
"""Every register of the board, but the watchdog's, which count."""


def registers(board: Board) -> dict[int, int]:
    addresses = [at for start, length in BLOCKS for at in range(start, start + length, 4)]
    return dict(zip(addresses, board.read_words(*addresses), strict=True))


def changed(before: dict[int, int], after: dict[int, int]) -> dict[str, tuple[int, int]]:
    return {hex(at): (before[at], after[at]) for at in before if before[at] != after[at]}


@pytest.mark.parametrize("by_bits", [False, True], ids=["words", "bits"])
def test_after_a_reset_every_register_is_as_at_power_on(
    build: Build, qemu: Qemu, by_bits: bool
) -> None:
    image = build("soils", BITS=1) if by_bits else build("soils")
    with Machine(image.path, qemu) as machine:
        board = Board(machine, image, Points({}))
        board.reset()
        fresh = registers(board)
        board.wait_asleep()
        assert len(changed(fresh, registers(board))) > 80
        board.reset()
        assert changed(fresh, registers(board)) == {}
        board.wait_asleep()
        board.reset()
        assert changed(fresh, registers(board)) == {}


def test_a_run_is_the_same_with_and_without_a_doubt(
    build: Build, qemu: Qemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Done again, it stops again where it touches what a reset would leave."""
    image = build("soils")
    with Machine(image.path, qemu) as machine:
        board = Board(machine, image, Points({}))
        board.reset()
        board.wait_asleep()
        expected = board.registers, registers(board)
        monkeypatch.setattr(core, "FASTEST_HOST", 1e15)
        monkeypatch.setattr(Core, "_is_acquitted", lambda _: False)
        board.reset()
        board.wait_asleep()
        assert (board.registers, registers(board)) == expected


def test_step_by_step_it_is_the_same(build: Build, qemu: Qemu) -> None:
    image = build("soils")
    with Machine(image.path, qemu) as machine:
        board = Board(machine, image, Points({}))
        board.reset()
        board.wait_asleep()
        expected = registers(board)
        board.reset()
        board.wait_symbol("main")
        while board.pc not in image.sites:
            board.step_instruction()
        assert changed(expected, registers(board)) == {}


def test_who_touches_nothing_of_it_is_not_stopped(
    build: Build, qemu: Qemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops: list[Stop] = []
    go_on = Core._go_on

    def noted(of: Core) -> tuple[Stop, Registers]:
        stop, here = go_on(of)
        stops.append(stop)
        return stop, here

    monkeypatch.setattr(Core, "_go_on", noted)
    for name, touches in (("sleeper", False), ("soils", True)):
        image = build(name)
        with Machine(image.path, qemu) as machine:
            board = Board(machine, image, Points({}))
            stops.clear()
            board.reset()
            board.wait_asleep()
        watched = {stop.watched for stop in stops}
        assert any(each.area.start in watched for each in LEFTOVERS) == touches
