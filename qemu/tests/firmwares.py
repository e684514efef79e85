"""What the tests of the bench share beside the fixtures, which conftest.py has."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path

from wakebench.board import Board
from wakebench.image import Image

ROOT = Path(__file__).resolve().parents[2]
SOURCES = Path(__file__).parent / "firmware"
BOARD = ROOT / "lab/board"
QEMU_10 = ROOT / ".cache/qemu-10/bin/qemu-system-arm"

CC = "arm-none-eabi-gcc"
MACHINE = ("-mcpu=cortex-m3", "-mthumb")
COMPILE = (
    *("-std=c11", "-Og", "-g", "-ffreestanding", "-fno-common", "-fdata-sections"),
    *("-ffunction-sections", "-Wall", "-Wextra", "-Wno-infinite-recursion", "-Werror"),
    *(f"-I{BOARD}", f"-I{ROOT / 'lab/async'}"),
)
LINK = ("-nostdlib", "-nostartfiles", f"-T{BOARD / 'lm3s6965.ld'}", "-Wl,--gc-sections")

Build = Callable[..., Image]
Bench = Callable[..., Board]


def qemus() -> list[str]:
    """The commands of the QEMUs to test with: the one in use, and QEMU 10 where it is set up."""
    found = [os.environ.get("WAKELAB_QEMU", "qemu-system-arm")]
    if QEMU_10.exists():
        found.append(shlex.quote(str(QEMU_10)))
    return found
