"""The documents: the site builds with every link leading somewhere, and every command in them is
one that the front door and the grader take."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from test_front_door import TARGETS, Machine
from test_front_door import ready as ready

from wakelab.cli import _parser
from wakelab.labs import checkout_root

ROOT = checkout_root()
PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in ("README.md", "docs/**/*.md", "lab/*/README.md")
    for path in ROOT.glob(pattern)
)

NOT_THE_GRADERS = {
    *("demo", "test", "check", "check-course", "setup", "doctor", "help", "clean", "format"),
    *("docs", "qemu10", "campaign", "bench"),
}
"""Targets that are run by other tests, by CI, or by whoever has an hour."""

PLACEHOLDERS = {"…": "x", "...": "x", "<id>": "x", "[": "", "]": ""}


def commands_in(text: str) -> set[str]:
    """Every `make …` of a line of code, or of a piece of code in a sentence."""
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.S | re.M)
    lines = [line.strip().removeprefix("$ ") for block in fenced for line in block.splitlines()]
    bare = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.S | re.M)
    pieces = [piece.replace("\n", " ") for piece in re.findall(r"`([^`]+)`", bare)]
    found = set()
    for line in (*lines, *pieces):
        if re.match(r"make [a-z]", line):
            # Behind two spaces or a # stands what it does; >, | and && belong to the shell.
            found.add(re.split(r"\s{2,}|\s+#|\s*[|>&;]", line)[0].strip())
    return found


COMMANDS = sorted({c for page in PAGES for c in commands_in((ROOT / page).read_text("utf-8"))})


def test_the_documents_have_commands() -> None:
    """Or the test no longer finds them."""
    assert {"make next", "make hint LAB=01", "make grade LAB=08 OWN=1"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_taken(command: str, ready: Machine) -> None:
    """Make hands it to a stand-in for the grader, which tells its arguments; the grader's own
    parser takes those."""
    for sign, word in PLACEHOLDERS.items():
        command = command.replace(sign, word)
    _, target, *variables = shlex.split(command)
    assert target in TARGETS
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for variable in variables:
        name = variable.partition("=")[0]
        assert re.search(rf"^{name} =", makefile, re.M) or name in ("PYTHON", "FORMAT"), variable
    if target in NOT_THE_GRADERS:
        return
    done = ready.run("make", target, *variables)
    told = [line for line in done.stdout.splitlines() if line.startswith("[")]
    if not told:
        assert done.returncode == 2 and f"make {target}" in done.stderr, (
            "it wants to be told more, and says what"
        )
        return
    _parser().parse_args(json.loads(told[-1]))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-P", "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    done = subprocess.run(
        [*command, "-c", "docs", "-d", str(out / "trees"), ".", str(out / "html")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert (done.returncode, done.stderr) == (0, ""), "a link that leads nowhere, or worse"
    return out / "html"


def test_the_site_has_every_page(site: Path) -> None:
    for page in PAGES:
        assert (site / page).with_suffix(".html").is_file(), page


def test_a_link_that_leads_nowhere_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Front\n\n[gone](docs/gone.md)\n", encoding="utf-8")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/conf.py").write_text((ROOT / "docs/conf.py").read_text("utf-8"))
    (tmp_path / "docs/README.md").write_text("# Docs\n", encoding="utf-8")
    command = [sys.executable, "-P", "-m", "sphinx", "-q", "-W", "-b", "html", "-c", "docs"]
    done = subprocess.run(
        [*command, ".", str(tmp_path / "out")], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode != 0 and "docs/gone" in done.stderr


def test_the_site_is_readable_in_a_browser(site: Path, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    try:
        page.goto((site / "docs/students/course.html").as_uri())
        assert page.locator("h1").inner_text().startswith("The course")
        names = page.locator("nav, aside").all_inner_texts()
        assert any("instructors" in each.lower() for each in names)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 1280, "nothing is cut off at the right"
        page.get_by_role("link", name="01 The first edge").first.click()
        assert "The first edge" in page.title()
    finally:
        page.close()


# -- run, and not only taken -----------------------------------------------------------------------

RUN_ELSEWHERE = {
    *("run", "watch", "debug"),  # wait for a person: test_byhand*, test_watch, test_debugger
    *(NOT_THE_GRADERS - {"help"}),
}
CLUSTER = "SCHEDULER="  # test_class_cluster
WANTS_MORE = {
    "make class",
    "make class SUBMISSIONS=folder-or-archive LAB=08 OUT=folder POINTS=file JOBS=4",
    "make new-lab",
    "make replay",
    "make replay ID=x",
    "make replay ID=08-Og-9fc.1",
    "make verify",
}
"""What ends with a sentence, because it is not told enough, or of what is not there."""


SCRIPT = """\
wakelab: 1
name: "a press"
steps:
  - wait: asleep
  - press: SELECT
  - wait: asleep
"""


def _runs() -> list[str]:
    """The commands to be run, in an order in which one finds what another has made: the new lab
    first, then gradings before reports. One of those that differ only by LAB=08, which is meant
    where nothing is said."""
    found: dict[str, str] = {}
    for command in COMMANDS:
        for sign, word in PLACEHOLDERS.items():
            command = command.replace(sign, word)
        if command.split()[1] not in RUN_ELSEWHERE and CLUSTER not in command:
            found.setdefault(command.replace(" LAB=08", ""), command)
    return sorted(found.values(), key=lambda command: "NAME=" not in command)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of its own, with lab 05 and 08 done, and the files that the documents speak of.
    Its packages are ours, and up to date: nothing is installed."""
    place = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, place / name)
    (place / ".venv").mkdir()
    for each in (ROOT / ".venv").iterdir():
        if not each.name.startswith("ready"):
            (place / ".venv" / each.name).symlink_to(each)
    for stamp in ("ready", "ready-tests"):
        text = (ROOT / ".venv" / stamp).read_text("utf-8")
        (place / ".venv" / stamp).write_text(text.replace(str(ROOT), str(place)), "utf-8")
    for step in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *step], cwd=place, check=True)
    shutil.copytree(place / "solution/05-executor", place / "lab/05-executor", dirs_exist_ok=True)
    done = place / "solution/08-button-future"
    for folder in ("lab/08-button-future", "folder", "My Files/lab 8", "class/Ada", "class/Bob"):
        shutil.copytree(done, place / folder, dirs_exist_ok=True)
    shutil.make_archive(str(place / "export"), "zip", place / "class")
    (place / "points.toml").write_text("[points]\nsingles = 20\n")
    for name in ("my.yaml", "file"):
        (place / name).write_text(SCRIPT, encoding="utf-8")
    return place


@pytest.mark.slow
@pytest.mark.parametrize("command", _runs())
def test_every_command_runs(command: str, checkout: Path) -> None:
    paths = os.pathsep.join(str(checkout / part) for part in ("qemu", "grader"))
    done = subprocess.run(
        shlex.split(command),
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": paths, "PYTHONUTF8": "1", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = done.stdout + done.stderr
    assert "Traceback" not in said and "a defect of wakelab" not in said
    # Make's own last line has the exit code: 1 is a verdict, 2 that something is missing.
    ended = re.search(r"Error (\d+)$", done.stderr.strip())
    code = int(ended[1]) if ended else done.returncode
    assert code in ((2,) if command in WANTS_MORE else (0, 1)), said
    if command == "make grade LAB=08 SUBMISSION=folder":
        shutil.copy(checkout / "build/reports/08/report.json", checkout)
