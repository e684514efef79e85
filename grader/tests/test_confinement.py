"""Which sandbox a submission gets, who is refused, and in what words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from wakelab import confinement as module
from wakelab.cli import main
from wakelab.confinement import (
    ABSENT,
    TRUSTED,
    NoSandbox,
    _folders_of,
    _is_real_root,
    _why_not,
    choose,
    find_bubblewrap,
    is_own,
)
from wakelab.labs import checkout_root, load_lab
from wakelab.toolchain import find_toolchain

ROOT = checkout_root()
LAB = load_lab(ROOT, "08")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A submission that is none of this checkout's."""
    folder = tmp_path / "foreign"
    folder.mkdir()
    for name in LAB.files:
        shutil.copy(LAB.directory / name, folder)
    return folder


@pytest.fixture
def no_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.setattr(
        module,
        "find_bubblewrap",
        lambda root, meanwhile: find_bubblewrap(root, "darwin", meanwhile),
    )


@pytest.fixture
def no_bwrap(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a Debian without the package."""
    which = shutil.which
    monkeypatch.setattr(
        module.shutil, "which", lambda name, *rest: None if name == "bwrap" else which(name, *rest)
    )


def test_what_is_own() -> None:
    assert is_own(ROOT, ROOT)
    assert is_own(ROOT, LAB.directory) and is_own(ROOT, LAB.reference)
    assert not is_own(ROOT, ROOT / "submissions" / "alice")
    assert not is_own(ROOT, ROOT / "lab" / "08-button-future" / "alice")
    assert not is_own(ROOT, ROOT.parent)


def test_a_link_does_not_make_foreign_code_own(tmp_path: Path, foreign: Path) -> None:
    (tmp_path / "root" / "lab").mkdir(parents=True)
    (tmp_path / "root" / "lab" / "08-x").symlink_to(foreign)
    assert not is_own(tmp_path / "root", tmp_path / "root" / "lab" / "08-x")


# -- without namespaces ----------------------------------------------------------------------------


@pytest.mark.usefixtures("no_namespaces")
def test_foreign_code_is_refused_and_own_code_is_not() -> None:
    with pytest.raises(NoSandbox, match="no namespaces") as refused:
        choose(ROOT, trust=False, own=False)
    assert "--trust-this-code" in refused.value.next_step
    own = choose(ROOT, trust=False, own=True)
    assert (own.name, own.bubblewrap) == (ABSENT, None)
    assert "\n" not in own.notice and "no sandbox here" in own.notice


@pytest.mark.usefixtures("no_bwrap")
@pytest.mark.parametrize("own", [False, True])
def test_a_package_that_is_missing_is_to_be_installed(own: bool) -> None:
    with pytest.raises(NoSandbox, match="not installed") as refused:
        choose(ROOT, trust=False, own=own)
    assert "make setup" in refused.value.next_step


@pytest.mark.usefixtures("no_namespaces")
def test_trust_is_loud_and_in_the_name() -> None:
    trusting = choose(ROOT, trust=True, own=False)
    assert trusting.trusting and trusting.name == TRUSTED
    assert "--trust-this-code" in trusting.notice


COMMANDS = [
    ["grade", "FOREIGN"],
    ["script", "SCRIPT", "--submission", "FOREIGN"],
    ["sweep", "FOREIGN"],
    ["replay", "08:Og:1:1", "FOREIGN"],
    ["class", "FOREIGN"],
    ["verify", "REPORT", "FOREIGN"],
]


@pytest.mark.usefixtures("no_namespaces")
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command[0]))
def test_every_command_refuses_foreign_code(
    command: list[str],
    foreign: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wakelab.schedule.parse_id", lambda text: type("S", (), {"lab": "08"}))
    script = tmp_path / "script.yaml"
    script.write_text("wakelab: 1\nname: one\nsteps:\n  - wait: asleep\n")
    places = {"FOREIGN": str(foreign), "SCRIPT": str(script), "REPORT": str(tmp_path / "r.json")}
    assert main([places.get(word, word) for word in command]) == 2
    told = capsys.readouterr()
    assert "which the sandbox for foreign code is made of" in told.err
    assert "--trust-this-code" in told.err
    assert told.out == ""


@pytest.mark.usefixtures("no_namespaces")
def test_the_own_exercise_is_graded_with_a_line_of_notice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["grade", "--out", str(tmp_path)]) == 1
    notice = capsys.readouterr().err
    assert notice.startswith("wakelab: no sandbox here") and notice.count("\n") == 1
    assert json.loads((tmp_path / "report.json").read_text())["versions"]["sandbox"] == ABSENT


@pytest.mark.usefixtures("no_namespaces")
def test_trusted_code_is_graded_loudly(
    foreign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["grade", "--trust-this-code", str(foreign), "--out", str(tmp_path)]) == 1
    assert "no sandbox. What was handed in may read" in capsys.readouterr().err
    assert json.loads((tmp_path / "report.json").read_text())["versions"]["sandbox"] == TRUSTED


# -- why it does not work --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "cause", "remedy"),
    [
        ("user/max_user_namespaces", "0\n", "turned off", "sysctl user.max_user_namespaces"),
        ("kernel/unprivileged_userns_clone", "0\n", "root only", "unprivileged_userns_clone=1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1\n", "AppArmor", "security.md"),
    ],
)
def test_the_setting_that_forbids_it_is_named(
    tmp_path: Path, name: str, value: str, cause: str, remedy: str
) -> None:
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text(value)
    told = _why_not("bwrap: setting up uid map: Permission denied", tmp_path, tmp_path)
    assert cause in told[0] and remedy in told[1]


def test_a_container_is_named(tmp_path: Path) -> None:
    assert "container" not in _why_not("bwrap: no", tmp_path, tmp_path)[0]
    (tmp_path / ".dockerenv").touch()
    cause, remedy = _why_not("bwrap: no", tmp_path, tmp_path)
    assert "container" in cause and "bwrap: no" in cause
    assert "seccomp=unconfined" in remedy


def test_a_bwrap_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text(
        "#!/bin/sh\n"
        '[ "$1" = --version ] && echo bubblewrap 0.8.0 && exit\n'
        "echo bwrap: Creating new namespace failed: Operation not permitted >&2; exit 1\n"
    )
    fake.chmod(0o755)
    monkeypatch.setattr(module.shutil, "which", lambda name: str(fake))
    monkeypatch.setattr(module, "_why_not", lambda said: (said, "the remedy"))
    with pytest.raises(NoSandbox) as refused:
        find_bubblewrap(ROOT)
    assert "Creating new namespace failed" in str(refused.value)
    assert "the remedy" in str(refused.value)


@pytest.mark.parametrize(
    ("uid_map", "user", "real"),
    [
        ("0 0 4294967295\n", 0, True),
        ("0 0 4294967295\n", 1000, False),
        ("0 100000 65536\n", 0, False),
    ],
    ids=["root", "user", "root of a container"],
)
def test_real_root(
    tmp_path: Path, uid_map: str, user: int, real: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uid_map").write_text(uid_map)
    monkeypatch.setattr(module.os, "geteuid", lambda: user)
    assert _is_real_root(tmp_path / "uid_map") == real


def test_a_compiler_outside_the_systems_folders_is_shown_with_what_it_searches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the folder above its bin: that may be somebody's home."""
    real = shutil.which("arm-none-eabi-gcc")
    wrapper = tmp_path / "bin" / "arm-none-eabi-gcc"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    assert _folders_of(find_toolchain()) == []
    monkeypatch.setenv("PATH", str(wrapper.parent), prepend=":")
    folders = _folders_of(find_toolchain())
    assert any((folder / "cc1").exists() for folder in folders)
    assert tmp_path not in folders
