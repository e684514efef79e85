"""Programs that are kept: as if built anew, for the same files only, and never a damaged one."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from test_build import build, make_root

from wakelab.build import Builder, BuildResult
from wakelab.confinement import choose
from wakelab.errors import InfraError
from wakelab.grade import grade_submission
from wakelab.kept_builds import KeptBuild, KeptBuilds
from wakelab.labs import checkout_root, load_lab
from wakelab.report import CompilerMessage, to_json
from wakelab.stages import Ahead
from wakelab.submission import collect
from wakelab.toolchain import Toolchain, find_toolchain

WARNING = CompilerMessage(
    "main.c", 3, 5, "warning", "unused variable \u2019x\u2019 [-Wunused]", "Og"
)
KEPT = KeptBuild(b"\x7fELF\n\n\x00\xff", (WARNING,))

UNUSED = "void unused(void); void unused(void) { int kept; }\n"


# ---- the folder ----------------------------------------------------------------------------------


def test_what_is_kept_is_found_as_it_was(tmp_path: Path) -> None:
    kept = KeptBuilds(tmp_path / "new" / "folder")
    assert not kept.has("a") and kept.find("a") is None
    kept.keep("a", KEPT)
    kept.keep("b", KEPT._replace(messages=()))
    assert kept.has("a")
    assert kept.find("a") == KEPT
    assert kept.find("b") == KEPT._replace(messages=())


def test_no_damaged_one_is_found(tmp_path: Path) -> None:
    kept = KeptBuilds(tmp_path)
    kept.keep("a", KEPT)
    whole = (tmp_path / "a").read_bytes()
    damaged = [whole[:at] for at in range(len(whole))]
    damaged += [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(len(whole))]
    for data in damaged:
        (tmp_path / "a").write_bytes(data)
        assert kept.find("a") is None, data
    (tmp_path / "a").write_bytes(whole)
    assert kept.find("a") == KEPT


def test_the_ones_not_used_for_longest_go(tmp_path: Path) -> None:
    kept = KeptBuilds(tmp_path, most=3)
    for age, key in enumerate("cba"):
        kept.keep(key, KEPT)
        os.utime(tmp_path / key, (age, age))
    assert kept.find("c")
    kept.keep("d", KEPT)
    assert {path.name for path in tmp_path.iterdir()} == {"a", "c", "d"}


def test_where_nothing_can_be_kept_nothing_is_found(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kept = KeptBuilds(tmp_path / "file" / "folder")
    kept.keep("a", KEPT)
    assert not kept.has("a") and kept.find("a") is None


# ---- builds --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def toolchain() -> Toolchain:
    return find_toolchain()


class Checkout:
    """One with a cache, and what a build of its lab gives."""

    def __init__(self, place: Path, toolchain: Toolchain) -> None:
        self.root = make_root(place / "root")
        self._place, self._toolchain = place, toolchain

    def build(self, *, keep: bool = True, sandboxed: bool = True, **changed: str) -> BuildResult:
        cache, sandbox = self._place / "cache", self._toolchain.runner if sandboxed else None
        with Builder(self.root, self._toolchain, cache, sandbox, keep=keep) as builder:
            return build(builder, load_lab(self.root, "08"), self._place / "in", **changed)

    def build_without_compiler(self, *, keep: bool = True, **changed: str) -> BuildResult:
        """Only what is kept can be had so."""
        without = self._toolchain._replace(gcc=Path("/nowhere/gcc"))
        whole, self._toolchain = self._toolchain, without
        try:
            return self.build(keep=keep, **changed)
        finally:
            self._toolchain = whole

    def kept(self) -> list[Path]:
        return sorted((self._place / "cache").glob("built/*"))


@pytest.fixture
def checkout(tmp_path: Path, toolchain: Toolchain) -> Checkout:
    return Checkout(tmp_path, toolchain)


def as_told(result: BuildResult) -> object:
    """Without the paths, which are each builder's own."""
    return [(elf.level, elf.sha256) for elf in result.elfs], replace(result, elfs=())


def test_the_same_files_are_not_compiled_again(checkout: Checkout) -> None:
    anew = checkout.build(future=UNUSED + "int future_init(int x) { return x; }\n")
    assert anew.ok and anew.warnings
    assert len(checkout.kept()) == 4
    again = checkout.build_without_compiler(
        future=UNUSED + "int future_init(int x) { return x; }\n"
    )
    assert as_told(again) == as_told(anew)


def refuses(checkout: Checkout, *, keep: bool = True, **changed: str) -> bool:
    """Whether there has to be a compiler."""
    try:
        return not checkout.build_without_compiler(keep=keep, **changed).ok
    except (InfraError, OSError):
        return True


def test_another_file_is(checkout: Checkout) -> None:
    checkout.build()
    assert not refuses(checkout)
    assert refuses(checkout, main="int main(void) { return 1; }\n")


@pytest.mark.parametrize(
    "name",
    [
        "lab/board/board.h",
        "lab/board/startup.c",
        "lab/board/lm3s6965.ld",
        "solution/04-wakers/waker.c",
    ],
)
def test_so_it_is_where_what_is_given_has_changed(checkout: Checkout, name: str) -> None:
    checkout.build()
    assert not refuses(checkout)
    path = checkout.root / name
    path.write_text(path.read_text() + "\n/* other */\n")
    assert refuses(checkout)


def test_only_who_wants_that_keeps_and_finds(checkout: Checkout) -> None:
    checkout.build(keep=False)
    assert checkout.kept() == []
    checkout.build()
    assert refuses(checkout, keep=False)


def test_outside_a_sandbox_nothing_is_kept(checkout: Checkout) -> None:
    """There a program can have anything of the host in it, which changes behind our back."""
    checkout.build(sandboxed=False)
    assert checkout.kept() == []


def test_what_does_not_build_is_not_kept(checkout: Checkout) -> None:
    assert not checkout.build(main="int main(void) { return missing(); }\n").ok
    assert not checkout.build(main="int main(void) {\n").ok
    assert checkout.kept() == []


def test_a_damaged_one_is_built_anew(checkout: Checkout) -> None:
    anew = checkout.build()
    for path in checkout.kept():
        path.write_bytes(path.read_bytes()[:-1])
    assert as_told(checkout.build()) == as_told(anew)
    assert not refuses(checkout)


# ---- a grading -----------------------------------------------------------------------------------


@pytest.mark.parametrize("two_lanes", [True, False])
def test_a_grading_with_a_kept_build_writes_the_same_report(
    two_lanes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = checkout_root()
    lab = load_lab(root, "01")
    confinement = choose(root, trust=False, own=True)

    def grade() -> str:
        submission = collect(lab, lab.reference)
        return to_json(
            grade_submission(
                root, lab, submission, confinement, two_lanes=two_lanes, keep_builds=True
            )
        )

    monkeypatch.setattr(KeptBuilds, "find", lambda *_: None)
    anew = grade()
    monkeypatch.undo()

    def build_anew(*_: object) -> object:
        raise AssertionError("it is built again")

    monkeypatch.setattr(Builder, "_build_anew", build_anew)
    monkeypatch.setattr(Ahead, "__init__", build_anew)
    assert grade() == anew
