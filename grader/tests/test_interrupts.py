"""Ctrl-C at any time of a command: no traceback, and it does end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_stages import until

from wakelab import __version__
from wakelab.interrupts import PutOff, heard, quiet_until_heard, uninterrupted

HOLDS = """
import importlib, os, sys
os.mkdir({here!r})
with open({fifo!r}) as fifo:
    fifo.read()
sys.path.remove(os.path.dirname(__file__))
del sys.modules[__name__]
importlib.import_module(__name__)
"""
"""A module that says when it is imported, and waits then; at last it is the one that it hides."""


@pytest.mark.parametrize("held", ["argparse", "pathlib", "traceback"])
def test_ctrl_c_while_a_command_is_being_imported_is_quiet(held: str, tmp_path: Path) -> None:
    """It ends by the signal, as a program that does not catch it."""
    process, fifo = _held(held, tmp_path, signal.default_int_handler)
    with process:
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
    assert (process.returncode, said) == (-signal.SIGINT, b"")


def test_where_a_shell_has_it_ignored_it_stays_so(tmp_path: Path) -> None:
    process, fifo = _held("argparse", tmp_path, signal.SIG_IGN)
    with process:
        process.send_signal(signal.SIGINT)
        fifo.write_text("go on")
        said, _ = process.communicate(timeout=20)
    assert (process.returncode, said) == (0, f"wakelab {__version__}\n".encode())


def _held(held: str, tmp_path: Path, sigint: object) -> tuple[subprocess.Popen[bytes], Path]:
    """The command, held where it imports a module of Python's."""
    here, fifo = tmp_path / "here", tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / f"{held}.py").write_text(HOLDS.format(here=str(here), fifo=str(fifo)))
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "wakelab", "--version"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, sigint),  # type: ignore[arg-type]
    )
    until(lambda: here.exists() or process.poll() is not None)
    return process, fifo


@pytest.fixture
def default_action() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGINT, before)


def test_it_is_heard_within_and_not_before_or_after(default_action: None) -> None:
    quiet_until_heard()
    with pytest.raises(KeyboardInterrupt), heard():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL


def test_what_somebody_else_has_set_stays() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        quiet_until_heard()
        with heard():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    with heard():
        assert signal.getsignal(signal.SIGINT) is before


def test_uninterrupted_puts_it_off(default_action: None) -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), heard():
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            steps.append("all of it")
        steps.append("not this")
    assert steps == ["all of it"]


@pytest.fixture
def raising() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _interrupting(*items: int) -> Iterator[int]:
    """The last one does not come."""
    yield from items
    signal.raise_signal(signal.SIGINT)
    yield 0


def test_what_waits_is_interrupted_and_what_is_done_with_an_item_is_not(raising: None) -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), PutOff() as interrupts:
        for item in interrupts.between(iter([1, 2])):
            signal.raise_signal(signal.SIGINT)
            steps.append(item)
    assert steps == [1]
    with pytest.raises(KeyboardInterrupt), PutOff() as interrupts:
        for item in interrupts.between(_interrupting(3, 4)):
            steps.append(item)
    assert steps == [1, 3, 4]


def test_what_is_put_off_is_raised_at_the_end_and_only_once(raising: None) -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt):
        with PutOff():
            signal.raise_signal(signal.SIGINT)
            steps.append("all of it")
        steps.append("not this")
    with PutOff() as interrupts:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupts.take()
        signal.raise_signal(signal.SIGINT)
        for item in interrupts.between(["put away"]):
            steps.append(item)
    assert steps == ["all of it", "put away"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_is_ignored_is_not_put_off() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with PutOff() as interrupts:
            signal.raise_signal(signal.SIGINT)
            assert list(interrupts.between("ab")) == ["a", "b"]
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


UNRAISABLE = """
import signal
from wakelab.interrupts import heard

class Deaf:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

with heard():
    Deaf()
    print("it goes on", flush=True)
"""


def test_where_python_can_raise_nothing_it_ends_all_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNRAISABLE],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert (done.returncode, done.stdout) == (-signal.SIGINT, b"")


def test_other_errors_that_python_cannot_raise_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    hook = sys.unraisablehook
    sys.unraisablehook = lambda what: print(f"told: {what.exc_value}")
    try:
        with heard():
            _Broken()
        assert capsys.readouterr().out == "told: broken\n"
    finally:
        sys.unraisablehook = hook


class _Broken:
    def __del__(self) -> None:
        raise ValueError("broken")
