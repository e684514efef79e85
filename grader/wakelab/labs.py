"""The labs of a checkout: what `lab.toml` says, and which files belong to a lab."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, cast

from wakelab.errors import UserError
from wakelab.points import NO_CHANGES, PointsPlan, read_plan
from wakelab.sweep_option import SWEEP_MODES

BUTTONS = ("UP", "DOWN", "LEFT", "RIGHT", "SELECT")
TRACE_ROLES = ("poll", "wake", "register", "notify")
INTERRUPTS = (*BUTTONS, "tick")
SHARED_HEADERS = ("lab/board", "lab/async")
"""Folders, relative to the checkout, of the headers that every lab has."""

_KEYS = (
    "title",
    "files",
    "builds_on",
    "trace",
    "press",
    "sweep",
    "swept_calls",
    "points",
    "hidden",
    "short_course",
)
_FOLDER = re.compile(r"(\d\d)-[a-z0-9]+(?:-[a-z0-9]+)*")

_NUMBER = re.compile(r"\d\d")
_FILE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\.(?:[ch]|txt)")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SweepPlan(NamedTuple):
    """What of a lab is swept.

    window  the C function at whose first call the window begins; it ends with the sleep after it
    modes   of SWEEP_MODES: what a grading does
    limit   instructions after the last press in which the program must have settled
    others  of INTERRUPTS: what strikes beside the lab's button. What it does is the program's own
            business; but no press of the lab's button may get lost by it, and none be made of it
    """

    window: str
    modes: tuple[str, ...]
    limit: int
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lab:
    """One exercise.

    number     two digits, "08"
    slug       the folder's name, "08-button-future"
    title      for people
    files      names of the files handed in, in the order of lab.toml
    builds_on  numbers of the labs whose references are linked in
    trace      role ("poll", "wake", "register") to the name of the C function that plays it
    sweep      what of a run is swept, None for labs without such a window
    swept_calls  functions that are swept, a call at a time, by the checks (see strikes)
    press      {"button": …, "line": …} for labs where one press prints one line, else None
    directory  the exercise, absolute
    reference  the folder of its solution, absolute (may be absent in a student's checkout)
    points     what its checks are worth here, and which are hidden until it is due
    short      whether it is part of the course of 90 minutes
    """

    number: str
    slug: str
    title: str
    files: tuple[str, ...]
    builds_on: tuple[str, ...]
    trace: Mapping[str, str]
    press: Mapping[str, str] | None
    directory: Path
    reference: Path
    sweep: SweepPlan | None = None
    swept_calls: tuple[str, ...] = ()
    points: PointsPlan = NO_CHANGES
    short: bool = False

    def modes_with(self, asked: Collection[str]) -> frozenset[str]:
        """The modes of the sweep that are part of a grading: the lab's own, and those asked for."""
        return frozenset({*asked, *(self.sweep.modes if self.sweep else ())})


def checkout_root() -> Path:
    """The checkout that this package lies in. Raises UserError when it lies in none."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "lab" / "board").is_dir():
        raise UserError(
            "wakelab does not lie in a checkout, so the labs cannot be found",
            str(root),
            "run it from the checkout (make grade), or say where the checkout is",
        )
    return root


def load_lab(root: Path, number: str) -> Lab:
    """The lab of that number ("08", "8" or "08-button-future"). Raises UserError."""
    root = root.resolve()
    wanted = number.split("-", 1)[0].zfill(2)
    folders = _lab_folders(root / "lab")
    found = [folder for folder in folders if folder.name[:2] == wanted]
    if not found:
        there = ", ".join(folder.name[:2] for folder in folders) or "none"
        raise UserError(
            f"there is no lab {number!r}", str(root / "lab"), f"labs that are there: {there}"
        )
    if len(found) > 1:
        names = ", ".join(folder.name for folder in found)
        raise UserError(f"lab {wanted} is there twice: {names}", str(root / "lab"), "remove one")
    return _read_lab(root, found[0])


def all_labs(root: Path) -> tuple[Lab, ...]:
    """Every lab of the checkout, by number. Raises UserError."""
    root = root.resolve()
    return tuple(load_lab(root, folder.name[:2]) for folder in _lab_folders(root / "lab"))


def given_sources(root: Path, lab: Lab) -> tuple[Path, ...]:
    """The C files that are linked with a submission: board, async core, earlier references, and
    what the lab's own folder holds beside the files handed in. Absolute, in a fixed order.

    A file handed in takes the place of a given one of the same name; so does one of the lab's of a
    reference's, and a later reference's of an earlier one's (main.c). Raises UserError.
    """
    root = root.resolve()
    earlier: dict[str, Path] = {}
    for number in lab.builds_on:
        for source in _c_files(_reference_folder(root, lab, number)):
            earlier[source.name] = source
    own = _c_files(lab.directory)
    for source in own:
        earlier.pop(source.name, None)
    sources = [*_c_files(root / "lab" / "board"), *_c_files(root / "lab" / "async")]
    sources += [*earlier.values(), *own]
    return tuple(source for source in sources if source.name not in lab.files)


def header_folders(root: Path, lab: Lab) -> tuple[str, ...]:
    """Where the compiler looks for headers, relative to the checkout: board, async core, the lab's
    own folder, and those of the labs that it builds on."""
    folders = list(SHARED_HEADERS)
    for folder in _lab_folders(root / "lab"):
        if folder.name == lab.slug or folder.name[:2] in lab.builds_on:
            folders.append(f"lab/{folder.name}")
    return tuple(folders)


def _c_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.c"))


def _lab_folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(
        folder
        for folder in parent.iterdir()
        if _FOLDER.fullmatch(folder.name) and (folder / "lab.toml").is_file()
    )


def _reference_folder(root: Path, lab: Lab, number: str) -> Path:
    found = sorted((root / "solution").glob(f"{number}-*/"))
    if len(found) != 1:
        raise UserError(
            f"lab {lab.number} builds on lab {number}, "
            f"whose reference is {'missing' if not found else 'there twice'}",
            str(root / "solution" / f"{number}-*"),
            "restore it: git checkout -- solution",
        )
    return found[0]


def _read_lab(root: Path, folder: Path) -> Lab:
    path = folder / "lab.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"not valid TOML: {error}", str(path), "correct it") from None
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", str(path)) from None
    reader = _Reader(str(path), table)
    reader.only(_KEYS, table, "")
    return Lab(
        number=folder.name[:2],
        slug=folder.name,
        title=reader.text("title"),
        files=reader.names("files", _FILE_NAME, "a plain name such as main.c", required=True),
        builds_on=reader.names("builds_on", _NUMBER, 'two digits such as "04"', required=False),
        trace=reader.trace(),
        press=reader.press(),
        directory=folder,
        reference=root / "solution" / folder.name,
        sweep=reader.sweep(),
        swept_calls=reader.names("swept_calls", _IDENTIFIER, "a C function", required=False),
        points=read_plan(table, str(path)),
        short=reader.flag("short_course"),
    )


class _Reader:
    """Takes the values out of one lab.toml; every error names the file, the key and the remedy."""

    def __init__(self, where: str, table: dict[str, object]) -> None:
        self.where = where
        self.table = table

    def error(self, what: str, next_step: str) -> UserError:
        return UserError(what, self.where, next_step)

    def only(self, known: tuple[str, ...], table: Mapping[str, object], prefix: str) -> None:
        for key in table:
            if key not in known:
                raise self.error(f"unknown key {prefix + key!r}", f"known: {', '.join(known)}")

    def text(self, key: str) -> str:
        value = self.table.get(key)
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            state = "is missing" if key not in self.table else "must be a line of text"
            raise self.error(f"{key!r} {state}", f'write: {key} = "…"')
        return value

    def flag(self, key: str) -> bool:
        value = self.table.get(key, False)
        if not isinstance(value, bool):
            raise self.error(f"{key!r} must be true or false", f"write: {key} = true")
        return value

    def names(
        self, key: str, pattern: re.Pattern[str], means: str, *, required: bool
    ) -> tuple[str, ...]:
        if key not in self.table and not required:
            return ()
        value = self.table.get(key)
        if not isinstance(value, list) or (required and not value):
            state = "is missing" if key not in self.table else "must be a list"
            raise self.error(f"{key!r} {state}", f"write: {key} = [ … ], each {means}")
        for name in value:
            if not isinstance(name, str) or not pattern.fullmatch(name):
                raise self.error(f"{key!r} holds {name!r}", f"each must be {means}")
        if len(set(value)) != len(value):
            raise self.error(f"{key!r} names something twice", "name each once")
        return tuple(cast(list[str], value))

    def strings(self, key: str, known: tuple[str, ...]) -> dict[str, str] | None:
        value = self.table.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.error(f"{key!r} must be a table", f"write: [{key}]")
        self.only(known, value, f"{key}.")
        for name, text in value.items():
            if not isinstance(text, str) or not text or not text.isprintable():
                raise self.error(f"'{key}.{name}' must be a line of text", f'write: {name} = "…"')
        return cast(dict[str, str], value)

    def trace(self) -> Mapping[str, str]:
        table = self.strings("trace", TRACE_ROLES) or {}
        for role, name in table.items():
            if not _IDENTIFIER.fullmatch(name):
                raise self.error(f"'trace.{role}' is {name!r}", "name a C function")
        return MappingProxyType(table)

    def press(self) -> Mapping[str, str] | None:
        table = self.strings("press", ("button", "line"))
        if table is None:
            return None
        for key in ("button", "line"):
            if key not in table:
                raise self.error(f"'press.{key}' is missing", f'write: {key} = "…" under [press]')
        if table["button"] not in BUTTONS:
            raise self.error(
                f"'press.button' is {table['button']!r}", f"one of {' '.join(BUTTONS)}"
            )
        return MappingProxyType(table)

    def sweep(self) -> SweepPlan | None:
        table = self.table.get("sweep")
        if table is None:
            return None
        if not isinstance(table, dict):
            raise self.error("'sweep' must be a table", "write: [sweep]")
        self.only(("window", "modes", "limit", "interrupts"), table, "sweep.")
        window, modes, limit = (table.get(key) for key in ("window", "modes", "limit"))
        if not isinstance(window, str) or not _IDENTIFIER.fullmatch(window):
            raise self.error(f"'sweep.window' is {window!r}", "name a C function")
        if not isinstance(modes, list) or not modes or set(modes) - set(SWEEP_MODES):
            raise self.error(f"'sweep.modes' is {modes!r}", f"a list of {', '.join(SWEEP_MODES)}")
        if not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit <= 1_000_000:
            raise self.error(f"'sweep.limit' is {limit!r}", "a number of instructions")
        button = self.press_button()
        others = table.get("interrupts", [button])
        if not isinstance(others, list) or set(others) - set(INTERRUPTS) or button not in others:
            raise self.error(
                f"'sweep.interrupts' is {others!r}",
                f"a list of {', '.join(INTERRUPTS)}, the lab's button {button} among them",
            )
        without = dict.fromkeys(name for name in others if name != button)
        return SweepPlan(window, tuple(modes), limit, tuple(without))

    def press_button(self) -> str:
        """The lab's button."""
        return (self.press() or {}).get("button", "SELECT")
