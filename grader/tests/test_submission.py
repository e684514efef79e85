"""What a student hands in is hostile until proven otherwise."""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from wakelab.errors import UserError
from wakelab.labs import Lab
from wakelab.submission import MAX_FILE_BYTES, Submission, collect

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


def hand_in(folder: Path, **contents: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("button_future", "main"):
        (folder / f"{name}.c").write_bytes(contents.get(name, b"int x;\n"))
    return folder


def problem_of(submission: Submission) -> str:
    assert submission.problem is not None
    assert submission.problem.next_step
    return submission.problem.what


def test_a_folder_with_just_those_files(tmp_path: Path) -> None:
    submission = collect(LAB, hand_in(tmp_path / "alice", main=b"int main(void);\r\n"))
    assert submission.problem is None
    assert submission.name == "alice"
    assert [(file.name, file.data) for file in submission.files] == [
        ("button_future.c", b"int x;\n"),
        ("main.c", b"int main(void);\r\n"),
    ]


def test_a_whole_checkout(tmp_path: Path) -> None:
    hand_in(tmp_path / "lab/08-button-future", main=b"// nested\n")
    assert collect(LAB, tmp_path).files[1].data == b"// nested\n"


def test_files_at_the_top_go_before_those_of_a_checkout(tmp_path: Path) -> None:
    hand_in(tmp_path / "lab/08-button-future", main=b"// nested\n")
    hand_in(tmp_path, main=b"// top\n")
    assert collect(LAB, tmp_path).files[1].data == b"// top\n"


@pytest.mark.parametrize(
    "data", [b"\xef\xbb\xbfint x;\r\n", b"/* \xe9 */\n", "/* é */".encode(), b"int x;"]
)
def test_bytes_are_kept_exactly(tmp_path: Path, data: bytes) -> None:
    submission = collect(LAB, hand_in(tmp_path, main=data))
    assert submission.problem is None
    assert submission.files[1].data == data


def test_the_hash_is_of_names_and_contents_only(tmp_path: Path) -> None:
    one = collect(LAB, hand_in(tmp_path / "one"))
    two = collect(LAB, hand_in(tmp_path / "two/lab/08-button-future").parents[1])
    other = collect(LAB, hand_in(tmp_path / "three", main=b"int y;\n"))
    swapped = collect(LAB, hand_in(tmp_path / "four", button_future=b"int y;\n"))
    assert one.sha256 == two.sha256
    renamed = collect(replace(LAB, files=("main.c", "button_future.c")), tmp_path / "one")
    assert len({one.sha256, other.sha256, swapped.sha256, renamed.sha256}) == 4


def test_a_path_that_is_no_folder_is_the_callers_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("absent", "file", "x" * 5000, "nul\0nul"):
        with pytest.raises(UserError) as caught:
            collect(LAB, tmp_path / name)
        assert caught.value.next_step


def test_an_empty_folder(tmp_path: Path) -> None:
    assert problem_of(collect(LAB, tmp_path)) == "nothing is handed in: the folder is empty"


def test_a_folder_with_other_things(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    assert "no button_future.c and no main.c" in problem_of(collect(LAB, tmp_path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (hand_in(tmp_path) / "main.c").unlink()
    assert problem_of(collect(LAB, tmp_path)) == "main.c is missing"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "main.c is empty"),
        (b" \r\n\t", "main.c is empty"),
        (b"x" * (MAX_FILE_BYTES + 1), "main.c is larger than 256 KiB"),
        (b"x" * 300 * 1024, "main.c is larger than 256 KiB"),
        (b"\x7fELF\x01\0\0", "main.c is not a text file"),
        ("int x;".encode("utf-16"), "main.c is not a text file"),
    ],
)
def test_a_file_that_is_no_source(tmp_path: Path, data: bytes, said: str) -> None:
    assert said in problem_of(collect(LAB, hand_in(tmp_path, main=data)))


def test_a_file_of_just_the_limit_is_taken(tmp_path: Path) -> None:
    assert collect(LAB, hand_in(tmp_path, main=b"x" * MAX_FILE_BYTES)).problem is None


def fifo(path: Path) -> None:
    os.mkfifo(path)


def link_to_passwd(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def dangling(path: Path) -> None:
    path.symlink_to("/nowhere/at/all")


def link_to_sibling(path: Path) -> None:
    path.symlink_to("main.c")


def link_to_zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


def unix_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path must be short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize(
    "make",
    [fifo, link_to_passwd, dangling, link_to_sibling, link_to_zero, folder, unix_socket],
)
def test_only_regular_files_are_read_and_nothing_hangs(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    (hand_in(tmp_path) / "button_future.c").unlink()
    make(tmp_path / "button_future.c")
    start = time.monotonic()
    submission = collect(LAB, tmp_path)
    assert time.monotonic() - start < 2
    assert problem_of(submission).startswith("button_future.c is not a regular file")
    assert submission.files == ()


def test_what_is_no_regular_file_is_not_even_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (hand_in(tmp_path) / "main.c").unlink()
    fifo(tmp_path / "main.c")
    opened = os.open

    def watching(path: str | Path, *rest: int, dir_fd: int | None = None) -> int:
        assert path != "main.c", "opening a device can act"
        return opened(path, *rest, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", watching)
    assert "main.c is not a regular file" in problem_of(collect(LAB, tmp_path))


@pytest.mark.parametrize("link", ["lab", "lab/08-button-future"])
def test_a_linked_folder_below_is_not_followed(tmp_path: Path, link: str) -> None:
    hand_in(tmp_path / "elsewhere/08-button-future")
    target = tmp_path / ("elsewhere" if link == "lab" else "elsewhere/08-button-future")
    top = tmp_path / "top"
    (top / link).parent.mkdir(parents=True)
    (top / link).symlink_to(target)
    assert problem_of(collect(LAB, top)).startswith(f"{link} is not a folder")


def test_a_file_swapped_for_a_pipe_after_the_look_does_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in(tmp_path)
    opened = os.open

    def swapping(path: str | Path, *rest: int, dir_fd: int | None = None) -> int:
        if path == "main.c":
            (tmp_path / "main.c").unlink()
            os.mkfifo(tmp_path / "main.c")
        return opened(path, *rest, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", swapping)
    assert "main.c is not a regular file" in problem_of(collect(LAB, tmp_path))


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    hand_in(tmp_path / "lab/08-button-future")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        collect(LAB, tmp_path)
    (tmp_path / "lab/08-button-future/main.c").unlink()
    collect(LAB, tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before
