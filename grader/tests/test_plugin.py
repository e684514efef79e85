"""How results are made of what checks do."""

from pathlib import Path
from typing import Any

from wakelab.report import Verdict
from wakelab.running import run_checks

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

    modes: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.traces: list[str] = []

    def take_digest(self) -> str:
        digest = ", ".join(self.traces)
        self.traces.clear()
        return digest


def test_a_check_answers_for_its_own_traces_only(tmp_path: Path) -> None:
    (tmp_path / "check_traces.py").write_text(CHECKS)
    subject: Any = FakeSubject()
    results = {each.id: each for each in run_checks(tmp_path, subject).results}
    assert results["defect"].verdict is Verdict.INFRA
    assert results["nothing"].verdict is Verdict.PASS
    assert results["nothing"].trace_hash == ""
    assert results["something"].trace_hash == "its own"
