"""Which student each file belongs to, from the names that a learning platform gives.

* Moodle: a folder for each student, `Ada Lovelace_4711_assignsubmission_file_`; or, without
  folders, files that begin so.
* Canvas: flat, `lovelaceada_LATE_17_4711_main.c`: user, attachment, and `main-1.c` for what was
  handed in again.
* Blackboard: flat, `Lab 8_alovelace_attempt_2026-01-31-23-59-59_main.c`, and a `.txt` for each
  attempt that tells the name.
* Gradescope: `submission_4711/`, and `submission_metadata.yml` that tells whose.
* GitHub Classroom: `lab08-submissions/lab08-alovelace/`, a checkout each.
* Anything else: a folder or an archive for each student, called as the student is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import yaml

from wakelab.classes.archives import is_archive_name, stem
from wakelab.classes.trees import Below, Kind, Parts, Picked, Tree, Unreadable

GRADESCOPE = "submission_metadata.yml"
_MAX_METADATA = 64 * 1024 * 1024
_MAX_ATTEMPT_TEXT = 16 * 1024

_MOODLE = re.compile(
    r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_(?P<plugin>[a-z]+)_?(?P<file>.*)", re.DOTALL
)
_CANVAS = re.compile(
    r"(?P<name>[^_]+)_(?P<late>LATE_)?(?P<id>\d+)_(?P<attachment>\d+)_(?P<file>.+)", re.DOTALL
)
_BLACKBOARD = re.compile(
    r"(?P<title>.+?)_(?P<id>[^_]+)_attempt_(?P<when>\d{4}(?:-\d\d){5})(?:_(?P<file>.+)|\.txt)",
    re.DOTALL,
)
_BLACKBOARD_NAME = re.compile(r"^Name:\s*(?P<name>.+?)\s*\([^()]*\)\s*$", re.MULTILINE)
_AGAIN = re.compile(r"-\d+(?=(?:\.tar)?\.[^.]+$)")

_JUNK = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Handed:
    """What one student handed in, not read yet.

    name   as the platform writes it
    id     the platform's, or ""
    tree   the files
    late   the platform says so
    notes  what is worth knowing, as sentences
    """

    name: str
    id: str
    tree: Tree
    late: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """What was recognised: the platform, the students, and names that belong to none."""

    platform: str
    handed: tuple[Handed, ...]
    strangers: tuple[str, ...] = ()
    trouble: tuple[str, ...] = ()
    """What the platform's own files did not tell, as sentences."""


def is_junk(name: str) -> bool:
    """What systems leave behind in folders, and hidden files."""
    return name in _JUNK or name.startswith(".")


def recognise(tree: Tree, called: str, files: Sequence[str]) -> Layout:
    """`called`: the name of the folder or archive itself. `files`: the names handed in for the lab.

    Raises Unreadable where the top cannot be listed.
    """
    names = {name: kind for name, kind in tree.names(()).items() if not is_junk(name)}
    if len(names) == 1 and (inner := _wrapper(tree, *next(iter(names.items())), files)):
        tree, called = Below(tree, (inner,)), inner
        names = {name: kind for name, kind in tree.names(()).items() if not is_junk(name)}
    if GRADESCOPE in names:
        return _gradescope(tree, names)
    for platform, pattern, group in (
        ("Moodle", _MOODLE, _moodle),
        ("Blackboard", _BLACKBOARD, _blackboard),
        ("Canvas", _CANVAS, _canvas),
    ):
        found = {
            name: match
            for name, kind in names.items()
            if (match := pattern.fullmatch(name)) and (kind is Kind.FILE or platform == "Moodle")
        }
        if found:
            strangers = tuple(name for name in names if name not in found)
            return Layout(platform, tuple(group(tree, found, names)), strangers)
    return _plain(tree, names, called)


def _wrapper(tree: Tree, name: str, kind: Kind, files: Sequence[str]) -> str:
    """The only folder at the top, where it holds the class; "" where it is a student's own."""
    if kind is not Kind.FOLDER or _MOODLE.fullmatch(name):
        return ""
    inside = {each: what for each, what in tree.names((name,)).items() if not is_junk(each)}
    if set(inside) & {*files, "lab"}:
        return ""
    folders = sum(1 for what in inside.values() if what is Kind.FOLDER)
    archives = sum(1 for each in inside if is_archive_name(each))
    flat = any(p.fullmatch(each) for each in inside for p in (_MOODLE, _CANVAS, _BLACKBOARD))
    return name if GRADESCOPE in inside or flat or folders + archives > 1 else ""


# -- Moodle --------------------------------------------------------------------------------------


@dataclass
class _Flat:
    """A student's files among everybody's. `files` by plain name: what to sort by, and the path."""

    name: str
    late: bool = False
    folders: list[Parts] = field(default_factory=list)
    files: dict[str, tuple[tuple[str, int], Parts]] = field(default_factory=dict)
    attempts: set[str] = field(default_factory=set)

    def add(self, name: str, order: tuple[str, int], path: Parts) -> None:
        """Of two files of one name the later one counts."""
        if name not in self.files or order >= self.files[name][0]:
            self.files[name] = (order, path)

    def picked(self, tree: Tree) -> Picked:
        return Picked(tree, {name: path for name, (_, path) in self.files.items()})


def _moodle(
    tree: Tree, found: Mapping[str, re.Match[str]], kinds: Mapping[str, Kind]
) -> Iterator[Handed]:
    students: dict[tuple[str, str], _Flat] = {}
    for top, match in found.items():
        student = students.setdefault((match["name"], match["id"]), _Flat(match["name"]))
        if match["plugin"] != "file":
            continue  # a text typed into the browser
        if kinds[top] is Kind.FOLDER:
            student.folders.append((top,))
        elif match["file"]:
            student.add(match["file"], ("", 0), (top,))
    for (name, number), student in students.items():
        whole = Below(tree, student.folders[0]) if student.folders else student.picked(tree)
        yield Handed(name, number, whole)


# -- Canvas --------------------------------------------------------------------------------------


def _canvas(
    tree: Tree, found: Mapping[str, re.Match[str]], kinds: Mapping[str, Kind]
) -> Iterator[Handed]:
    students: dict[str, _Flat] = {}
    for top, match in found.items():
        student = students.setdefault(match["id"], _Flat(match["name"]))
        student.late = student.late or match["late"] is not None
        # Canvas numbers what was handed in again; the higher attachment is the later one.
        plain = _AGAIN.sub("", match["file"])
        student.add(plain, ("", int(match["attachment"])), (top,))
    for number, student in students.items():
        yield Handed(student.name, number, student.picked(tree), student.late)


# -- Blackboard ----------------------------------------------------------------------------------


def _blackboard(
    tree: Tree, found: Mapping[str, re.Match[str]], kinds: Mapping[str, Kind]
) -> Iterator[Handed]:
    students: dict[str, _Flat] = {}
    for match in found.values():
        student = students.setdefault(match["id"], _Flat(match["id"]))
        student.attempts.add(match["when"])
    for top, match in found.items():
        student = students[match["id"]]
        if match["when"] != max(student.attempts):
            continue
        if match["file"]:
            student.add(match["file"], ("", 0), (top,))
        else:
            student.name = _blackboard_name(tree, top) or student.name
    for user, student in students.items():
        count = len(student.attempts)
        notes = (f"{count} attempts; the last one counts",) if count > 1 else ()
        yield Handed(student.name, user, student.picked(tree), notes=notes)


def _blackboard_name(tree: Tree, top: str) -> str:
    try:
        text = tree.read((top,), _MAX_ATTEMPT_TEXT).decode("utf-8", "replace")
    except Unreadable:
        return ""
    match = _BLACKBOARD_NAME.search(text.replace("\r\n", "\n"))
    return match["name"] if match else ""


# -- Gradescope ----------------------------------------------------------------------------------


def _gradescope(tree: Tree, names: Mapping[str, Kind]) -> Layout:
    trouble: tuple[str, ...] = ()
    try:
        metadata = _gradescope_metadata(tree)
    except Unreadable as lost:
        metadata, trouble = {}, (f"{lost.what}: students are called as their folders are",)
    handed: list[Handed] = []
    strangers: list[str] = []
    for name, kind in names.items():
        if name == GRADESCOPE:
            continue
        if kind is not Kind.FOLDER and not is_archive_name(name):
            strangers.append(name)
            continue
        people = _submitters(metadata.get(name))
        whole = Below(tree, (name,)) if kind is Kind.FOLDER else Picked(tree, {name: (name,)})
        handed.append(
            Handed(
                ", ".join(person for person, _ in people) or name,
                ", ".join(number for _, number in people if number) or ("" if people else name),
                whole,
            )
        )
    for name in metadata:
        if name not in names:
            strangers.append(f"{name} (in {GRADESCOPE}, but not there)")
    return Layout("Gradescope", tuple(handed), tuple(strangers), trouble)


def _gradescope_metadata(tree: Tree) -> dict[str, object]:
    data = tree.read((GRADESCOPE,), _MAX_METADATA)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        value = yaml.load(data, loader)  # noqa: S506  (a safe loader, in C where there is one)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        first = str(error).splitlines()[0] if str(error) else "not YAML"
        raise Unreadable(f"{GRADESCOPE} cannot be read ({first[:100]})", "") from None
    if not isinstance(value, dict):
        raise Unreadable(f"{GRADESCOPE} is not a table of submissions", "")
    return {str(key): item for key, item in value.items()}


def _submitters(entry: object) -> list[tuple[str, str]]:
    """Names and ids; Gradescope's keys are Ruby's symbols, which begin with a colon."""
    listed = entry.get(":submitters") if isinstance(entry, dict) else None
    people: list[tuple[str, str]] = []
    for person in listed if isinstance(listed, list) else ():
        if isinstance(person, dict):
            number = person.get(":sid") or person.get(":email") or ""
            name = person.get(":name") or number
            if name:
                people.append((str(name), str(number)))
    return people


# -- a folder or an archive each ------------------------------------------------------------------


def _plain(tree: Tree, names: Mapping[str, Kind], called: str) -> Layout:
    handed: list[Handed] = []
    strangers: list[str] = []
    theirs = [n for n, kind in names.items() if kind is Kind.FOLDER or is_archive_name(n)]
    common = _common_prefix(theirs, called)
    for name, kind in names.items():
        if kind is Kind.FOLDER:
            handed.append(Handed(name.removeprefix(common), "", Below(tree, (name,))))
        elif is_archive_name(name):
            picked = Picked(tree, {name: (name,)})
            handed.append(Handed(stem(name).removeprefix(common), "", picked))
        else:
            strangers.append(name)
    return Layout("folders", tuple(handed), tuple(strangers))


def _common_prefix(names: Iterable[str], called: str) -> str:
    """GitHub Classroom puts the assignment's name in front: `lab08-submissions/lab08-ada`."""
    if not called.endswith("-submissions"):
        return ""
    prefix = called.removesuffix("submissions")
    return prefix if all(len(n) > len(prefix) and n.startswith(prefix) for n in names) else ""


def matching(name: str) -> str:
    """A name for comparing: the same letters, however they are composed, and no case."""
    return unicodedata.normalize("NFC", name).casefold().strip()
