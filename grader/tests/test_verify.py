"""Verifying a report: nothing in it can be changed without being noticed."""

import io
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

import wakelab.report
from wakelab.cli import main
from wakelab.confinement import choose
from wakelab.errors import InfraError, UserError
from wakelab.grade import grade
from wakelab.labs import checkout_root, load_lab
from wakelab.points import NO_CHANGES
from wakelab.provenance import grader_hash, lab_hash
from wakelab.report import CheckResult, Report, Verdict, from_json, to_json, write_report
from wakelab.verify import Verification, compare, render_verification, verify

ROOT = checkout_root()
LAB = load_lab(ROOT, "08")
CONFINEMENT = choose(ROOT, trust=False, own=True)
WRONG = ROOT / "grader" / "corpus" / "08-button-future" / "wrong" / "check-then-register"


def submission_in(folder: Path, wrong: Path | None = None) -> Path:
    """The reference's files, with those of a wrong program on top."""
    folder.mkdir(parents=True)
    for source in (LAB.reference, wrong):
        for name in LAB.files:
            if source is not None and (source / name).is_file():
                shutil.copy(source / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return submission_in(tmp_path_factory.mktemp("handed in") / "alice", WRONG)


@pytest.fixture(scope="module")
def honest(wrong: Path) -> Report:
    """What a submission with a lost wake-up gets."""
    report = grade(ROOT, LAB, wrong, CONFINEMENT)
    assert report.verdict is Verdict.LOST_WAKE
    return report


def written(report: Report, path: Path) -> Path:
    write_report(report, path)
    return path


def printed(verification: Verification) -> str:
    file = io.StringIO()
    render_verification(verification, Path("report.json"), Console(file=file, width=80))
    return file.getvalue()


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value of a report that is no container."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        yield path
    for key, item in items:
        yield from leaves(item, (*path, key))


def changed(value: Any) -> Any:
    """Another value that the same place may hold."""
    if isinstance(value, int):
        return value + 1
    if value is None:
        return {"file": "main.c", "line": 1, "text": "", "address": None}
    if value in list(Verdict):
        return "pass" if value != "pass" else "wrong"
    if value in ("visible", "after_due_date"):
        return "withheld" if value == "visible" else "visible"
    return value + "0"


# ---- the same ------------------------------------------------------------------------------------


def test_an_honest_report_is_the_same_from_another_folder(
    honest: Report, wrong: Path, tmp_path: Path
) -> None:
    elsewhere = shutil.copytree(wrong, tmp_path / "bob")
    verification = verify(ROOT, written(honest, tmp_path / "r.json"), elsewhere, CONFINEMENT)
    assert verification.same
    assert (verification.claimed, verification.found) == ("alice", "bob")
    said = printed(verification)
    assert "the same" in said and "'alice'" in said and "'bob'" in said


def test_the_modes_that_were_asked_for_are_part_of_the_grading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LAB.sweep is not None
    narrow = replace(LAB, sweep=LAB.sweep._replace(modes=("singles",)))
    monkeypatch.setattr("wakelab.verify.load_lab", lambda *_: narrow)
    report = grade(ROOT, narrow, LAB.directory, CONFINEMENT, ["pairs"])
    assert report.modes == ("pairs",)
    path = written(report, tmp_path / "r.json")
    assert verify(ROOT, path, LAB.directory, CONFINEMENT).same
    path = written(replace(report, modes=()), path)
    told = verify(ROOT, path, LAB.directory, CONFINEMENT).differences
    assert any(each.path.startswith("checks[") for each in told)


# ---- forged --------------------------------------------------------------------------------------


def test_every_single_value_of_a_report_is_compared(honest: Report) -> None:
    plain = json.loads(to_json(honest))
    tried = 0
    for way in leaves(plain):
        forged = json.loads(to_json(honest))
        at = forged
        for key in way[:-1]:
            at = at[key]
        at[way[-1]] = changed(at[way[-1]])
        if way in (("submission",), ("schema",)):
            continue  # told, not compared; and of another schema it is no report
        data = json.dumps(forged, sort_keys=True, indent=2).encode() + b"\n"
        verification = compare(data, from_json(data), honest)
        assert not verification.same, way
        assert verification.differences, way
        assert verification.differences[0].path.startswith(str(way[0])), way
        tried += 1
    assert tried > 100


@pytest.mark.parametrize("where", ["checks", "compiler_messages", "hashes", "versions"])
def test_what_is_left_out_or_put_in_is_noticed(honest: Report, where: str) -> None:
    for report in (honest, replace(honest, versions={}, hashes={}, checks=(), modes=("pairs",))):
        forged = json.loads(to_json(report))
        if isinstance(forged[where], dict):
            forged[where]["more"] = "x"
        elif where == "checks":
            forged[where].append(json.loads(to_json(honest))["checks"][0])
        else:
            forged[where].append(
                {"file": "", "line": 0, "column": 0, "severity": "error", "text": "", "level": ""}
            )
        data = json.dumps(forged).encode()
        paths = [each.path for each in compare(data, from_json(data), honest).differences]
        assert any(each.startswith(where) for each in paths)


def test_a_forged_report_is_told_with_what_is_right(
    honest: Report, wrong: Path, tmp_path: Path
) -> None:
    better = [replace(check, verdict=Verdict.PASS) for check in honest.checks]
    forged = replace(honest, verdict=Verdict.PASS, points=100, checks=tuple(better))
    verification = verify(ROOT, written(forged, tmp_path / "r.json"), wrong, CONFINEMENT)
    assert [each.path for each in verification.differences][:2] == ["verdict", "points"]
    assert verification.differences[1].claimed == "100"
    said = printed(verification)
    assert "differs" in said and "Another wakelab" not in said


def test_a_report_of_another_submission_is_told(honest: Report, tmp_path: Path) -> None:
    good = submission_in(tmp_path / "good")
    verification = verify(ROOT, written(honest, tmp_path / "r.json"), good, CONFINEMENT)
    assert "hashes.submission" in [each.path for each in verification.differences]
    assert "about another submission" in printed(verification)


def test_another_tool_explains_nothing_away(honest: Report) -> None:
    other = replace(honest, versions={**honest.versions, "qemu": "1.0"})
    verification = compare(to_json(other).encode(), other, honest)
    assert [each.path for each in verification.differences] == ["versions.qemu"]
    assert "That alone explains" in printed(verification)
    assert "Nothing else differs" in printed(verification)
    better = replace(other, points=100)
    assert "Nothing else differs" not in printed(compare(to_json(better).encode(), better, honest))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"points": ', '"points": 100, "points": ', 1),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text + "\n",
        lambda text: json.dumps(json.loads(text)),
    ],
    ids=["a key twice", "line ends", "a line more", "one line"],
)
def test_the_same_content_in_other_bits_differs(honest: Report, change: Any) -> None:
    data = change(to_json(honest)).encode()
    verification = compare(data, from_json(data), honest)
    assert verification.rewritten and not verification.same
    assert "not as wakelab wrote it" in printed(verification)


def test_what_a_forger_writes_is_not_obeyed(honest: Report) -> None:
    hostile = "\x1b[2J[red]\r\u202e"
    forged = replace(honest, title=hostile, submission=hostile, versions={hostile: hostile})
    said = printed(compare(to_json(forged).encode(), forged, honest))
    assert "\x1b" not in said and "\u202e" not in said and "\\x1b[2J[red]" in said


@settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_byte_of_the_file_can_be_changed(honest: Report, data: st.DataObject) -> None:
    """Where it is still a report, it differs; but for the name, which is told."""
    original = to_json(honest).encode()
    at = data.draw(st.integers(0, len(original) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != original[at]))
    forged = original[:at] + bytes([byte]) + original[at + 1 :]
    try:
        claimed = from_json(forged)
    except UserError:
        return
    verification = compare(forged, claimed, honest)
    assert not verification.same or verification.claimed != honest.submission


# ---- what cannot be compared ---------------------------------------------------------------------


def test_the_exit_codes(
    honest: Report, wrong: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(honest, tmp_path / "r.json")
    assert main(["verify", str(path), str(wrong)]) == 0
    assert main(["verify", str(path), str(LAB.directory)]) == 1
    assert main(["verify", str(tmp_path / "none.json"), str(wrong)]) == 2
    assert main(["verify", str(path), str(tmp_path / "nobody")]) == 2
    path.write_text("{}")
    assert main(["verify", str(path), str(wrong)]) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err + captured.out
    assert "no such folder" in captured.err and "not a report" in captured.err


def test_trouble_of_ours_is_no_difference(
    honest: Report, wrong: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = CheckResult("id", "t", Verdict.INFRA, 0, 1, seen="QEMU went away")
    monkeypatch.setattr(
        "wakelab.verify.grade_submission",
        lambda *_: replace(honest, verdict=Verdict.INFRA, checks=(broken,)),
    )
    with pytest.raises(InfraError, match="QEMU went away"):
        verify(ROOT, written(honest, tmp_path / "r.json"), wrong, CONFINEMENT)


def test_points_that_are_not_given_are_asked_for(
    honest: Report, wrong: Path, tmp_path: Path
) -> None:
    path = written(replace(honest, hashes={**honest.hashes, "points": "ab"}), tmp_path / "r.json")
    with pytest.raises(UserError, match="own points") as caught:
        verify(ROOT, path, wrong, CONFINEMENT, NO_CHANGES)
    assert "--points" in caught.value.next_step


# ---- what is hashed ------------------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The parts of the checkout that a verdict rests on, to be changed."""
    root = tmp_path / "copy"
    for part in ("lab", "solution", "qemu/wakebench", "qemu/sweep", "grader/wakelab"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "grader/checks", root / "grader/checks")
    shutil.copy(ROOT / "requirements.lock", root)
    return root


@pytest.mark.parametrize(
    ("part", "grader", "lab"),
    [
        ("grader/wakelab/plugin.py", True, False),
        ("qemu/wakebench/board.py", True, False),
        ("grader/checks/08-button-future/check_button_future.py", True, False),
        ("lab/08-button-future/lab.toml", True, False),
        ("requirements.lock", True, False),
        ("lab/board/startup.c", False, True),
        ("lab/async/waker.h", False, True),
        ("solution/05-executor/executor.c", False, True),
        ("lab/08-button-future/button_future.c", False, False),
        ("solution/08-button-future/main.c", False, False),
    ],
)
def test_what_a_hash_covers(copy: Path, part: str, grader: bool, lab: bool) -> None:
    def hashes() -> tuple[str, str]:
        found = load_lab(copy, "08")
        return grader_hash(copy, found), lab_hash(copy, found)

    before = hashes()
    assert before == (grader_hash(ROOT, LAB), lab_hash(ROOT, LAB))
    path = copy / part
    path.write_text(path.read_text() + "\n# changed\n")
    after = hashes()
    assert (after[0] != before[0], after[1] != before[1]) == (grader, lab)


# ---- nothing that runs a student's code writes a report ------------------------------------------

FULL_MARKS = '{"schema": "wakelab/report/v2", "points": 100, "verdict": "pass"}'


def test_what_lies_beside_the_submission_has_no_say(
    honest: Report, wrong: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(wrong, tmp_path / "alice")
    for name in (
        "report.json",
        "results.json",
        "results/results.json",
        "build/reports/08/report.json",
        "lab.toml",
        "conftest.py",
        "check_button_future.py",
        "grader/checks/08-button-future/check_button_future.py",
        "sitecustomize.py",
        "pytest.ini",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(FULL_MARKS if path.suffix == ".json" else "raise SystemExit(0)\n")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert to_json(grade(ROOT, LAB, folder, CONFINEMENT)) == to_json(honest)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def descendants(pid: int) -> list[int]:
    """The processes that descend from `pid`."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:  # it ended meanwhile
                continue
            parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found, ways = [], [pid]
    while ways:
        children = parents.get(ways.pop(), [])
        found += children
        ways += children
    return found


def is_caretaker(pid: int) -> bool:
    """Ours, which runs nothing of anybody's, and stays to the end of a command."""
    return b"\0wakelab-caretaker\0" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_report_is_written_when_no_student_code_runs_any_more(
    wrong: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the grader, from its own memory, after every machine and compiler has ended."""
    alive: list[list[int]] = []
    writing = wakelab.report.write_atomically

    def watched(path: Path, text: str) -> None:
        alive.append([pid for pid in descendants(os.getpid()) if not is_caretaker(pid)])
        writing(path, text)

    before = descendants(os.getpid())
    monkeypatch.setattr("wakelab.report.write_atomically", watched)
    assert main(["grade", str(wrong), "--out", str(tmp_path / "out")]) == 1
    assert alive and all(set(each) <= set(before) for each in alive)
