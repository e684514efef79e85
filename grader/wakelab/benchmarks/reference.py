"""The program that everything is measured on: the reference of lab 08, built once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wakebench.machine import Qemu, find_qemu
from wakelab.build import Builder, BuildResult
from wakelab.errors import InfraError
from wakelab.labs import Lab, load_lab
from wakelab.submission import Submission, collect
from wakelab.toolchain import Toolchain, find_toolchain

LAB = "08"


@dataclass(frozen=True)
class Reference:
    """A lab's reference at every level, and the tools that it was built and is run with."""

    root: Path
    lab: Lab
    submission: Submission
    build: BuildResult
    toolchain: Toolchain
    qemu: Qemu

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels built."""
        return tuple(elf.level for elf in self.build.elfs)

    def elf(self, level: str) -> Path:
        """The image at that level."""
        return next(elf.path for elf in self.build.elfs if elf.level == level)

    @property
    def button(self) -> str:
        """The button to press."""
        return (self.lab.press or {}).get("button", "SELECT")

    @property
    def line(self) -> str:
        """The line that a press makes."""
        return (self.lab.press or {}).get("line", "")


@contextmanager
def built_reference(root: Path) -> Iterator[Reference]:
    """The reference of lab 08; its images are gone after the `with`. Raises UserError, BenchError
    where a tool or a file is missing."""
    qemu, toolchain = find_qemu(), find_toolchain()
    lab = load_lab(root, LAB)
    submission = collect(lab, lab.reference)
    with Builder(root, toolchain) as builder:
        build = builder.build(lab, submission)
        if not build.ok:
            raise InfraError(
                f"the reference does not build: {build.errors[0].text}",
                str(lab.reference),
                "restore it: git checkout -- lab solution",
            )
        yield Reference(root, lab, submission, build, toolchain, qemu)
