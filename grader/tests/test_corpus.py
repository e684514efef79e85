"""The corpus: submissions that must fail with their own sentence, and that must pass.

A folder in grader/corpus/LAB/{wrong,right}/ holds the student's files and expected.toml:

    idea = "Tells the task first, acknowledges last."
    main = "reference"               # this file is the reference's, not in the folder
    check = "two-quick"              # the first check that fails; this and below only in wrong/
    verdict = "lost-wake"
    diagnosis = "late-acknowledge"   # "" where none is needed
    sentence = "acknowledged both"   # a piece of why, or of what was seen

Each is graded as a student would: by the command, in a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from wakelab.diagnosis import Mistake
from wakelab.labs import checkout_root, load_lab

pytestmark = pytest.mark.slow

ROOT = checkout_root()
LAB = load_lab(ROOT, "08")
CORPUS = ROOT / "grader" / "corpus" / LAB.slug
WRONG = sorted(CORPUS.glob("wrong/*/"))
RIGHT = sorted(CORPUS.glob("right/*/"))
MISTAKES = ROOT / "docs" / "instructors" / "mistakes.md"

WORKERS = 2
HOST_LIMIT_S = 120.0
"""Protects the host only; a grading takes a second or two."""

NOT_IN_CORPUS = {
    Mistake.DOUBLE_REPORT: "what is left when a press counts twice for a reason with no name",
}
"""Mistakes that no program of the corpus makes, and why."""


@dataclass(frozen=True)
class Graded:
    """What came of one grading."""

    status: int
    output: str
    report: dict[str, Any]
    left_behind: list[str]

    @property
    def failed(self) -> list[dict[str, Any]]:
        """The checks that were run and not passed."""
        return [c for c in self.report["checks"] if c["verdict"] not in ("pass", "skipped")]


def expected_of(folder: Path) -> dict[str, str]:
    return tomllib.loads((folder / "expected.toml").read_text(encoding="utf-8"))


def assemble(folder: Path, into: Path) -> Path:
    """The submission: what is in the folder, and the reference's files where it says so."""
    expected = expected_of(folder)
    into.mkdir(parents=True)
    for name in LAB.files:
        from_reference = expected.get(name.removesuffix(".c")) == "reference"
        source = (LAB.reference if from_reference else folder) / name
        shutil.copyfile(source, into / name)
    return into


def processes_of_session(session: int) -> list[str]:
    """The command lines of the processes that still live in a session (Linux)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append((stat.parent / "cmdline").read_text().replace("\0", " "))
        except (OSError, IndexError):
            continue  # it has ended meanwhile
    return found


def left_behind(session: int) -> list[str]:
    """What still lives a moment after the end: the kernel takes its time to end a process."""
    for _ in range(50):
        if not (living := processes_of_session(session)):
            return []
        time.sleep(0.1)
    return living


def grade(submission: Path, out: Path) -> Graded:
    """Run the command as a student would, in a session of its own."""
    command = [sys.executable, "-m", "wakelab", "grade", "--lab", LAB.number]
    process = subprocess.Popen(
        [*command, str(submission), "--out", str(out)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONUTF8": "1"},
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=HOST_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    report = json.loads((out / "report.json").read_bytes())
    return Graded(process.returncode, output, report, left_behind(process.pid))


@pytest.fixture(scope="session")
def gradings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Path, Future[Graded]]]:
    """The gradings of all folders whose tests were asked for, under way."""
    parameters = [getattr(item, "callspec", None) for item in request.session.items]
    folders = {p.params["folder"]: None for p in parameters if p and "folder" in p.params}

    def work(folder: Path) -> Graded:
        place = tmp_path_factory.mktemp(folder.name)
        return grade(assemble(folder, place / "submission"), place / "report")

    with ThreadPoolExecutor(WORKERS) as workers:
        yield {folder: workers.submit(work, folder) for folder in folders}
        workers.shutdown(cancel_futures=True)


def check_manners(graded: Graded) -> None:
    """Whatever was handed in: no traceback, nothing of ours to blame, nobody left behind."""
    assert "Traceback" not in graded.output
    assert [c for c in graded.report["checks"] if c["verdict"] == "infra"] == []
    assert graded.left_behind == []


def name_of(folder: Path) -> str:
    return folder.name


@pytest.mark.parametrize("folder", WRONG, ids=name_of)
def test_a_wrong_one_gets_its_own_sentence(
    folder: Path, gradings: dict[Path, Future[Graded]]
) -> None:
    expected = expected_of(folder)
    graded = gradings[folder].result()
    check_manners(graded)
    first = graded.failed[0] if graded.failed else {}
    found = {key: first.get(key) for key in ("verdict", "diagnosis")} | {"check": first.get("id")}
    assert found == {key: expected[key] for key in ("verdict", "diagnosis", "check")}
    assert expected["sentence"] in f"{first['why']} {first['seen']}"
    assert first["expected"] and first["seen"] and first["hint"]
    assert graded.status == 1


@pytest.mark.parametrize("folder", RIGHT, ids=name_of)
def test_a_right_one_passes(folder: Path, gradings: dict[Path, Future[Graded]]) -> None:
    graded = gradings[folder].result()
    check_manners(graded)
    assert graded.failed == []
    assert graded.report["points"] == graded.report["max_points"]
    assert graded.status == 0


def test_the_untouched_exercise_is_to_do(tmp_path: Path) -> None:
    graded = grade(LAB.directory, tmp_path)
    check_manners(graded)
    first = graded.failed[0]
    assert (first["id"], first["verdict"]) == ("written", "todo")
    assert "steps 1, 2, 3, 4, 5, 6 still to do" in first["seen"]
    assert (graded.report["points"], graded.status) == (0, 1)


def test_every_check_fails_for_some_wrong_one(tmp_path: Path) -> None:
    ids = {check["id"] for check in grade(LAB.reference, tmp_path).report["checks"]}
    failing = {expected_of(folder)["check"] for folder in WRONG}
    assert failing == ids


def test_every_mistake_with_a_name_is_made_by_some_wrong_one() -> None:
    made = {expected_of(folder)["diagnosis"] for folder in WRONG} - {""}
    assert made | set(NOT_IN_CORPUS) == set(Mistake)
    assert made.isdisjoint(NOT_IN_CORPUS), "no exception is needed any more"


def test_a_sentence_belongs_to_one_mistake() -> None:
    mistakes: dict[str, set[str]] = {}
    for folder in WRONG:
        expected = expected_of(folder)
        name = expected["diagnosis"] or expected["check"]
        mistakes.setdefault(expected["sentence"], set()).add(name)
    assert {s: names for s, names in mistakes.items() if len(names) > 1 or not s} == {}


def test_every_folder_says_its_idea_and_holds_no_file_too_many() -> None:
    for folder in (*WRONG, *RIGHT):
        expected = expected_of(folder)
        own = {n for n in LAB.files if expected.get(n.removesuffix(".c")) != "reference"}
        assert expected["idea"].endswith("."), folder
        assert {file.name for file in folder.iterdir()} == own | {"expected.toml"}, folder
        assert not any(file.is_symlink() for file in folder.iterdir()), folder


def test_every_mistake_is_explained_to_instructors() -> None:
    rows = [
        line.split("|")[1].strip()
        for line in MISTAKES.read_text("utf-8").splitlines()
        if line.startswith("| `")
    ]
    assert sorted(row.strip("`") for row in rows) == sorted(Mistake)
