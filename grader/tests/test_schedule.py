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

from wakebench.sweep import INTERRUPTS, Moment, Place
from wakelab import cli
from wakelab.errors import UserError
from wakelab.labs import checkout_root, load_lab
from wakelab.schedule import Schedule, parse_id

ROOT = checkout_root()
LAB = load_lab(ROOT, "08")
WRONG = ROOT / "grader" / "corpus" / LAB.slug / "wrong"

places = st.builds(
    Place,
    st.integers(0, 0x3FFFF),
    st.sampled_from(list(Moment)),
    st.integers(1, 9999),
    st.sampled_from(["", *INTERRUPTS]),
)
schedules = st.builds(
    Schedule,
    st.sampled_from(["01", "08", "12"]),
    st.sampled_from(["O0", "Og", "O2", "Os"]),
    st.lists(places, min_size=1, max_size=3).map(tuple),
)


@given(schedules)
def test_an_id_holds_all_there_is_to_know(schedule: Schedule) -> None:
    assert parse_id(schedule.id) == schedule


def test_ids_of_before_there_were_other_interrupts_stay_valid() -> None:
    assert parse_id("08-Og-9a2.1-b04.2b").places == (
        Place(0x9A2, Moment.BOUNDARY, 1),
        Place(0xB04, Moment.BEFORE_SLEEP, 2),
    )
    third = Place(0xB0, Moment.ASLEEP, 1, "tick")
    assert parse_id("08-Og-9a2.1UP-b04.2b-b0.1sTICK").places[2] == third


@pytest.mark.parametrize(
    "text",
    [
        "",
        "08",
        "08-Og",
        "8-Og-1.1",
        "08-O3-1.1",
        "08-Og-1",
        "08-Og-xyz.1",
        "08-Og-1.1-",
        "x\n",
        "08-Og-1.1NO",
    ],
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


SHARES_A_WORD = """
/* UP counts, too, in the word that holds the flags; SELECT may come in the middle. */
void GPIOE_IRQHandler(void);
void GPIOE_IRQHandler(void)
{
    GPIOE->ICR = 1;
    volatile unsigned *const word = (volatile unsigned *)&pressed;
    *word += 1u << 16;
}
"""
SETS_UP_UP = """nvic_enable(pin->irq);
        button_setup(BUTTON_UP);
        GPIOE->ICR = 1;
        GPIOE->IM |= 1;
        nvic_set_priority(pin->irq, 2);
        nvic_set_priority(GPIOE_IRQn, 4);
        nvic_enable(GPIOE_IRQn);"""


def test_what_another_button_breaks_is_found_and_replayed(tmp_path: Path) -> None:
    wrong = _submission(tmp_path, "check-then-register")
    source = ROOT / "grader" / "corpus" / "sweep" / "right" / "flag-bits" / "button_future.c"
    text = source.read_text("utf-8")
    assert text.count("nvic_enable(pin->irq);") == 1
    broken = text.replace("nvic_enable(pin->irq);", SETS_UP_UP) + SHARES_A_WORD
    (wrong / "button_future.c").write_text(broken, "utf-8")
    shutil.copy(LAB.reference / "main.c", wrong)

    status, said = _wakelab("sweep", wrong)
    assert status == cli.FULL, said
    status, said = _wakelab("sweep", "--interrupts", "UP", wrong)
    found = re.search(r"^(08-Og-[0-9a-f.bs]+UP-[0-9a-f.bs]+): lost-wake$", said, re.MULTILINE)
    assert status == cli.NOT_FULL and found, said
    assert "press of UP (1) comes" in said and "press 2 comes" in said

    status, story = _wakelab("replay", found[1], wrong)
    assert status == cli.NOT_FULL
    assert f"{found[1]}: lost-wake" in story and "GPIOE_IRQHandler" in story


def test_a_tick_that_breaks_something_is_found_and_replayed(tmp_path: Path) -> None:
    """Its handler forgets, now and then, that somebody has pressed."""
    wrong = _submission(tmp_path, "check-then-register")
    text = (LAB.reference / "button_future.c").read_text("utf-8")
    handler = (
        "\nvoid SysTick_Handler(void);\nvoid SysTick_Handler(void)\n{\n"
        "    clock_tick();\n    lines[BUTTON_SELECT].pressed = false;\n}\n"
    )
    (wrong / "button_future.c").write_text('#include "clock.h"\n' + text + handler, "utf-8")
    main = (LAB.reference / "main.c").read_text("utf-8")
    main = main.replace("    executor_spawn(", "    clock_start();\n    executor_spawn(")
    (wrong / "main.c").write_text('#include "clock.h"\n' + main, "utf-8")

    status, said = _wakelab("sweep", wrong)  # its clock runs: nobody has to ask for the tick
    found = re.search(r"^(08-Og-[0-9a-f.bs]+-[0-9a-f.bs]+TICK): lost-wake$", said, re.MULTILINE)
    assert status == cli.NOT_FULL and found, said
    status, story = _wakelab("replay", found[1], wrong)
    assert status == cli.NOT_FULL
    assert re.search(r"tick +of SysTick", story) and "tick (2) comes" in story


def test_three_presses_find_what_two_do_not(tmp_path: Path) -> None:
    """Its handler remembers two presses, and no third."""
    wrong = _submission(tmp_path, "check-then-register")
    shutil.copy(LAB.reference / "main.c", wrong)
    right = ROOT / "grader" / "corpus" / LAB.slug / "right" / "counter" / "button_future.c"
    text = right.read_text("utf-8")
    assert text.count("    presses++;") == 1
    text = text.replace("    presses++;", "    presses += presses < 2;")
    (wrong / "button_future.c").write_text(text, "utf-8")

    status, said = _wakelab("sweep", wrong)
    assert status == cli.FULL, said
    status, said = _wakelab("sweep", "--mode", "triples", wrong)
    assert "a selection" in " ".join(said.split())
    word = r"-[0-9a-f.bs]+"
    found = re.search(rf"^(08-Og{word}{word}{word}): lost-wake$", said, re.MULTILINE)
    assert status == cli.NOT_FULL and found, said
    assert "press 3 comes" in said
    status, story = _wakelab("replay", found[1], wrong)
    assert status == cli.NOT_FULL and "press 3 comes" in story


def test_a_program_that_cannot_be_swept_is_told_why(tmp_path: Path) -> None:
    wrong = _submission(tmp_path, "loops-in-main")
    status, said = _wakelab("sweep", wrong)
    assert status == cli.TROUBLE
    assert "cannot be swept: the program does not come to the window: loop" in said


def test_a_defect_of_our_own_is_no_mark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("wakelab.labs.load_lab", broken)
    assert cli.main(["grade"]) == cli.TROUBLE
    assert "a defect of wakelab itself" in capsys.readouterr().err
