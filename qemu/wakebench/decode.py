"""What one instruction does to memory and to the masking of interrupts.

Everything is computed from the registers before it: a run is watched from outside, step by step,
and nothing is asked of the program. The decoder proper is capstone's; what is here is what it
leaves open: addresses, sizes, and whether the condition of an IT block holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from wakebench.disassembler import cortex_m3
from wakebench.errors import BenchError
from wakebench.image import Image
from wakebench.probe import PC, SP, Registers

if TYPE_CHECKING:
    from capstone import CsInsn

RAM, RAM_END = 0x2000_0000, 0x4000_0000
DEVICES, DEVICES_END = 0x4000_0000, 0x6000_0000
SYSTEM = 0xE000_0000
"""From here on: NVIC, SysTick, system control (ARM DDI 0403, B3.1)."""
BIT_BAND, BIT_BAND_END = 0x2200_0000, 0x2400_0000
"""Each word stands for one bit of the first MiB of RAM (ARM DDI 0337, "Bit-banding")."""

XPSR = 16
WORD = 4

_SIZES = {
    **dict.fromkeys(("ldr", "ldrt", "ldrex", "str", "strt", "strex", "ldrd", "strd"), 4),
    **dict.fromkeys(("ldrh", "ldrht", "ldrsh", "ldrsht", "ldrexh", "strh", "strht", "strexh"), 2),
    **dict.fromkeys(("ldrb", "ldrbt", "ldrsb", "ldrsbt", "ldrexb", "strb", "strbt", "strexb"), 1),
    "tbb": 1,
    "tbh": 2,
}
_MANY = {"push", "pop", "ldm", "ldmdb", "stm", "stmdb"}
_DOWN = {"push", "ldmdb", "stmdb"}
_NAMES = {**{f"r{n}": n for n in range(16)}, "sb": 9, "sl": 10, "fp": 11, "ip": 12}
_NUMBERS = {**_NAMES, "sp": SP, "lr": 14, "pc": PC}


class Access(NamedTuple):
    """A read or a write of `size` bytes. `data` is what a write writes; where it writes but one
    bit of a byte, by its alias, `bit` is the number of that bit. `device` is any access outside of
    memory: a peripheral, or the core's own registers."""

    address: int
    size: int
    write: bool
    exclusive: bool = False
    data: bytes = b""
    bit: int = -1

    @property
    def device(self) -> bool:
        """Whether this is no memory: a peripheral or the core's own (NVIC, SysTick, …)."""
        return DEVICES <= self.address < DEVICES_END or self.address >= SYSTEM

    @property
    def in_ram(self) -> bool:
        """Whether this is memory that can change."""
        return RAM <= self.address < RAM_END

    def place(self) -> Access:
        """The same, whatever is written."""
        if not self.write:
            return self
        return Access(self.address, self.size, True, self.exclusive)

    def bytes(self) -> range:
        """The addresses of the bytes."""
        return range(self.address, self.address + self.size)


class Does(Enum):
    """What is special about an instruction."""

    NOTHING = "nothing"
    MASKS = "changes which interrupts are held back"
    SLEEPS = "waits for an interrupt"
    CALLS = "calls the host, or the supervisor"


class Masks(NamedTuple):
    """What holds interrupts back."""

    primask: bool = False
    faultmask: bool = False
    basepri: int = 0

    @property
    def closed(self) -> bool:
        """Whether they hold back every interrupt, also of the highest priority."""
        return self.primask or self.faultmask

    def hold(self, priority: int) -> bool:
        """Whether they hold back an interrupt of this priority."""
        return self.primask or self.faultmask or 0 < self.basepri <= priority


@dataclass(frozen=True)
class Instruction:
    """One instruction. `exclusive` is of the LDREX, STREX and CLREX kind. `status`: the register in
    which a STREX says whether it has stored; -1 in others."""

    address: int
    size: int
    name: str
    text: str
    does: Does
    exclusive: bool
    status: int
    _accesses: Callable[[Registers], Iterator[Access]]
    _masks: Callable[[Registers, Masks], Masks]

    @property
    def plain(self) -> bool:
        """Whether it works on the core's registers alone, and is nothing special."""
        return self._accesses is _none and self.does is Does.NOTHING and not self.exclusive

    def runs(self, before: Registers) -> bool:
        """Whether it does anything: in an IT block its condition may not hold."""
        state = _it_state(before[XPSR])
        return not state & 0xF or self.name == "bkpt" or _holds(state >> 4, before[XPSR])

    def accesses(self, before: Registers) -> tuple[Access, ...]:
        """What it reads and writes; reads of flash are left out."""
        if self._accesses is _none or not self.runs(before):
            return ()
        found = (_aliased(access) for access in self._accesses(before))
        return tuple(access for access in found if access.write or access.address >= RAM)

    def stored(self, after: Registers) -> bool:
        """Whether its writes were made, as the registers after it tell."""
        return self.status < 0 or after[self.status] == 0

    def masks(self, before: Registers, masks: Masks) -> Masks:
        """What holds interrupts back after it."""
        if self.does is not Does.MASKS or not self.runs(before):
            return masks
        return self._masks(before, masks)


class Decoder:
    """Decodes the code of an image, each address once."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._engine = cortex_m3()
        self._engine.detail = True
        self._known: dict[int, Instruction] = {}

    def at(self, address: int) -> Instruction:
        """The instruction at `address`. Raises BenchError where the image has none."""
        found = self._known.get(address)
        if found is None:
            found = self._known[address] = self._decode(address)
        return found

    def _decode(self, address: int) -> Instruction:
        code = self._image.flash(address, 4) or self._image.flash(address, 2)
        if code is None:
            raise BenchError(f"the program runs code at 0x{address:08x}, which is not in flash")
        raw: CsInsn = next(self._engine.disasm(code, address, 1), None)
        if raw is None:
            raise BenchError(f"0x{address:08x} holds no instruction: {code.hex()}")
        name = raw.insn_name()
        text = f"{raw.mnemonic} {raw.op_str}".strip()
        return Instruction(
            *(address, raw.size, name, text, _special(name, raw.mnemonic)),
            "ex" in name,
            _status(name, raw),
            _access_rule(name, raw),
            _mask_rule(raw.mnemonic, raw.op_str),
        )


# -- memory --------------------------------------------------------------------------------------

_Rule = Callable[[Registers], Iterator[Access]]


def _none(_: Registers) -> Iterator[Access]:
    return iter(())


def _access_rule(name: str, raw: CsInsn) -> _Rule:
    if name in _MANY:
        return _block_rule(name, raw)
    if name not in _SIZES:
        if name[:3] in ("ldr", "str", "ldm", "stm") or name.startswith(("ldc", "stc")):
            raise BenchError(f"what {raw.mnemonic} does to memory is not known here")
        return _none
    address = _address_rule(raw)
    size, write, exclusive = _SIZES[name], name.startswith("st"), "ex" in name
    if not write:
        count = 2 if name == "ldrd" else 1

        def reads(before: Registers) -> Iterator[Access]:
            at = address(before)
            return (Access(at + 4 * n, size, False, exclusive) for n in range(count))

        return reads
    registers = _registers(raw)
    stored = registers[1:] if exclusive else registers

    def writes(before: Registers) -> Iterator[Access]:
        at = address(before)
        for n, register in enumerate(stored):
            data = before[register].to_bytes(4, "little")[:size]
            yield Access(at + 4 * n, size, True, exclusive, data)

    return writes


def _status(name: str, raw: CsInsn) -> int:
    return _NUMBERS[raw.reg_name(raw.operands[0].reg)] if name.startswith("strex") else -1


def _registers(raw: CsInsn) -> list[int]:
    """The numbers of those that are operands, in order."""
    from capstone.arm import ARM_OP_REG

    return [_NUMBERS[raw.reg_name(op.reg)] for op in raw.operands if op.type == ARM_OP_REG]


def _address_rule(raw: CsInsn) -> Callable[[Registers], int]:
    from capstone.arm import ARM_OP_MEM

    memory = next(op for op in raw.operands if op.type == ARM_OP_MEM)
    base = _NUMBERS[raw.reg_name(memory.mem.base)]
    index = _NUMBERS[raw.reg_name(memory.mem.index)] if memory.mem.index else None
    shift = int(memory.shift.value) if memory.shift.type else 0
    offset = int(memory.mem.disp)
    table = raw.insn_name() in ("tbb", "tbh")

    def address(before: Registers) -> int:
        start = before[base]
        if base == PC:
            start = before.pc + 4 if table else before.pc + 4 & ~3
        added = before[index] << shift if index is not None else 0
        return start + added + offset & 0xFFFF_FFFF

    return address


def _block_rule(name: str, raw: CsInsn) -> _Rule:
    write, down = name in ("push", "stm", "stmdb"), name in _DOWN
    numbers = _registers(raw)
    base = SP if name in ("push", "pop") else numbers.pop(0)

    def accesses(before: Registers) -> Iterator[Access]:
        start = before[base] - WORD * len(numbers) if down else before[base]
        for n, number in enumerate(sorted(numbers)):
            data = before[number].to_bytes(4, "little") if write else b""
            yield Access(start + WORD * n & 0xFFFF_FFFF, WORD, write, False, data)

    return accesses


def _aliased(access: Access) -> Access:
    """A bit-band address stands for the byte that holds its bit."""
    if not BIT_BAND <= access.address < BIT_BAND_END:
        return access
    address, bit = divmod(access.address - BIT_BAND >> 2, 8)
    data = bytes([access.data[0] & 1]) if access.data else b""
    return access._replace(address=RAM + address, size=1, data=data, bit=bit)


# -- masks and conditions ------------------------------------------------------------------------


def _special(name: str, mnemonic: str) -> Does:
    if name in ("cps", "msr"):
        return Does.MASKS
    if mnemonic.startswith(("wfi", "wfe")):
        return Does.SLEEPS
    return Does.CALLS if name in ("bkpt", "svc") else Does.NOTHING


def _mask_rule(mnemonic: str, operands: str) -> Callable[[Registers, Masks], Masks]:
    if mnemonic.startswith("cps"):
        on = mnemonic.startswith("cpsid")
        change = {
            name: on for flag, name in (("i", "primask"), ("f", "faultmask")) if flag in operands
        }
        return lambda before, masks: masks._replace(**change)
    target, _, source = operands.partition(", ")
    number = _NUMBERS.get(source, 0)

    def written(before: Registers, masks: Masks) -> Masks:
        value = before[number]
        match target:
            case "primask":
                return masks._replace(primask=bool(value & 1))
            case "faultmask":
                return masks._replace(faultmask=bool(value & 1))
            case "basepri":
                return masks._replace(basepri=value & 0xFF)
            case "basepri_max":
                value &= 0xFF
                lower = value and (not masks.basepri or value < masks.basepri)
                return masks._replace(basepri=value) if lower else masks
        return masks

    return written


def _it_state(xpsr: int) -> int:
    """The eight bits of ITSTATE (ARM DDI 0403, B1.4.2)."""
    return xpsr >> 8 & 0xFC | xpsr >> 25 & 3


def _holds(condition: int, xpsr: int) -> bool:
    """Whether a condition holds (ARM DDI 0403, A7.3)."""
    n, z, c, v = (bool(xpsr >> bit & 1) for bit in (31, 30, 29, 28))
    rule = (z, c, n, v, c and not z, n == v, n == v and not z, True)[condition >> 1]
    return rule != bool(condition & 1) if condition != 0xF else True
