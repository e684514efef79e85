"""The machine of a subject: which program is on it, whatever goes wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wakebench.board import Board
from wakebench.core import Core
from wakebench.errors import BenchError
from wakebench.machine import Machine, find_qemu
from wakelab.build import LEVELS, MAIN_LEVEL, Builder
from wakelab.labs import checkout_root, load_lab
from wakelab.subject import Subject
from wakelab.submission import collect
from wakelab.toolchain import find_toolchain

ROOT = checkout_root()
LAB = load_lab(ROOT, "08")


@pytest.fixture
def subject() -> Iterator[Subject]:
    submission = collect(LAB, LAB.reference)
    with (
        Builder(ROOT, find_toolchain()) as builder,
        Subject(LAB, submission, builder.build(LAB, submission), find_qemu()) as made,
    ):
        yield made


def press(board: Board) -> str:
    """What a press comes to."""
    board.wait_asleep()
    board.press("SELECT")
    board.wait_asleep()
    assert board.trace.lines() == ["Interrupt fired!"]
    return board.trace.digest()


def machines(monkeypatch: pytest.MonkeyPatch) -> list[Machine]:
    """Those that are started from now on."""
    started: list[Machine] = []
    start = Machine.__init__

    def counted(machine: Machine, *rest: object) -> None:
        started.append(machine)
        start(machine, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Machine, "__init__", counted)
    return started


def test_what_was_just_done_is_not_done_again(subject: Subject) -> None:
    done: list[str] = []

    def pressed(what: str) -> str:
        def run(board: Board) -> None:
            done.append(what)
            press(board)

        board, ended = subject.after(what, run)
        assert ended is None and board.trace.lines() == ["Interrupt fired!"]
        return subject.take_digest()

    first = pressed("one")
    assert (pressed("one"), done) == (first, ["one"]), "nor does it leave another trace"
    assert (pressed("other"), done) == (first, ["one", "other"])
    subject.board()  # somebody else's: what is on it is not known any more
    subject.take_digest()
    assert (pressed("other"), done) == (first, ["one", "other", "other"])


def test_every_level_on_one_machine(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    started = machines(monkeypatch)
    once = {level: press(subject.board(level)) for level in LEVELS}
    assert {level: press(subject.board(level)) for level in reversed(LEVELS)} == once
    assert len(set(once.values())) == len(LEVELS)
    assert subject.latest_level == LEVELS[0]
    assert len(started) == 1, "the first is asked for at another level than the machine began with"


def test_a_program_that_was_written_by_half_is_not_used(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = press(subject.board("O2"))
    reprogram = Core.reprogram

    def half(core: Core, flash: bytes) -> Machine:
        reprogram(core, flash[: len(flash) // 2].ljust(len(flash), b"\0"))
        raise BenchError("half of it")

    press(subject.board())
    with monkeypatch.context() as patched:
        patched.setattr(Core, "reprogram", half)
        with pytest.raises(BenchError, match="half of it"):
            subject.board("O2")
    started = machines(monkeypatch)
    assert press(subject.board("O2")) == whole
    assert len(started) == 1


def test_a_machine_that_nobody_trusts_is_replaced(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = press(subject.board())
    started = machines(monkeypatch)
    subject.distrust_machine()
    assert press(subject.board(MAIN_LEVEL)) == before
    assert len(started) == 1
