"""What an ELF image says about itself: vectors, symbols, source lines, and the instructions the
bench executes in the core's place.
"""

from __future__ import annotations

import hashlib
import struct
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from elftools.common.exceptions import DWARFError, ELFError
from elftools.construct import ConstructError
from elftools.dwarf.aranges import ARanges
from elftools.dwarf.dwarfinfo import DWARFInfo
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from wakebench.errors import ImageError

VECTORS = 64
"""Entries of the vector table: 16 of the core and IRQ 0 to 47."""

FLASH_SIZE = 256 * 1024

WFI_NARROW = 0xBF30
WFI_WIDE = (0xF3AF, 0x8003)
BKPT_SEMIHOSTING = 0xBEAB
RING_SIZE = 2
"""Bytes of an instruction that rings the bell, and of the one that it stands before."""
CPSID_I = 0xB672
SP = 13
WIDE = 0xE800
"""An instruction whose first halfword is this or more has a second one."""
MSR_BASEPRI = (0x8811, 0x8812)
"""Second halfwords of `msr basepri, rN` and `msr basepri_max, rN`; the first is 0xF38N."""

ELF32_SYM = struct.Struct("<3I2BH")
"""Name, value, size, info, other, section (System V ABI, "Symbol Table")."""
STT_OBJECT, STT_FUNC = 1, 2

UNSOUND = (
    *(ELFError, DWARFError, ConstructError, struct.error, ArithmeticError, AssertionError),
    *(AttributeError, LookupError, MemoryError, TypeError, ValueError),
)
"""What pyelftools raises where an ELF file contradicts itself."""


_Rows = list[tuple[int, "SourceLine | None"]]
"""(first address, line), sorted; None ends a sequence."""


class Symbol(NamedTuple):
    """A named piece of the image. `address` has the Thumb bit removed."""

    name: str
    address: int
    size: int
    is_function: bool

    def holds(self, address: int) -> bool:
        """Whether `address` lies inside."""
        return self.address <= address < self.address + max(self.size, 1)


class SourceLine(NamedTuple):
    """A line of source, the file as the compiler was told it."""

    file: str
    line: int


class Image:
    """An ELF file for the board, read once. Raises ImageError where it is not one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            content = path.read_bytes()
        except OSError as problem:
            raise ImageError(f"cannot read {path}: {problem.strerror}") from problem
        self.sha256 = hashlib.sha256(content).hexdigest()
        try:
            self._elf = ELFFile(BytesIO(content))
            self._check()
            self._code = [
                (section["sh_addr"], section.data())
                for section in self._elf.iter_sections()
                if section["sh_flags"] & 0x4 and section["sh_type"] == "SHT_PROGBITS"
            ]
            self._loaded = [
                (segment["p_paddr"], segment.data())
                for segment in self._elf.iter_segments()
                if segment["p_type"] == "PT_LOAD"
            ]
            self._symbols = sorted(self._read_symbols(), key=lambda s: (s.address, -s.size))
        except UNSOUND as problem:
            raise ImageError(f"{path.name} is not a sound ELF file: {problem}") from problem
        self._line_tables: dict[int | None, _Rows] = {}
        self._addresses = [s.address for s in self._symbols]
        self._by_name = {s.name: s for s in self._symbols}

    def _check(self) -> None:
        if self._elf["e_machine"] != "EM_ARM" or self._elf["e_type"] != "ET_EXEC":
            raise ImageError(f"{self.path.name} is not a linked ARM program")

    @cached_property
    def _entries(self) -> list[tuple[str, int, int, int]]:
        """(name, value, size, type) of all symbols with a name, those of the linker script too.

        Taken apart here, because pyelftools takes 0.1 ms for each, and there are some hundred in
        each of an image's builds.
        """
        found = []
        for section in self._elf.iter_sections():
            if not isinstance(section, SymbolTableSection):
                continue
            names = self._elf.get_section(section["sh_link"]).data()
            for at, value, size, info, _, _ in ELF32_SYM.iter_unpack(section.data()):
                if name := names[at : names.index(b"\0", at)].decode(errors="backslashreplace"):
                    found.append((name, value, size, info & 0xF))
        return found

    def _read_symbols(self) -> Iterator[Symbol]:
        for name, value, size, kind in self._entries:
            if kind in (STT_FUNC, STT_OBJECT):
                function = kind == STT_FUNC
                yield Symbol(name, value & ~1 if function else value, size, function)

    @cached_property
    def vectors(self) -> tuple[int, ...]:
        """The vector table. Raises ImageError where there is none."""
        table = self.flash(0, 4 * VECTORS)
        if table is None:
            raise ImageError(f"{self.path.name} has no vector table of {VECTORS} entries at 0")
        return struct.unpack(f"<{VECTORS}I", table)

    def flash(self, address: int, length: int) -> bytes | None:
        """Bytes of the image's code and constants, or None where it has none."""
        for start, data in self._loaded:
            offset = address - start
            if 0 <= offset and offset + length <= len(data):
                return bytes(data[offset : offset + length])
        return None

    def pushes(self, address: int) -> tuple[tuple[int, ...], int]:
        """The registers that the PUSH at `address` stores, the lowest first, and its bytes; no
        registers where another instruction is. (ARM DDI 0403, A7.7.99, encodings T1 and T2.)"""
        code = self.flash(address, 4) or bytes(4)
        first, second = struct.unpack("<2H", code)
        if first & 0xFE00 == 0xB400:
            mask, size = first & 0xFF | (first & 0x100) << 6, 2
        elif first == 0xE92D and not second & 0xA000:
            mask, size = second, 4
        else:
            return (), 0
        return tuple(number for number in range(15) if mask >> number & 1), size

    @cached_property
    def flash_content(self) -> bytes:
        """The flash from 0 on, as far as the image fills it. What it does not say is 0."""
        parts = [(at, data) for at, data in self._loaded if at < FLASH_SIZE]
        content = bytearray(max(at + len(data) for at, data in parts))
        for at, data in parts:
            content[at : at + len(data)] = data
        return bytes(content)

    # -- names -----------------------------------------------------------------------------------

    def symbol(self, name: str) -> Symbol | None:
        """The symbol called `name`."""
        return self._by_name.get(name)

    def symbol_at(self, address: int) -> Symbol | None:
        """The symbol that holds `address`."""
        at = bisect_right(self._addresses, address & ~1)
        for each in reversed(self._symbols[max(0, at - 8) : at]):
            if each.holds(address & ~1 if each.is_function else address):
                return each
        return None

    def name_at(self, address: int) -> str:
        """The name of the function or object at `address`, or the address in hex."""
        found = self.symbol_at(address)
        return found.name if found else f"0x{address:08x}"

    @cached_property
    def _values(self) -> dict[str, int]:
        return {name: value for name, value, _, _ in self._entries}

    def value(self, name: str) -> int:
        """The value of a symbol of any kind. Raises ImageError where there is none."""
        if name not in self._values:
            raise ImageError(f"{self.path.name} has no symbol {name}")
        return self._values[name]

    def end_of_flash(self) -> int:
        """The first address after everything that lies in flash."""
        loads = [s for s in self._elf.iter_segments() if s["p_type"] == "PT_LOAD"]
        return max((s["p_paddr"] + s["p_filesz"] for s in loads), default=0)

    def handlers(self) -> dict[int, int]:
        """Exception number to handler address, for the slots that are not empty (reset aside)."""
        return {n: v & ~1 for n, v in enumerate(self.vectors) if n >= 2 and v != 0}

    @cached_property
    def default_handler(self) -> int | None:
        """Address of `Default_Handler`, which serves the slots nobody claimed."""
        found = self.symbol("Default_Handler")
        return found.address if found else None

    # -- instructions ----------------------------------------------------------------------------

    def _halfwords(self) -> Iterator[tuple[int, int, int]]:
        """(address, halfword, next halfword) at every even address of the code.

        Also in the middle of wide instructions and in constants: a breakpoint there is never hit by
        honest code, and does catch code that jumps there.
        """
        for base, data in self._code:
            words = struct.unpack(f"<{len(data) // 2}H", data[: len(data) & ~1])
            for at, word in enumerate(words):
                yield base + 2 * at, word, words[at + 1] if at + 1 < len(words) else 0

    @cached_property
    def sites(self) -> dict[int, str]:
        """Address to `wfi` (2 bytes), `wfi.w` (4) or `bkpt`: what the bench executes itself."""
        found = {}
        for address, first, second in self._halfwords():
            if first == WFI_NARROW:
                found[address] = "wfi"
            elif (first, second) == WFI_WIDE:
                found[address] = "wfi.w"
            elif first == BKPT_SEMIHOSTING:
                found[address] = "bkpt"
        return found

    @property
    def bell(self) -> int | None:
        """Address of the word that the program writes to just before some of them (bell.h)."""
        return self._values.get("bench_bell")

    @cached_property
    def rings(self) -> frozenset[int]:
        """Addresses of the instructions that do so: `str rN, [rN]`, which no compiler makes by
        itself, and a site behind it."""
        if self.bell is None:
            return frozenset()
        stores = {a for a, first, _ in self._instructions() if _stores_own_address(first)}
        return frozenset(stores & {site - RING_SIZE for site in self.instruction_sites})

    @cached_property
    def acts(self) -> tuple[int, ...]:
        """Addresses of the instructions that a handler can notice: those that write to memory (by
        SP aside), and those that mask interrupts.
        """
        return tuple(address for address, first, _ in self._instructions() if _acts(first))

    @cached_property
    def straight(self) -> frozenset[int]:
        """Addresses of instructions after which the core comes to the next one in memory, whatever
        happens; an interrupt aside. Not all: only of kinds that are easy to tell."""
        return frozenset(a for a, first, second in self._instructions() if _straight(first, second))

    @cached_property
    def instruction_sites(self) -> dict[int, str]:
        """Of `sites` those that are instructions, and may be replaced. The second half of a wide
        instruction, or a constant, can look like a WFI by chance."""
        starts = {address for address, _, _ in self._instructions()}
        return {address: kind for address, kind in self.sites.items() if address in starts}

    @cached_property
    def _regions(self) -> list[tuple[int, bool]]:
        """(first address, whether code begins there), sorted: the mapping symbols `$t` and `$d`
        (ELF for the Arm Architecture, 5.5.5)."""
        return sorted(
            (value & ~1, name.startswith("$t"))
            for name, value, _, _ in self._entries
            if name in ("$t", "$d") or name.startswith(("$t.", "$d."))
        )

    def _instructions(self) -> Iterator[tuple[int, int, int]]:
        """Like `_halfwords`, in the steps of the instructions, without the constants. An image that
        says nothing of its constants has them taken for code."""
        following = 0
        regions = self._regions
        at, is_code = 0, not regions
        for address, first, second in self._halfwords():
            while at < len(regions) and regions[at][0] <= address:
                at, is_code, following = at + 1, regions[at][1], regions[at][0]
            if is_code and address >= following:
                following = address + (4 if first >= WIDE else 2)
                yield address, first, second

    @cached_property
    def sets_basepri(self) -> bool:
        """Whether any instruction writes BASEPRI."""
        return any(
            first & 0xFFF0 == 0xF380 and second in MSR_BASEPRI
            for _, first, second in self._halfwords()
        )

    # -- source lines ----------------------------------------------------------------------------

    @cached_property
    def _dwarf(self) -> DWARFInfo | None:
        try:
            return self._elf.get_dwarf_info() if self._elf.has_dwarf_info() else None
        except UNSOUND:
            return None

    @cached_property
    def _ranges(self) -> ARanges | None:
        """Which unit an address belongs to; None where the compiler has not said."""
        try:
            found = self._dwarf.get_aranges() if self._dwarf else None
        except (*UNSOUND, NotImplementedError):
            return None
        return found if found and found.keys else None

    def _rows(self, address: int) -> _Rows:
        """The line table of the unit that holds an address; of all, where that is not known. Each
        is read when somebody asks: most never are, and it takes a while."""
        ranges = self._ranges
        unit = ranges.cu_offset_at_addr(address) if ranges else None
        if unit not in self._line_tables:
            rows: _Rows = []
            try:
                if self._dwarf and (unit is not None or not ranges):
                    rows = _read_line_table(self._dwarf, unit)
            except UNSOUND:
                rows = []
            rows.sort(key=lambda row: (row[0], row[1] is not None))
            self._line_tables[unit] = rows
        return self._line_tables[unit]

    def line(self, address: int) -> SourceLine | None:
        """The source line of the instruction at `address`."""
        address &= ~1
        rows = self._rows(address)
        at = bisect_right(rows, address, key=lambda row: row[0])
        return rows[at - 1][1] if at else None


def _stores_own_address(first: int) -> bool:
    """`str rN, [rN]` (ARM DDI 0403, A7.7.161, T1)."""
    return first & 0xFFC0 == 0x6000 and first & 7 == first >> 3 & 7


def _acts(first: int) -> bool:
    """Whether the instruction that starts with this halfword is a store or CPSID i (ARM DDI 0403,
    A5).
    """
    if first < WIDE:
        # STR, STRB, STRH with an offset in the instruction; STM. The same with it in a register.
        by_offset, by_register = (0x0C, 0x0E, 0x10, 0x18), (0x28, 0x29, 0x2A)
        return first >> 11 in by_offset or first >> 9 in by_register or first == CPSID_I
    # STRB, STRH, STR; STRD, STREX; STM.
    multiple = first & 0xFE50 == 0xE800 and first & 0xF != SP
    return first & 0xFF10 == 0xF800 or first & 0xFE50 == 0xE840 or multiple


def _straight(first: int, second: int) -> bool:
    """Whether an instruction neither branches nor masks, sleeps or calls (ARM DDI 0403, A5.2 and
    A5.3): additions, moves, comparisons, loads and stores that do not write the PC."""
    if first >= WIDE:
        shifted_register, modified_immediate = first & 0xFE00 == 0xEA00, first & 0xF800 == 0xF000
        if shifted_register or (modified_immediate and not second & 0x8000):
            return second >> 8 & 0xF != 15
        return first & 0xFE00 == 0xF800 and second >> 12 != 15
    match first >> 12:
        case 0x4:
            to_pc = first & 0x87 == 0x87
            return first < 0x4400 or first >= 0x4800 or (first < 0x4700 and not to_pc)
        case 0xB:
            return first >> 8 in (0xB0, 0xB2, 0xB4, 0xB5, 0xBA, 0xBC)
        case high:
            return high < 0xD


def _read_line_table(dwarf: DWARFInfo, only: int | None) -> _Rows:
    """Of the unit at that offset, or of every one."""
    rows: _Rows = []
    for unit in dwarf.iter_CUs() if only is None else (dwarf.get_CU_at(only),):
        program = dwarf.line_program_for_CU(unit)
        if program is None:
            continue
        files = program["file_entry"]
        base = 0 if program["version"] >= 5 else 1
        sequence: _Rows = []
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            index = state.file - base
            if state.end_sequence:
                # What the linker has left out lies at 0, where the vectors are.
                if sequence and sequence[0][0]:
                    rows += [*sequence, (state.address, None)]
                sequence = []
            elif 0 <= index < len(files) and state.line:
                name = files[index].name.decode(errors="backslashreplace")
                sequence.append((state.address, SourceLine(name.rsplit("/", 1)[-1], state.line)))
    return rows
