"""A class from outside, with the real grader: graded, interrupted, killed, gone on with."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wakelab.labs import checkout_root, load_lab

pytestmark = pytest.mark.slow

ROOT = checkout_root()
LAB = load_lab(ROOT, "08")
CORPUS = ROOT / "grader" / "corpus" / LAB.slug
PATIENCE_S = 120.0
"""Protects the host only."""

STUDENTS = (
    *("right/counter", "wrong/check-then-register", "wrong/rising-edge", "wrong/busy-polling"),
    *("right/helpers", "wrong/both-edges", "wrong/prints-pass"),
)


def hand_in(folder: Path, source: str) -> None:
    """Put a program of the corpus there."""
    found = CORPUS / source
    expected = tomllib.loads((found / "expected.toml").read_text(encoding="utf-8"))
    folder.mkdir(parents=True)
    for name in LAB.files:
        from_reference = expected.get(name.removesuffix(".c")) == "reference"
        shutil.copyfile((LAB.reference if from_reference else found) / name, folder / name)


class Class:
    """A folder of submissions, and the command that grades it."""

    def __init__(self, place: Path) -> None:
        self.submissions = place / "submissions"
        self.out = place / "out"
        self._cache = place / "cache"
        self._place = place
        self._mark = f"mark-{uuid.uuid4()}"
        for source in STUDENTS:
            hand_in(self.submissions / source.partition("/")[2], source)

    @property
    def environment(self) -> dict[str, str]:
        """By which whatever the command starts is known, and where it works."""
        return {"TMPDIR": str(self._place), "WAKELAB_TEST": self._mark}

    def start(self, *more: str) -> subprocess.Popen[str]:
        options = ["--out", str(self.out), "--cache", str(self._cache), "--jobs", "2", *more]
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "wakelab", "class", *options, str(self.submissions)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self.environment, "PYTHONUTF8": "1", "COLUMNS": "200"},
            text=True,
            encoding="utf-8",
            start_new_session=True,
            # A shell's background jobs have it ignored, and so would what they start.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def run(self, *more: str) -> tuple[int, str]:
        process = self.start(*more)
        output, _ = process.communicate(timeout=PATIENCE_S)
        return process.returncode, output

    def wait(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def reports(self) -> dict[str, tuple[int, bytes]]:
        """By name: the file's inode, which a file written again would not keep, and content."""
        folder = self.out / "results"
        files = folder.glob("*.json") if folder.is_dir() else ()
        return {path.stem: (path.stat().st_ino, path.read_bytes()) for path in files}

    def left(self) -> list[str]:
        """Temporary files, and the command lines of processes that the command started, however
        deep, and that still live: they have inherited the mark, or work for a folder below ours."""
        found = [str(path) for path in self._place.glob("wake*-*")]
        for process in Path("/proc").glob("[0-9]*"):
            try:
                known = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
                marked = any(each.encode() in known for each in (self._mark, f"{self._place}/"))
                below = os.readlink(process / "cwd").startswith(f"{self._place}/")
                if marked or below:
                    found.append((process / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue  # it has ended meanwhile
        return found


@pytest.fixture
def students(tmp_path: Path) -> Iterator[Class]:
    yield Class(tmp_path)


def known(output: str) -> int:
    found = re.search(r"^(\d+) known from before", output, re.MULTILINE)
    return int(found[1]) if found else 0


def test_a_class_is_graded_and_again_costs_only_what_is_new(students: Class) -> None:
    (students.submissions / "void").mkdir()
    (students.submissions / "bad.zip").write_bytes(b"PK\3\4 and no more")
    status, output = students.run()
    assert status == 1, output
    assert "bad: bad.zip is damaged" in output and "void: nothing is handed in" in output
    first = students.reports()
    assert set(first) == {source.partition("/")[2] for source in STUDENTS} | {"void", "bad"}
    points = {name: json.loads(data)["points"] for name, (_, data) in first.items()}
    assert {name for name, each in points.items() if each == 100} == {"counter", "helpers"}
    assert points["void"] == points["bad"] == 0
    table = (students.out / "summary.csv").read_bytes()
    assert table.count(b"\r\n") == len(first) + 1
    assert b'"check-then-register"' in table
    page = (students.out / "index.html").read_text()
    assert "check-then-register" in page

    (students.submissions / "bad.zip").unlink()
    (students.submissions / "void").rmdir()
    status, output = students.run()
    assert status == 0, output
    assert known(output) == len(STUDENTS)
    again = students.reports()
    assert again == {name: first[name] for name in again}
    assert set(first) - set(again) == {"void", "bad"}

    hand_in(students.submissions / "late", "wrong/late-acknowledge")
    status, output = students.run()
    assert f"{len(STUDENTS)} known from before, 1 to grade" in output
    assert {name: students.reports()[name] for name in again} == again
    assert "late" in students.reports()
    assert students.left() == []


def test_what_makes_no_sense_is_refused_before_anything_is_graded(students: Class) -> None:
    for options, said in {
        ("--jobs", "-1"): "-1 gradings at once",
        ("--out", str(students.submissions / "out")): "among the submissions",
        ("--out", "/proc/nowhere"): "results cannot be written",
        ("--lab", "99"): "there is no lab '99'",
        ("--points", "/nowhere.toml"): "points cannot be read",
    }.items():
        status, output = students.run(*options)
        assert status == 2 and said in output, output
        assert "Traceback" not in output and "next:" in output
    assert students.reports() == {}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_in_the_middle_it_goes_on_and_leaves_no_process(
    students: Class, number: int
) -> None:
    process = students.start()
    students.wait(lambda: len(students.reports()) >= 2)
    process.send_signal(number)
    process.communicate(timeout=PATIENCE_S)
    students.wait(lambda: students.left() == [])
    done = students.reports()
    assert 2 <= len(done) < len(STUDENTS), "it was too fast to be killed in the middle"
    assert not (students.out / "summary.csv").exists()

    status, output = students.run()
    assert status == 0, output
    assert known(output) >= len(done)
    after = students.reports()
    assert {name: after[name] for name in done} == done
    assert len(after) == len(STUDENTS)


def test_ctrl_c_says_what_is_kept_and_leaves_no_process(students: Class) -> None:
    process = students.start()
    students.wait(lambda: len(students.reports()) >= 1)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, output
    assert students.left() == []
    done = students.reports()
    said = re.search(rf"interrupted: (\d+) of {len(STUDENTS)} are graded and kept", output)
    assert said and int(said[1]) == len(done), output
    assert "Traceback" not in output
    status, output = students.run()
    assert status == 0 and known(output) >= len(done)


def test_a_grading_process_killed_from_outside_costs_nothing_but_time(students: Class) -> None:
    process = students.start()
    students.wait(lambda: len(students.reports()) >= 1)
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_text()
            mine = students._mark.encode() in (entry / "environ").read_bytes()
        except OSError:
            continue
        if mine and "wakelab.classes.worker" in command:
            os.kill(int(entry.name), signal.SIGKILL)
            break
    else:
        pytest.fail("no grading process was found")
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, output
    assert len(students.reports()) == len(STUDENTS)
    assert students.left() == []
