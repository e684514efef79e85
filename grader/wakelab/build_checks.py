"""What checks find in what the compiler and the linker said."""

from __future__ import annotations

from collections.abc import Sequence

from wakelab.build import MAIN_LEVEL
from wakelab.checking import Finding, counted
from wakelab.diagnosis import Mistake
from wakelab.errors import InfraError
from wakelab.report import CompilerMessage, Place, Verdict
from wakelab.subject import Subject


def expect_builds(subject: Subject) -> None:
    """The files handed in build with the board, the async core and the references."""
    problem = subject.submission.problem
    if problem is not None:
        raise Finding(
            Verdict.BUILD,
            f"the files {' and '.join(subject.lab.files)}",
            problem.what,
            hint=problem.next_step,
        )
    if not subject.build.ok:
        raise _error(subject, subject.build.errors[0])


def expect_level(subject: Subject, level: str) -> None:
    """They build at another level, too."""
    whole = subject.whole_build()
    here = whole.at(level)
    # Of many messages some are left out, perhaps all of this level's.
    build = here if here.elfs or here.errors else whole
    if build.ok:
        if not here.elfs:
            raise InfraError(f"nobody has built the program at -{level}")
        return
    finding = _error(subject, build.errors[0], f" at -{level}")
    finding.why = (
        f"It builds at -{MAIN_LEVEL}, so whether it builds depends on how it is optimised."
    )
    if "defined nowhere" in finding.seen:
        finding.hint = (
            "Is it inline, and not static? Where the compiler does not put such a function into its"
            " callers, it is none: somebody else has to define it."
        )
    finding.diagnosis = Mistake.ONE_LEVEL
    finding.level = level
    raise finding


def expect_warnings(subject: Subject) -> None:
    """-Wall -Wextra -Wpedantic, at the main level."""
    expect_no_warning(subject, subject.build.warnings)


def expect_no_warning(subject: Subject, warnings: Sequence[CompilerMessage]) -> None:
    """None of these."""
    if not warnings:
        return
    first = warnings[0]
    raise Finding(
        Verdict.WRONG,
        "no warning at -Wall -Wextra -Wpedantic",
        f"{counted(len(warnings), 'warning')}; the first: {first.text}",
        hint="The compiler has seen something that you have not.",
        diagnosis=Mistake.WARNINGS,
        place=Place(first.file, first.line, subject.source_line(first.file, first.line)),
    )


def _error(subject: Subject, first: CompilerMessage, where: str = "") -> Finding:
    return Finding(
        Verdict.BUILD,
        f"no error from the compiler and the linker{where}",
        first.text,
        hint=_hint_to(first.text),
        place=Place(first.file, first.line, subject.source_line(first.file, first.line)),
        story=(),
    )


def _hint_to(error: str) -> str:
    """What may lie behind an error of the compiler or the linker."""
    if "defined nowhere" in error:
        return (
            "What is given calls it by this name. Is it spelt differently in your file, static, or"
            " deleted?"
        )
    if any(sign in error for sign in _CHANGED):
        return (
            "Is your file from an older version of the lab, or from another one? The headers in"
            " lab/ say what holds now; git diff shows what has changed."
        )
    return "Mend the first error first; the others often follow from it."


_CHANGED = ("no member named", "conflicting types", "too few arguments", "too many arguments")
"""Errors of a file and headers that do not belong together."""
