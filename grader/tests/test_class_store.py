"""What was graded is on disk, whole, and is believed later only as long as it reads as written."""

import errno
import json
import os
import resource
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from wakelab.classes.fingerprint import fingerprint, report_key
from wakelab.classes.store import Cache, Results, write_durably
from wakelab.confinement import Confinement
from wakelab.errors import UserError
from wakelab.labs import checkout_root, load_lab
from wakelab.points import NO_CHANGES, PointsPlan
from wakelab.report import CheckResult, Report, Verdict, make_report, to_json
from wakelab.submission import Problem, Submission

KEY = "ab" * 32


def report(verdict: Verdict = Verdict.PASS) -> Report:
    return make_report("08", "T", "", [CheckResult("a", "A", verdict, 0, 1, seen="x" * 3000)])


def cached(folder: Path) -> Path:
    Cache(folder).put(KEY, report())
    (path,) = folder.rglob("*.json")
    return path


def test_a_report_comes_back_without_a_name(tmp_path: Path) -> None:
    Cache(tmp_path).put(KEY, replace(report(), submission="Ada"))
    assert Cache(tmp_path).get(KEY) == report()
    assert Cache(tmp_path).get("cd" * 32) is None


def test_infra_is_not_kept(tmp_path: Path) -> None:
    Cache(tmp_path).put(KEY, report(Verdict.INFRA))
    assert list(tmp_path.rglob("*.json")) == []


def edited(change: Callable[[dict[str, str]], object]) -> Callable[[bytes], bytes]:
    def edit(data: bytes) -> bytes:
        envelope = json.loads(data)
        change(envelope)
        return json.dumps(envelope).encode()

    return edit


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-200],
        lambda data: data.replace(b"xxx", b"xxy", 1),
        lambda data: b"[" * 100_000,
        lambda data: b"null",
        edited(lambda e: e.update(key="cd" * 32)),
        edited(lambda e: e.update(schema="another")),
        edited(lambda e: e.update(report="{}")),
        edited(lambda e: e.pop("sha256")),
        edited(lambda e: e.update(report=e["report"].replace("pass", "todo"))),
    ],
)
def test_a_damaged_report_is_not_believed(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = cached(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    assert Cache(tmp_path).get(KEY) is None
    Cache(tmp_path).put(KEY, report())
    assert Cache(tmp_path).get(KEY) == report()


def test_a_report_filed_under_another_key_is_not_believed(tmp_path: Path) -> None:
    path = cached(tmp_path)
    other = "cd" * 32
    (tmp_path / "cd").mkdir()
    path.rename(tmp_path / "cd" / f"{other}.json")
    assert Cache(tmp_path).get(other) is None


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    texts = [letter * 100_000 for letter in "ab"]
    write_durably(path, texts[0])
    stop = threading.Event()
    wrong: list[int] = []

    def read() -> None:
        while not stop.is_set():
            if (text := path.read_text()) not in texts:
                wrong.append(len(text))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(30):
        write_durably(path, texts[number % 2])
    stop.set()
    reader.join()
    assert wrong == []
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_and_its_folder_are_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []

    def fsync(descriptor: int) -> None:
        flushed.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))

    monkeypatch.setattr(os, "fsync", fsync)
    write_durably(tmp_path / "file", "x")
    assert len(flushed) == 2
    assert flushed[0].startswith(".file.") and flushed[1] == tmp_path.name


# -- the instructor's folder -----------------------------------------------------------------------


def test_what_is_there_already_is_not_written_again(tmp_path: Path) -> None:
    with Results(tmp_path) as results:
        results.keep("ada", report())
        path = tmp_path / "results/ada.json"
        before = path.stat()
        results.keep("ada", report())
        assert path.stat().st_ino == before.st_ino
        results.keep("ada", report(Verdict.WRONG))
        assert path.read_text() == to_json(report(Verdict.WRONG))


def test_reports_of_others_go(tmp_path: Path) -> None:
    with Results(tmp_path) as results:
        for key in ("ada", "bob"):
            results.keep(key, report())
        (tmp_path / "results/.ada.json.x7").touch()
        results.forget_others(frozenset({"ada"}))
    assert os.listdir(tmp_path / "results") == ["ada.json"]


def test_one_at_a_time_writes_into_a_folder(tmp_path: Path) -> None:
    with Results(tmp_path), pytest.raises(UserError, match="another grading"):
        Results(tmp_path)
    Results(tmp_path).close()


@pytest.mark.parametrize("place", ["/proc/nowhere", "/dev/null/x", "/sys/kernel/x"])
def test_a_folder_that_cannot_be_written_is_named_before_anything_is_graded(place: str) -> None:
    with pytest.raises(UserError, match="results cannot be written") as caught:
        Results(Path(place))
    assert caught.value.where == place and "OUT=" in caught.value.next_step


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Results(tmp_path) as results:
        results.keep("ada", report())

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="No space left on device") as caught:
            results.keep("bob", report())
    assert "not graded again" in caught.value.next_step
    assert os.listdir(tmp_path / "results") == ["ada.json"], "nothing half-written"


def test_the_kernel_refuses_to_write_on(tmp_path: Path) -> None:
    """The same with a write that the kernel really cuts off in the middle."""
    with Results(tmp_path) as results:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
        try:
            with pytest.raises(UserError, match="File too large"):
                results.keep("bob", report())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path / "results") == []


# -- what a report is filed under ------------------------------------------------------------------


def test_whatever_decides_a_verdict_is_in_the_key() -> None:
    one = Submission("a", (), "11", None)
    plan = PointsPlan({"a": 1}, (), "", "22")
    keys = [
        report_key("f", one, (), NO_CHANGES),
        report_key("g", one, (), NO_CHANGES),
        report_key("f", replace(one, sha256="12"), (), NO_CHANGES),
        report_key("f", one, ("pairs",), NO_CHANGES),
        report_key("f", one, (), plan),
        report_key("f", replace(one, problem=Problem("what", "next")), (), NO_CHANGES),
        report_key("f", replace(one, problem=Problem("that", "next")), (), NO_CHANGES),
    ]
    assert len(set(keys)) == len(keys)
    assert report_key("f", replace(one, name="b"), (), NO_CHANGES) == keys[0]
    both = [report_key("f", one, modes, NO_CHANGES) for modes in (("a", "b"), ("b", "a"))]
    assert both[0] == both[1]


@pytest.mark.parametrize(
    "tool", ["wakelab.classes.fingerprint._qemu_version", "platform.python_version"]
)
def test_tools_are_in_the_fingerprint(monkeypatch: pytest.MonkeyPatch, tool: str) -> None:
    root = checkout_root()
    lab = load_lab(root, "08")
    inside = Confinement("bubblewrap 1", None)
    before = fingerprint(root, lab, inside)
    assert fingerprint(root, lab, inside) == before
    assert fingerprint(root, lab, Confinement("none", None)) != before
    monkeypatch.setattr(tool, lambda: "another")
    assert fingerprint(root, lab, inside) != before
