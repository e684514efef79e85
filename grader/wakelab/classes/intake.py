"""From what a platform exported to submissions: one entry for each student, whatever is broken.

A broken hand-in becomes a submission with a `problem`, which is graded as every other: it builds
nothing. Whatever the instructor should know is in `named`, too.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from wakelab.classes.archives import (
    OF_A_CLASS,
    OF_A_STUDENT,
    ArchiveTree,
    is_archive_name,
    stem,
)
from wakelab.classes.layouts import (
    GRADESCOPE,
    Handed,
    Layout,
    is_junk,
    matching,
    recognise,
)
from wakelab.classes.trees import Below, FolderTree, Kind, Parts, Tree, Unreadable
from wakelab.errors import UserError
from wakelab.labs import Lab
from wakelab.submission import MAX_FILE_BYTES, Submission, submission_of, unreadable

_DEEPEST_WRAPPER = 3


@dataclass(frozen=True)
class Entry:
    """One student's submission.

    key         unique in the class, made of letters, digits and hyphens: a file's name
    name        the student's, unique in the class: with the id or a number where two are alike
    id          the platform's, or ""
    late        the platform says so
    notes       what is worth knowing of it
    """

    key: str
    name: str
    id: str
    late: bool
    submission: Submission
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Intake:
    """A class, taken in.

    platform  "Moodle", …, or "folders"
    entries   by name
    named     (whom or what it is about, sentence): what is broken or left out
    """

    platform: str
    entries: tuple[Entry, ...]
    named: tuple[tuple[str, str], ...]


def take_in(lab: Lab, labs: Collection[Lab], path: Path) -> Intake:
    """Read a class from a folder or one archive of it. `labs`: all there are, to tell whose files
    were handed in instead. Raises UserError where there is no class at all."""
    wanted = frozenset(lab.files)
    with ExitStack() as stack:
        tree, outside = _open(path, wanted, stack)
        try:
            names = tree.names(())
            if wanted & set(names):
                raise UserError(
                    "this is one submission, not a folder of them",
                    str(path),
                    f"make grade LAB={lab.number} SUBMISSION={path}, or give the folder above",
                )
            layout = recognise(tree, stem(path.resolve().name), lab.files)
        except Unreadable as lost:
            raise UserError(lost.what, str(path), lost.next_step) from None
        if not layout.handed:
            raise UserError(
                "there is no submission in it",
                str(path),
                "give the folder or archive that the platform exported; docs/instructors/class.md "
                "shows how it looks",
            )
        return _entries(lab, labs, layout, outside)


def _open(path: Path, wanted: frozenset[str], stack: ExitStack) -> tuple[Tree, Sequence[str]]:
    if not path.is_file():
        return stack.enter_context(FolderTree(path)), ()

    def kept(name: str) -> bool:
        return any(name.endswith(each) for each in wanted) or _is_container(name)

    try:
        file = stack.enter_context(open(path, "rb"))
        archive = stack.enter_context(ArchiveTree(file, path.name, OF_A_CLASS, kept))
    except OSError as error:
        raise UserError(
            f"the archive cannot be read: {error.strerror}", str(path), "check its rights"
        ) from None
    except Unreadable as lost:
        raise UserError(lost.what, str(path), "download it from the platform again") from None
    return archive, archive.outside


def _is_container(name: str) -> bool:
    return is_archive_name(name) or name == GRADESCOPE or name.endswith((".txt", ".c", ".h"))


def _entries(lab: Lab, labs: Collection[Lab], layout: Layout, outside: Sequence[str]) -> Intake:
    named = [(each, "leads out of the archive: not taken") for each in outside]
    named += [("", sentence) for sentence in layout.trouble]
    named += [(each, "belongs to no student, and is left out") for each in layout.strangers]
    handed = sorted(layout.handed, key=lambda each: (matching(each.name), each.id, each.name))
    entries: list[Entry] = []
    keys: set[str] = set()
    for each, (name, twin) in zip(handed, _distinct(handed), strict=True):
        notes = list(each.notes)
        submission, more = _read(lab, labs, each.tree, name)
        notes += more
        if twin:
            notes.append(twin)
            if not each.id:
                named.append((name, twin))
        if submission.problem is not None:
            named.append((name, submission.problem.what))
        named += [(name, sentence) for sentence in more]
        key = _key(name, each.id, keys)
        keys.add(key)
        entries.append(Entry(key, name, each.id, each.late, submission, tuple(notes)))
    return Intake(layout.platform, tuple(entries), tuple(named))


def _distinct(handed: Sequence[Handed]) -> Iterator[tuple[str, str]]:
    """For each its name, told apart from the others', and a sentence where that was needed."""
    alike = Counter(matching(each.name) for each in handed)
    seen: Counter[str] = Counter()
    for each in handed:
        plain = matching(each.name)
        name = each.name.strip() or "nameless"
        if alike[plain] == 1:
            yield name, ""
            continue
        seen[plain] += 1
        told_by = each.id or str(seen[plain])
        yield f"{name} ({told_by})", f"{alike[plain]} submissions are called {name}"


def _key(name: str, number: str, taken: Collection[str]) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    words = re.findall(r"[a-z0-9]+", f"{plain} {number if number not in name else ''}".lower())
    base = "-".join(words)[:60].strip("-") or "student"
    key, count = base, 1
    while key in taken:
        count += 1
        key = f"{base}-{count}"
    return key


# -- one student's files ---------------------------------------------------------------------------


def _read(lab: Lab, labs: Collection[Lab], tree: Tree, name: str) -> tuple[Submission, list[str]]:
    notes: list[str] = []
    try:
        with _place(lab, labs, tree, notes) as place:
            contents = {
                each: place.read((each,), MAX_FILE_BYTES)
                for each, kind in place.names(()).items()
                if each in lab.files
            }
            return submission_of(lab, name, contents), notes
    except Unreadable as lost:
        return unreadable(name, lost.what, lost.next_step), notes


@contextmanager
def _place(
    lab: Lab, labs: Collection[Lab], tree: Tree, notes: list[str], nested: str = ""
) -> Iterator[Tree]:
    """The folder that holds the lab's files: the top, the lab's in a checkout, or either in the
    only folder or the only archive there. Raises Unreadable."""
    found = _folder_with_files(lab, tree)
    if found is not None:
        yield found
        return
    at, names = _unwrapped(tree)
    archives = [each for each, kind in names.items() if is_archive_name(each)]
    if not archives:
        raise _nothing(lab, labs, Below(tree, at), names)
    if nested:
        raise Unreadable(
            f"{archives[0]} lies inside {nested}: archives in archives are not opened",
            "pack the lab's files themselves",
        )
    if len(archives) > 1:
        raise Unreadable(
            f"{len(archives)} archives are handed in ({', '.join(archives[:3])}), and nobody can"
            " say which is meant",
            "hand in one",
        )
    data = tree.read((*at, archives[0]), OF_A_STUDENT.packed)
    kept = frozenset(lab.files)
    with ArchiveTree(io.BytesIO(data), archives[0], OF_A_STUDENT, kept.__contains__) as archive:
        if archive.outside:
            notes.append(
                f"{archives[0]} holds a path that leads out of it ({archive.outside[0]}): not taken"
            )
        with _place(lab, labs, archive, notes, archives[0]) as place:
            yield place


def _folder_with_files(lab: Lab, tree: Tree) -> Tree | None:
    at: Parts = ()
    for _ in range(_DEEPEST_WRAPPER + 1):
        for path in (at, (*at, "lab", lab.directory.name)):
            if any(each in lab.files for each in tree.names(path)):
                return Below(tree, path)
        names = _unjunked(tree, at)
        if list(names.values()) != [Kind.FOLDER]:
            return None
        at = (*at, next(iter(names)))
    return None


def _unwrapped(tree: Tree) -> tuple[Parts, Mapping[str, Kind]]:
    """Down through folders that hold one folder and nothing else, and what is there."""
    at: Parts = ()
    while True:
        names = _unjunked(tree, at)
        if len(at) == _DEEPEST_WRAPPER or list(names.values()) != [Kind.FOLDER]:
            return at, names
        at = (*at, next(iter(names)))


def _unjunked(tree: Tree, at: Parts) -> dict[str, Kind]:
    return {each: kind for each, kind in tree.names(at).items() if not is_junk(each)}


def _nothing(lab: Lab, labs: Collection[Lab], tree: Tree, names: Mapping[str, Kind]) -> Unreadable:
    advice = (
        f"hand in {' and '.join(lab.files)}, "
        f"or a whole checkout with lab/{lab.directory.name}/ in it"
    )
    if not names:
        return Unreadable("nothing is handed in", advice)
    own = set(lab.files)
    for other in labs:
        theirs = [each for each in other.files if each not in own]
        there = [each for each in theirs if each in names]
        if other.number != lab.number and there:
            theirs_not_ours = f"files of lab {other.number}, not of lab {lab.number}"
            return Unreadable(f"these are {theirs_not_ours}: {', '.join(there)}", advice)
    checkouts = [each for each in tree.names(("lab",)) if each != lab.directory.name]
    if checkouts:
        return Unreadable(f"the checkout has no lab/{lab.directory.name}/ in it", advice)
    return Unreadable(f"it holds no {' and no '.join(lab.files)}", advice)
