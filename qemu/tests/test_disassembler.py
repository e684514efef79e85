"""What capstone says of the core's instructions is the same without its other architectures."""

from __future__ import annotations

import subprocess
import sys

SAYS = """
import sys
def says(engine):
    engine.detail = True
    for first in range(0, 0x10000, 3):
        for code in ((first, 0x4770), (first, first * 40503 & 0xFFFF)):
            data = b"".join(each.to_bytes(2, "little") for each in code)
            for one in engine.disasm(data, 0x400, 1):
                operands = [
                    (op.type, op.reg, op.imm, op.mem.base, op.mem.index, op.mem.disp, op.shift.type)
                    for op in one.operands
                ]
                print(one.size, one.mnemonic, one.op_str, one.insn_name(), operands)
"""
WHOLE = "from capstone import *; says(Cs(CS_ARCH_ARM, CS_MODE_THUMB | CS_MODE_MCLASS))"
LIGHT = "from wakebench.disassembler import cortex_m3; says(cortex_m3())"
CALLED = "from wakebench.disassembler import cortex_m3; cortex_m3()"
OTHERS = "; print('loaded', sum(name.startswith('capstone.') for name in sys.modules))"
X86 = (
    "; import capstone.x86; print(capstone.x86.CsX86._fields_ is not None, "
    "next(capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64).disasm(b'\\xc3', 0)).mnemonic)"
)


def told(program: str) -> list[str]:
    command = [sys.executable, "-c", SAYS + program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_it_says_the_same() -> None:
    whole, light = told(WHOLE), told(LIGHT)
    assert len(whole) > 10_000
    assert light == whole


def test_the_others_are_not_loaded_and_can_be() -> None:
    loaded, mnemonic = told(CALLED + OTHERS + X86)
    assert int(loaded.split()[1]) < 5
    assert mnemonic == "True ret"


def test_another_capstone_is_imported_as_a_whole() -> None:
    """One that wants something else of an architecture."""
    begin = "import wakebench.disassembler as d; d._OTHERS['x86'] = 'CsX87'; d.cortex_m3()"
    loaded, mnemonic = told(begin + OTHERS + X86)
    assert int(loaded.split()[1]) > 30
    assert mnemonic == "True ret"
