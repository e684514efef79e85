"""A program built at one level, on its board: what `script`, `sweep` and `replay` begin with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wakebench.machine import find_qemu
from wakelab.build import Builder
from wakelab.confinement import Confinement
from wakelab.errors import UserError
from wakelab.labs import Lab
from wakelab.render import safe_text
from wakelab.subject import Subject
from wakelab.submission import collect
from wakelab.toolchain import find_toolchain


@contextmanager
def built(
    root: Path,
    lab: Lab,
    folder: Path,
    level: str,
    confinement: Confinement,
    *,
    counting: bool = True,
) -> Iterator[Subject]:
    """The submission in `folder`, built. `counting`: see Subject. Raises UserError where it cannot
    be."""
    submission = collect(lab, folder)
    if submission.problem is not None:
        raise UserError(submission.problem.what, str(folder), submission.problem.next_step)
    toolchain = find_toolchain()
    sandbox = confinement.compiler(toolchain)
    with Builder(root, toolchain, sandbox=sandbox, keep=True) as builder:
        build = builder.build(lab, submission, levels=(level,))
        if not build.ok:
            first = build.errors[0]
            raise UserError(
                f"the program does not build: {safe_text(first.text)}",
                f"{first.file}:{first.line}",
                f"make grade LAB={lab.number} shows every message",
            )
        qemu = confinement.around(find_qemu())
        with Subject(lab, submission, build, qemu, counting=counting) as subject:
            yield subject
