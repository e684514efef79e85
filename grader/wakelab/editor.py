"""`compile_commands.json`, by which clangd and other editors know how each file is compiled."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from wakelab.build import MAIN_LEVEL, flags
from wakelab.labs import SHARED_HEADERS
from wakelab.report import write_atomically

FOLDERS = ("lab/[0-9]*", "lab/board", "lab/async", "solution/[0-9]*")


@dataclass(frozen=True)
class Entry:
    """One file, in the format of Clang's JSON compilation database."""

    directory: str
    file: str
    arguments: list[str]


def entries(root: Path, gcc: Path) -> list[Entry]:
    """An entry for each file of C, with the very flags of the build; the compiler's name tells the
    reader for which target it compiles."""
    files = sorted(file for folder in FOLDERS for file in root.glob(f"{folder}/*.c"))
    labs = sorted(path.parent.relative_to(root) for path in root.glob("lab/[0-9]*/lab.toml"))
    headers = (*SHARED_HEADERS, *map(str, labs))
    return [
        Entry(str(root), name, [str(gcc), *flags(MAIN_LEVEL, Path("."), headers), "-c", name])
        for name in (str(file.relative_to(root)) for file in files)
    ]


def write_compile_commands(root: Path, gcc: Path) -> Path:
    """Put it where editors look, in one step. Raises UserError."""
    path = root / "compile_commands.json"
    text = json.dumps([asdict(each) for each in entries(root, gcc)], indent=1) + "\n"
    write_atomically(path, text)
    return path
