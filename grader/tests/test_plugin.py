"""How results are made of what checks do."""

from pathlib import Path
from typing import Any

import pytest

from wakelab.errors import UserError
from wakelab.plugin import Lane
from wakelab.report import Verdict
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
