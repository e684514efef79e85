"""The course checks itself: every reference passes, every exercise as it is found is to do, every
wrong submission of the corpus (wakelab/corpus.py) fails with its own sentence, every right one
passes.

References and exercises are graded as a student would, by the command; the corpus as an instructor
would, by the processes that grade a class.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from wakelab.classes.fingerprint import fingerprint
from wakelab.classes.job import Job
from wakelab.classes.pool import ProcessPerThread
from wakelab.confinement import choose
from wakelab.corpus import Case, cases_of
from wakelab.diagnosis import Mistake
from wakelab.labs import Lab, all_labs, checkout_root
from wakelab.points import NO_CHANGES
from wakelab.render import render_report
from wakelab.report import to_json
from wakelab.submission import collect

pytestmark = pytest.mark.slow

ROOT = checkout_root()
LABS = all_labs(ROOT)
CASES = [case for lab in LABS for case in cases_of(ROOT, lab)]
WRONG = [case for case in CASES if case.wrong]
RIGHT = [case for case in CASES if not case.wrong]
AT_LEAST_WRONG, AT_LEAST_RIGHT, MISTAKES_OF_A_LAB = 60, 25, 5
MISTAKES = ROOT / "docs" / "instructors" / "mistakes.md"

ENVIRONMENT = {**os.environ, "PYTHONUTF8": "1"}
"""Copied here: the gradings begin in threads, while pytest changes it for each test."""

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


def grade(lab: Lab, submission: Path, out: Path) -> Graded:
    """Run the command as a student would, in a session of its own."""
    command = [sys.executable, "-m", "wakelab", "grade", "--lab", lab.number]
    process = subprocess.Popen(
        [*command, str(submission), "--out", str(out)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=ENVIRONMENT,
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
) -> Iterator[dict[str, Future[dict[str, Any]]]]:
    """The reports of all cases whose tests were asked for, under way."""
    specs = [getattr(item, "callspec", None) for item in request.session.items]
    asked = [spec.params.get("case") for spec in specs if spec]
    cases = {case.id: case for case in asked if isinstance(case, Case)}
    confinement = choose(ROOT, trust=False, own=False)
    graders = {lab.number: fingerprint(ROOT, lab, confinement) for lab in LABS}
    processes = ProcessPerThread()
    place = tmp_path_factory.mktemp("corpus")

    def work(case: Case) -> dict[str, Any]:
        submission = collect(case.lab, case.assemble(place / case.id))
        grader = graders[case.lab.number]
        job = Job(case.lab.number, (), NO_CHANGES, grader, submission, trust=False)
        outcome = processes.grade(job)
        assert outcome.report is not None, outcome.trouble
        said = StringIO()
        render_report(outcome.report, Console(file=said, width=80))
        assert outcome.report.title in said.getvalue()  # it can be shown, whatever was found
        report: dict[str, Any] = json.loads(to_json(outcome.report))
        return report

    try:
        with ThreadPoolExecutor(WORKERS) as workers:
            yield {name: workers.submit(work, case) for name, case in cases.items()}
            processes.stop()
            workers.shutdown(cancel_futures=True)
    finally:
        processes.close()


def failed(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The checks that were run and not passed. Nothing may be ours to blame."""
    assert [c["seen"] for c in report["checks"] if c["verdict"] == "infra"] == []
    return [c for c in report["checks"] if c["verdict"] not in ("pass", "skipped")]


def check_manners(graded: Graded) -> None:
    """Whatever was handed in: no traceback, nobody left behind."""
    assert "Traceback" not in graded.output
    assert graded.left_behind == []


def name_of(case: Case) -> str:
    return case.id


def name_of_lab(lab: Lab) -> str:
    return lab.slug


@pytest.mark.parametrize("case", WRONG, ids=name_of)
def test_a_wrong_one_gets_its_own_sentence(
    case: Case, gradings: dict[str, Future[dict[str, Any]]]
) -> None:
    expected = case.expected
    first = next(iter(failed(gradings[case.id].result())), {})
    found = {key: first.get(key) for key in ("verdict", "diagnosis")} | {"check": first.get("id")}
    assert found == {key: expected[key] for key in ("verdict", "diagnosis", "check")}
    assert expected["sentence"] in f"{first['why']} {first['seen']}"
    assert first["expected"] and first["seen"] and first["hint"]


@pytest.mark.parametrize("case", RIGHT, ids=name_of)
def test_a_right_one_passes(case: Case, gradings: dict[str, Future[dict[str, Any]]]) -> None:
    report = gradings[case.id].result()
    assert failed(report) == []
    assert report["points"] == report["max_points"]


@pytest.mark.parametrize("lab", LABS, ids=name_of_lab)
def test_the_untouched_exercise_is_to_do(lab: Lab, tmp_path: Path) -> None:
    graded = grade(lab, lab.directory, tmp_path)
    check_manners(graded)
    first = failed(graded.report)[0]
    assert (first["id"], first["verdict"]) == ("written", "todo")
    assert "still to do" in first["seen"]
    assert (graded.report["points"], graded.status) == (0, 1)


@pytest.mark.parametrize("lab", LABS, ids=name_of_lab)
def test_the_reference_has_full_marks_and_every_check_fails_for_somebody(
    lab: Lab, tmp_path: Path
) -> None:
    """The checks of the reference's report are those at all levels, too."""
    graded = grade(lab, lab.reference, tmp_path)
    check_manners(graded)
    assert (failed(graded.report), graded.status) == ([], 0)
    assert graded.report["points"] == graded.report["max_points"] == 100
    ids = {check["id"] for check in graded.report["checks"]}
    failing = {case.expected["check"] for case in WRONG if case.lab == lab}
    # The same in every lab; they fail for somebody in lab 08.
    common = {"builds", "written", "host", "levels", "warnings", "silicon"}
    shows = {"shown", "certificate"}  # no checks of what was handed in: they tell
    expected = shows if lab.number == "08" else shows | common | MADE_ELSEWHERE[lab.number]
    assert failing <= ids
    assert ids - failing <= expected


MADE_ELSEWHERE = {lab.number: set[str]() for lab in LABS} | {
    "01": {"singles"},  # what fails there fails at two quick presses first
    "03": {"singles"},  # press_take() is given, and atomic: what is left to lose is lost before
    "04": {"singles"},
    "05": {"one-line", "spurious", "singles"},
    "10": {"singles"},
    "12": {"singles", "preempts"},
}
"""Checks with no wrong submission of their own in that lab: they stand for a property that the
checks before them imply for all the mistakes we know."""


def test_the_corpus_is_large_enough() -> None:
    assert len(WRONG) >= AT_LEAST_WRONG
    assert len(RIGHT) >= AT_LEAST_RIGHT
    for lab in LABS:
        own = {case.expected["diagnosis"] for case in WRONG if case.lab == lab}
        assert len(own) >= MISTAKES_OF_A_LAB, lab.slug


def test_every_mistake_with_a_name_is_made_by_some_wrong_one() -> None:
    made = {case.expected["diagnosis"] for case in WRONG if case.lab.number == "08"} - {""}
    made |= {case.expected["diagnosis"] for case in WRONG}
    assert set(Mistake) <= made | set(NOT_IN_CORPUS)
    assert made.isdisjoint(NOT_IN_CORPUS), "no exception is needed any more"


def test_a_sentence_belongs_to_one_mistake() -> None:
    mistakes: dict[tuple[str, str], set[str]] = {}
    for case in WRONG:
        name = case.expected["diagnosis"] or case.expected["check"]
        mistakes.setdefault((case.lab.number, case.expected["sentence"]), set()).add(name)
    assert {s: names for s, names in mistakes.items() if len(names) > 1 or not s[1]} == {}


def test_every_case_says_its_idea_and_holds_no_file_too_many() -> None:
    for case in CASES:
        assert case.expected["idea"].endswith("."), case.id
        if case.folder is None:
            assert {file for file, _, _ in case.edits} <= set(case.lab.files), case.id
            continue
        files = case.lab.files
        own = {n for n in files if case.expected.get(n.removesuffix(".c")) != "reference"}
        assert {file.name for file in case.folder.iterdir()} == own | {"expected.toml"}, case.id
        assert not any(file.is_symlink() for file in case.folder.iterdir()), case.id


def test_every_mistake_is_explained_to_instructors() -> None:
    rows = [
        line.split("|")[1].strip()
        for line in MISTAKES.read_text("utf-8").splitlines()
        if line.startswith("| `")
    ]
    assert sorted(row.strip("`") for row in rows) == sorted(Mistake)
