"""The autograder for Gradescope, from outside: packed, unpacked, and run as Gradescope runs it."""

import io
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from wakelab.autograder.bundle import Autograder, pack
from wakelab.cli import main
from wakelab.confinement import choose
from wakelab.errors import UserError
from wakelab.formats.format import Surroundings
from wakelab.formats.registry import convert, format_named
from wakelab.grade import grade
from wakelab.labs import checkout_root, load_lab
from wakelab.provenance import grader_hash, lab_hash

ROOT = checkout_root()
LAB = load_lab(ROOT, "08")
WRONG = ROOT / "grader/corpus/08-button-future/wrong/check-then-register"
SCHEMA = json.loads((Path(__file__).parent / "schemas/gradescope.schema.json").read_text())


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git checkout of what this one holds, and something that git does not track."""
    root = tmp_path_factory.mktemp("checkout") / "wake lab ü"
    ignored = shutil.ignore_patterns("__pycache__", "corpus", "build", ".*")
    for part in ("lab", "solution", "qemu", "grader"):
        shutil.copytree(ROOT / part, root / part, ignore=ignored)
    for name in ("LICENSE", "Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, root)
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=root, check=True, stdin=subprocess.DEVNULL)
    (root / "lab" / LAB.slug / "answers.c").write_text("int main(void) { return 42; }\n")
    (root / "grader" / "wakelab" / "notes.txt").write_text("marks of last year\n")
    return root


@pytest.fixture(scope="module")
def packed(checkout: Path) -> bytes:
    return pack(checkout, load_lab(checkout, "08"), Autograder())


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {info.filename: archive.read(info) for info in archive.infolist()}


# ---- the zip -------------------------------------------------------------------------------------


def test_the_same_checkout_gives_the_same_bytes(checkout: Path, packed: bytes) -> None:
    for path in checkout.rglob("*.py"):
        os.utime(path, (1, 1))
    assert pack(checkout, load_lab(checkout, "08"), Autograder()) == packed


def test_the_zip_holds_what_grading_takes_and_nothing_else(packed: bytes) -> None:
    names = set(members(packed))
    assert {"setup.sh", "run_autograder", "wakelab/grader/setup.sh", "wakelab/Makefile"} <= names
    assert "wakelab/solution/05-executor/executor.c" in names
    for part in ("answers.c", "notes.txt", "/tests/", f"solution/{LAB.slug}", ".git/"):
        assert not [name for name in names if part in name], part


def test_what_gradescope_starts_can_be_started(packed: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        for name in ("setup.sh", "run_autograder"):
            info = archive.getinfo(name)
            assert stat.S_IMODE(info.external_attr >> 16) == 0o755
            assert archive.read(info).startswith(b"#!/bin/sh\n")
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_wishes_are_baked_in_only_when_asked_for(checkout: Path, packed: bytes) -> None:
    plain = members(packed)
    assert plain["arguments"] == b"--lab\n08\n" and "points.toml" not in plain
    points = checkout.parent / "points.toml"
    points.write_text("[points]\nhost = 7\n")
    wish = Autograder(points, sweep=("triples",), trust=True)
    asked = members(pack(checkout, load_lab(checkout, "08"), wish))
    assert asked["arguments"] == b"--lab\n08\n--sweep\ntriples\n--trust-this-code\n"
    assert asked["points.toml"] == points.read_bytes()


def test_wrong_points_are_told_before_anything_is_uploaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points, out = tmp_path / "points.toml", tmp_path / "out.zip"
    points.write_text("[points]\nhots = 7\n")
    assert main(["gradescope-zip", "--points", str(points), "--out", str(out)]) == 2
    assert "points.hots" in capsys.readouterr().err
    assert not out.exists()


def test_where_there_is_no_git_checkout_it_is_told(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "copy"
    shutil.copytree(checkout, root, ignore=shutil.ignore_patterns(".git"))
    monkeypatch.setenv("GIT_DIR", str(checkout / ".git"))  # has no say
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(UserError, match="git"):
        pack(root, load_lab(root, "08"), Autograder())


# ---- run as Gradescope runs it -------------------------------------------------------------------


class Container:
    """The folders that Gradescope makes, with the zip unpacked and set up.

    The packages are those of the tests: setting up downloads them, and is not tried here.
    """

    def __init__(self, place: Path, data: bytes) -> None:
        self.root = place / "autograder"
        self.source = self.root / "source"
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                path = Path(archive.extract(info, self.source))
                path.chmod(info.external_attr >> 16)
        (self.source / "wakelab/.venv").symlink_to(sys.prefix)
        self.results = self.root / "results/results.json"
        self.submission = self.root / "submission"

    def hand_in(self, *folders: Path) -> None:
        shutil.rmtree(self.submission, ignore_errors=True)
        self.submission.mkdir(parents=True)
        for folder in folders:
            for name in LAB.files:
                if (folder / name).is_file():
                    shutil.copy(folder / name, self.submission)

    def run(
        self, script: str = "run_autograder", **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(self.source / script)],
            env={**os.environ, "AUTOGRADER_ROOT": str(self.root), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def page(self) -> Any:
        page = json.loads(self.results.read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator(SCHEMA).validate(page)
        assert [path.name for path in self.results.parent.iterdir()] == ["results.json"]
        return page


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory, packed: bytes) -> Container:
    return Container(tmp_path_factory.mktemp("gradescope"), packed)


def graded_here(folder: Path) -> str:
    report = grade(ROOT, LAB, folder, choose(ROOT, trust=False, own=False))
    return convert(report, format_named("gradescope"), Surroundings())


@pytest.mark.parametrize("wrong", [None, WRONG], ids=["reference", "wrong"])
def test_it_grades_as_this_checkout_does(container: Container, wrong: Path | None) -> None:
    container.hand_in(LAB.reference, *([wrong] if wrong else []))
    done = container.run()
    assert done.returncode == 0, done.stderr
    assert container.results.read_text(encoding="utf-8") == graded_here(container.submission)
    page = container.page()
    points = sum(test["score"] for test in page["tests"])
    assert points == 100 if wrong is None else 0 < points < 100
    assert page["extra_data"]["hashes"]["grader"] == grader_hash(ROOT, LAB)
    assert page["extra_data"]["hashes"]["lab"] == lab_hash(ROOT, LAB)


def test_what_is_in_the_zip_grades_and_not_what_is_installed(tmp_path: Path, packed: bytes) -> None:
    container = Container(tmp_path, packed)
    container.hand_in(LAB.reference)
    path = container.source / "wakelab/grader/checks" / LAB.slug / "check_button_future.py"
    text = path.read_text()
    assert '"It compiles and links"' in text
    path.write_text(text.replace('"It compiles and links"', '"It is the one in the zip"'))
    assert container.run().returncode == 0
    assert container.page()["tests"][0]["name"] == "It is the one in the zip"


def test_an_empty_submission_is_told_so(container: Container) -> None:
    container.hand_in()
    assert container.run().returncode == 0
    page = container.page()
    assert page["extra_data"]["verdict"] == "build"
    assert "hand in" in page["tests"][0]["output"]


def path_without(tmp_path: Path, *missing: str) -> str:
    """A PATH on which some programs are not."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for program in Path(place).glob("*"):
            if program.name not in missing and not (folder / program.name).exists():
                (folder / program.name).symlink_to(program)
    return str(folder)


def test_where_it_cannot_grade_it_says_so_in_words(container: Container, tmp_path: Path) -> None:
    container.hand_in(LAB.reference)
    done = container.run(PATH=path_without(tmp_path, "qemu-system-arm"))
    assert done.returncode == 2
    page = container.page()
    assert page["extra_data"]["verdict"] == "infra" and page["score"] == 0
    assert "could not grade" in page["output"] and "qemu" in page["output"].lower()
    assert "Traceback" not in page["output"]


@pytest.mark.parametrize("trust", [False, True])
def test_without_a_sandbox_it_refuses_in_words_unless_told(
    tmp_path: Path, checkout: Path, trust: bool
) -> None:
    data = pack(checkout, load_lab(checkout, "08"), Autograder(trust=trust))
    container = Container(tmp_path, data)
    container.hand_in(LAB.reference)
    done = container.run(PATH=path_without(tmp_path, "bwrap"))
    page = container.page()
    assert (done.returncode == 0) == trust, done.stderr
    if trust:
        assert sum(test["score"] for test in page["tests"]) == 100
        assert page["extra_data"]["versions"]["sandbox"].startswith("none")
    else:
        assert page["extra_data"]["verdict"] == "infra"
        assert "bubblewrap" in page["output"] and "TRUST=1" in page["output"]


def test_where_python_is_missing_it_says_so_in_words(tmp_path: Path, packed: bytes) -> None:
    container = Container(tmp_path, packed)
    container.hand_in(LAB.reference)
    (container.source / "wakelab/.venv").unlink()
    done = container.run()
    assert done.returncode not in (0, 1)
    assert "nothing was graded" in container.page()["output"]


def test_a_wakelab_that_does_not_start_is_no_graded_submission(
    tmp_path: Path, packed: bytes
) -> None:
    container = Container(tmp_path, packed)
    container.hand_in(LAB.reference)
    (container.source / "wakelab/grader/wakelab/__main__.py").write_text("import nothing_like_it\n")
    done = container.run()
    assert done.returncode == 2 and "nothing_like_it" in done.stderr
    assert "nothing was graded" in container.page()["output"]


@pytest.mark.parametrize("works", [True, False])
def test_setting_up_tries_the_autograder_once(tmp_path: Path, packed: bytes, works: bool) -> None:
    container = Container(tmp_path, packed)
    asked = tmp_path / "asked"
    (container.source / "wakelab/grader/setup.sh").write_text(f'pwd >"{asked}"\n')
    path = os.environ["PATH"] if works else path_without(tmp_path, "qemu-system-arm")
    done = container.run("setup.sh", PATH=path)
    assert done.returncode == 0, done.stderr
    assert asked.read_text().strip() == str(container.source / "wakelab")
    assert ("is ready" in done.stdout) == works
    assert ("WARNING" in done.stderr) == (not works)
    assert not container.results.exists()


def test_a_setup_that_fails_is_not_hidden(tmp_path: Path, packed: bytes) -> None:
    container = Container(tmp_path, packed)
    (container.source / "wakelab/grader/setup.sh").write_text("echo too old >&2; exit 1\n")
    done = container.run("setup.sh")
    assert done.returncode == 1 and "too old" in done.stderr
