"""Schedules: their ids, their replays, and the sweep that finds them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakebench.sweep import Moment, Place
from wakelab import cli
from wakelab.errors import UserError
from wakelab.labs import checkout_root, load_lab
from wakelab.schedule import Schedule, parse_id

ROOT = checkout_root()
LAB = load_lab(ROOT, "08")
WRONG = ROOT / "grader" / "corpus" / LAB.slug / "wrong"

places = st.builds(
    Place, st.integers(0, 0x3FFFF), st.sampled_from(list(Moment)), st.integers(1, 9999)
)
schedules = st.builds(
    Schedule,
    st.sampled_from(["01", "08", "12"]),
    st.sampled_from(["O0", "Og", "O2", "Os"]),
    st.lists(places, min_size=1, max_size=2).map(tuple),
)


@given(schedules)
def test_an_id_holds_all_there_is_to_know(schedule: Schedule) -> None:
    assert parse_id(schedule.id) == schedule


@pytest.mark.parametrize(
    "text",
    ["", "08", "08-Og", "8-Og-1.1", "08-O3-1.1", "08-Og-1", "08-Og-xyz.1", "08-Og-1.1-", "x\n"],
)
def test_what_is_no_id_is_told_so(text: str) -> None:
    with pytest.raises(UserError, match="not the id of a schedule"):
        parse_id(text)


def _submission(folder: Path, name: str) -> Path:
    """A wrong program of the corpus, its given files filled in from the reference."""
    target = folder / name
    shutil.copytree(LAB.reference, target)
    for file in (WRONG / name).glob("*.c"):
        shutil.copy(file, target)
    return target


def _wakelab(*words: str | Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "wakelab", *map(str, words)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_the_sweep_finds_nothing_in_the_reference() -> None:
    status, said = _wakelab("sweep", "--mode", "singles", LAB.reference)
    assert status == cli.FULL, said
    assert "No press was lost, and none reported twice." in said
    assert re.search(r"; 0 of [1-9]\d+ placements fail", said)


def test_what_the_sweep_finds_is_replayed_and_fits_no_other_program(tmp_path: Path) -> None:
    wrong = _submission(tmp_path, "check-then-register")
    status, said = _wakelab("sweep", "--mode", "singles", wrong)
    found = re.search(r"^(08-Og-[0-9a-f.]+): lost-wake$", said, re.MULTILINE)
    assert status == cli.NOT_FULL and found, said

    status, story = _wakelab("replay", found[1], wrong)
    assert status == cli.NOT_FULL
    assert f"{found[1]}: lost-wake" in story
    assert "press 1 comes before" in story and ">>" in story
    assert _wakelab("replay", found[1], wrong) == (status, story)

    status, said = _wakelab("replay", found[1], LAB.reference)
    assert status != cli.NOT_FULL, said


def test_pairs_find_what_one_press_does_not(tmp_path: Path) -> None:
    wrong = _submission(tmp_path, "one-bit-memory")
    status, said = _wakelab("sweep", "--mode", "singles", wrong)
    assert status == cli.FULL, said
    status, said = _wakelab("sweep", wrong)
    assert status == cli.NOT_FULL
    assert re.search(r"^08-Og-[0-9a-f.bs]+-[0-9a-f.bs]+: lost-wake$", said, re.MULTILINE), said
    assert "press 2 comes" in said


def test_a_program_that_cannot_be_swept_is_told_why(tmp_path: Path) -> None:
    wrong = _submission(tmp_path, "loops-in-main")
    status, said = _wakelab("sweep", wrong)
    assert status == cli.TROUBLE
    assert "cannot be swept: the program does not come to rest" in said


def test_a_defect_of_our_own_is_no_mark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("wakelab.labs.load_lab", broken)
    assert cli.main(["grade"]) == cli.TROUBLE
    assert "a defect of wakelab itself" in capsys.readouterr().err
