"""capstone, without the architectures that the board is none of.

The package imports the tables of all eighteen as soon as it is imported, which takes 20 ms: longer
than all that is then disassembled in a grading. So while it is imported the others are modules that
have nothing but an empty structure each. Later they can be imported as ever.
"""

from __future__ import annotations

import ctypes
import importlib
import sys
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capstone import Cs

_OTHERS = {
    "arm64": "CsArm64",
    "bpf": "CsBPF",
    "evm": "CsEvm",
    "m680x": "CsM680x",
    "m68k": "CsM68K",
    "mips": "CsMips",
    "mos65xx": "CsMOS65xx",
    "ppc": "CsPpc",
    "riscv": "CsRISCV",
    "sh": "CsSH",
    "sparc": "CsSparc",
    "systemz": "CsSysz",
    "tms320c64x": "CsTMS320C64x",
    "tricore": "CsTriCore",
    "wasm": "CsWasm",
    "x86": "CsX86",
    "xcore": "CsXcore",
}
"""Of each module what capstone's `_cs_arch`, a union, has of it."""


def cortex_m3() -> Cs:
    """A disassembler of the core's instructions."""
    _import_capstone()
    from capstone import CS_ARCH_ARM, CS_MODE_MCLASS, CS_MODE_THUMB, Cs

    return Cs(CS_ARCH_ARM, CS_MODE_THUMB | CS_MODE_MCLASS)


def _import_capstone() -> None:
    if "capstone" in sys.modules:
        return
    names = {f"capstone.{module}": structure for module, structure in _OTHERS.items()}
    for name, structure in names.items():
        sys.modules[name] = ModuleType(name)
        setattr(sys.modules[name], structure, type(structure, (ctypes.Structure,), {}))
    with suppress(AttributeError):  # another capstone, which has more: then all of it is imported
        importlib.import_module("capstone")
    for name in names:
        del sys.modules[name]
