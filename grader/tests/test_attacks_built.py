"""Attacks that git cannot hold: links, pipes, devices, a gigabyte of zeros, odd names, archives.

Each hand-in of a class, or the folder of one student, is built here, graded, and watched as in
test_attacks.py.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from test_attacks import KEEPER, check_manners, pytestmark, try_out

from wakelab.attacks import Canaries
from wakelab.labs import checkout_root, load_lab

__all__ = ["pytestmark"]

ROOT = checkout_root()
LAB = load_lab(ROOT, "08")
ODD_NAME = "=cmd|'c'!A0 \"<script>alert(1)<\n\x1b[31m\u202e&amp;"
"""A formula, quotes, a tag, a newline, an escape code, text that runs backwards, an entity."""


@pytest.fixture
def canaries(tmp_path: Path) -> Canaries:
    (tmp_path / "outside").mkdir()
    return Canaries(tmp_path / "outside")


def reference_in(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in LAB.files:
        shutil.copy(LAB.reference / name, folder)
    return folder


# -- one student's folder --------------------------------------------------------------------------


def _link(main: Path, canaries: Canaries) -> None:
    main.symlink_to(canaries.secret)


def _link_to_reference(main: Path, canaries: Canaries) -> None:
    main.symlink_to(LAB.reference / main.name)


def _pipe(main: Path, canaries: Canaries) -> None:
    os.mkfifo(main)


def _socket(main: Path, canaries: Canaries) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(main.parent)  # the name of a socket must be short
        try:
            listener.bind(main.name)
        finally:
            os.chdir(here)


def _device(main: Path, canaries: Canaries) -> None:
    if os.geteuid() != 0:
        pytest.skip("takes root")
    os.mknod(main, 0o020666, os.makedev(1, 5))  # /dev/zero


def _folder(main: Path, canaries: Canaries) -> None:
    main.mkdir()


def _zeros(main: Path, canaries: Canaries) -> None:
    with main.open("wb") as file:
        file.truncate(1 << 30)


def _nul(main: Path, canaries: Canaries) -> None:
    main.write_bytes(b"int main(void) { return 0; }\n\0")


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (_link, "is not a regular file"),
        (_link_to_reference, "is not a regular file"),
        (_pipe, "is not a regular file"),
        (_socket, "is not a regular file"),
        (_device, "is not a regular file"),
        (_folder, "is not a regular file"),
        (_zeros, "is larger than"),
        (_nul, "NUL bytes"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_no_source_file_is_not_read(
    build: Callable[[Path, Canaries], None], sentence: str, canaries: Canaries, tmp_path: Path
) -> None:
    folder = reference_in(tmp_path / "submission")
    (folder / "main.c").unlink()
    build(folder / "main.c", canaries)
    begun = time.monotonic()
    tried = try_out(folder, tmp_path)
    assert time.monotonic() - begun < 60  # a pipe that nobody writes to would take for ever
    check_manners(tried)
    assert canaries.breaches(tried.said) == []
    assert (tried.report.verdict, tried.report.points) == ("build", 0)
    assert any(sentence in check.seen for check in tried.report.checks)


def test_a_link_in_the_place_of_the_labs_folder_is_not_followed(tmp_path: Path) -> None:
    elsewhere = reference_in(tmp_path / "elsewhere")
    (tmp_path / "submission" / "lab").mkdir(parents=True)
    (tmp_path / "submission" / "lab" / LAB.directory.name).symlink_to(elsewhere)
    tried = try_out(tmp_path / "submission", tmp_path)
    check_manners(tried)
    assert (tried.report.verdict, tried.report.points) == ("build", 0)


def test_ten_thousand_files_beside_change_nothing(canaries: Canaries, tmp_path: Path) -> None:
    """Among them headers and specs that a compiler would look for, and a Makefile."""
    folder = reference_in(tmp_path / "submission")
    for number in range(10_000):
        (folder / f"file{number}.c").touch()
    bomb = f'#error "read"\n#include "{canaries.secret}"\n'
    for name in ("button_future.h", "stdint.h", "specs", "Makefile", "lm3s6965.ld", "conftest.py"):
        (folder / name).write_text(bomb)
    tried = try_out(folder, tmp_path)
    check_manners(tried)
    assert canaries.breaches(tried.said) == []
    assert (tried.report.verdict, tried.report.points) == ("pass", 100)


def test_an_odd_name_is_shown_and_not_obeyed(canaries: Canaries, tmp_path: Path) -> None:
    folder = reference_in(tmp_path / ODD_NAME.replace("/", ""))
    tried = try_out(folder, tmp_path)
    check_manners(tried)
    assert tried.report.points == 100
    rows = list(csv.reader(io.StringIO(tried.said["report.csv"].decode())))
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    assert b"<script>" not in tried.said["junit.xml"]


# -- a class ---------------------------------------------------------------------------------------


def _zip(path: Path, entries: list[tuple[zipfile.ZipInfo | str, bytes]]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)


def _tar(path: Path, entries: list[tuple[str, bytes, str]]) -> None:
    """Entries: a type of tarfile, where it leads, and its name."""
    with tarfile.open(path, "w") as archive:
        for name, kind, target in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            if kind == tarfile.REGTYPE:
                data = target.encode()
                info.linkname, info.size = "", len(data)
                archive.addfile(info, io.BytesIO(data))
            else:
                archive.addfile(info)


def test_a_class_of_attackers_changes_nothing_outside(canaries: Canaries, tmp_path: Path) -> None:
    folder = tmp_path / "class"
    reference_in(folder / "honest")
    reference_in(folder / ODD_NAME.replace("/", ""))
    good = [(name, (LAB.reference / name).read_bytes()) for name in LAB.files]
    up = os.path.relpath(canaries.marker, folder)
    for name, path in (("climbs", up), ("absolute", str(canaries.marker))):
        _zip(folder / f"{name}.zip", [*good, (path, b"marked"), (f"../../{name}.c", b"marked")])
    link = zipfile.ZipInfo("main.c")
    link.external_attr = 0o120777 << 16
    _zip(folder / "links.zip", [good[0], (link, str(canaries.secret).encode())])
    _zip(folder / "bomb.zip", [*good, ("zeros.c", bytes(1 << 29))])
    _zip(folder / "twice.zip", [*good, (f"./{LAB.files[0]}", b"int x;")])
    _tar(
        folder / "tar-links.tar",
        [
            ("main.c", tarfile.SYMTYPE, str(canaries.secret)),
            ("button_future.c", tarfile.LNKTYPE, "../../../../etc/passwd"),
            (f"../{up}", tarfile.REGTYPE, "marked"),
        ],
    )
    _tar(
        folder / "tar-devices.tar",
        [("main.c", tarfile.CHRTYPE, ""), ("button_future.c", tarfile.FIFOTYPE, "")],
    )
    out, temporary = tmp_path / "out", tmp_path / "tmp"
    temporary.mkdir()
    command = [sys.executable, "-P", "-m", "wakelab", "class", str(folder), "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-c", KEEPER, *command, "--jobs", "2"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONUTF8": "1", "TMPDIR": str(temporary)},
        timeout=300,
        start_new_session=True,
    )
    said = {str(path): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    said["the terminal"] = done.stdout
    assert done.returncode in (0, 1), done.stdout.decode()
    assert canaries.breaches(said) == []
    assert list(temporary.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["class", "out", "outside", "tmp"]
    for name, data in said.items():
        bad = {c for c in data.decode() if not c.isprintable() and c not in "\n\r\t"}
        assert not bad, f"{name} holds {bad}"
    assert b"<script>alert" not in said[str(out / "index.html")]
    rows = list(csv.DictReader(io.StringIO(said[str(out / "summary.csv")].decode())))
    assert not any(str(cell).startswith(("=", "+", "@")) for row in rows for cell in row.values())
    points = {row["name"]: row["points"] for row in rows}
    assert points["honest"] == "100"
    for name in ("links", "bomb", "twice", "tar-links", "tar-devices"):
        assert points[name] == "0", name
