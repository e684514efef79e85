"""What the bench reads from an ELF file, and that a file which is none is refused in words."""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from pathlib import Path

import capstone
import pytest
from firmwares import CC, MACHINE, SOURCES, Build

from wakebench.errors import BenchError, ImageError
from wakebench.image import VECTORS, Image


def test_vectors(build: Build) -> None:
    image = build("two_ports", E_PRIORITY=1, F_PRIORITY=2)
    assert len(image.vectors) == VECTORS
    assert image.vectors[0] == 0x2000_2000
    assert image.name_at(image.vectors[1]) == "Reset_Handler"
    assert image.default_handler is not None
    handlers = image.handlers()
    assert 1 not in handlers
    assert {7, 8, 9, 10, 13}.isdisjoint(handlers), "reserved slots are empty"
    claimed = {n: image.name_at(at) for n, at in handlers.items() if at != image.default_handler}
    assert {n: name for n, name in claimed.items() if n >= 16} == {
        16: "GPIOA_IRQHandler",
        20: "GPIOE_IRQHandler",
        46: "GPIOF_IRQHandler",
    }


def test_symbols(build: Build) -> None:
    image = build("led")
    shine = image.symbol("shine")
    assert shine is not None
    assert shine.is_function
    assert shine.address % 2 == 0, "without the Thumb bit"
    assert image.symbol_at(shine.address) == shine
    assert image.symbol_at(shine.address + 1) == shine
    assert image.symbol_at(shine.address + shine.size - 2) == shine
    assert image.symbol_at(shine.address + shine.size) != shine
    assert image.name_at(shine.address + 2) == "shine"
    assert image.name_at(0xF000_0000) == "0xf0000000"
    assert image.symbol("no_such_thing") is None
    presses = image.symbol("presses")
    assert presses is not None
    assert not presses.is_function
    assert presses.address >= 0x2000_0000


def test_lines(build: Build) -> None:
    image = build("led")
    shine = image.symbol("shine")
    assert shine is not None
    place = image.line(shine.address)
    assert place is not None
    assert place.file == "led.c"
    text = (SOURCES / "led.c").read_text().splitlines()
    assert text[place.line - 1].startswith(("__attribute__((noinline)) void shine", "{"))
    assert image.line(shine.address | 1) == place
    assert image.line(0x3_0000) is None
    assert image.line(0xF000_0000) is None


def test_lines_where_the_compiler_does_not_say_which_unit_has_which_code(
    build: Build, tmp_path: Path
) -> None:
    image = build("led")
    bare = tmp_path / "bare.elf"
    objcopy = CC.replace("gcc", "objcopy")
    subprocess.run(
        [objcopy, "--remove-section=.debug_aranges", str(image.path), str(bare)], check=True
    )
    code = [at for at in range(4 * VECTORS, 0x1000, 2) if image.symbol_at(at)]
    lines = [image.line(address) for address in code]
    assert len({line.file for line in lines if line}) > 3
    without = Image(bare)
    assert [without.line(address) for address in code] == lines


def test_flash(build: Build) -> None:
    image = build("led")
    assert image.flash(0, 4) == image.vectors[0].to_bytes(4, "little")
    assert image.flash(0x3_FFFF, 1) is None
    assert image.flash(0x2000_0000, 4) is None
    assert image.flash(0xFFFF_FFFC, 8) is None
    variable = build("task").symbol("ready")
    assert variable is not None
    assert build("task").flash(variable.address, 1) is None, "in RAM, though it has a first value"


def test_sites(build: Build) -> None:
    """Every WFI and every semihosting BKPT, and where the board's own is."""
    image = build("sleep_first")
    found = {image.name_at(at): kind for at, kind in image.sites.items()}
    assert found["nap"] == "wfi"
    assert found["wide_nap"] == "wfi.w"
    assert found["semihosting_call"] == "bkpt"
    assert found["board_stop"] == "wfi"


def test_sets_basepri(build: Build) -> None:
    assert build("masked", BASEPRI=1).sets_basepri
    assert not build("masked").sets_basepri


# -- files that are not images -------------------------------------------------------------------


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"cannot read .*No such file"):
        Image(tmp_path / "missing.elf")
    with pytest.raises(ImageError, match=r"cannot read .*Is a directory"):
        Image(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"\x7fELF", b"int main(void) {}\n", bytes(1000)], ids=repr
)
def test_not_an_elf(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.elf"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"x\.elf is not a sound ELF file"):
        Image(path)


def test_program_of_the_host() -> None:
    with pytest.raises(ImageError, match="is not a linked ARM program"):
        Image(Path("/bin/true"))


def test_object_file(tmp_path: Path) -> None:
    (tmp_path / "x.c").write_text("int x;")
    subprocess.run([CC, *MACHINE, "-c", "x.c"], cwd=tmp_path, check=True)
    with pytest.raises(ImageError, match="is not a linked ARM program"):
        Image(tmp_path / "x.o")


def test_no_vectors(tmp_path: Path) -> None:
    (tmp_path / "x.c").write_text("int main(void) { return 0; }")
    subprocess.run(
        [CC, *MACHINE, "-nostdlib", "-Wl,-n,-emain,-Ttext=0x8000", "x.c", "-o", "x.elf"],
        cwd=tmp_path,
        check=True,
    )
    with pytest.raises(ImageError, match="no vector table of 64 entries at 0"):
        _ = Image(tmp_path / "x.elf").vectors


def use(image: Image) -> None:
    """Everything that can be asked of an image."""
    for address in (0, 0x100, 0x2000_0000):
        image.name_at(address)
        image.line(address)
        image.flash(address, 4)
    assert isinstance(image.sites, dict)
    assert isinstance(image.sets_basepri, bool)
    image.handlers()
    assert image.default_handler is None or image.default_handler >= 0


WORSE = (5, 173, 244, 504)
"""Seeds of damage at which pyelftools raises AssertionError, ZeroDivisionError, KeyError and
AttributeError instead of an error of its own; with the firmware and pyelftools of the day."""


@pytest.mark.parametrize("seed", [*range(40), *WORSE])
def test_damaged_files(build: Build, tmp_path: Path, seed: int) -> None:
    """With bytes changed, in headers above all: read, or refused in words."""
    damaged = bytearray(build("led").path.read_bytes())
    section_headers = int.from_bytes(damaged[32:36], "little")
    dice = random.Random(seed)
    start, size = dice.choice([(0, 148), (section_headers, 800), (0, len(damaged))])
    for _ in range(dice.randint(1, 8)):
        at = min(start + dice.randrange(size), len(damaged) - 1)
        damaged[at] = dice.choice([0, 1, 0x7F, 0xFF, dice.randrange(256)])
    try_to_use(damaged, tmp_path)


@pytest.mark.parametrize("percent", range(0, 100, 9))
def test_files_cut_off(build: Build, tmp_path: Path, percent: int) -> None:
    whole = build("led").path.read_bytes()
    try_to_use(whole[: len(whole) * percent // 100], tmp_path)


@pytest.mark.parametrize("error", [AssertionError, ZeroDivisionError, KeyError, AttributeError])
def test_errors_of_the_library(
    build: Build, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """What it raises at a file that contradicts itself is not always an error of its own."""

    def fail(*_: object) -> None:
        raise error("x")

    monkeypatch.setattr("elftools.elf.elffile.ELFFile.iter_segments", fail)
    with pytest.raises(ImageError, match="is not a sound ELF file"):
        Image(build("led").path)
    monkeypatch.undo()
    image = Image(build("led").path)
    monkeypatch.setattr("elftools.elf.elffile.ELFFile.get_dwarf_info", fail)
    assert image.line(0x100) is None


def try_to_use(content: bytes, folder: Path) -> None:
    """It works, or it is refused by an error that names the file."""
    path = folder / "x.elf"
    path.write_bytes(content)
    try:
        use(Image(path))
    except BenchError as refused:
        assert "x.elf" in str(refused)


@pytest.mark.parametrize("name", ["ticker", "masked", "faults"])
def test_what_is_straight_goes_on_to_the_next_instruction(name: str, build: Build) -> None:
    """Held against another decoder: no branch, no call, nothing that masks, sleeps or writes PC."""
    image = build(name, HOW="NULL_JUMP") if name == "faults" else build(name)
    decoder = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    decoder.detail = True
    found = Counter[str]()
    for address, _, _ in image._instructions():
        code = image.flash(address, 4)
        one = next(decoder.disasm(code or b"", address), None)
        if one is None:
            assert address not in image.straight
            continue
        leaves = {
            capstone.CS_GRP_JUMP,
            capstone.CS_GRP_CALL,
            capstone.CS_GRP_RET,
            capstone.CS_GRP_INT,
        }
        _, written = one.regs_access()
        odd = one.mnemonic.partition(".")[0] in (
            "wfi",
            "cpsid",
            "cpsie",
            "msr",
            "svc",
            "bkpt",
            "udf",
        )
        if address in image.straight:
            assert not leaves & set(one.groups), one
            assert capstone.arm.ARM_REG_PC not in written and not odd, one
        found["straight" if address in image.straight else "not"] += 1
    assert found["straight"] > found["not"] > 50
