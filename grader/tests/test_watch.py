"""`wakelab watch`, in a terminal and without one: what it shows, and that nothing is left of it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO, StringIO, TextIOWrapper
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

import pytest
from rich.console import Console
from test_stages import ENDLESS, assemblers, below, until

from wakebench.errors import BenchError
from wakelab.child import Child
from wakelab.cli import main
from wakelab.errors import UserError
from wakelab.labs import checkout_root, load_lab
from wakelab.lanes import can_have_two
from wakelab.report import CheckResult, CompilerMessage, Report, Verdict, make_report
from wakelab.signals import ENDING, OTHERS, Signals
from wakelab.watch import command
from wakelab.watch.command import Wish, next_lab, watch
from wakelab.watch.grading import Grading, Outcome
from wakelab.watch.saves import SETTLE_S, Saves
from wakelab.watch.screen import View, line_of, screen_of

ROOT = checkout_root()
LAB = load_lab(ROOT, "08")
WRONG = ROOT / "grader" / "corpus" / LAB.slug / "wrong"
PATIENCE_S = 60.0

FULL = "100 of 100 points"
KEYS = "h hint  n next lab  r report  q quit"
GRADED = re.compile(r"graded at \d\d:\d\d:\d\d, in \d+\.\d s")

pytestmark = pytest.mark.skipif(not can_have_two(), reason="processes are seen in /proc")


@pytest.fixture
def submission(tmp_path: Path) -> Path:
    """The reference, to be edited."""
    folder = tmp_path / "mine"
    shutil.copytree(LAB.reference, folder)
    return folder


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what is started leaves temporary files."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def save(path: Path, content: str) -> None:
    """As editors do: a new file in the old one's place."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(content, encoding="utf-8")
    new.replace(path)


def reference(name: str, comment: str = "") -> str:
    return (LAB.reference / name).read_text(encoding="utf-8") + f"/* {comment} */\n"


def wrong(idea: str, name: str) -> str:
    return (WRONG / idea / name).read_text(encoding="utf-8")


def argv(submission: Path, out: Path) -> list[str]:
    return [sys.executable, "-P", "-m", "wakelab", "watch", "--out", str(out), str(submission)]


class Terminal:
    """A terminal, and what runs in it as a shell would have it."""

    def __init__(
        self,
        command: list[str],
        rows: int = 24,
        columns: int = 80,
        stderr: IO[str] | None = None,
        **env: str,
    ) -> None:
        self._ours, self.theirs = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.theirs)
        self.said = b""
        self.process = subprocess.Popen(
            command,
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=stderr or self.theirs,
            env={**os.environ, "TERM": "xterm-256color", **env},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def resize(self, rows: int, columns: int) -> None:
        """And whoever has the terminal is told by the kernel."""
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys: str) -> None:
        """From here on, only what is said from now on counts."""
        self.said = b""
        os.write(self._ours, keys.encode())

    def until(self, there: Callable[[str], bool]) -> str:
        """Read until it is; what was said since the last key or save."""
        latest = time.monotonic() + PATIENCE_S
        while not there(words := plain(self.said)):
            assert time.monotonic() < latest, f"not shown, but:\n{words}"
            if select.select([self._ours], [], [], PATIENCE_S)[0]:
                self.said += os.read(self._ours, 1 << 16)
        return words

    def shows(self, *texts: str) -> str:
        """Wait for all of these."""
        return self.until(lambda words: all(text in words for text in texts))

    def verdict(self) -> str:
        """Wait for the next; the screen with it."""

        def is_whole(words: str) -> bool:
            found = GRADED.search(screen(words))
            return found is not None and KEYS in screen(words)[found.end() :]

        def screen(words: str) -> str:
            """The last of them; of one that had begun before, nothing."""
            return words[begin:] if (begin := words.rfind("\nLab ")) >= 0 else ""

        return screen(self.until(is_whole))

    def save(self, path: Path, content: str) -> None:
        """And what was said until now counts no more."""
        self.drain()
        self.said = b""
        save(path, content)

    def drain(self) -> None:
        """Take what is there."""
        while select.select([self._ours], [], [], 0)[0]:
            self.said += os.read(self._ours, 1 << 16)

    def ends(self) -> int:
        """Wait for it, and take what it says; its exit code."""
        latest = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < latest, "it does not end"
            if select.select([self._ours], [], [], 0.01)[0]:
                self.said += os.read(self._ours, 1 << 16)
        self.drain()
        return self.process.returncode

    def is_as_before(self) -> bool:
        """Whether its modes are."""
        return termios.tcgetattr(self.theirs) == self.before

    def hang_up(self) -> None:
        """The connection is lost, the window closed."""
        os.close(self._ours)
        os.close(self.theirs)
        self._ours = -1

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        if self._ours >= 0:
            self.hang_up()


_MOVES = re.compile(r"\x1b\[\d+;\d+H|\x1b\[H")
_OTHERS = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?(?:1049|25)[hl]")


def plain(said: bytes) -> str:
    """Without what we tell the terminal; a line for each line of the screen. What anybody else
    would tell it is left."""
    text = _OTHERS.sub("", _MOVES.sub("\n", said.decode("utf-8", "replace")))
    return "\n".join(line.rstrip() for line in text.splitlines())


@pytest.fixture
def terminals() -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_(*arguments: object, **more: object) -> Terminal:
        opened.append(Terminal(*arguments, **more))  # type: ignore[arg-type]
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


# -- at a terminal ---------------------------------------------------------------------------------


def test_a_session(
    terminals: Callable[..., Terminal], submission: Path, tmp_path: Path, temporary: Path
) -> None:
    """A wrong program, the hint, the report, a right program; and all put away."""
    out, name = tmp_path / "out", "button_future.c"
    save(submission / name, wrong("registers-once", name))
    terminal = terminals(argv(submission, out))
    shown = terminal.verdict()
    assert "✗ One press, one line, at every spacing · asleep" in shown
    assert "6 of 18 checks pass · 1 does not · 11 skipped" in shown
    assert "why       The handler woke the AtomicWaker, and it was empty" in shown
    assert "30 of 100 points  asleep" in shown
    assert "hint      " not in shown
    terminal.press("h")
    assert "hint      A wake uses the registration up" in terminal.shows("hint      ", KEYS)
    terminal.press("h")
    assert "hint      " not in terminal.shows("asleep", KEYS)
    terminal.press("r")
    report = terminal.shows("any key, or the next verdict, leads back")
    assert f"{out}/report.json" in report and "\n    –" not in report
    assert "Next: put the first failed check right" in report
    terminal.press(" ")
    terminal.shows("asleep", KEYS)
    terminal.press("\x1b[A\x1bOq?")  # an arrow, a key of the keypad, one that means nothing
    terminal.press("h")
    terminal.shows("hint      ", KEYS)
    terminal.save(submission / name, wrong("registers-once", name) + "\n")
    assert "hint      " in terminal.verdict(), "the same finding"
    terminal.save(submission / name, "int;")
    shown = terminal.verdict()
    assert "It compiles and links · build" in shown and "hint      " not in shown
    terminal.save(submission / name, reference(name))
    shown = terminal.verdict()
    assert FULL in shown and "✓ Two presses, before any two instructions" in shown
    terminal.press("h")
    terminal.shows("there is no hint to this")
    assert sorted(path.name for path in submission.iterdir()) == sorted(LAB.files)
    terminal.press("q")
    assert terminal.ends() == 0
    assert plain(terminal.said).strip() == "lab 08  100/100  pass"
    assert terminal.said.index(b"\x1b[?1049l") < terminal.said.index(b"lab 08")
    assert terminal.said.rindex(b"\x1b[?25h") > terminal.said.index(b"\x1b[?1049l")
    assert terminal.is_as_before()
    assert list(temporary.iterdir()) == []


def test_it_ends_when_the_terminal_goes(
    terminals: Callable[..., Terminal], submission: Path, tmp_path: Path, temporary: Path
) -> None:
    said = tmp_path / "said"
    with said.open("w") as file:
        terminal = terminals(argv(submission, tmp_path / "out"), stderr=file)
        terminal.verdict()
        terminal.hang_up()
        assert terminal.process.wait(20) == 128 + signal.SIGHUP
    assert said.read_text() == ""
    assert list(temporary.iterdir()) == []


NEXT = """
import sys
from pathlib import Path
from rich.console import Console
from wakelab.caretaker import OwnFolder
from wakelab.confinement import choose
from wakelab.labs import load_lab
from wakelab.watch.command import Wish, watch
root = Path(sys.argv[1])
confinement = choose(root, trust=False, own=True)
with OwnFolder():
    wish = Wish(root, load_lab(root, "08"), None, confinement, lambda lab, report: root)
    sys.exit(watch(wish, Console(highlight=False)))
"""


def test_a_key_leads_to_the_next_lab(terminals: Callable[..., Terminal], tmp_path: Path) -> None:
    """In a checkout with another one, that is done already."""
    with_labs(tmp_path, "08", "09", "10")
    for name in ("lab/board", "lab/async", "solution"):
        (tmp_path / name).symlink_to(ROOT / name)
    for number in ("08", "10"):
        checks = tmp_path / "grader" / "checks" / f"{number}-copy"
        shutil.copytree(ROOT / "grader" / "checks" / LAB.slug, checks, dirs_exist_ok=True)
        (checks / "check_nothing.py").unlink()
    for path in (ROOT / "grader" / "checks").glob("*.py"):
        shutil.copy(path, tmp_path / "grader" / "checks")
    for name in LAB.files:
        shutil.copy(LAB.reference / name, tmp_path / "lab" / "10-copy" / name)
    terminal = terminals([sys.executable, "-c", NEXT, str(tmp_path)])
    shown = terminal.verdict()
    assert "Lab 08" in shown and "Every step is written · todo" in shown
    terminal.press("n")
    shown = terminal.shows("Lab 10", FULL, KEYS)
    assert "10-copy" in shown
    terminal.press("n")
    assert FULL in terminal.shows("no lab after 10 has checks yet")
    terminal.save(tmp_path / "lab" / "08-copy" / "main.c", "int;")
    terminal.save(tmp_path / "lab" / "10-copy" / "main.c", reference("main.c", "more"))
    assert FULL in terminal.verdict()
    terminal.press("q")
    assert terminal.ends() == 0


@pytest.mark.parametrize("key", ["q", "\x03", "\x04"], ids=["q", "Ctrl-C", "Ctrl-D"])
def test_keys_that_end_it_do_so_also_while_it_grades(
    key: str, terminals: Callable[..., Terminal], submission: Path, tmp_path: Path, temporary: Path
) -> None:
    save(submission / "main.c", ENDLESS)
    terminal = terminals(argv(submission, tmp_path / "out"))
    terminal.shows("being graded")
    started = processes_of_a_grading(terminal.process.pid)
    terminal.press(key)
    assert terminal.ends() == 0
    assert [pid for pid in started if runs(pid)] == []
    assert terminal.is_as_before()
    assert list(temporary.iterdir()) == []


def processes_of_a_grading(pid: int) -> list[int]:
    """All of them, when the compiler is at work in the sandbox."""
    until(lambda: assemblers(pid))
    return below(pid)


def runs(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_save_ends_the_grading_of_what_was_there_before(
    terminals: Callable[..., Terminal], submission: Path, tmp_path: Path
) -> None:
    save(submission / "main.c", ENDLESS)
    terminal = terminals(argv(submission, tmp_path / "out"))
    terminal.shows("being graded")
    old = set(processes_of_a_grading(terminal.process.pid))
    terminal.save(submission / "main.c", reference("main.c"))
    assert FULL in terminal.verdict()
    (caretaker,) = [pid for pid in old if runs(pid)]
    until(lambda: below(terminal.process.pid) == [caretaker])


def test_what_was_saved_by_half_is_graded_again_when_it_is_whole(
    terminals: Callable[..., Terminal], submission: Path, tmp_path: Path
) -> None:
    """An editor writes in place, and is slow."""
    path = submission / "main.c"
    whole = reference("main.c")
    terminal = terminals(argv(submission, tmp_path / "out"))
    assert FULL in terminal.verdict()
    terminal.drain()
    terminal.said = b""
    with path.open("w") as file:
        file.write(whole[: len(whole) // 2])
        file.flush()
        assert "It compiles and links · build" in terminal.verdict()
        terminal.said = b""
        file.write(whole[len(whole) // 2 :])
    assert FULL in terminal.verdict()
    terminal.said = b""
    path.unlink()
    assert "main.c is missing" in terminal.verdict()
    terminal.save(path, whole)
    assert FULL in terminal.verdict()


HOSTILE = "\\033]0;owned\\007\\033[2J\\033[31mInterrupt fired!\\033P\\xc2\\x9b1m\\b\\b"


def test_what_a_program_prints_is_shown_and_not_obeyed(
    terminals: Callable[..., Terminal], submission: Path, tmp_path: Path
) -> None:
    path = submission / "main.c"
    prints = f'info("{HOSTILE}");'  # twice, so that the story of a finding shows it
    save(path, reference("main.c").replace('info("Interrupt fired!");', prints * 2))
    terminal = terminals(argv(submission, tmp_path / "out"), rows=60)
    shown = terminal.verdict()
    assert "\\x1b]0;owned\\x07\\x1b[2J\\x1b[31mInterrupt fired!" in shown
    terminal.press("r")
    shown += terminal.shows("leads back")
    terminal.save(path, "#error \x1b]0;owned\x07\x1b[2J \x9b\u202e\n")
    shown += terminal.verdict()
    assert "owned" in shown
    terminal.press("q")
    terminal.ends()
    shown += plain(terminal.said)
    bad = [c for c in shown if not c.isprintable() and c != "\n"]
    assert bad == []


def test_a_terminal_of_another_size_and_without_colour(
    terminals: Callable[..., Terminal], submission: Path, tmp_path: Path
) -> None:
    name = "button_future.c"
    save(submission / name, wrong("registers-once", name))
    terminal = terminals(argv(submission, tmp_path / "out"), rows=50, NO_COLOR="1")
    shown = terminal.verdict()
    assert "✓ It compiles and links" in shown, "all checks have room now"
    styles = {
        each
        for found in re.findall(rb"\x1b\[([0-9;]*)m", terminal.said)
        for each in found.split(b";")
    }
    assert styles <= {b"0", b"1", b"2"}, "bold and dim are no colours"
    terminal.said = b""
    terminal.resize(12, 40)
    shown = terminal.shows("6 of 18 checks pass", "n next lab")
    assert max(map(len, shown[shown.rfind("Lab 08") :].splitlines())) <= 40
    assert f"\n{'─' * 39}\n" in shown


JOB_CONTROL = """
set -m
"$@"
echo stopped
read -r word
fg >/dev/null
echo ended
"""


def test_it_can_be_stopped_and_goes_on(
    terminals: Callable[..., Terminal], submission: Path, tmp_path: Path
) -> None:
    """Ctrl-Z, and `fg`, in a shell with job control."""
    shell = ["sh", "-c", JOB_CONTROL, "sh", *argv(submission, tmp_path / "out")]
    terminal = terminals(shell)
    assert FULL in terminal.verdict()
    terminal.press("\x1a")
    said = terminal.shows("stopped")
    assert "Lab 08" not in said
    assert terminal.said.index(b"\x1b[?1049l") < terminal.said.index(b"stopped")
    assert terminal.is_as_before()
    terminal.press("on\n")
    assert FULL in terminal.shows("Lab 08", KEYS)
    terminal.save(submission / "main.c", reference("main.c", "changed"))
    assert FULL in terminal.verdict()
    terminal.press("q")
    assert terminal.ends() == 0
    assert "ended" in plain(terminal.said)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it_and_the_terminal_is_as_before(
    number: signal.Signals, terminals: Callable[..., Terminal], submission: Path, tmp_path: Path
) -> None:
    terminal = terminals(argv(submission, tmp_path / "out"))
    terminal.verdict()
    terminal.process.send_signal(number)
    assert terminal.ends() == 128 + number
    assert terminal.is_as_before()
    assert b"\x1b[?1049l" in terminal.said


# -- without a terminal ----------------------------------------------------------------------------


def started(submission: Path, out: Path, **more: object) -> subprocess.Popen[str]:
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        argv(submission, out),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        **more,
    )


def test_without_a_terminal_it_says_a_line_for_each_verdict(
    submission: Path, tmp_path: Path, temporary: Path
) -> None:
    """And the reports are those of `make grade`, byte by byte."""
    name, out, expected = "button_future.c", tmp_path / "out", tmp_path / "expected"
    with started(submission, out) as process:
        try:
            assert process.stdout is not None
            for source, line in (
                (None, "lab 08  100/100  pass\n"),
                (
                    wrong("registers-once", name),
                    "lab 08  30/100  asleep  One press, one line, at every spacing\n",
                ),
                ("int;\n#error \x1b[2J", "lab 08  0/100  build  button_future.c:2: "),
            ):
                if source is not None:
                    save(submission / name, source)
                said = process.stdout.readline()
                assert said.startswith(line) and len(said) <= 80 and said[:-1].isprintable()
                main(["grade", str(submission), "--out", str(expected)])
                for file in ("report.json", "junit.xml"):
                    assert (out / file).read_bytes() == (expected / file).read_bytes()
            process.send_signal(signal.SIGINT)
            assert (process.stdout.read(), process.wait(20)) == ("", 128 + signal.SIGINT)
        finally:
            process.kill()
    assert list(temporary.iterdir()) == []


def machines_run(pid: int) -> bool:
    """The caretaker, the grading; what builds, the second lane, a machine."""
    return len(below(pid)) >= 5


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("program", "when"),
    [(ENDLESS, assemblers), (wrong("loops-in-main", "main.c"), machines_run)],
    ids=["while it builds", "while it runs"],
)
def test_no_process_and_no_file_outlives_it(
    program: str,
    when: Callable[[int], object],
    number: signal.Signals,
    submission: Path,
    tmp_path: Path,
    temporary: Path,
) -> None:
    """All that it has started holds the pipe's other end open, or is in the folder."""
    save(submission / "main.c", program)
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    with started(submission, tmp_path / "out", pass_fds=[writing]) as process:
        try:
            until(lambda: when(process.pid))
            inside = below(process.pid)
            process.send_signal(number)
            process.communicate(timeout=20)
            os.close(writing)
            ended, _, _ = select.select([reading], [], [], 20)
            assert ended and os.read(reading, 1) == b"", "a process still runs"
            until(lambda: not any(map(runs, inside)))
        finally:
            process.kill()
            os.close(reading)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    until(lambda: not list(temporary.iterdir()))


def test_where_a_shell_ignores_ctrl_c_it_goes_on(submission: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        argv(submission, tmp_path / "out"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    with process:
        try:
            assert process.stdout is not None
            assert b"100/100" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            save(submission / "main.c", reference("main.c", "again"))
            assert b"100/100" in process.stdout.readline()
            process.terminate()
            assert process.wait(20) == 128 + signal.SIGTERM
        finally:
            process.kill()


def test_a_folder_that_goes_away_is_told_of_and_may_come_back(
    submission: Path, tmp_path: Path
) -> None:
    with started(submission, tmp_path / "out") as process:
        try:
            assert process.stdout is not None
            assert "100/100" in process.stdout.readline()
            submission.rename(tmp_path / "elsewhere")
            assert process.stdout.readline() == "lab 08  there is no such folder\n"
            (tmp_path / "elsewhere").rename(submission)
            assert "100/100" in process.stdout.readline()
        finally:
            process.terminate()
            process.wait()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--lab", "77"], "there is no lab '77'"),
        (["nowhere"], "there is no such folder"),
    ],
)
def test_what_cannot_be_watched_is_told_at_once(words: list[str], said: str) -> None:
    command = [sys.executable, "-P", "-m", "wakelab", "watch", *words]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr and "Traceback" not in done.stderr


# -- a grading aside -------------------------------------------------------------------------------


def raising(problem: BaseException) -> Callable[[], Report]:
    def grade() -> Report:
        raise problem

    return grade


@pytest.mark.parametrize(
    ("problem", "trouble"),
    [
        (UserError("it broke", "there", "mend it"), "it broke\n  where: there\n  next:  mend it"),
        (BenchError("QEMU broke"), "QEMU broke"),
        (ValueError("oops"), "a defect of wakelab itself, not of your program: ValueError: oops"),
        (SystemExit(1), "the grading has ended too early; is there enough memory?"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_why_there_is_no_report(
    problem: BaseException, trouble: str, signals: Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WAKELAB_TRACEBACK", raising=False)
    grading = Grading(raising(problem), signals)
    try:
        assert grading.outcome() == Outcome(None, trouble)
    finally:
        grading.close()


def test_a_second_ctrl_c_does_not_interrupt_the_putting_away(
    signals: Signals, tmp_path: Path
) -> None:
    begun, done = tmp_path / "begun", tmp_path / "done"

    def grade() -> Report:
        try:
            begun.touch()
            while True:  # pause() alone would miss what comes just before it
                time.sleep(0.01)
        except KeyboardInterrupt:
            signal.raise_signal(signal.SIGINT)
            done.touch()
        return report_with()

    grading = Grading(grade, signals)
    until(begun.exists)
    grading.close()
    assert done.exists()


def test_a_signal_to_the_grading_is_none_to_who_watches(signals: Signals, tmp_path: Path) -> None:
    begun = tmp_path / "begun"

    def grade() -> Report:
        begun.touch()
        while True:
            time.sleep(0.01)

    grading = Grading(grade, signals)
    until(begun.exists)
    grading.close()
    assert signals.take() == []


def test_a_forked_process_tells_nobody(signals: Signals) -> None:
    """Until it has forgotten whom."""

    def work(_: Connection) -> None:
        signal.raise_signal(signal.SIGTERM)

    with Child(work) as child:
        child.process.join(20)
        assert child.process.exitcode == 0
    assert signals.take() == []
    signal.raise_signal(signal.SIGTERM)
    assert signals.take() == [signal.SIGTERM]


def test_a_grading_is_ended_by_signals_as_ever(signals: Signals) -> None:
    def grade() -> Report:
        raise UserError(str({signal.getsignal(each) for each in (*ENDING[1:], *OTHERS)}))

    before = {signal.SIG_DFL}
    grading = Grading(grade, signals)
    try:
        assert grading.outcome() == Outcome(None, str(before))
    finally:
        grading.close()


@pytest.fixture
def signals() -> Iterator[Signals]:
    with Signals() as heard:
        yield heard


# -- the next lab ----------------------------------------------------------------------------------


def with_labs(root: Path, *numbers: str) -> None:
    """A checkout with copies of the lab; the one whose number is odd has no checks."""
    for number in numbers:
        lab = root / "lab" / f"{number}-copy"
        shutil.copytree(LAB.directory, lab)
        if int(number) % 2 == 0:
            checks = root / "grader" / "checks" / lab.name
            checks.mkdir(parents=True)
            (checks / "check_nothing.py").touch()


def test_the_next_lab_is_the_next_that_can_be_graded(tmp_path: Path) -> None:
    with_labs(tmp_path, "06", "08", "09", "10", "12")
    labs = {number: load_lab(tmp_path, number) for number in ("06", "08", "10", "12")}
    found = [next_lab(tmp_path, labs[number]) for number in ("06", "08", "10", "12")]
    assert [each.number if each else None for each in found] == ["08", "10", "12", None]


def test_a_lab_without_checks_is_not_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(command, "_Loop")
    with_labs(tmp_path, "09")
    wish = Wish(tmp_path, load_lab(tmp_path, "09"), None, None, None)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="lab 09 has no checks"):
        watch(wish, Console())


# -- saves -----------------------------------------------------------------------------------------


class Editor:
    """Files that are saved, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.saves = Saves(LAB, folder, lambda: self.now)

    def after(self, seconds: float) -> tuple[bool, bool]:
        """Whether they have changed, and whether a save is over."""
        self.now += seconds
        return self.saves.look(), self.saves.settled()


def test_a_save_is_told_once_when_it_is_over(submission: Path) -> None:
    editor = Editor(submission)
    assert editor.after(0) == (True, False)
    assert editor.after(SETTLE_S) == (False, True)
    assert editor.after(9) == (False, False)
    for path in (submission / name for name in LAB.files):
        save(path, "new")
        assert editor.after(SETTLE_S * 0.9) == (True, False)
    assert editor.after(SETTLE_S * 0.9) == (False, False)
    assert editor.after(SETTLE_S * 0.2) == (False, True)


@pytest.mark.parametrize("nested", [False, True], ids=["files", "checkout"])
@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text(""),
        lambda path: path.unlink(),
        lambda path: path.chmod(0o600),
        lambda path: save(path, path.read_text()),
        lambda path: (path.unlink(), path.symlink_to("/nowhere")),
    ],
    ids=["truncated", "removed", "no longer readable", "the same once more", "a link"],
)
def test_whatever_is_done_to_a_file_is_a_save(
    change: Callable[[Path], object], nested: bool, submission: Path, tmp_path: Path
) -> None:
    folder = submission
    if nested:
        folder = tmp_path / "checkout"
        (folder / "lab").mkdir(parents=True)
        submission = submission.rename(folder / "lab" / LAB.directory.name)
    editor = Editor(folder)
    editor.after(0)
    assert editor.after(SETTLE_S) == (False, True)
    change(submission / "main.c")
    assert editor.after(0) == (True, False)
    (submission / "notes.txt").touch()
    assert editor.after(SETTLE_S) == (False, True)


# -- the screen ------------------------------------------------------------------------------------

LONG_STORY = tuple(f"{at} ms  event {at}" for at in range(30))


def report_with(story: tuple[str, ...] = LONG_STORY, checks: int = 10, warnings: int = 0) -> Report:
    results = [CheckResult(f"c{at}", f"Check {at}", Verdict.PASS, 5, 5) for at in range(checks)]
    results.append(
        CheckResult(
            *(
                "last",
                "The last one",
                Verdict.DOUBLE,
                0,
                5,
                "one line",
                "two lines",
                "why",
                "think",
            ),
            story=story,
        )
    )
    messages = [
        CompilerMessage("main.c", at, 1, "warning", f"message {at}", "Og") for at in range(warnings)
    ]
    return make_report(
        *("08", "A title", "mine", results),
        compiler_messages=tuple(messages),
        versions={},
        hashes={},
    )


def drawn(view: View, rows: int, columns: int = 80, encoding: str = "utf-8") -> list[str]:
    with TextIOWrapper(BytesIO(), encoding=encoding) as file:
        lines = screen_of(view, Console(file=file, width=columns, height=rows))
    assert max(line.cell_len for line in lines) < columns
    return [line.plain.rstrip() for line in lines]


def test_on_a_high_screen_there_is_all_of_it() -> None:
    lines = drawn(View(LAB, report_with(), hint=True), 80)
    assert len(lines) == 80
    assert sum("✓ Check" in line for line in lines) == 10
    assert [line.strip() for line in lines if " event " in line] == list(LONG_STORY)
    assert "  hint      think" in lines


def test_the_story_is_cut_before_the_checks_are_counted() -> None:
    lines = drawn(View(LAB, report_with()), 35)
    assert len(lines) == 35 and sum("✓ Check" in line for line in lines) == 10
    shown = [line.strip() for line in lines if " event " in line]
    (left_out,) = (line.strip() for line in lines if "left out" in line)
    assert shown[0] == LONG_STORY[0] and shown[-1] == LONG_STORY[-1]
    assert left_out == f"… {30 - len(shown)} events left out …"
    assert not any("think" in line for line in lines)
    lines = drawn(View(LAB, report_with()), 24)
    assert len(lines) == 24 and sum("✓ Check" in line for line in lines) == 0
    assert lines[2] == " 10 of 11 checks pass · 1 does not"
    assert LONG_STORY[-1] in "".join(lines)


def test_what_was_skipped_is_counted_before_what_was_tried() -> None:
    results = [CheckResult(f"c{at}", f"Check {at}", Verdict.SKIPPED, 0, 5) for at in range(20)]
    results[0] = CheckResult("c0", "Check 0", Verdict.PASS, 5, 5)
    results[1] = CheckResult("c1", "Check 1", Verdict.TODO, 0, 5, "this", "that")
    report = make_report("08", "A title", "mine", results, versions={}, hashes={})
    assert sum("Check" in line for line in drawn(View(LAB, report), 40)) == 21
    lines = drawn(View(LAB, report), 24)
    assert [line[:10] for line in lines[2:4]] == [" ✓ Check 0", " ✗ Check 1"]
    assert lines[4] == " 1 of 20 checks pass · 1 does not · 18 skipped until then"


@pytest.mark.parametrize("rows", [1, 5, 8, 12])
def test_on_a_low_screen_it_says_that_there_is_more(rows: int) -> None:
    lines = drawn(View(LAB, report_with(warnings=9)), rows)
    assert len(lines) == max(rows, 6)
    assert lines[-4] == " … more: key r, or a larger window"
    assert lines[-1] == " h hint  n next lab  r report  q quit"


def test_while_it_grades_the_old_sum_is_not_shown() -> None:
    view = View(LAB, report_with(), graded="graded at 12:00:00, in 0.7 s")
    assert drawn(view, 24)[-2] == " 50 of 55 points  double  graded at 12:00:00, in 0.7 s"
    busy = View(LAB, report_with(), graded="graded at 12:00:00, in 0.7 s", under_way=True)
    assert drawn(busy, 24)[-2] == " being graded …"


def test_trouble_is_shown_in_full_and_not_obeyed() -> None:
    lines = drawn(View(LAB, None, "it broke \x1b[2J\n  next:  mend it"), 24)
    assert lines[2:4] == [" it broke \\x1b[2J", "   next:  mend it"]
    console = Console(file=StringIO(), width=40)
    assert line_of(View(LAB, None, "it broke \x1b[2J\nmore"), console) == (
        "lab 08  it broke \\x1b[2J"
    )
    assert line_of(View(LAB, None, "long " * 30), console).endswith(" …")


def test_a_terminal_without_these_characters_gets_others() -> None:
    text = "\n".join(drawn(View(LAB, report_with(), under_way=True), 24, encoding="ascii"))
    assert text.isascii() and "being graded ..." in text and "x The last one - double" in text
    console = Console(file=TextIOWrapper(BytesIO(), encoding="ascii"), width=40)
    assert line_of(View(LAB, None, "long " * 30), console).endswith("long lon...")
