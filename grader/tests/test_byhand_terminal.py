"""The board at the terminal: keys in, a screen out; and nothing is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from test_byhand import LAB, wrong
from test_byhand_page import program_that_says
from test_watch import Terminal, plain, terminals

from wakelab.byhand import names
from wakelab.byhand.names import how_to_play, keep_script
from wakelab.errors import UserError
from wakelab.labs import checkout_root

__all__ = ["terminals"]  # the fixture

SLEEPS = "asleep"
KEYS = "q quit"
Open = Callable[..., Terminal]


def argv(folder: Path = LAB.reference) -> list[str]:
    return [sys.executable, "-P", "-m", "wakelab", "run", "--ui", "terminal", str(folder)]


def last(words: str) -> str:
    """The last screen."""
    return words[words.rindex("\nLab ") :]


def until_screen(terminal: Terminal, *texts: str) -> str:
    """Wait for a whole screen with all of these; it."""

    def there(words: str) -> bool:
        if "\nLab " not in words or KEYS not in last(words):
            return False
        return all(text in last(words) for text in texts)

    return last(terminal.until(there))


def test_keys_press_and_a_script_is_kept(
    terminals: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = terminals(argv())
    until_screen(terminal, SLEEPS, "LED off")
    terminal.press("\r")
    until_screen(terminal, "Interrupt fired!", " SELECT ")
    terminal.press("h\x1b[A")
    until_screen(terminal, "[UP]", "again releases")
    terminal.press("\x1b[A")
    until_screen(terminal, " UP ")
    terminal.press("hp")
    until_screen(terminal, "asleep, paused")
    terminal.press("\n")
    terminal.press("s")
    until_screen(terminal, "paused", "interrupts.h:")
    terminal.press("+++-")
    until_screen(terminal, "again: 5 instructions later")
    terminal.press("w")
    shown = until_screen(terminal, "played again by: make script LAB=08 SCRIPT=build/scripts/08-")
    path = Path(checkout_root(), shown.split("SCRIPT=")[1].split()[0])
    try:
        text = path.read_text()
        assert "press: SELECT" in text and "press: UP" in text and "instructions: 1" in text
        terminal.press("r")
        until_screen(terminal, "0 ms  asleep")
        terminal.press("q")
        assert terminal.ends() == 0
        assert terminal.is_as_before()
        assert f"SCRIPT={path.relative_to(checkout_root())}" in plain(terminal.said)
    finally:
        path.unlink()


def test_slow_motion_and_again(terminals: Open) -> None:
    terminal = terminals(argv())
    until_screen(terminal, SLEEPS)
    terminal.press("a")
    until_screen(terminal, "Interrupt fired!", SLEEPS, " SELECT ", "0→1  (unsensed)\n the console")
    terminal.press("m ")
    until_screen(terminal, "running slowly")
    terminal.press("m")
    until_screen(terminal, SLEEPS)


def test_what_ended_says_why_and_restarts(terminals: Open, tmp_path: Path) -> None:
    terminal = terminals(argv(wrong("loops-in-main", tmp_path)))
    until_screen(terminal, "ended", "6000000 instructions in", "r restarts")
    terminal.press("R")
    until_screen(terminal, "paused", "Reset")


@pytest.mark.parametrize(("rows", "columns"), [(24, 80), (12, 40), (50, 160)])
def test_it_fits(terminals: Open, rows: int, columns: int) -> None:
    terminal = terminals(argv(), rows=rows, columns=columns, NO_COLOR="1")
    terminal.until(lambda words: SLEEPS in words)
    terminal.press("\r")
    words = last(terminal.until(lambda words: "fired!" in words and "\nLab " in words))
    assert all(len(line) < columns for line in words.splitlines())
    assert len(words.splitlines()) <= rows + 1
    assert not re.search(rb"\x1b\[(?:[0-9;]*;)?3[0-7]m", terminal.said), "no colour"


def test_hostile_output_is_spelled_out(terminals: Open, tmp_path: Path) -> None:
    says = r'info("\x1b[2J\x07" "cleared");'
    terminal = terminals(argv(program_that_says(says, tmp_path)))
    until_screen(terminal, r"\x1b[2J\x07cleared")
    assert b"\x07" not in terminal.said and b"\x1b[2J" not in terminal.said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_signals_end_it_and_nothing_is_left(
    number: signal.Signals, terminals: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    terminal = terminals(argv(), TMPDIR=str(temporary))
    until_screen(terminal, SLEEPS)
    assert list(temporary.iterdir())
    terminal.process.send_signal(number)
    if number is signal.SIGKILL:
        terminal.process.wait()
    else:
        assert terminal.ends() == 128 + number
        assert terminal.is_as_before()
        assert list(temporary.iterdir()) == []


def test_ctrl_c_is_a_key_and_a_terminal_that_goes_ends_it(terminals: Open) -> None:
    terminal = terminals(argv())
    until_screen(terminal, SLEEPS)
    terminal.press("\x03")
    assert terminal.ends() == 0
    terminal = terminals(argv())
    until_screen(terminal, SLEEPS)
    terminal.hang_up()
    assert terminal.process.wait(60) == 129


def test_without_a_terminal_it_says_what_to_do_instead() -> None:
    done = subprocess.run(argv(), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no terminal here" in done.stderr and "make script" in done.stderr
    assert "Traceback" not in done.stderr


# -- where scripts are kept ------------------------------------------------------------------------


def test_a_name_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    first = keep_script(tmp_path, LAB, "one")
    second = keep_script(tmp_path, LAB, "two")
    assert (first.read_text(), second.read_text()) == ("one", "two")
    assert how_to_play(tmp_path, LAB, None, second) == (
        "make script LAB=08 SCRIPT=build/scripts/08-2.yaml"
    )
    assert how_to_play(tmp_path, LAB, Path("a b"), second).endswith(" SUBMISSION='a b'")


def test_no_script_is_left_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise UserError("no space left")

    monkeypatch.setattr(names, "write_atomically", full)
    with pytest.raises(UserError, match="no space"):
        keep_script(tmp_path, LAB, "text")
    assert list((tmp_path / "build/scripts").iterdir()) == []
    monkeypatch.setattr(names, "MOST_FILES", 1)
    with pytest.raises(UserError, match="too many"):
        keep_script(tmp_path, LAB, "text")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_where_nothing_can_be_written_it_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written"):
        keep_script(tmp_path, LAB, "text")
