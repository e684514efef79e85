"""Measure 4: flash of the async core, file by file."""

from __future__ import annotations

import tempfile
from pathlib import Path

from elftools.elf.elffile import ELFFile

from wakelab.benchmarks.row import Row, Step, part
from wakelab.build import _COMPILE
from wakelab.errors import InfraError
from wakelab.labs import SHARED_HEADERS
from wakelab.toolchain import Ending, Toolchain

TARGET_BYTES = 1024
LEVEL = "Os"
FILES = (
    "solution/04-wakers/waker.c",
    "solution/07-atomic-wait-queue/atomic_waker.c",
    "solution/05-executor/executor.c",
    "solution/08-button-future/button_future.c",
)
"""Relative to the checkout."""

COUNTED = (".text", ".rodata")


def measure_sizes(root: Path, toolchain: Toolchain, step: Step) -> dict[str, int]:
    """Bytes of flash of each file's object at -Os, by file name. What the linker may leave out
    (functions nobody calls) is counted."""
    sizes = {}
    with tempfile.TemporaryDirectory(prefix="wakelab-bench-") as folder:
        for file in FILES:
            target = Path(folder) / "object.o"
            compile_one(root, toolchain, root / file, target)
            sizes[Path(file).name] = flash_bytes(target)
            step()
    return sizes


def compile_one(root: Path, toolchain: Toolchain, source: Path, target: Path) -> None:
    """Compile as wakelab.build does, at -Os."""
    includes = [f"-I{root / name}" for name in SHARED_HEADERS]
    argv = [str(toolchain.gcc), *_COMPILE, f"-{LEVEL}", *includes, "-c", str(source)]
    completed = toolchain.run([*argv, "-o", str(target)], target.parent)
    if completed.ending is not Ending.EXIT or completed.returncode != 0:
        raise InfraError(
            f"a part of the async core does not compile at -{LEVEL}",
            str(source),
            "restore it: git checkout -- lab solution",
        )


def flash_bytes(path: Path) -> int:
    """Bytes of code and constants of an object."""
    with path.open("rb") as file:
        return sum(
            int(section["sh_size"])
            for section in ELFFile(file).iter_sections()
            if _is_counted(str(section.name))
        )


def _is_counted(name: str) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in COUNTED)


def size_rows(sizes: dict[str, int]) -> list[Row]:
    """For the table."""
    total = sum(sizes.values())
    return [
        Row(
            f"flash of the async core, -{LEVEL}",
            f"{total} bytes",
            total,
            TARGET_BYTES,
            "bytes",
        ),
        *(part(name, f"{size} bytes") for name, size in sizes.items()),
    ]
