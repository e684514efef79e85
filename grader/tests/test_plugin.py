"""How results are made of what checks do."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wakelab.build import LEVELS as LEVEL_NAMES
from wakelab.build import BuildResult, Elf
from wakelab.errors import UserError
from wakelab.plugin import ChecksPlugin, Lane
from wakelab.report import CheckResult, CompilerMessage, Verdict
from wakelab.running import run_checks, with_checks

CHECKS = """
from wakelab.checking import check

@check("It meets a defect of ours", points=1)
def check_defect(subject):
    subject.traces.append("what the defect left")
    raise RuntimeError("a defect")

@check("It runs no program", points=1)
def check_nothing(subject):
    pass

@check("It runs the program", points=1)
def check_something(subject):
    subject.traces.append("its own")
"""


class FakeSubject:
    """A subject whose traces are words, and their digest the words themselves."""

    def __init__(self) -> None:
        self.traces: list[str] = []

    def distrust_machine(self) -> None:
        self.traces.append("of a machine that nobody trusts")

    def take_remark(self) -> dict[str, Any]:
        return {}

    def take_digest(self) -> str:
        digest = ", ".join(self.traces)
        self.traces.clear()
        return digest


def test_a_check_answers_for_its_own_traces_only(tmp_path: Path) -> None:
    (tmp_path / "check_traces.py").write_text(CHECKS)
    subject: Any = FakeSubject()
    results = {each.id: each for each in run_checks(tmp_path, lambda: subject, ())}
    assert results["defect"].verdict is Verdict.INFRA
    assert results["nothing"].verdict is Verdict.PASS
    assert results["nothing"].trace_hash == ""
    assert results["something"].trace_hash == "its own"


def test_checks_of_the_same_name_are_kept_apart(tmp_path: Path) -> None:
    """As those of two labs, graded by one process."""
    for name in ("one", "another"):
        (tmp_path / name).mkdir()
        text = CHECKS.replace("check_something", f"check_{name}")
        (tmp_path / name / "check_traces.py").write_text(text)
        results = run_checks(tmp_path / name, FakeSubject, ())  # type: ignore[arg-type]
        assert [each.id for each in results] == ["defect", "nothing", name]


def test_the_subject_is_made_when_all_else_is_ready(tmp_path: Path) -> None:
    """The checks are imported by then."""
    imported = tmp_path / "imported"
    text = f"open({str(imported)!r}, 'x').close()\n{CHECKS}"
    (tmp_path / "check_traces.py").write_text(text)
    made: list[bool] = []

    def make() -> Any:
        made.append(imported.exists())
        return FakeSubject()

    assert len(run_checks(tmp_path, make, ())) == 3
    assert made == [True]


def test_no_folder_above_the_checks_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pytest would list each, from the root of the file system on; a home has thousands."""
    (tmp_path / "check_traces.py").write_text(CHECKS)
    read: list[Path] = []
    scandir = os.scandir

    def noted(path: Any = ".") -> Any:
        read.append(Path(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", noted)
    assert len(run_checks(tmp_path, FakeSubject, ())) == 3  # type: ignore[arg-type]
    assert set(read) == {tmp_path}


LEVELS = """
from wakelab.checking import Finding, check
from wakelab.report import Verdict

@check("At the other levels", points=3, levels=True)
def check_levels(subject, level):
    subject.traces.append(level)
    if level in subject.wrong:
        raise Finding(Verdict.WRONG, "right", f"wrong at {level}", story=())

@check("At the main one", points=1)
def check_here(subject):
    subject.traces.append("here")
"""


class Leveled(FakeSubject):
    """A subject with three more levels: programs that are `wrong` there, or do not build."""

    def __init__(self, wrong: Sequence[str] = (), broken: Sequence[str] = ()) -> None:
        super().__init__()
        self.wrong, self.broken = wrong, broken
        self.latest_level = ""
        self.looked = 0
        """How many times somebody asked whether all is built. From the third on it is."""

    def whole_build(self) -> BuildResult:
        elfs = [Elf(level, Path(level), "") for level in LEVEL_NAMES if level not in self.broken]
        errors = [CompilerMessage("a.c", 1, 1, "error", "no", level) for level in self.broken]
        return BuildResult(tuple(elfs), tuple(errors), ())

    def is_wholly_built(self) -> bool:
        self.looked += 1
        return self.looked > 2

    def source_line(self, file: str, number: int) -> str:
        return f"{file}:{number}"

    def story(self) -> tuple[str, ...]:
        return ()


def judge_levels(folder: Path, subject: Leveled) -> CheckResult:
    (folder / "check_traces.py").write_text(LEVELS)
    found: Any = subject
    result, here = run_checks(folder, lambda: found, ())
    assert here.verdict is Verdict.PASS and here.trace_hash == "here"
    return result


def test_a_check_of_levels_is_run_at_each(tmp_path: Path) -> None:
    result = judge_levels(tmp_path, Leveled())
    assert (result.id, result.verdict, result.points) == ("levels", Verdict.PASS, 3)
    assert result.trace_hash == hashlib.sha256(b"O0O2Os").hexdigest()


def test_the_first_level_that_is_wrong_counts(tmp_path: Path) -> None:
    """And in one lane nothing comes after it."""
    subject = Leveled(wrong=["O2", "Os"])
    result = judge_levels(tmp_path, subject)
    assert (result.verdict, result.points) == (Verdict.WRONG, 0)
    assert result.seen == "wrong at O2"
    assert result.trace_hash == hashlib.sha256(b"O0O2").hexdigest()


def test_a_level_at_which_the_program_does_not_build(tmp_path: Path) -> None:
    result = judge_levels(tmp_path, Leveled(broken=["O2"]))
    assert result.verdict is Verdict.BUILD
    assert result.expected == "no error from the compiler and the linker at -O2"


def test_a_level_that_nobody_has_built_is_no_mistake(tmp_path: Path) -> None:
    subject = Leveled()
    subject.whole_build = lambda: BuildResult((), (), ())  # type: ignore[method-assign]
    result = judge_levels(tmp_path, subject)
    assert result.verdict is Verdict.INFRA
    assert "nobody has built the program at -O0" in result.seen


def test_an_error_that_is_left_out_is_one_all_the_same(tmp_path: Path) -> None:
    """The other levels have had so many."""
    subject = Leveled(broken=["O0"])
    whole = subject.whole_build()
    there = tuple(elf for elf in whole.elfs if elf.level != "Os")
    subject.whole_build = lambda: replace(whole, elfs=there)  # type: ignore[method-assign]
    (tmp_path / "check_traces.py").write_text(LEVELS)
    found: Any = subject

    def run(checks: ChecksPlugin) -> CheckResult:
        told: list[CheckResult] = []
        lane = Lane(lambda at: at == 2, tell=lambda _, result: told.append(result))
        checks.run(found, lane)
        return told[0]

    assert with_checks(tmp_path, run, ()).verdict is Verdict.BUILD


CHAIN = """
from wakelab.checking import Finding, check
from wakelab.report import Verdict

def noted(subject, name, wrong=False):
    subject.traces.append(name)
    if wrong:
        raise Finding(Verdict.WRONG, "right", "wrong", story=())

@check("One", points=1)
def check_one(subject):
    noted(subject, "one")

@check("Two", points=1, needs=["one"])
def check_two(subject):
    noted(subject, "two", wrong=True)

@check("Three", points=1, needs=["one"])
def check_three(subject):
    noted(subject, "three")

@check("Four", points=1, needs=["three", "two"])
def check_four(subject):
    noted(subject, "four")

@check("Five", points=1, needs=["four"])
def check_five(subject):
    noted(subject, "five")
"""


@pytest.mark.parametrize(
    ("others", "ran"),
    [
        ("", ["one", "two", "three"]),
        ("three", ["one", "two"]),  # four will be left out, whatever comes of it
        ("four", ["one", "two", "three"]),  # and so will five
        ("one three four", ["two"]),
        ("two", ["one", "three", "four", "five"]),
    ],
)
def test_what_will_be_left_out_is_not_run(tmp_path: Path, others: str, ran: list[str]) -> None:
    """While the `others` are another lane's; and what is told of it is what one lane tells."""
    (tmp_path / "check_chain.py").write_text(CHAIN)
    names = ["one", "two", "three", "four", "five"]
    subject: Any = Leveled()
    here: list[str] = []

    def claim(position: int) -> bool:
        return names[position] not in others.split()

    def run(checks: ChecksPlugin) -> list[CheckResult]:
        checks.run(subject, Lane(claim, tell=lambda at, _: here.append(names[at])))
        assert checks.owed() == bool({"one", "two", "three"} & {*others.split()})
        there = Lane(checks.is_owed, backwards=True)
        checks.run(subject, there)
        assert not checks.owed()
        return checks.results

    results = with_checks(tmp_path, run, ())
    assert here == ran
    whole: Any = Leveled()
    assert results == run_checks(tmp_path, lambda: whole, ())
    assert [each.verdict for each in results] == [
        *(Verdict.PASS, Verdict.WRONG, Verdict.PASS, Verdict.SKIPPED, Verdict.SKIPPED)
    ]


def test_what_needs_a_later_check_or_itself_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "check_traces.py").write_text(
        """
from wakelab.checking import check

@check("One", points=1, needs=["two"])
def check_one(subject):
    pass

@check("Two", points=1, needs=["two"])
def check_two(subject):
    pass
"""
    )
    results = run_checks(tmp_path, FakeSubject, ())  # type: ignore[arg-type]
    assert [(each.verdict, each.expected) for each in results] == [
        (Verdict.SKIPPED, "first: two"),
        (Verdict.SKIPPED, "first: two"),
    ]


def test_the_second_lane_begins_with_what_is_built(tmp_path: Path) -> None:
    (tmp_path / "check_traces.py").write_text(LEVELS + LEVELS.replace("check_", "check_more_"))
    subject: Any = Leveled()
    told: list[tuple[int, str]] = []

    def run(checks: ChecksPlugin) -> None:
        checks.run(subject, Lane(backwards=True, tell=lambda at, each: told.append((at, each.id))))

    with_checks(tmp_path, run, ())
    assert told[:2] == [(7, "more-here"), (3, "here")]
    assert told[2:] == [(at, "more-levels" if at > 3 else "levels") for at in (6, 5, 4, 2, 1, 0)]


@pytest.mark.parametrize("beside", [False, True])
def test_beside_another_lane_what_takes_long_does_not_begin_last(
    tmp_path: Path, beside: bool
) -> None:
    """By itself a lane runs the checks as they stand: then what failed saves what needs it."""
    (tmp_path / "check_traces.py").write_text(LEVELS + LEVELS.replace("check_", "check_more_"))
    subject: Any = Leveled()
    told: list[int] = []

    def run(checks: ChecksPlugin) -> None:
        checks.run(subject, Lane(beside=beside, tell=lambda at, _: told.append(at)))

    with_checks(tmp_path, run, ())
    assert told == ([3, 7, 4, 0, 5, 1, 6, 2] if beside else list(range(8)))


def test_a_function_that_is_called_like_a_check_and_is_none(tmp_path: Path) -> None:
    """Forgotten marks are said, not passed over; and nothing is run."""
    (tmp_path / "check_traces.py").write_text(CHECKS)
    (tmp_path / "check_zeal.py").write_text("def check_zeal(subject):\n    assert False\n")
    with pytest.raises(UserError, match="check_zeal is called like a check") as said:
        with_checks(tmp_path, lambda checks: pytest.fail("it was begun"), ())
    assert "check_zeal.py" in str(said.value) and "@check" in str(said.value)


def test_without_a_subject_no_check_is_run(tmp_path: Path) -> None:
    """What it raises reaches whoever asked for the checks, and is nobody's verdict."""
    (tmp_path / "check_traces.py").write_text(CHECKS)
    trouble = UserError("no compiler", "here", "get one")
    ran: list[int] = []

    def fail() -> Any:
        raise trouble

    def claim(position: int) -> bool:
        ran.append(position)
        return True

    with pytest.raises(UserError) as raised:
        with_checks(tmp_path, lambda checks: checks.run(fail(), Lane(claim)), ())
    assert raised.value is trouble
    assert ran == []


def test_ctrl_c_while_the_subject_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "check_traces.py").write_text(CHECKS)

    def interrupted() -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_checks(tmp_path, interrupted, ())


def test_ctrl_c_is_not_hidden_by_what_comes_of_it(tmp_path: Path) -> None:
    (tmp_path / "check_interrupted.py").write_text(
        """
from wakebench.errors import BenchError
from wakelab.checking import check

@check("It is interrupted", points=1)
def check_interrupted(subject):
    try:
        raise KeyboardInterrupt
    finally:
        raise BenchError("the core runs") from None
"""
    )
    with pytest.raises(KeyboardInterrupt):
        run_checks(tmp_path, FakeSubject, ())  # type: ignore[arg-type]
