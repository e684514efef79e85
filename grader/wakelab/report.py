"""The report: the one versioned result of a grading, from which every format is converted.

Its JSON is canonical: no times, no absolute paths, sorted keys. Two gradings of the same files
compare byte by byte. `report.schema.json` is the schema.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from pathlib import Path

from wakelab.errors import UserError

SCHEMA = "wakelab/report/v2"
MAX_REPORT_BYTES = 16 * 1024 * 1024
_ANY_SCHEMA = re.compile(r"wakelab/report/v[0-9]{1,4}")


class Verdict(StrEnum):
    """What a check, or a whole grading, came to."""

    PASS = "pass"
    TODO = "todo"
    WRONG = "wrong"
    LOST_WAKE = "lost-wake"
    DOUBLE = "double"
    BUSY = "busy"
    ASLEEP = "asleep"
    LOOP = "loop"
    FAULT = "fault"
    FORBIDDEN = "forbidden"
    BUILD = "build"
    SKIPPED = "skipped"
    INFRA = "infra"


class Visibility(StrEnum):
    """When the author of a submission may see what a check found.

    `withheld` stands where a report has been made ready for that author's eyes before the due date:
    the finding is not in it any more.
    """

    VISIBLE = "visible"
    AFTER_DUE_DATE = "after_due_date"
    WITHHELD = "withheld"


@dataclass(frozen=True)
class CompilerMessage:
    """One message of the compiler, assembler or linker.

    file      as the student knows it: "button_future.c", or "lab/async/waker.h"; "" for the linker
    line      from 1; 0 when there is none
    column    from 1; 0 when there is none
    severity  "error" or "warning"
    text      the sentence; the student's words may be in it, so it is not safe to print as it is
    level     the optimisation levels that gave it, "O0 Os"
    """

    file: str
    line: int
    column: int
    severity: str
    text: str
    level: str


@dataclass(frozen=True)
class Place:
    """A place in the source: file as the student knows it, line from 1, the text of that line, and
    the address of the instruction when one is meant."""

    file: str
    line: int
    text: str = ""
    address: int | None = None


@dataclass(frozen=True)
class CheckResult:
    """What one check found.

    id          stable, for machines: "one-press-one-line"
    title       the sentence that the student reads
    expected, seen, why, hint   sentences; empty when the check passed or has nothing to say
    place       where in the student's source, when known
    story       the trace in words, one event a line, up to the failure
    diagnosis   the known mistake recognised ("check-then-register"), or ""
    level       the optimisation level at which it failed ("Os"), or ""
    trace_hash  hash of the trace or traces that the verdict rests on, or ""
    needs       ids of the checks that had to pass before this one
    visibility  when the student may see the finding; the report itself always states it
    """

    id: str
    title: str
    verdict: Verdict
    points: int
    max_points: int
    expected: str = ""
    seen: str = ""
    why: str = ""
    hint: str = ""
    place: Place | None = None
    story: tuple[str, ...] = ()
    diagnosis: str = ""
    level: str = ""
    trace_hash: str = ""
    needs: tuple[str, ...] = ()
    visibility: Visibility = Visibility.VISIBLE


@dataclass(frozen=True)
class Report:
    """The result of grading one submission; make one with `make_report`.

    lab         number, "08"
    title       the lab's title
    submission  name of what was graded
    versions    tool to version ("gcc", "qemu", "wakelab")
    hashes      SHA-256 in hex of what was graded ("submission", "elf-Os"), of who graded ("grader")
                and of what was linked beside it ("lab")
    modes       modes of the sweep that were asked for on top of the lab's own
    """

    lab: str
    title: str
    submission: str
    verdict: Verdict
    points: int
    max_points: int
    checks: tuple[CheckResult, ...]
    compiler_messages: tuple[CompilerMessage, ...]
    versions: Mapping[str, str]
    hashes: Mapping[str, str]
    modes: tuple[str, ...] = ()
    schema: str = SCHEMA


def overall_verdict(checks: Sequence[CheckResult]) -> Verdict:
    """`infra` if any check came to it or none ran; else the first that is no pass; else pass."""
    verdicts = [check.verdict for check in checks]
    if not verdicts or Verdict.INFRA in verdicts:
        return Verdict.INFRA
    return next((verdict for verdict in verdicts if verdict is not Verdict.PASS), Verdict.PASS)


def make_report(
    lab: str,
    title: str,
    submission: str,
    checks: Sequence[CheckResult],
    *,
    compiler_messages: Sequence[CompilerMessage] = (),
    versions: Mapping[str, str] | None = None,
    hashes: Mapping[str, str] | None = None,
    modes: Collection[str] = (),
) -> Report:
    """A report whose verdict and sums follow from its checks."""
    return Report(
        lab=lab,
        title=title,
        submission=submission,
        verdict=overall_verdict(checks),
        points=sum(check.points for check in checks),
        max_points=sum(check.max_points for check in checks),
        checks=tuple(checks),
        compiler_messages=tuple(compiler_messages),
        versions=dict(versions or {}),
        hashes=dict(hashes or {}),
        modes=tuple(sorted(modes)),
    )


def to_json(report: Report) -> str:
    """Canonical JSON, with a final newline. ASCII only, so that no control code gets through."""
    return json.dumps(_plain(report), sort_keys=True, indent=2, ensure_ascii=True) + "\n"


def from_json(text: str | bytes, where: str = "") -> Report:
    """The report that `to_json` wrote. `where` names the file in the UserError raised when the text
    is not a report of this schema."""
    advice = "grade again to get a new report"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"not a report: it is not JSON ({error})", where, advice) from None
    schema = value.get("schema") if isinstance(value, dict) else None
    if schema != SCHEMA:
        if isinstance(schema, str) and _ANY_SCHEMA.fullmatch(schema):
            what = f"a report of schema {schema}; this wakelab reads {SCHEMA}"
        else:
            what = f"not a report of schema {SCHEMA}"
        raise UserError(what, where, advice)
    try:
        report = _typed(Report, value, "report")
    except _Misfit as misfit:
        raise UserError(f"not a valid report: {misfit}", where, advice) from None
    assert isinstance(report, Report)
    return report


def read_bytes(path: Path) -> bytes:
    """What a file that claims to be a report holds, at most MAX_REPORT_BYTES. Raises UserError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_REPORT_BYTES + 1)
    except OSError as error:
        raise UserError(
            f"the report cannot be read: {error.strerror}", str(path), "check the path"
        ) from None
    if len(data) > MAX_REPORT_BYTES:
        raise UserError("larger than any report that wakelab writes", str(path), "check the path")
    return data


def read_report(path: Path) -> Report:
    """The report in a file. Raises UserError."""
    return from_json(read_bytes(path), str(path))


def write_report(report: Report, path: Path) -> None:
    """Write the JSON in one step: a reader sees the old file or the new one. Raises UserError."""
    write_atomically(path, to_json(report))


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace a file's content in one step; text in UTF-8. Raises UserError when it cannot be
    written."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with open(descriptor, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise UserError(
            f"the file cannot be written: {error.strerror}", str(path), "choose another place"
        ) from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


class _Misfit(Exception):
    """A value that does not have the type its place asks for."""


def _typed(kind: object, value: object, where: str) -> object:
    """`value` from JSON as `kind`, one of the types used by the classes above."""
    if isinstance(kind, types.UnionType):
        if value is None:
            return None
        return _typed(kind.__args__[0], value, where)
    origin = typing.get_origin(kind)
    if origin is tuple:
        if not isinstance(value, list):
            raise _Misfit(f"{where} must be a list")
        item = typing.get_args(kind)[0]
        return tuple(_typed(item, each, f"{where}[{at}]") for at, each in enumerate(value))
    if origin is Mapping:
        if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
            raise _Misfit(f"{where} must map names to text")
        return dict(value)
    assert isinstance(kind, type)
    if is_dataclass(kind):
        return _typed_dataclass(kind, value, where)
    if issubclass(kind, StrEnum):
        if value not in list(kind):
            raise _Misfit(f"{where} is no {kind.__name__.lower()}")
        return kind(typing.cast(str, value))
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _Misfit(f"{where} must be {'a number' if kind is int else 'text'}")
    if isinstance(value, int) and value < 0:
        raise _Misfit(f"{where} must be 0 or more")
    return value


def _typed_dataclass(kind: type, value: object, where: str) -> object:
    if not isinstance(value, dict):
        raise _Misfit(f"{where} must be an object")
    hints = typing.get_type_hints(kind)
    if wrong := sorted(value.keys() ^ hints.keys()):
        state = "is missing" if wrong[0] in hints else "is unknown"
        raise _Misfit(f"{where}.{wrong[0]} {state}")
    typed = {name: _typed(hint, value[name], f"{where}.{name}") for name, hint in hints.items()}
    return kind(**typed)
