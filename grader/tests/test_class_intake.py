"""Whose submission is whose, in what each platform exports, and what is said of broken ones."""

import io
import os
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from test_class_archives import tarred, zipped

from wakelab.classes.intake import Entry, Intake, take_in
from wakelab.errors import UserError
from wakelab.labs import Lab

LAB = Lab(
    number="08",
    slug="08-button-future",
    title="The button future",
    files=("button_future.c", "main.c"),
    builds_on=(),
    trace={},
    press=None,
    directory=Path("/nowhere/lab/08-button-future"),
    reference=Path("/nowhere/solution/08-button-future"),
)
WAKER = replace(
    LAB, number="04", slug="04-waker", files=("waker.c",), directory=Path("/nowhere/lab/04-waker")
)
FUTURE, MAIN = b"int future;\n", b"int main(void);\n"
BOTH = {"button_future.c": FUTURE, "main.c": MAIN}


def laid_out(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def taken(folder: Path, files: Mapping[str, bytes] | None = None) -> Intake:
    return take_in(LAB, (LAB, WAKER), laid_out(folder, files or {}))


def by_name(intake: Intake) -> dict[str, Entry]:
    return {entry.name: entry for entry in intake.entries}


def contents(entry: Entry) -> dict[str, bytes]:
    assert entry.submission.problem is None, entry.submission.problem
    return {file.name: file.data for file in entry.submission.files}


def below(prefix: str, files: Mapping[str, bytes] = BOTH) -> dict[str, bytes]:
    return {f"{prefix}{name}": data for name, data in files.items()}


def packed(files: Mapping[str, bytes] = BOTH) -> bytes:
    return zipped(*files.items())


def test_a_folder_for_each_student_an_archive_for_each_and_checkouts(tmp_path: Path) -> None:
    intake = taken(
        tmp_path,
        {
            **below("ada/"),
            **below("bob/lab/08-button-future/"),
            "cyd.zip": packed(below("work/")),
            "dan.tar": tarred(*below("repo-main/lab/08-button-future/").items()),
            "eve/upload.tgz": tarred(*BOTH.items()),
            **below("__MACOSX/._"),
            ".DS_Store": b"",
        },
    )
    assert intake.platform == "folders"
    assert [entry.name for entry in intake.entries] == ["ada", "bob", "cyd", "dan", "eve"]
    assert all(contents(entry) == BOTH for entry in intake.entries)
    assert len({entry.submission.sha256 for entry in intake.entries}) == 1
    assert intake.named == ()


def test_moodle_with_folders(tmp_path: Path) -> None:
    intake = taken(
        tmp_path,
        {
            **below("Ada Lovelace_4711_assignsubmission_file_/"),
            "Zoë O'Neil_4712_assignsubmission_file_/work.zip": packed(),
            "Zoë O'Neil_4712_assignsubmission_onlinetext_/onlinetext.html": b"<p>",
            **below("Blind_Team-Participant 9_9_assignsubmission_file/"),
            "grades.csv": b"",
        },
    )
    assert intake.platform == "Moodle"
    assert {entry.name: entry.id for entry in intake.entries} == {
        "Ada Lovelace": "4711",
        "Zoë O'Neil": "4712",
        "Blind_Team-Participant 9": "9",
    }
    assert all(contents(entry) == BOTH for entry in intake.entries)
    assert intake.named == (("grades.csv", "belongs to no student, and is left out"),)


def test_moodle_without_folders(tmp_path: Path) -> None:
    intake = taken(tmp_path, below("Ada Lovelace_4711_assignsubmission_file_"))
    assert contents(by_name(intake)["Ada Lovelace"]) == BOTH


def test_moodle_with_a_text_and_no_file(tmp_path: Path) -> None:
    intake = taken(tmp_path, {"Ada_1_assignsubmission_onlinetext_/onlinetext.html": b"<p>"})
    assert [entry.name for entry in intake.entries] == ["Ada"]
    assert intake.named == (("Ada", "nothing is handed in"),)


def test_canvas(tmp_path: Path) -> None:
    intake = taken(
        tmp_path,
        {
            "lovelaceada_LATE_17_99_button_future.c": b"int old;",
            "lovelaceada_LATE_17_101_button_future-1.c": FUTURE,
            "lovelaceada_LATE_17_200_main.c": MAIN,
            "smithbob_18_400_lab-8.zip": packed(),
        },
    )
    assert intake.platform == "Canvas"
    ada, bob = intake.entries
    assert (ada.name, ada.id, ada.late) == ("lovelaceada", "17", True)
    assert contents(ada) == BOTH
    assert (bob.name, bob.id, bob.late) == ("smithbob", "18", False)
    assert contents(bob) == BOTH


def test_blackboard(tmp_path: Path) -> None:
    first = "Lab 8_alovelace_attempt_2026-01-30-10-00-00"
    last = "Lab 8_alovelace_attempt_2026-01-31-23-59-59"
    intake = taken(
        tmp_path,
        {
            f"{first}_main.c": b"int old;",
            f"{first}.txt": b"Name: Wrong (alovelace)\n",
            **below(f"{last}_"),
            f"{last}.txt": b"Name: Ada Lovelace (alovelace)\r\nAssignment: Lab 8\r\n",
        },
    )
    assert intake.platform == "Blackboard"
    (ada,) = intake.entries
    assert (ada.name, ada.id) == ("Ada Lovelace", "alovelace")
    assert contents(ada) == BOTH
    assert ada.notes == ("2 attempts; the last one counts",)


def test_an_earlier_attempt_at_blackboard_adds_nothing(tmp_path: Path) -> None:
    intake = taken(
        tmp_path,
        {
            **below("Lab 8_ada_attempt_2026-01-30-10-00-00_"),
            "Lab 8_ada_attempt_2026-01-31-10-00-00_main.c": MAIN,
        },
    )
    assert problem(intake, "ada") == "button_future.c is missing"


METADATA = b"""---
submission_11:
  :submitters:
  - :name: Ada Lovelace
    :sid: '0815'
    :email: ada@example.org
  :created_at: 2026-01-31 10:00:00.000000000 Z
submission_12:
  :submitters:
  - :name: Bob
    :sid:
    :email: bob@example.org
  - :name: Cyd
    :sid: 7
submission_13:
  :submitters: []
"""


def test_gradescope(tmp_path: Path) -> None:
    top = "assignment_1_export"
    intake = taken(
        tmp_path,
        {
            f"{top}/submission_metadata.yml": METADATA,
            **below(f"{top}/submission_11/"),
            **below(f"{top}/submission_12/"),
        },
    )
    assert intake.platform == "Gradescope"
    assert {entry.name: entry.id for entry in intake.entries} == {
        "Ada Lovelace": "0815",
        "Bob, Cyd": "bob@example.org, 7",
    }
    assert [name for name, _ in intake.named] == [
        "submission_13 (in submission_metadata.yml, but not there)"
    ]


@pytest.mark.parametrize(
    "metadata", [b"a: [", b"- 1\n", b"!!python/object/apply:os.getcwd []\n", b"\xff\xfe\x00"]
)
def test_gradescope_whose_metadata_is_broken(tmp_path: Path, metadata: bytes) -> None:
    files = {"submission_metadata.yml": metadata, **below("submission_11/")}
    intake = taken(tmp_path, files)
    assert [entry.name for entry in intake.entries] == ["submission_11"]
    assert contents(intake.entries[0]) == BOTH
    assert "students are called as their folders are" in intake.named[0][1]


def test_github_classroom(tmp_path: Path) -> None:
    folder = tmp_path / "lab08-submissions"
    intake = taken(folder, {**below("lab08-ada/lab/08-button-future/"), **below("lab08-bob/")})
    assert [entry.name for entry in intake.entries] == ["ada", "bob"]


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_the_archive_as_it_was_downloaded(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    data = pack(
        ("export/Ada_1_assignsubmission_file_/work.zip", packed()),
        ("export/Bob_2_assignsubmission_file_/main.c", MAIN),
        ("export/Bob_2_assignsubmission_file_/button_future.c", FUTURE),
        ("../../evil.c", b""),
    )
    (tmp_path / "class.zip").write_bytes(data)
    intake = take_in(LAB, (LAB, WAKER), tmp_path / "class.zip")
    assert {entry.name: contents(entry) for entry in intake.entries} == {"Ada": BOTH, "Bob": BOTH}
    assert intake.named == (("../../evil.c", "leads out of the archive: not taken"),)


# -- what is broken --------------------------------------------------------------------------------


def problem(intake: Intake, name: str) -> str:
    found = by_name(intake)[name].submission.problem
    assert found is not None and found.next_step
    assert (name, found.what) in intake.named
    return found.what


def test_one_broken_submission_is_named_and_the_rest_is_taken(tmp_path: Path) -> None:
    encrypted = bytearray(packed())
    encrypted[encrypted.index(b"PK\1\2") + 8] |= 1
    intake = taken(
        tmp_path,
        {
            **below("good/"),
            "corrupt.zip": packed()[:-30],
            "nested.zip": zipped(("inner.zip", packed())),
            "encrypted.zip": bytes(encrypted),
            "empty.zip": zipped(),
            "bomb.zip": zipped(("main.c", bytes(300 << 20))),
            "two/a.zip": packed(),
            "two/b.zip": packed(),
            "other/waker.c": b"int x;",
            "otherlab/README.md": b"",
            "otherlab/lab/04-waker/waker.c": b"int x;",
            "half/main.c": MAIN,
            "notes/readme.txt": b"sorry",
            "binary/main.c": b"\x7fELF\0",
            "binary/button_future.c": FUTURE,
        },
    )
    (tmp_path / "links").mkdir()
    (tmp_path / "links/main.c").symlink_to("/etc/passwd")
    (tmp_path / "links/button_future.c").symlink_to("/etc/passwd")
    (tmp_path / "void").mkdir()
    (tmp_path / "loop").symlink_to(".")
    intake = take_in(LAB, (LAB, WAKER), tmp_path)
    assert contents(by_name(intake)["good"]) == BOTH
    for name, said in {
        "corrupt": "corrupt.zip is damaged",
        "nested": "inner.zip lies inside nested.zip",
        "encrypted": "encrypted.zip is encrypted",
        "empty": "empty.zip is an empty archive",
        "bomb": "bomb.zip unpacks to 300 MiB",
        "two": "2 archives are handed in (a.zip, b.zip)",
        "other": "these are files of lab 04, not of lab 08: waker.c",
        "otherlab": "the checkout has no lab/08-button-future/",
        "half": "button_future.c is missing",
        "notes": "it holds no button_future.c and no main.c",
        "binary": "main.c is not a text file",
        "links": "button_future.c is not a regular file",
        "void": "nothing is handed in",
    }.items():
        assert said in problem(intake, name), name
    assert ("loop", "belongs to no student, and is left out") in intake.named


def test_a_path_that_leads_out_is_named_and_the_rest_of_it_taken(tmp_path: Path) -> None:
    intake = taken(tmp_path, {"ada.zip": packed({**BOTH, "../main.c": b"int evil;"})})
    assert contents(intake.entries[0]) == BOTH
    assert intake.named == (
        ("ada", "ada.zip holds a path that leads out of it (../main.c): not taken"),
    )


def test_two_students_with_one_name_and_ids(tmp_path: Path) -> None:
    intake = taken(
        tmp_path,
        {
            **below("Ada_1_assignsubmission_file_/"),
            **below("Ada_2_assignsubmission_file_/", {**BOTH, "main.c": b"int other;\n"}),
        },
    )
    assert [entry.name for entry in intake.entries] == ["Ada (1)", "Ada (2)"]
    assert [entry.key for entry in intake.entries] == ["ada-1", "ada-2"]
    assert contents(intake.entries[1])["main.c"] == b"int other;\n"
    assert intake.entries[0].notes == ("2 submissions are called Ada",)
    assert intake.named == (), "the ids tell them apart"


def test_two_students_with_one_name_and_nothing_else(tmp_path: Path) -> None:
    intake = taken(tmp_path, {**below("ada/"), "ada.zip": packed(), "Ada.tar": tarred()})
    assert [entry.name for entry in intake.entries] == ["Ada (1)", "ada (2)", "ada (3)"]
    assert len({entry.key for entry in intake.entries}) == 3
    assert sum("are called" in sentence for _, sentence in intake.named) == 3


def test_names_choose_no_path(tmp_path: Path) -> None:
    names = [
        "=cmd|' /C calc'!A0",
        "a\nb\x1b[31m",
        "\u202egnp.exe",
        "..",
        "con",
        "名前",
        "田中",
        "x" * 200,
    ]
    with zipfile.ZipFile(tmp_path / "class.zip", "w") as archive:
        for name in [*names, "ok"]:
            for file, data in BOTH.items():
                archive.writestr(f"{name}/{file}", data)
    intake = take_in(LAB, (LAB,), tmp_path / "class.zip")
    keys = [entry.key for entry in intake.entries]
    assert len(set(keys)) == len(names)  # all but "..", and "ok"
    for key in keys:
        assert key and len(key) < 80 and key.replace("-", "").isalnum() and key.isascii()


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    laid_out(tmp_path, below("ok/"))
    laid_out(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe")), BOTH)
    intake = take_in(LAB, (LAB,), tmp_path)
    assert len(intake.entries) == 2
    assert all(contents(entry) == BOTH for entry in intake.entries)


# -- no class at all -------------------------------------------------------------------------------


def test_a_submission_instead_of_a_class(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="this is one submission") as caught:
        taken(tmp_path, BOTH)
    assert "make grade" in caught.value.next_step


@pytest.mark.parametrize("data", [b"", b"text", io.BytesIO().getvalue(), zipped()])
def test_a_class_that_is_no_archive(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "class.zip").write_bytes(data)
    with pytest.raises(UserError) as caught:
        take_in(LAB, (LAB,), tmp_path / "class.zip")
    assert "download it" in caught.value.next_step


def test_a_class_that_is_empty_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no submission"):
        taken(tmp_path, {"README.txt": b"x"})
    with pytest.raises(UserError, match="cannot be opened"):
        take_in(LAB, (LAB,), tmp_path / "nowhere")
