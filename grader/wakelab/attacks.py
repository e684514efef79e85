"""Attacks on wakelab, tried on purpose: submissions that want more than a mark.

An attack is a file in grader/corpus/attacks/, or built by a test where git cannot hold it. What it
is aimed at are canaries: a secret outside that must not be read, a file that must stay as it is, a
marker that must not appear. `python -m wakelab.attacks` tries a few, for `make doctor`.

    attacks = "Reads a file of the host through the debugger's door."   # the story
    verdict = "forbidden"          # of the report
    at_most = 5                    # points that it may get
    sentence = "SYS_OPEN"          # somewhere in the report; several: a list
    quick = true                   # tried by `make doctor`, too
    base = "fast-path-for-size"    # start from this wrong one of the corpus, not from the reference
    [[put]]                        # code put into the reference's file
    file = "main.c"
    at = "main"                    # see ANCHORS
    text = "..."
    [files]                        # or whole files
    "main.c" = "..."

In every text @SECRET@, @CANARY@, @MARKER@ and @ROOT@ stand for absolute paths: of the canaries, and
of the checkout; @ESC@ and @BEL@ for control codes, which TOML does not let stand.
"""

from __future__ import annotations

import secrets
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wakelab.caretaker import OwnFolder
from wakelab.confinement import Confinement, choose
from wakelab.errors import UserError
from wakelab.grade import grade
from wakelab.labs import Lab, checkout_root, load_lab
from wakelab.report import Report, to_json

LAB = "08"

ANCHORS = {
    "top": "",
    "main": "int main(void)\n{\n",
    "poll": "poll_t button_future_poll(struct future *self, struct context *cx)\n{\n",
    "handler": "void GPIOF_IRQHandler(void)\n{\n",
}
"""Places in the reference's files: the text goes behind these lines."""


@dataclass(frozen=True)
class Put:
    """Code put into one of the reference's files."""

    file: str
    at: str
    text: str


@dataclass(frozen=True)
class Attack:
    """See the module."""

    name: str
    story: str
    verdict: str
    at_most: int
    sentences: tuple[str, ...]
    puts: tuple[Put, ...]
    files: Mapping[str, str]
    quick: bool
    base: str


def load_attacks(folder: Path) -> list[Attack]:
    """All attacks of a folder, by name. Raises ValueError for one that is written wrong."""
    return [_read(path) for path in sorted(folder.glob("*.toml"))]


def _read(path: Path) -> Attack:
    try:
        value = tomllib.loads(path.read_text(encoding="utf-8"))
        said = value.pop("sentence")
        attack = Attack(
            path.stem,
            value.pop("attacks"),
            value.pop("verdict"),
            value.pop("at_most"),
            tuple([said] if isinstance(said, str) else said),
            tuple(Put(**put) for put in value.pop("put", [])),
            value.pop("files", {}),
            value.pop("quick", False),
            value.pop("base", ""),
        )
    except (KeyError, TypeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path.name}: {error!r}") from error
    if value or not (attack.puts or attack.files):
        raise ValueError(f"{path.name}: {', '.join(value) or 'no attack'}?")
    return attack


class Canaries:
    """Files outside that an attack is aimed at, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.secret = folder / "secret.txt"
        self.canary = folder / "canary.txt"
        self.marker = folder / "marker"
        self.word = f"secret{secrets.token_hex(8)}"
        self.secret.write_text(f"{self.word};\n")
        self.canary.write_text("alive\n")
        self._folder = folder
        self._before = self._state()

    def fill_in(self, text: str, root: Path) -> str:
        """The text of an attack with its aims."""
        for name in ("secret", "canary", "marker"):
            text = text.replace(f"@{name.upper()}@", str(getattr(self, name)))
        text = text.replace("@ROOT@", str(root))
        return text.replace("@ESC@", "\x1b").replace("@BEL@", "\x07")

    def breaches(self, said: Mapping[str, bytes]) -> list[str]:
        """What was changed, or is told in one of the outputs, by name. Empty: nothing happened."""
        found = [f"{name} tells the secret" for name, data in said.items() if self._told(data)]
        after = self._state()
        for name in sorted(self._before.keys() | after.keys()):
            if self._before.get(name) != after.get(name):
                found.append(f"{name} was changed, made or removed")
        return found

    def _told(self, data: bytes) -> bool:
        return self.word.encode() in data

    def _state(self) -> dict[str, tuple[int, bytes]]:
        return {
            path.name: (path.stat().st_mtime_ns, path.read_bytes())
            for path in self._folder.iterdir()
        }


def assemble(attack: Attack, lab: Lab, root: Path, canaries: Canaries, into: Path) -> Path:
    """Write the submission. Raises ValueError where an anchor is no longer in the reference."""
    into.mkdir(parents=True, exist_ok=True)
    base = root / "grader" / "corpus" / lab.slug / "wrong" / attack.base
    for name in lab.files:
        text = attack.files.get(name)
        if text is None:
            own = attack.base and (base / name).is_file()
            text = ((base if own else lab.reference) / name).read_text(encoding="utf-8")
        for put in attack.puts:
            if put.file == name:
                text = _with(put, text)
        data = canaries.fill_in(text, root).encode("utf-8", "surrogateescape")
        (into / name).write_bytes(data)
    return into


def _with(put: Put, text: str) -> str:
    anchor = ANCHORS[put.at]
    if anchor not in text:
        raise ValueError(f"{put.file} has no {put.at}")
    before, after = text.split(anchor, 1) if anchor else ("", text)
    return f"{before}{anchor}{put.text}\n{after}"


def misjudged(attack: Attack, report: Report) -> list[str]:
    """What of the report is not as it must be."""
    found = []
    if report.verdict != attack.verdict:
        found.append(f"the verdict is {report.verdict}, not {attack.verdict}")
    if report.points > attack.at_most:
        found.append(f"it got {report.points} points, {attack.at_most} at most")
    text = to_json(report)
    found += [f"nothing says {said!r}" for said in attack.sentences if said not in text]
    return found


def attempt(attack: Attack, lab: Lab, root: Path, confinement: Confinement) -> list[str]:
    """Try one attack in this process. What it achieved, in words; empty: nothing."""
    with _places() as (canaries, folder):
        submission = assemble(attack, lab, root, canaries, folder)
        report = grade(root, lab, submission, confinement)
        return misjudged(attack, report) + canaries.breaches(
            {"the report": to_json(report).encode()}
        )


@contextmanager
def _places() -> Iterator[tuple[Canaries, Path]]:
    with tempfile.TemporaryDirectory(prefix="wakelab-attack-") as name:
        (Path(name) / "outside").mkdir()
        yield Canaries(Path(name) / "outside"), Path(name) / "submission"


def main() -> int:
    """Try the quick ones, a line for each. 0: none achieved anything."""
    root = checkout_root()
    try:
        with OwnFolder():
            confinement = choose(root, trust=False, own=False)
            lab = load_lab(root, LAB)
            attacks = load_attacks(root / "grader" / "corpus" / "attacks")
            achieved = 0
            for attack in (each for each in attacks if each.quick):
                found = attempt(attack, lab, root, confinement)
                achieved += bool(found)
                print(f"{attack.name}\t{'; '.join(found)}", flush=True)
    except UserError as error:
        print(f"wakelab: {error}", file=sys.stderr)
        return 2
    return min(achieved, 1)


if __name__ == "__main__":
    sys.exit(main())
