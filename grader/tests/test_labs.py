"""lab.toml: what it says, and what it says wrongly."""

from pathlib import Path

import pytest

from wakelab.errors import UserError
from wakelab.labs import all_labs, checkout_root, given_sources, load_lab

GOOD = """\
title = "The button future"
files = ["button_future.c", "main.c"]
builds_on = ["04"]
[trace]
poll = "button_future_poll"
[press]
button = "SELECT"
line = "Interrupt fired!"
"""


def make_root(tmp_path: Path, toml: str = GOOD) -> Path:
    for name in ("lab/board", "lab/async", "lab/08-button-future", "solution/04-wakers"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("lab/board/startup.c", "lab/async/future.c", "solution/04-wakers/waker.c"):
        (tmp_path / name).write_text("int x;\n")
    (tmp_path / "lab/08-button-future/lab.toml").write_text(toml)
    return tmp_path


@pytest.mark.parametrize("number", ["08", "8", "08-button-future"])
def test_a_lab_is_found_by_number_or_name(tmp_path: Path, number: str) -> None:
    lab = load_lab(make_root(tmp_path), number)
    assert (lab.number, lab.slug, lab.title) == ("08", "08-button-future", "The button future")
    assert lab.files == ("button_future.c", "main.c")
    assert lab.builds_on == ("04",)
    assert lab.trace == {"poll": "button_future_poll"}
    assert lab.press == {"button": "SELECT", "line": "Interrupt fired!"}
    assert lab.directory == tmp_path / "lab/08-button-future"
    assert lab.reference == tmp_path / "solution/08-button-future"


def test_only_title_and_files_are_needed(tmp_path: Path) -> None:
    lab = load_lab(make_root(tmp_path, 'title = "t"\nfiles = ["main.c"]\n'), "08")
    assert (lab.builds_on, dict(lab.trace), lab.press) == ((), {}, None)


def test_an_unknown_number_names_the_labs_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_lab(make_root(tmp_path), "99")
    assert "no lab '99'" in caught.value.what
    assert "08" in caught.value.next_step


@pytest.mark.parametrize("number", ["", "../08", "*", "[0-9]", "08/../08"])
def test_a_strange_number_is_a_user_error(tmp_path: Path, number: str) -> None:
    with pytest.raises(UserError):
        load_lab(make_root(tmp_path), number)


def test_all_labs_leaves_out_what_is_no_lab(tmp_path: Path) -> None:
    root = make_root(tmp_path)
    (root / "lab/09-not-yet").mkdir()
    assert [lab.number for lab in all_labs(root)] == ["08"]


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('files = ["main.c"]', "'title' is missing"),
        ('title = ""\nfiles = ["main.c"]', "'title' must be a line of text"),
        ('title = "a\\u001bb"\nfiles = ["main.c"]', "'title' must be a line of text"),
        ('title = "t"', "'files' is missing"),
        ('title = "t"\nfiles = []', "'files' must be a list"),
        ('title = "t"\nfiles = "main.c"', "'files' must be a list"),
        ('title = "t"\nfiles = ["../main.c"]', "'files' holds '../main.c'"),
        ('title = "t"\nfiles = ["main.c\\n"]', "'files' holds"),
        ('title = "t"\nfiles = ["/etc/passwd"]', "'files' holds"),
        ('title = "t"\nfiles = ["-o.c"]', "'files' holds"),
        ('title = "t"\nfiles = [1]', "'files' holds 1"),
        ('title = "t"\nfiles = ["main.c", "main.c"]', "'files' names something twice"),
        ('title = "t"\nfiles = ["main.c"]\nbuild_on = ["04"]', "unknown key 'build_on'"),
        ('title = "t"\nfiles = ["main.c"]\nbuilds_on = ["4"]', "'builds_on' holds '4'"),
        ('title = "t"\nfiles = ["main.c"]\ntrace = 1', "'trace' must be a table"),
        ('title = "t"\nfiles = ["main.c"]\n[trace]\npol = "x"', "unknown key 'trace.pol'"),
        ('title = "t"\nfiles = ["main.c"]\n[trace]\npoll = "a b"', "'trace.poll' is 'a b'"),
        ('title = "t"\nfiles = ["main.c"]\n[trace]\npoll = 3', "'trace.poll' must be"),
        ('title = "t"\nfiles = ["main.c"]\n[press]\nline = "x"', "'press.button' is missing"),
        (
            'title = "t"\nfiles = ["main.c"]\n[press]\nbutton = "FIRE"\nline = "x"',
            "'press.button' is 'FIRE'",
        ),
        ("title = ", "not valid TOML"),
    ],
)
def test_a_mistake_names_file_key_and_remedy(tmp_path: Path, toml: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        load_lab(make_root(tmp_path, toml), "08")
    assert said in caught.value.what
    assert caught.value.where.endswith("lab/08-button-future/lab.toml")
    assert caught.value.next_step
    assert str(caught.value).startswith(caught.value.what)


def test_given_sources_are_board_async_and_references(tmp_path: Path) -> None:
    root = make_root(tmp_path)
    names = [path.relative_to(root).as_posix() for path in given_sources(root, load_lab(root, "8"))]
    assert names == ["lab/board/startup.c", "lab/async/future.c", "solution/04-wakers/waker.c"]


def test_a_file_handed_in_replaces_a_given_one(tmp_path: Path) -> None:
    root = make_root(tmp_path)
    (root / "solution/04-wakers/main.c").write_text("")
    (root / "lab/08-button-future/main.c").write_text("")
    (root / "lab/08-button-future/helper.c").write_text("")
    names = [path.name for path in given_sources(root, load_lab(root, "08"))]
    assert names == ["startup.c", "future.c", "waker.c", "helper.c"]


def test_a_missing_reference_is_a_user_error(tmp_path: Path) -> None:
    root = make_root(tmp_path, GOOD.replace('"04"', '"05"'))
    with pytest.raises(UserError, match="builds on lab 05, whose reference is missing"):
        given_sources(root, load_lab(root, "08"))


def test_this_checkout_holds_valid_labs() -> None:
    root = checkout_root()
    labs = all_labs(root)
    assert "08" in [lab.number for lab in labs]
    for lab in labs:
        assert given_sources(root, lab)
        for name in lab.files:
            assert (lab.directory / name).is_file()
            assert (lab.reference / name).is_file()
