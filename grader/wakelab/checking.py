"""What a lab's checks are written with.

    @check("Each press makes one line", points=15, needs=["sleeps"])
    def check_one_line(subject: Subject) -> None:
        \"\"\"What the check does, for people who read checks.\"\"\"

A check returns when all is well and raises Finding when not. Its id is its name without `check_`,
with hyphens. Checks run in the order in which they stand; one whose needs failed is skipped.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from wakelab.report import Place, Verdict

if TYPE_CHECKING:
    from wakelab.subject import Subject

PREFIX = "check_"
_SPEC = "wakelab_spec"


@dataclass(frozen=True)
class Spec:
    """What a check says about itself."""

    id: str
    title: str
    points: int
    needs: tuple[str, ...]
    mode: str = ""
    """What has to be asked for, or declared in lab.toml, before the check runs; empty: nothing."""
    levels: bool = False
    """Whether the check looks at the other levels than MAIN_LEVEL: it takes a `level`, and is run
    for each where the program builds; else that is what it finds. Where no such check was run, the
    program is not built at them, or the report does not tell of it."""
    explores: bool = False
    """Whether the check explores the program, or sweeps a call of it: that takes long, so the
    second lane begins with it. One lane runs all of these, so that the program is explored once."""

    def is_wanted(self, modes: Collection[str]) -> bool:
        """Whether the check is one of those that a grading with these modes of the sweep runs."""
        return not self.mode or self.mode in modes


class Finding(Exception):
    """A check found something. Every text is a sentence for the student.

    `pc` points at the instruction, for the source line, unless `place` names it already; `story` is
    the trace in words; without one, the end of the latest trace is told.
    """

    def __init__(
        self,
        verdict: Verdict,
        expected: str,
        seen: str,
        *,
        why: str = "",
        hint: str = "",
        diagnosis: str = "",
        pc: int | None = None,
        place: Place | None = None,
        story: Sequence[str] | None = None,
        level: str = "",
    ) -> None:
        super().__init__(f"{verdict}: expected {expected}; seen: {seen}")
        self.verdict = verdict
        self.expected = expected
        self.seen = seen
        self.why = why
        self.hint = hint
        self.diagnosis = diagnosis
        self.pc = pc
        self.place = place
        self.story = None if story is None else tuple(story)
        self.level = level


def counted(number: int, noun: str) -> str:
    """`1 line`, `2 lines`, `2 presses`."""
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{number} {noun if number == 1 else plural}"


class _Named(Protocol):
    __name__: str


F = TypeVar("F", bound=Callable[..., None])


def check(
    title: str,
    points: int,
    needs: Sequence[str] = (),
    mode: str = "",
    *,
    levels: bool = False,
    explores: bool = False,
) -> Callable[[F], F]:
    """Mark a function as a check; see Spec."""

    def mark(function: F) -> F:
        named: _Named = function
        identifier = named.__name__.removeprefix(PREFIX).replace("_", "-")
        vars(function)[_SPEC] = Spec(
            identifier, title, points, tuple(needs), mode, levels, explores
        )
        return function

    return mark


def shared_check(
    function: Callable[..., None],
    title: str,
    points: int,
    needs: Sequence[str] = (),
    mode: str = "",
    *,
    levels: bool = False,
    explores: bool = False,
) -> Callable[..., None]:
    """A check that several labs make, `expect_one_line`, as one of this lab's. To be assigned to
    the name that gives its id: `check_one_line`."""

    def run_at(subject: Subject, level: str) -> None:
        function(subject, level)

    def run_here(subject: Subject) -> None:
        function(subject)

    run: Callable[..., None] = run_at if levels else run_here
    run.__name__ = PREFIX + function.__name__.removeprefix("expect_")
    run.__doc__ = function.__doc__
    return check(title, points, needs, mode, levels=levels, explores=explores)(run)


def specs_in(folder: Path) -> tuple[Spec, ...]:
    """What the checks in a lab's folder say about themselves, in the order in which they run."""
    return tuple(spec for spec, _ in checks_in(folder))


def checks_in(folder: Path) -> list[tuple[Spec, Callable[..., None]]]:
    """The checks in a lab's folder. Imports them, as pytest does when it runs them."""
    checks: list[tuple[Spec, Callable[..., None]]] = []
    for path in sorted(folder.glob(f"{PREFIX}*.py")):
        found = importlib.util.spec_from_file_location(f"wakelab_checks_of_{path.stem}", path)
        assert found is not None and found.loader is not None
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
        for name, value in vars(module).items():
            if name.startswith(PREFIX) and (spec := spec_of(value)) is not None:
                checks.append((spec, value))
    return checks


def spec_of(function: object) -> Spec | None:
    """The Spec of a function marked with `check`."""
    found = getattr(function, _SPEC, None)
    return found if isinstance(found, Spec) else None
