"""The tests of the bench: tiny firmwares, each built once, on every QEMU that is at hand."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from firmwares import BOARD, CC, COMPILE, LINK, MACHINE, SOURCES, Bench, Build, qemus

from wakebench.board import Board, Limits, Points
from wakebench.image import Image
from wakebench.machine import Machine, Qemu, find_qemu


def _run(*argv: str | Path) -> None:
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """`build("faults", HOW="NULL_JUMP")`: the image of a firmware, built once."""
    folder = tmp_path_factory.mktemp("firmware")
    images: dict[str, Image] = {}
    objects: list[Path] = []

    def board() -> list[Path]:
        if not objects:
            sources = sorted(BOARD.glob("*.c"))
            (folder / "board").mkdir()
            subprocess.run(
                [CC, *MACHINE, *COMPILE, "-c", *map(str, sources)],
                cwd=folder / "board",
                check=True,
            )
            objects.extend(sorted((folder / "board").glob("*.o")))
        return objects

    def make(name: str, **defines: str | int) -> Image:
        words = [f"-D{key}={value}" for key, value in defines.items()]
        key = "_".join([name, *words]).replace("/", "_")
        if key not in images:
            elf = folder / f"{key}.elf"
            source = SOURCES / f"{name}.c"
            _run(CC, *MACHINE, *COMPILE, *words, *LINK, source, *board(), "-lgcc", "-o", elf)
            images[key] = Image(elf)
        return images[key]

    return make


@pytest.fixture(scope="session", params=qemus(), ids=("qemu", "qemu-10")[: len(qemus())])
def qemu(request: pytest.FixtureRequest) -> Qemu:
    """Each QEMU in turn."""
    return find_qemu(request.param)


@pytest.fixture
def one_qemu() -> Qemu:
    """The QEMU in use, for what does not depend on its version."""
    return find_qemu(qemus()[0])


@pytest.fixture
def bench(build: Build, qemu: Qemu) -> Iterator[Bench]:
    """`bench("sleeper")`: a firmware on a board, reset. The machine is closed after the test."""
    machines: list[Machine] = []

    def put(
        firmware: str,
        points: Points | None = None,
        limits: Limits | None = None,
        **defines: str | int,
    ) -> Board:
        image = build(firmware, **defines)
        machines.append(Machine(image.path, qemu))
        board = Board(machines[-1], image, points or Points(), limits)
        board.reset()
        return board

    yield put
    for machine in machines:
        machine.close()


@pytest.fixture
def load() -> Iterator[None]:
    """Keeps every core of the host busy."""
    burn = "while True: pass"
    cores = os.cpu_count() or 1
    busy = [subprocess.Popen([sys.executable, "-c", burn]) for _ in range(cores)]
    yield
    for process in busy:
        process.kill()
        process.wait()
