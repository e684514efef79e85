"""The witness of the sweep: what an instruction touches, which boundaries stand for all, and
whether the sweep missed one."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from firmwares import qemus
from lab08 import MUTANTS, POLL, Changes, build

from wakebench import explore as explore_module
from wakebench import recording
from wakebench.agreement import Comparison, failed
from wakebench.answers import Answers
from wakebench.board import Board, Points
from wakebench.core import SRAM, SRAM_PAINT
from wakebench.decode import Access, Decoder, Does, Masks
from wakebench.explore import _Explorer, explore
from wakebench.footprint import (
    Exploration,
    Footprint,
    coverage,
    masked_device_places,
)
from wakebench.image import Image
from wakebench.line import wire_of
from wakebench.machine import Machine, Qemu, find_qemu
from wakebench.probe import Registers
from wakebench.seconds import Made, Second
from wakebench.sweep import Moment, Sweep, Window, build_harness
from wakebench.trace import Kind
from wakebench.walk import _Memory

BUTTON, LINE = "SELECT", "Interrupt fired!"
LONGEST_HANDLER = 2000


# -- one instruction -----------------------------------------------------------------------------

REGISTERS = Registers((*range(SRAM, SRAM + 13 * 0x100, 0x100), SRAM + 0x1000, 0, 0, 1 << 24))
"""rN holds SRAM + 0x100 * N."""

R, W = False, True
CASES: dict[str, list[tuple[int, int, bool]]] = {
    "ldr r0, [r1], #4": [(0x100, 4, R)],
    "ldr r0, [r1, #4]!": [(0x104, 4, R)],
    "ldr r0, [r1, #-4]": [(0xFC, 4, R)],
    "ldrsb r0, [r1, #1]": [(0x101, 1, R)],
    "ldrh r0, [r1, #2]": [(0x102, 2, R)],
    "str r3, [sp, #-4]!": [(0xFFC, 4, W)],
    "strb r3, [r2, #3]": [(0x203, 1, W)],
    "strd r0, r1, [r2], #8": [(0x200, 4, W), (0x204, 4, W)],
    "ldrd r0, r1, [r2, #-8]!": [(0x1F8, 4, R), (0x1FC, 4, R)],
    "push {r0, r4, lr}": [(0xFF4, 4, W), (0xFF8, 4, W), (0xFFC, 4, W)],
    "pop {r4, pc}": [(0x1000, 4, R), (0x1004, 4, R)],
    "ldm r3!, {r1, r2}": [(0x300, 4, R), (0x304, 4, R)],
    "stmdb r3!, {r1, r2}": [(0x2F8, 4, W), (0x2FC, 4, W)],
    "ldrex r0, [r1, #4]": [(0x104, 4, R)],
    "strexh r0, r1, [r2]": [(0x200, 2, W)],
    "ldr r0, [pc, #8]": [],
    "adds r0, r1, r2": [],
    "pld [r1]": [],
}


def assemble(folder: Path, text: str) -> bytes:
    """The bytes of some instructions."""
    source, objects, raw = folder / "a.s", folder / "a.o", folder / "a.bin"
    source.write_text(f".syntax unified\n.thumb\n.cpu cortex-m3\n{text}\n")
    subprocess.run(["arm-none-eabi-as", source, "-o", objects], check=True, capture_output=True)
    subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", objects, raw], check=True)
    return raw.read_bytes()


class _Flash(Image):
    """Just code, from 0 on."""

    def __init__(self, code: bytes) -> None:
        self._code_bytes = code

    def flash(self, address: int, length: int) -> bytes | None:
        end = address + length
        return self._code_bytes[address:end] if end <= len(self._code_bytes) else None


def accesses_of(folder: Path, text: str, registers: Registers = REGISTERS) -> list[Access]:
    """What one instruction touches."""
    return list(Decoder(_Flash(assemble(folder, text))).at(0).accesses(registers.at(0)))


@pytest.mark.parametrize("text", CASES)
def test_accesses(tmp_path: Path, text: str) -> None:
    found = accesses_of(tmp_path, text)
    assert [(a.address - SRAM, a.size, a.write) for a in found] == CASES[text]
    assert all(a.exclusive == ("ex" in text) for a in found)


def test_a_store_knows_its_data(tmp_path: Path) -> None:
    (access,) = accesses_of(tmp_path, "strh r3, [r2]")
    assert access.data == (SRAM + 0x300).to_bytes(4, "little")[:2]


def test_a_bit_band_address_is_the_byte_of_its_bit(tmp_path: Path) -> None:
    alias = Registers((0, 0x2200_0000 + 32 * 5 + 4 * 3, *REGISTERS[2:]))
    (access,) = accesses_of(tmp_path, "str r0, [r1]", alias)
    assert (access.address, access.size) == (SRAM + 5, 1)


@pytest.mark.parametrize("zero", [False, True])
def test_a_condition_that_does_not_hold_touches_nothing(tmp_path: Path, zero: bool) -> None:
    # As at the second instruction of "it eq; ldreq r0, [r1]": ITSTATE is 0b0000_1000, cond EQ.
    xpsr = 1 << 24 | zero << 30 | 0b10 << 10
    here = Registers((*REGISTERS[:16], xpsr))
    assert bool(accesses_of(tmp_path, "ldr r0, [r1]", here)) == zero


MASKINGS = {
    "cpsid i": Masks(True),
    "cpsid f": Masks(faultmask=True),
    "msr primask, r4": Masks(False),
    "msr basepri, r5": Masks(basepri=0x20),
}


@pytest.mark.parametrize("text", MASKINGS)
def test_masks(tmp_path: Path, text: str) -> None:
    values = list(REGISTERS)
    values[4], values[5] = 0, 0x20
    instruction = Decoder(_Flash(assemble(tmp_path, text))).at(0)
    assert instruction.does is Does.MASKS
    assert instruction.masks(Registers(values), Masks()) == MASKINGS[text]


def test_basepri_holds_back_what_is_not_more_urgent() -> None:
    assert [Masks(basepri=0x40).hold(priority) for priority in (0x20, 0x40, 0x60)] == [
        *(False, True, True)
    ]


def test_footprints_meet_where_one_writes() -> None:
    handler = Footprint(frozenset({4}), frozenset({8}))
    for address, write, meets in ((4, R, False), (4, W, True), (8, R, True), (9, R, False)):
        assert handler.meets(Access(address, 1, write)) == meets
    assert handler.meets(Access(5, 4, R)) and not handler.meets(Access(9, 4, W))


# -- the reference and its mutants ---------------------------------------------------------------


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Image]:
    """Filled as tests ask."""
    return {}


def image_of(
    images: dict[tuple[str, str], Image], factory: pytest.TempPathFactory, name: str, level: str
) -> Image:
    """A mutant at a level, built once."""
    if (name, level) not in images:
        folder = factory.mktemp("lab08") / f"{name}-{level}"
        images[name, level] = build(folder, level, MUTANTS[name])
    return images[name, level]


@pytest.fixture
def board(
    images: dict[tuple[str, str], Image],
    tmp_path_factory: pytest.TempPathFactory,
    one_qemu: Qemu,
    request: pytest.FixtureRequest,
) -> Iterator[Board]:
    """The reference at the level that the test's parameter names."""
    image = image_of(images, tmp_path_factory, "reference", request.param)
    with Machine(image.path, one_qemu) as machine:
        yield Board(machine, image, Points({"poll": POLL}))


LEVELS = ("O0", "Og", "O2", "Os")
AT_ALL_LEVELS = pytest.mark.parametrize("board", LEVELS, indirect=True)


def window_start(image: Image) -> int:
    """Where the window of lab 08 begins."""
    symbol = image.symbol(POLL)
    assert symbol is not None
    return symbol.address


def objdump(image: Image) -> dict[int, str]:
    """Address to mnemonic, as binutils see it."""
    said = subprocess.run(
        ["arm-none-eabi-objdump", "-d", image.path], capture_output=True, text=True, check=True
    ).stdout
    rows = re.findall(r"^ +([0-9a-f]+):\t[0-9a-f ]+\t(\S+)", said, re.MULTILINE)
    return {int(address, 16): name for address, name in rows}


@AT_ALL_LEVELS
def test_the_window_is_what_the_core_did(board: Board) -> None:
    """The trace's own check (memory is what the decoded stores make of it) did not complain, and
    binutils agree about which instructions touch memory."""
    trace = explore(board, window_start(board.image), BUTTON, presses=1).window
    names = objdump(board.image)
    assert 60 < len(trace.steps) < 400
    for step in trace.steps:
        if names[step.pc].removesuffix(".w").endswith(("eq", "ne")):
            continue  # in an IT block: whether it ran is what the trace's own check is about
        stores = names[step.pc].startswith(("str", "stm", "push"))
        assert any(access.write for access in step.accesses) == stores, names[step.pc]
    exclusive = {s.pc for s in trace.steps if any(a.exclusive for a in s.accesses)}
    assert exclusive and all("ex" in names[pc] for pc in exclusive)


@AT_ALL_LEVELS
def test_every_write_that_happened_was_decoded(board: Board) -> None:
    """Step by step: the bytes of the variables that changed are among those said to be written."""
    image, decoder = board.image, Decoder(board.image)
    start, end = image.value("__data_start__"), image.value("__bss_end__")
    board.reset()
    board.wait_address(window_start(image))
    before = board.read_memory(start, end - start)
    while image.sites.get(board.pc) != "wfi":
        said = decoder.at(board.pc).accesses(board.registers)
        written = {byte for access in said if access.write for byte in access.bytes()}
        board.step_instruction()
        after = board.read_memory(start, end - start)
        assert before is not None and after is not None
        changed = {start + n for n in range(end - start) if before[n] != after[n]}
        assert changed <= written
        before = after


@AT_ALL_LEVELS
def test_statement_of_the_reference(board: Board) -> None:
    seen = explore(board, window_start(board.image), BUTTON)
    assert not seen.gaps
    statement = seen.reduction.statement()
    assert re.fullmatch(r"\d+ boundaries, \d+ classes, all explored", statement)
    assert seen.reduction.classes < seen.reduction.boundaries / 5
    assert seen.masked_device_places()
    assert masked_device_places(seen.window) == []


@AT_ALL_LEVELS
def test_every_press_of_the_reference_is_answered(board: Board) -> None:
    """And what the handler executes after it has told the task is what single steps show."""
    seen = explore(board, window_start(board.image), BUTTON, LINE)
    assert not seen.failing and not seen.gaps
    board.reset()
    assert seen.told[1:] == told_addresses(board)
    assert list(seen.settings.priorities) == [16 + 30] and not seen.settings.clock_runs


@AT_ALL_LEVELS
def test_one_press_is_explored_as_the_first_of_two(board: Board) -> None:
    """Less of it: no window after the first, and nothing said of two presses."""
    start = window_start(board.image)
    one = explore(board, start, BUTTON, LINE, presses=1)
    two = explore(board, start, BUTTON, LINE)
    assert (one.window, one.told, one.settings) == (two.window, two.told, two.settings)
    assert one.reduction.classes == two.reduction.classes
    assert one.reduction.dependent <= two.reduction.dependent
    assert not one.gaps and one.runs <= two.runs


@pytest.mark.parametrize("board", ["Og"], indirect=True)
def test_a_program_that_sleeps_as_before_its_first_press_is_not_started_anew(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else comes of it."""
    resets: list[Board] = []
    reset = Board.reset

    def counted(board: Board) -> None:
        resets.append(board)
        reset(board)

    monkeypatch.setattr(Board, "reset", counted)
    start = window_start(board.image)
    goes_on = explore(board, start, BUTTON, LINE)
    few = len(resets)
    monkeypatch.setattr(Answers, "_sleeps_as_at_first", lambda _: False)
    assert explore(board, start, BUTTON, LINE) == goes_on
    assert few < len(resets) - few


ARMS, UNMASKS = (
    "    if (!atomic_load_explicit(&line->pressed",
    "        pin->port->IM |= pin->mask;\n",
)
MASKS = "    port->IM &= ~pin->mask;"
NOTED_LATE = (
    ("    atomic_bool pressed;", "    bool armed; atomic_bool pressed;"),
    ("const uint32_t before = interrupts_mask();", "const uint32_t before = 0;"),
    (ARMS, ARMS.replace("(", "(!line->armed && ", 1)),
    (UNMASKS, UNMASKS + "        line->armed = true;\n"),
    (MASKS, "    lines[b].armed = false;\n" + MASKS),
)
PRINTS = 'info("Interrupt fired!");'
IN_HANDLER = (
    ("    atomic_waker_wake(&lines[b].waker);\n", PRINTS),
    ('#include "button_future.h"\n', '#include "button_future.h"\n#include "console.h"\n'),
)
WRONG: dict[str, tuple[int, Changes]] = {
    "check-then-register": (1, MUTANTS["check_then_register"]),
    "late-acknowledge": (2, MUTANTS["late_acknowledge"]),
    "one-bit-memory": (2, {"button_future.c": ((MASKS, "    "),)}),
    "dead-afterwards": (2, {"button_future.c": NOTED_LATE}),
    "prints-in-handler": (1, {"button_future.c": IN_HANDLER}),
    "prints-twice": (1, {"main.c": ((PRINTS, PRINTS + PRINTS),)}),
}
"""How many presses show it, and what is changed."""


@pytest.mark.parametrize("first_asleep", [False, True], ids=["everywhere", "first-asleep"])
@pytest.mark.parametrize("name", WRONG)
def test_presses_that_are_not_answered_are_found(
    name: str, first_asleep: bool, tmp_path: Path, one_qemu: Qemu
) -> None:
    presses, changes = WRONG[name]
    image = build(tmp_path / "wrong", "Og", changes)
    with Machine(image.path, one_qemu) as machine:
        board = Board(machine, image, Points({"poll": POLL}))
        seen = explore(board, window_start(image), BUTTON, LINE, first_asleep=first_asleep)
    assert min(map(len, seen.failing)) == presses
    assert seen.failing == tuple(sorted(seen.failing, key=len))
    firsts = {places[0].moment for places in seen.failing if len(places) > 1}
    if first_asleep:
        assert firsts <= {Moment.ASLEEP}
    elif presses > 1:
        assert firsts > {Moment.ASLEEP}


@pytest.mark.parametrize("board", ["Og"], indirect=True)
def test_a_first_press_in_the_sleep_only(board: Board) -> None:
    """One press comes everywhere all the same; and it is not enough for who wants two."""
    start = window_start(board.image)
    one = explore(board, start, BUTTON, LINE, presses=1)
    asleep = explore(board, start, BUTTON, LINE, first_asleep=True)
    assert (one.window, one.told, one.settings) == (asleep.window, asleep.told, asleep.settings)
    assert one.reduction.classes == asleep.reduction.classes and not asleep.gaps
    two = explore(board, start, BUTTON, LINE)
    wanted = [(1, False), (2, True), (2, False)]
    assert [each.suffices(*want) for each in (one, asleep, two) for want in wanted] == [
        *(True, False, False),
        *(True, True, False),
        *(True, True, True),
    ]


@pytest.mark.parametrize("board", ["Os"], indirect=True)
def test_the_same_exploration_twice(board: Board) -> None:
    first, second = (explore(board, window_start(board.image), BUTTON) for _ in range(2))
    assert (first.reduction, first.steps) == (second.reduction, second.steps)


def test_a_press_that_wakes_nobody_ends_the_run(tmp_path: Path, one_qemu: Qemu) -> None:
    deaf = {"button_future.c": (("    nvic_enable(pin->irq);\n", ""),)}
    image = build(tmp_path / "deaf", "Og", deaf)
    with Machine(image.path, one_qemu) as machine:
        seen = explore(Board(machine, image, Points({})), window_start(image), BUTTON)
    assert not seen.gaps and seen.footprint == Footprint()
    assert all(not each.before.reads and not each.after.reads for each in seen.contacts)


def test_a_handler_that_comes_again_after_its_press_is_seen_too(
    tmp_path: Path, one_qemu: Qemu
) -> None:
    """Here the task asks for it, and what it counts then only that run of it touches."""
    look = "    return atomic_exchange_explicit(&line->pressed, false, memory_order_acquire)"
    changes = {
        "button_future.c": (
            (
                "poll_t button_future_poll(struct future *self, struct context *cx)\n{\n    const",
                "static volatile unsigned asked, again;\n\n"
                "poll_t button_future_poll(struct future *self, struct context *cx)\n{\n    const",
            ),
            (
                f"{look} ? POLL_READY : POLL_PENDING;",
                "    if (!atomic_exchange(&line->pressed, false)) {\n"
                "        return POLL_PENDING;\n    }\n"
                "    asked = 1;\n    NVIC->ISPR[0] = 1u << 30;\n    return POLL_READY;",
            ),
            (
                "        return;\n    }\n\n    /* First:",
                "        if (asked) {\n            asked = 0;\n            again++;\n        }\n"
                "        return;\n    }\n\n    /* First:",
            ),
        )
    }
    image = build(tmp_path / "again", "Og", changes)
    with Machine(image.path, one_qemu) as machine:
        board = Board(machine, image, Points({}))
        seen = explore(board, window_start(image), BUTTON, LINE, presses=1)
    again = image.symbol("again")
    assert not seen.gaps and not seen.failing
    assert again is not None and again.address in seen.footprint.writes


def test_what_nobody_has_written_on_the_stack_does_not_count(
    tmp_path: Path, one_qemu: Qemu
) -> None:
    """Frames at -O0 have holes, which keep what earlier calls and interrupts have left there."""
    mute = {"waker.c": (("        w->vtable->wake(w->data);\n", ""),)}
    image = build(tmp_path / "mute", "O0", mute)
    with Machine(image.path, one_qemu) as machine:
        seen = explore(Board(machine, image, Points({})), window_start(image), BUTTON)
    assert not seen.gaps and seen.runs > 10


class Offered:
    """A Helper that takes nothing, and counts what it was offered."""

    count = 0

    def offer(self, seconds: Sequence[Second]) -> None:
        self.count = len(seconds)

    def claim(self, number: int) -> bool:
        return True

    def made(self) -> Mapping[int, Made]:
        return {}


@pytest.mark.parametrize("forgets", ["what a call leaves", "what nobody has written yet"])
@pytest.mark.parametrize("name", ["reference", "late-acknowledge"])
def test_a_state_counts_once_whatever_is_in_the_holes_of_its_frames(
    tmp_path: Path, one_qemu: Qemu, monkeypatch: pytest.MonkeyPatch, name: str, forgets: str
) -> None:
    image = build(tmp_path / name, "Og", WRONG[name][1] if name in WRONG else {})
    counts, seen = [], []
    with Machine(image.path, one_qemu) as machine:
        board = Board(machine, image, Points({"poll": POLL}))
        for _ in range(2):
            offered = Offered()
            seen.append(explore(board, window_start(image), BUTTON, LINE, helper=offered))
            counts.append(offered.count)
            if forgets == "what a call leaves":
                monkeypatch.setattr(_Memory, "forget", lambda *_: None)
            else:
                monkeypatch.setattr(explore_module, "OTHER_PAINT", SRAM_PAINT + 1)
                monkeypatch.setattr(Board, "paint_memory", lambda *_: None)
    assert counts[0] < counts[1]
    assert seen[0].runs == seen[1].runs and set(seen[0].failing) <= set(seen[1].failing)
    assert bool(seen[0].failing) == bool(seen[1].failing)


@pytest.mark.parametrize("name", ["reference", *WRONG])
def test_what_is_recorded_in_parts_is_what_the_whole_would_show(
    tmp_path: Path, one_qemu: Qemu, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """And it is much less."""
    image = build(tmp_path / name, "Og", WRONG[name][1] if name in WRONG else {})
    recorded, parse = [0], recording._parse

    def counted(text: bytes) -> list[Registers]:
        lines = parse(text)
        recorded[-1] += len(lines)
        return lines

    monkeypatch.setattr(recording, "_parse", counted)
    with Machine(image.path, one_qemu) as machine:
        board = Board(machine, image, Points({"poll": POLL}))
        in_parts = explore(board, window_start(image), BUTTON, LINE)
        recorded.append(0)
        monkeypatch.setattr(_Explorer, "_parts", lambda *_: iter(()))
        assert explore(board, window_start(image), BUTTON, LINE) == in_parts
    assert recorded[0] < 0.7 * recorded[1]


@pytest.mark.parametrize("ahead", [True, False], ids=["counted-ahead", "counted-on-the-way"])
@pytest.mark.parametrize("board", ["Og"], indirect=True)
def test_where_a_press_comes_first(board: Board, ahead: bool) -> None:
    """At each place of the window the core stands where it stood on the way there, step by step."""
    start = window_start(board.image)
    places = explore(board, start, BUTTON, presses=1).window.unmasked()
    answers = Answers(board, start, wire_of(BUTTON), LINE)
    answers.begin()
    expected = {}
    for place, _ in places:
        while board.pc != place.pc:
            board.step_instruction()
        expected[place] = board.registers
        board.step_instruction()
    if ahead:
        answers.look_ahead([place.pc for place, _ in places])
    for place in (each for each, _ in [*places[::7], *places[::13], places[0]]):
        answers.go_to(place)
        assert board.registers == expected[place]


def test_the_same_exploration_on_every_qemu(tmp_path: Path) -> None:
    image = build(tmp_path / "reference", "Os", {})
    found = []
    for command in qemus():
        with Machine(image.path, find_qemu(command)) as machine:
            seen = explore(Board(machine, image, Points({})), window_start(image), BUTTON)
        found.append((seen.reduction, seen.steps, seen.window, seen.runs, set(seen.contacts)))
    assert all(each == found[0] for each in found)


# -- the sweep against it ------------------------------------------------------------------------


def told_addresses(board: Board) -> tuple[int, ...]:
    """What the handler executes after it has woken the task."""
    board.reset()
    board.wait_asleep()
    board.press(BUTTON)
    while not any(e.note == "woken" and e.exception for e in board.trace):
        board.wait_events(len(board.trace) + 1)
    told = []
    for _ in range(LONGEST_HANDLER):
        if not board.step_instruction().exception:
            break
        told.append(board.pc)
    assert board.trace.of(Kind.ENTER)
    return tuple(dict.fromkeys(told))


def look(image: Image, qemu: Qemu) -> tuple[Exploration, Window]:
    """What the witness says, and the window for the sweep."""
    start = window_start(image)
    with Machine(image.path, qemu) as machine:
        board = Board(machine, image, Points({"poll": POLL}))
        return explore(board, start, BUTTON), Window(start, BUTTON, LINE, told_addresses(board))


def agree(image: Image, qemu: Qemu, harness: Path, every: int) -> bool:
    """Reduced and brute force say the same of singles and, with every `every`-th first placement,
    of pairs. Returns whether anything failed."""
    seen, window = look(image, qemu)
    with Sweep(image, window, harness, qemu) as sweep:
        comparison = Comparison(sweep, seen)
        singles = sweep.singles()
        wrong = any(map(failed, singles))
        if comparison.singles(singles):
            for _, seconds in comparison.pairs(singles, every):
                wrong |= any(map(failed, seconds))
    assert comparison.problems == []
    assert comparison.compared or wrong
    return wrong


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_harness(tmp_path_factory.mktemp("harness"))


# The campaign compares the two on all its programs, at each level.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "level"),
    [*((name, "Og") for name in MUTANTS), ("reference", "Os"), ("plain_counter", "Os")],
)
def test_reduced_and_brute_force_agree(
    images: dict[tuple[str, str], Image],
    tmp_path_factory: pytest.TempPathFactory,
    one_qemu: Qemu,
    harness: Path,
    name: str,
    level: str,
) -> None:
    image = image_of(images, tmp_path_factory, name, level)
    assert agree(image, one_qemu, harness, every=1) == (name != "reference")


@pytest.mark.parametrize("name", ["late_acknowledge", "plain_counter"])
def test_a_slice_of_reduced_and_brute_force_agrees(
    images: dict[tuple[str, str], Image],
    tmp_path_factory: pytest.TempPathFactory,
    one_qemu: Qemu,
    harness: Path,
    name: str,
) -> None:
    image = image_of(images, tmp_path_factory, name, "Os")
    assert agree(image, one_qemu, harness, every=20)


def test_coverage_of_the_sweep(
    images: dict[tuple[str, str], Image],
    tmp_path_factory: pytest.TempPathFactory,
    qemu: Qemu,
    harness: Path,
) -> None:
    for level in LEVELS:
        image = image_of(images, tmp_path_factory, "reference", level)
        seen, window = look(image, qemu)
        with Sweep(image, window, harness, qemu) as sweep:
            singles = sweep.singles()
        whole = coverage(seen.window, singles)
        assert whole.complete and whole.percent == 100.0 and whole.masked
        dropped = singles[7]
        less = coverage(seen.window, [p for p in singles if p is not dropped])
        assert less.missing == (dropped.place,) and less.percent < 100.0 and not less.complete
        swapped = [singles[1], singles[0], *singles[2:]]
        assert not coverage(seen.window, swapped).complete
