"""A recorded run against single steps: the same instructions, the same registers, the same devices.

The exploration (test_footprint) believes the record, and computes the devices in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from firmwares import Bench, Build
from lab08 import MUTANTS, POLL, RIGHT, Changes
from lab08 import build as build_lab08

from wakebench import core, recording
from wakebench.board import Board, Ended, Ending, Points
from wakebench.decode import Decoder, Masks
from wakebench.errors import Suspected
from wakebench.explore import explore
from wakebench.line import Line, line_of, wire_of
from wakebench.machine import Machine, Qemu, Wiring
from wakebench.probe import Registers

SELECT = wire_of("SELECT")


class Stepper:
    """Goes from one instruction to the next, interrupts let in where they are due, and computes the
    line from what it sees, as the exploration does."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.decoder = Decoder(board.image)
        self.masks = Masks(board.primask())
        self.line = line_of(board, SELECT)

    def to_sleep(self) -> Iterator[tuple[Registers, Line]]:
        """The registers before each instruction, and the line as computed; the WFI is the last."""
        board = self.board
        while True:
            here = board.registers
            if self.line.calls and not self.masks.hold(self.line.priority) and not here.exception:
                board.enter_handler()
                self.line = self.line.entered()
                continue
            yield here, self.line
            if board.image.sites.get(here.pc) == "wfi" and not board.would_wake():
                return
            instruction = self.decoder.at(here.pc)
            accesses = instruction.accesses(here)
            self.masks = instruction.masks(here, self.masks)
            board.step_instruction()
            for access in accesses:
                self.line = self.line.after(access)
            if here.exception and not board.registers.exception:
                self.line = self.line.left()


VARIANTS: dict[str, Changes] = {
    "reference": {},
    "cleared_after_poll": MUTANTS["cleared_after_poll"],
    "atomic_counter": RIGHT["atomic_counter"],
}


@pytest.fixture(params=[(n, lv) for n in VARIANTS for lv in ("O0", "Og", "O2", "Os")], ids=str)
def board(tmp_path: Path, qemu: Qemu, request: pytest.FixtureRequest) -> Iterator[Board]:
    """Lab 08's reference, or a variant, at a level."""
    name, level = request.param
    image = build_lab08(tmp_path / "lab08", level, VARIANTS[name])
    with Machine(image.path, qemu) as machine:
        yield Board(machine, image, Points({"poll": POLL}))


def press_in_window(board: Board) -> None:
    """A press at the eighth instruction of poll."""
    board.reset()
    board.wait_symbol(POLL)
    for _ in range(7):
        board.step_instruction()
    board.press("SELECT")


def recorded(board: Board) -> list[Registers]:
    """From there to the sleep, at full speed."""
    press_in_window(board)
    with board.recording() as lines:
        board.wait_asleep()
    return lines


def test_the_record_is_what_single_steps_show(board: Board) -> None:
    record = recorded(board)
    press_in_window(board)
    stepped = [here for here, _ in Stepper(board).to_sleep()]
    assert len(stepped) > 100 and any(here.exception for here in stepped)
    assert record == stepped


def test_the_line_is_computed_as_the_machine_has_it(bench: Bench) -> None:
    board = bench("line")
    board.wait_symbol("write_all")
    board.press("SELECT")  # which waits: nothing is let in
    seen = set()
    for here, computed in Stepper(board).to_sleep():
        found = line_of(board, SELECT)._replace(active=bool(here.exception))
        assert computed == found, f"before 0x{here.pc:x}"
        seen.add((computed.asked, computed.enabled, computed.pending))
    assert len(seen) >= 6, "the program goes through all kinds of states"


def test_what_a_press_does_is_computed_as_the_machine_does_it(bench: Bench) -> None:
    """Before each instruction, with the line in whatever state it is in."""
    board = bench("line")
    states = set()
    for count in range(0, 100, 2):
        board.reset()
        board.wait_symbol("write_all")
        for _ in range(count):
            board.step_instruction()
        before = line_of(board, SELECT)
        states.add(before)
        board.release("SELECT")
        board.press("SELECT")
        assert before.pressed() == line_of(board, SELECT)
    assert len(states) > 10


@pytest.mark.parametrize("largest", [0, 100_000, recording.LARGEST])
def test_a_file_of_records_grows_no_further(
    tmp_path: Path, qemu: Qemu, monkeypatch: pytest.MonkeyPatch, largest: int
) -> None:
    """One without an end would fill the disk; one that begins anew must hold the new record."""
    monkeypatch.setattr(recording, "LARGEST", largest)
    image = build_lab08(tmp_path / "lab08", "Og", {})
    with Machine(image.path, qemu) as machine:
        board = Board(machine, image, Points({}))
        records, sizes = [], []
        for _ in range(4):
            records.append(recorded(board))
            sizes.append(machine.record.stat().st_size)
    assert records[1] == records[2] == records[3]
    assert max(sizes) < 1.1 * sizes[0] + largest
    assert largest or max(sizes) < 1.1 * min(sizes)


def test_a_host_that_is_slow_changes_no_record(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = recorded(board)
    monkeypatch.setattr(core, "PATIENCE_S", 1e-6)  # every run is suspected, and done again
    assert recorded(board) == calm


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("at", ["0x40000008", "0x40025400"])  # of the watchdog, of port F
@pytest.mark.parametrize("patience", [1e-4, 1e-6])
def test_nor_where_nobody_counts_or_the_watchdog_is_not_the_benchs_own(
    *,
    build: Build,
    one_qemu: Qemu,
    monkeypatch: pytest.MonkeyPatch,
    counts: bool,
    at: str,
    patience: float,
) -> None:
    """It is written with every press. Where nothing can be said there is another machine."""
    image = build("slow_to_sleep", AT=at)
    with Machine(image.path, one_qemu, Wiring(counts=counts)) as machine:
        board = Board(machine, image, Points({}))

        def record() -> list[Registers]:
            board.reset()
            board.wait_asleep()
            board.press("SELECT")
            with board.recording() as lines:
                board.wait_asleep()
            return lines

        calm = record()
        monkeypatch.setattr(core, "PATIENCE_S", patience)
        for _ in range(10):
            try:
                assert record() == calm
            except Suspected:
                assert not counts


def test_a_run_that_ends_is_recorded_to_its_last_stop(bench: Bench) -> None:
    board = bench("spinner")
    records = []
    for _ in range(3):
        board.reset()
        with pytest.raises(Ended), board.recording() as lines:
            board.wait_asleep()
        assert lines[0].pc == board.image.vectors[1] & ~1
        records.append(lines)
    # The first is of a new machine: a reset of QEMU leaves the clock gates as they are.
    assert records[1] == records[2]


def test_exploring_leaves_the_board_as_it_was(board: Board) -> None:
    def story() -> list[str]:
        board.reset()
        board.wait_asleep()
        board.press("SELECT")
        board.wait_line("Interrupt fired!")
        return [str(event) for event in board.trace]

    before = story()
    start = board.image.symbol(POLL)
    assert start is not None
    explore(board, start.address, "SELECT")
    assert story() == before


@pytest.mark.parametrize("firmware", ["spinner", "floods"])
def test_a_record_that_is_full_ends_the_run(bench: Bench, firmware: str) -> None:
    """Also where the core stops again and again on the way."""
    board = bench(firmware)
    records = []
    for _ in range(3):
        board.reset()
        with pytest.raises(Ended) as ended, board.recording(5000) as lines:
            board.wait_asleep()
        assert ended.value.ending is Ending.LOOP and len(lines) < 10_000
        records.append(lines[:4000])
    assert len(records[1]) == 4000 and records[1] == records[2]
    board.reset()
    with pytest.raises(Ended) as unlimited:
        board.wait_asleep()
    assert str(unlimited.value) != str(ended.value), "a limit ends with its record"
