"""The course: what each lab has, the hints, where one stands, one's own parts, a lab from the
template. What the labs' checks find is test_corpus.py's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import mistakes_table
import pytest

from wakelab.confinement import TRUSTED, Confinement
from wakelab.corpus import cases_of
from wakelab.course import hint_files, next_hint, next_of, standing, with_own_parts
from wakelab.errors import UserError
from wakelab.grade import grade, grade_submission
from wakelab.labs import Lab, all_labs, checkout_root, load_lab
from wakelab.new_lab import make_lab
from wakelab.report import Report, Verdict, write_report
from wakelab.submission import collect

ROOT = checkout_root()
LABS = all_labs(ROOT)
NUMBERS = [f"{number:02}" for number in range(1, 13)]

SECTIONS = (
    *("## Why it matters", "**The idea:**", "## What to do", "## How to check yourself"),
    *("**Predict first:**", "## When it works", "## In real systems"),
)
CODE = re.compile(r"[;={}()]|->|&&|\bint\b")
"""What makes a quoted name code: a statement, a call, an operator."""
BARE_CODE = re.compile(r"\w\(\)|->|==|&&|\bint\b")
"""What is code also where nobody quotes it."""


OURS = Confinement(TRUSTED, None)


def name_of(lab: Lab) -> str:
    return lab.slug


def graded(root: Path, lab: Lab, folder: Path) -> Report:
    return grade_submission(root, lab, collect(lab, folder), OURS)


each_lab = pytest.mark.parametrize("lab", LABS, ids=name_of)


def code_in(text: str) -> list[str]:
    """What a hint has in code: of its quotes and blocks, those that are more than a name; and what
    is not quoted, and code all the same."""
    assert text.count("`") % 2 == 0
    words, quotes = text.split("`")[0::2], text.split("`")[1::2]
    return [*filter(CODE.search, quotes), *(each for w in words for each in BARE_CODE.findall(w))]


def test_the_course_has_twelve_labs_and_one_of_ninety_minutes() -> None:
    assert [lab.number for lab in LABS] == NUMBERS
    assert [lab.number for lab in LABS if lab.short] == ["01", "03", "04", "07", "08"]


# -- what each lab has -----------------------------------------------------------------------------


@each_lab
def test_its_readme_has_all_that_a_reader_wants(lab: Lab) -> None:
    text = (lab.directory / "README.md").read_text("utf-8")
    assert [part for part in SECTIONS if part not in text] == []
    assert text.startswith(f"# {lab.number} · {lab.title}\n")
    assert f"make grade LAB={lab.number}" in text and f"make hint LAB={lab.number}" in text
    assert "```\n" in text.split("## What to do")[0], "a picture, beside the idea"
    systems = text.split("## In real systems")[1]
    named = [each for each in ("embassy", "Zephyr", "FreeRTOS", "Linux", "Rust") if each in systems]
    assert len(named) >= 2, "where it is used"
    for name in lab.files:
        assert f"`{name}`" in text, f"it does not say that {name} is to be written"


@each_lab
def test_it_names_what_is_swept(lab: Lab) -> None:
    """A window of a run, or calls of functions that its headers have."""
    assert (lab.sweep is None) == bool(lab.swept_calls)
    folders = (lab.directory, ROOT / "lab" / "async")
    headers = "".join(path.read_text("utf-8") for each in folders for path in each.glob("*.h"))
    assert [name for name in lab.swept_calls if f"{name}(" not in headers] == []


@each_lab
def test_its_hints_get_stronger_and_the_first_has_no_code(lab: Lab) -> None:
    texts = [path.read_text("utf-8") for path in hint_files(lab)]
    assert len(texts) == 3
    code = [code_in(text) for text in texts]
    assert code[0] == []
    assert len(code[2]) > len(code[1]), "each says more of the code than the one before"
    assert "?" in texts[0], "a nudge is a question"


@each_lab
def test_its_stub_asks_and_gives_nothing_away(lab: Lab) -> None:
    """10 to 60 lines are to be written: as many as the reference has more than the stub, without
    comments and blank lines; and every step asks a question."""
    written = 0
    for name in lab.files:
        stub = code_lines((lab.directory / name).read_text("utf-8"))
        reference = code_lines((lab.reference / name).read_text("utf-8"))
        written += len([line for line in reference if line not in stub])
    assert 5 <= written <= 90, written
    text = "".join((lab.directory / name).read_text("utf-8") for name in lab.files)
    steps = sorted(int(number) for number in re.findall(r"TODO\((\d+)\);", text))
    assert steps == list(range(1, len(steps) + 1)) and steps, "1, 2, 3, … each once"
    comments = "".join(re.findall(r"/\*.*?\*/", text, re.S))
    assert comments.count("?") >= 2


def code_lines(text: str) -> list[str]:
    bare = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)
    return [line.strip() for line in bare.splitlines() if len(line.strip()) > 1]


def test_the_open_choices_are_stated_in_the_headers() -> None:
    stated = {
        "lab/async/waker_registration.h": ("forgets it", "loses its\n * place and is woken"),
        "lab/async/atomic_waker.h": ("forgets it", "is woken", "for 100 instructions at most"),
        "lab/async/button_future.h": ("also when nobody waits", "merge", "100 instructions"),
        "lab/01-first-edge/button_interrupt.h": ("merge with it", "after the set-up"),
        "lab/02-shared-state/presses.h": ("30 instructions at most",),
        "lab/09-timers/timer_future.h": ("30 instructions and 10 for each timer",),
        "lab/10-combinators/combinators.h": ("first one wins",),
        "lab/12-priorities/shared_pair.h": ("20 instructions at most",),
    }
    for page, sentences in stated.items():
        text = (ROOT / page).read_text("utf-8")
        assert [each for each in sentences if each not in text] == [], page


def test_the_table_of_mistakes_is_as_the_corpus() -> None:
    page = mistakes_table.page(ROOT)
    assert page.read_text("utf-8") == mistakes_table.table(ROOT), (
        "python grader/tests/mistakes_table.py"
    )


def test_at_least_65_mistakes_have_a_sentence_of_their_own() -> None:
    own = {
        (case.lab.number, case.expected["diagnosis"])
        for lab in LABS
        for case in cases_of(ROOT, lab)
        if case.wrong and case.expected["diagnosis"]
    }
    assert len({diagnosis for _, diagnosis in own}) >= 65


# -- hints and progress ----------------------------------------------------------------------------


def copied(tmp_path: Path) -> Path:
    """What of a checkout the course looks at."""
    for part in ("lab", "solution", "grader/checks", "grader/corpus", "grader/template"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("grader/wakelab", "qemu", "requirements.lock"):
        (tmp_path / part).symlink_to(ROOT / part)
    return tmp_path


def test_hints_come_one_at_a_time(tmp_path: Path) -> None:
    lab = load_lab(ROOT, "07")
    seen = [next_hint(tmp_path, lab)[0] for _ in range(4)]
    assert seen == [1, 2, 3, 3]
    assert next_hint(tmp_path, load_lab(ROOT, "06"))[0] == 1, "each lab has its own"
    assert next_hint(tmp_path, lab, anew=True)[0] == 1
    (tmp_path / "build/hints/07").write_text("nonsense ü")
    assert next_hint(tmp_path, lab)[0] == 1


def test_a_lab_without_hints_says_so(tmp_path: Path) -> None:
    root = copied(tmp_path)
    shutil.rmtree(root / "lab/07-atomic-wait-queue/hints")
    with pytest.raises(UserError, match="lab 07 has no hints"):
        next_hint(root, load_lab(root, "07"))


def test_next_says_where_one_stands(tmp_path: Path) -> None:
    root = copied(tmp_path)
    labs = all_labs(root)
    first = next_of([standing(root, lab) for lab in labs])
    assert first is not None and first.lab.number == "01"
    lab = labs[0]
    shutil.copy(lab.reference / lab.files[0], lab.directory / lab.files[0])
    write_report(graded(root, lab, lab.directory), root / "build/reports/01/report.json")
    assert standing(root, lab).done
    second = next_of([standing(root, lab) for lab in labs])
    assert second is not None and second.lab.number == "02"
    with (lab.directory / lab.files[0]).open("a") as file:
        file.write("/* changed */\n")
    assert standing(root, lab).stale and not standing(root, lab).done


def test_the_command_shows_the_course_in_80_columns() -> None:
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    command = [sys.executable, "-m", "wakelab", "next"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert told.returncode in (0, 1) and told.stderr == ""
    assert all(len(line) <= 80 for line in told.stdout.splitlines())
    assert [line[3:5] for line in told.stdout.splitlines()[1:13]] == NUMBERS
    assert "\x1b" not in told.stdout


def test_who_asks_for_a_sweep_of_calls_is_told_where_it_is() -> None:
    command = [sys.executable, "-m", "wakelab", "sweep", "--lab", "07"]
    told = subprocess.run(
        [*command, str(ROOT / "solution/07-atomic-wait-queue")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.returncode == 2
    assert "calls of atomic_waker_register and atomic_waker_wake: make grade LAB=07" in told.stderr


# -- one's own parts -------------------------------------------------------------------------------


def test_own_parts_have_to_be_done(tmp_path: Path) -> None:
    root = copied(tmp_path)
    lab = load_lab(root, "06")
    for name in lab.files:
        shutil.copy(lab.reference / name, lab.directory / name)
    report = grade(root, lab, lab.directory, OURS, own=True)
    assert report.verdict is Verdict.SKIPPED and report.points == 0
    assert {check.seen for check in report.checks} == {"needs 04"}
    assert report.max_points == 100


def test_own_parts_take_the_references_place(tmp_path: Path) -> None:
    """Lab 04 done by oneself, then broken: lab 06 with OWN=1 stands on it, and without does not."""
    root = copied(tmp_path)
    earlier, lab = load_lab(root, "04"), load_lab(root, "06")
    for each in (earlier, lab):
        for name in each.files:
            shutil.copy(each.reference / name, each.directory / name)
    write_report(graded(root, earlier, earlier.directory), root / "build/reports/04/report.json")
    assert grade(root, lab, lab.directory, OURS, own=True).verdict is Verdict.PASS

    waker = earlier.directory / "waker.c"
    broken = waker.read_text("utf-8").replace("a->data == b->data", "a->data != b->data")
    waker.write_text(broken, "utf-8")
    whole, submission, missing = with_own_parts(root, lab, lab.directory)
    assert missing == ("04",), "changed since it was graded"
    assert {"waker.c", "flag_task.c"} <= set(whole.files)
    assert [file.name for file in submission.files][: len(lab.files)] == list(lab.files)
    assert grade(root, lab, root, OURS, own=True).verdict is Verdict.SKIPPED


# -- a new lab is a folder -------------------------------------------------------------------------


def test_a_lab_from_the_template_works_and_touches_nothing_else(tmp_path: Path) -> None:
    root = copied(tmp_path)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    made = make_lab(root, "13-mine")
    added = {path for path in root.rglob("*") if path.is_file()} - before.keys()
    assert all(any(folder in path.parents for folder in made) for path in added)
    assert {path: path.read_bytes() for path in before} == before
    assert [lab.number for lab in all_labs(root)] == [*NUMBERS, "13"]

    lab = load_lab(root, "13")
    assert graded(root, lab, lab.directory).verdict is Verdict.TODO
    reference = graded(root, lab, lab.reference)
    assert (reference.verdict, reference.points) == (Verdict.PASS, 100)
    for number, case in enumerate(cases_of(root, lab)):
        report = graded(root, lab, case.assemble(tmp_path / f"case{number}"))
        if not case.wrong:
            assert report.verdict is Verdict.PASS
            continue
        first = next(check for check in report.checks if check.verdict is not Verdict.PASS)
        assert (first.id, first.diagnosis) == (case.expected["check"], case.expected["diagnosis"])
        assert case.expected["sentence"] in first.why


@pytest.mark.parametrize("name", ["mine", "13", "13_mine", "13-Mine", "13-../../x", ""])
def test_a_strange_name_makes_no_lab(tmp_path: Path, name: str) -> None:
    root = copied(tmp_path)
    with pytest.raises(UserError, match="is no name for a lab"):
        make_lab(root, name)


def test_a_number_that_is_taken_makes_no_lab(tmp_path: Path) -> None:
    root = copied(tmp_path)
    with pytest.raises(UserError, match="lab 08 is there already"):
        make_lab(root, "08-mine")
    assert not (root / "lab/08-mine").exists()


def test_lab_toml_of_every_lab_is_read_by_others_too() -> None:
    """It is TOML and nothing more: a site of an instructor's may read it."""
    for lab in LABS:
        table = tomllib.loads((lab.directory / "lab.toml").read_text("utf-8"))
        assert table["title"] == lab.title


# -- files as they come ----------------------------------------------------------------------------


def handed_in(folder: Path, number: str, change: Callable[[bytes], bytes]) -> Path:
    """The reference of a lab, each file changed."""
    folder.mkdir()
    lab = load_lab(ROOT, number)
    for name in lab.files:
        (folder / name).write_bytes(change((lab.reference / name).read_bytes()))
    return folder


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"    ", b"\t"),
        lambda data: data.replace(b"flag_task_vtable", "weckerübersicht".encode()),
        lambda data: data.rstrip(b"\n"),
    ],
    ids=["windows", "byte-order-mark", "tabs", "non-ascii", "no-last-newline"],
)
def test_how_a_file_was_saved_does_not_matter(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    lab = load_lab(ROOT, "04")
    folder = handed_in(tmp_path / "heute früh", "04", change)
    report = graded(ROOT, lab, folder)
    assert (report.verdict, report.points) == (Verdict.PASS, 100)


def problem(lab: Lab, folder: Path) -> str:
    report = graded(ROOT, lab, folder)
    assert report.points == 0
    first = report.checks[0]
    assert first.verdict is Verdict.BUILD
    return f"{first.seen}; {first.hint}"


def test_files_of_another_lab_are_recognised(tmp_path: Path) -> None:
    folder = handed_in(tmp_path / "x", "04", bytes)
    said = problem(load_lab(ROOT, "05"), folder)
    assert "these are the files of lab 04, and this is lab 05" in said
    assert "make grade LAB=04" in said


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    folder = handed_in(tmp_path / "x", "04", bytes)
    (folder / "flag_task.c").unlink()
    assert "flag_task.c is missing" in problem(load_lab(ROOT, "04"), folder)


def test_a_renamed_function_is_named(tmp_path: Path) -> None:
    folder = handed_in(tmp_path / "x", "05", lambda data: data.replace(b"_spawn(", b"_start("))
    said = problem(load_lab(ROOT, "05"), folder)
    assert "executor_spawn is used but defined nowhere: write it in executor.c" in said
    assert "spelt differently" in said


def test_a_file_of_an_older_version_is_told_from_a_slip(tmp_path: Path) -> None:
    folder = handed_in(tmp_path / "x", "05", lambda data: data.replace(b"->next", b"->link"))
    assert "from an older version of the lab" in problem(load_lab(ROOT, "05"), folder)


def test_a_half_finished_lab_is_told_which_steps_are_left(tmp_path: Path) -> None:
    lab = load_lab(ROOT, "04")
    folder = handed_in(tmp_path / "x", "04", bytes)
    shutil.copy(lab.directory / "flag_task.c", folder)
    report = graded(ROOT, lab, folder)
    assert report.verdict is Verdict.TODO
    assert "steps 3, 4, 5 still to do" in report.checks[1].seen
