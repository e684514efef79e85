"""Attacks: each gets its verdict, and nothing else happens.

Proof for each: the canaries outside are as they were and none of their content is in any output,
in the report or in its other shapes; no process is left, and no temporary file.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from wakelab.attacks import Attack, Canaries, assemble, load_attacks, misjudged
from wakelab.labs import checkout_root, load_lab
from wakelab.report import Report, read_report

ROOT = checkout_root()
LAB = load_lab(ROOT, "08")
ATTACKS = {attack.name: attack for attack in load_attacks(ROOT / "grader/corpus/attacks")}
ENVIRONMENT = {**os.environ, "PYTHONUTF8": "1"}
"""Copied here: gradings begin in threads, while pytest changes it for each test."""

WORKERS = 2
HOST_LIMIT_S = 200.0
"""Protects the host only."""


pytestmark = [pytest.mark.slow, pytest.mark.needs_sandbox]

KEEPER = """
import ctypes, os, subprocess, sys, time
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
code = subprocess.call(sys.argv[1:])
latest = time.monotonic() + 10  # the kernel takes its time to end a process
while True:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        sys.exit(code)  # nothing is left
    if time.monotonic() > latest:
        break
    time.sleep(0.01)
for pid in open(f"/proc/self/task/{os.getpid()}/children").read().split():
    words = open(f"/proc/{pid}/cmdline").read().split(chr(0))
    state = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0]
    print("left:", pid, state, *words)
sys.exit(100)
"""
"""Runs a command; whatever it leaves behind becomes this process's child, and is seen. Exit 100."""


@dataclass(frozen=True)
class Tried:
    """What came of an attack.

    code     of the command; 100 where a process outlived it
    said     everything that it printed and wrote, by name
    left     temporary files that it left
    """

    code: int
    report: Report
    said: dict[str, bytes]
    left: list[str]


def try_out(submission: Path, place: Path) -> Tried:
    """Grade as a student would, watched."""
    temporary = place / "tmp"
    temporary.mkdir()
    out = place / "out"
    command = [sys.executable, "-P", "-m", "wakelab", "grade", "--lab", LAB.number]
    shapes = ["--format", "gradescope", "--format", "github-summary", "--format", "csv"]
    done = subprocess.run(
        [sys.executable, "-c", KEEPER, *command, str(submission), "--out", str(out), *shapes],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**ENVIRONMENT, "TMPDIR": str(temporary)},
        timeout=HOST_LIMIT_S,
        start_new_session=True,
    )
    said = {path.name: path.read_bytes() for path in out.iterdir()}
    said["the terminal"] = done.stdout
    left = [path.name for path in temporary.iterdir()]
    return Tried(done.returncode, read_report(out / "report.json"), said, left)


def check_manners(tried: Tried) -> None:
    """Whatever was handed in: nothing is left, nothing of ours breaks, nothing can be obeyed."""
    assert tried.code in (0, 1), tried.said["the terminal"].decode()
    assert tried.left == []
    assert b"Traceback" not in tried.said["the terminal"]
    assert [check.seen for check in tried.report.checks if check.verdict == "infra"] == []
    for name, data in tried.said.items():
        text = data.decode("utf-8")
        bad = {c for c in text if not c.isprintable() and c not in "\n\r\t"}
        assert not bad, f"{name} holds {bad}"


@pytest.fixture(scope="session")
def tries(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[tuple[Canaries, Tried]]]]:
    """All attacks whose tests were asked for, under way."""
    parameters = [getattr(item, "callspec", None) for item in request.session.items]
    names = {p.params["name"]: None for p in parameters if p and "name" in p.params}
    places = tmp_path_factory.mktemp("attacks")  # here: pytest's factory is not for threads

    def work(attack: Attack) -> tuple[Canaries, Tried]:
        place = places / attack.name
        (place / "outside").mkdir(parents=True)
        canaries = Canaries(place / "outside")
        submission = assemble(attack, LAB, ROOT, canaries, place / "submission")
        return canaries, try_out(submission, place)

    with ThreadPoolExecutor(WORKERS) as workers:
        yield {name: workers.submit(work, ATTACKS[name]) for name in names if name in ATTACKS}
        workers.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_achieves_nothing(
    name: str, tries: dict[str, Future[tuple[Canaries, Tried]]]
) -> None:
    canaries, tried = tries[name].result()
    check_manners(tried)
    assert canaries.breaches(tried.said) == []
    assert misjudged(ATTACKS[name], tried.report) == []


def test_there_are_enough_and_each_has_its_story() -> None:
    assert len(ATTACKS) >= 50
    for attack in ATTACKS.values():
        assert attack.story.endswith("."), attack.name
        right = attack.verdict == "pass" or attack.name == "every-device"  # but for the real chip
        assert attack.at_most < 100 or right, attack.name
    assert len({attack.story for attack in ATTACKS.values()}) > len(ATTACKS) - 10
    assert sum(attack.quick for attack in ATTACKS.values()) >= 6


# -- the proof can fail ----------------------------------------------------------------------------


def test_canaries_notice(tmp_path: Path) -> None:
    canaries = Canaries(tmp_path)
    assert canaries.breaches({"a": b"harmless"}) == []
    told = canaries.breaches({"a": b"x" + canaries.word.encode() + b"x"})
    assert told == ["a tells the secret"]
    canaries.marker.touch()
    assert canaries.breaches({}) == ["marker was changed, made or removed"]
    canaries.marker.unlink()
    canaries.canary.unlink()
    assert canaries.breaches({}) == ["canary.txt was changed, made or removed"]


def test_without_a_sandbox_the_secret_is_told(tmp_path: Path) -> None:
    """The same attack, trusted: what the sandbox is for."""
    (tmp_path / "outside").mkdir()
    canaries = Canaries(tmp_path / "outside")
    attack = ATTACKS["include-secret"]
    submission = assemble(attack, LAB, ROOT, canaries, tmp_path / "submission")
    command = [sys.executable, "-P", "-m", "wakelab", "grade", "--trust-this-code"]
    out = tmp_path / "out"
    subprocess.run(
        [*command, str(submission), "--out", str(out)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    assert canaries.breaches({"the report": (out / "report.json").read_bytes()})


def test_a_process_that_is_left_is_noticed() -> None:
    script = "import subprocess; subprocess.Popen(['sleep', '30'], start_new_session=True)"
    keeper = subprocess.run([sys.executable, "-c", KEEPER, sys.executable, "-c", script])
    assert keeper.returncode == 100
