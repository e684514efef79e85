"""What editors are told: it is right, and they can read it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wakelab.editor import entries, write_compile_commands
from wakelab.labs import checkout_root
from wakelab.toolchain import find_toolchain

ROOT = checkout_root()
FILES = [entry.file for entry in entries(ROOT, find_toolchain().gcc)]
CLANGD = Path(sys.executable).with_name("clangd")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C of the checkout, somewhere else."""
    there = tmp_path_factory.mktemp("a checkout, elsewhere")
    for folder in ("lab", "solution"):
        shutil.copytree(ROOT / folder, there / folder)
    write_compile_commands(there, find_toolchain().gcc)
    return there


def test_every_file_of_c_is_there() -> None:
    wanted = {
        str(path.relative_to(ROOT))
        for folder in ("lab", "solution")
        for path in (ROOT / folder).glob("*/*.c")
    }
    assert set(FILES) == wanted and len(FILES) > 15


def test_what_is_said_compiles(checkout: Path, tmp_path: Path) -> None:
    """Each command, as it stands."""
    for entry in json.loads((checkout / "compile_commands.json").read_text()):
        assert entry["directory"] == str(checkout)
        command = [*entry["arguments"], "-o", str(tmp_path / "x.o")]
        done = subprocess.run(command, cwd=entry["directory"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


OF_THE_BOARD = ("lab/board/startup.c", "lab/board/console.c")
"""Enough of it; each takes half a second."""


@pytest.mark.parametrize(
    "file", [f for f in FILES if not f.startswith("lab/board/") or f in OF_THE_BOARD]
)
def test_clangd_reads_it_without_an_error(file: str, checkout: Path) -> None:
    done = subprocess.run(
        # None of its refactorings, which it would try, too.
        [str(CLANGD), f"--check={checkout / file}", "--log=error", "--tweaks=none"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_clangd_would_see_an_error(checkout: Path) -> None:
    """And not because it knows nothing of the flags."""
    bad = checkout / "lab/08-button-future/main.c"
    before = bad.read_text()
    try:
        bad.write_text(before.replace("executor_run(&executor)", "executor_runs(&executor)"))
        done = subprocess.run([str(CLANGD), f"--check={bad}"], capture_output=True, text=True)
        assert done.returncode != 0 and "executor_runs" in done.stderr
    finally:
        bad.write_text(before)


# -- VS Code ---------------------------------------------------------------------------------------


def with_comments(path: Path) -> Any:
    """JSON with comments, as VS Code reads it."""
    text = re.sub(r"^\s*//.*$", "", path.read_text(encoding="utf-8"), flags=re.M)
    return json.loads(text)


def test_the_files_of_the_editor_are_whole() -> None:
    targets = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    tasks = with_comments(ROOT / ".vscode/tasks.json")
    inputs = {each["id"] for each in tasks["inputs"]}
    for task in tasks["tasks"]:
        make, target, *rest = task["command"].split()
        assert make == "make" and target in targets
        assert set(re.findall(r"\$\{input:(\w+)\}", " ".join(rest))) <= inputs
    labels = {task["label"] for task in tasks["tasks"]}
    (configuration,) = with_comments(ROOT / ".vscode/launch.json")["configurations"]
    assert configuration["preLaunchTask"] in labels
    server = next(t for t in tasks["tasks"] if t["label"] == configuration["preLaunchTask"])
    port = configuration["miDebuggerServerAddress"].split(":")[1]
    assert f"PORT={port}" in server["command"]
    background = server["problemMatcher"]["background"]
    assert re.match(background["beginsPattern"], "GDB may connect: target remote localhost:3333")
    assert re.match(background["endsPattern"], "the program: /x/build/debug/08.elf")
    for name in ("settings", "extensions"):
        assert with_comments(ROOT / f".vscode/{name}.json")
    container = with_comments(ROOT / ".devcontainer/devcontainer.json")
    assert container["postCreateCommand"].split()[1] in targets
    dockerfile = (ROOT / ".devcontainer" / container["build"]["dockerfile"]).read_text()
    for package in ("qemu-system-arm", "gcc-arm-none-eabi", "bubblewrap", "python3-venv", "make"):
        assert package in dockerfile
