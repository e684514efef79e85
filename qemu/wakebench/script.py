"""Reading stimulus scripts: YAML in, a tuple of steps out, or one error written for people.

The format is described in docs/contributors/design.md ("Stimulus scripts, version 1") and, word by
word, in `script.schema.json`, which also holds the phrases for the errors: "<word> is not <title>",
"expected <description>". Reading goes in four stages:

1. `_check_characters`: size, characters that no script holds, tabs in the indentation
2. `_Reader`: YAML events to `_Node`s, which know their place in the file; plain data, no surprises
3. `_schema_problems`: the nodes against the schema, each error made a `_Problem` with a place
4. `_build_step`: plain data, by now known to be right, to the frozen steps
"""

from __future__ import annotations

import json
import re
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from wakebench.pin_names import BUTTONS, PINS, Pin, closest, pin
from wakebench.when import When

if TYPE_CHECKING:
    import yaml
    from jsonschema import ValidationError

SCHEMA_PATH = Path(__file__).with_name("script.schema.json")
"""The JSON Schema (draft 2020-12) of a script."""

STEP_WORDS = ("wait", "press", "release", "pulse", "bounce", "set", "expect", "forbid")
"""The words a step can begin with, in the order in which people are told of them."""

VERSION = 1
"""The version of the format that this program reads."""

MAX_BYTES = 1024 * 1024
"""The largest script, in bytes of UTF-8."""

MAX_STEPS = 10_000
"""The longest script, in steps."""


# What a script says ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Step:
    line: int = field(kw_only=True)
    """The line of the script on which the step begins; the first line is 1."""


@dataclass(frozen=True)
class WaitAsleep(_Step):
    """Run until the CPU sleeps."""


@dataclass(frozen=True)
class WaitBeforeSleep(_Step):
    """Run up to the program's WFI, and stop before it executes."""


@dataclass(frozen=True)
class WaitLine(_Step):
    """Run until the console shows a line with this text."""

    text: str


@dataclass(frozen=True)
class WaitPin(_Step):
    """Run until the pin has this level, 0 or 1."""

    pin: Pin
    level: int


@dataclass(frozen=True)
class WaitSymbol(_Step):
    """Run until the program enters the function of this name."""

    name: str


@dataclass(frozen=True)
class WaitMs(_Step):
    """Let this many milliseconds of the board's time pass."""

    ms: int


@dataclass(frozen=True)
class WaitInstructions(_Step):
    """Execute exactly so many instructions; see Board.execute."""

    count: int


@dataclass(frozen=True)
class Press(_Step):
    """Press the button (a key of `BUTTONS`)."""

    button: str
    when: When = When.NOW


@dataclass(frozen=True)
class Release(_Step):
    """Let go of the button (a key of `BUTTONS`)."""

    button: str
    when: When = When.NOW


@dataclass(frozen=True)
class Pulse(_Step):
    """Press the button, let this many milliseconds pass, release it."""

    button: str
    ms: int
    when: When = When.NOW


@dataclass(frozen=True)
class Bounce(_Step):
    """Give `times` pulses, this many milliseconds apart; the button ends pressed."""

    button: str
    times: int
    ms: int
    when: When = When.NOW


@dataclass(frozen=True)
class SetPin(_Step):
    """Set the level, 0 or 1, outside the pin."""

    pin: Pin
    level: int
    when: When = When.NOW


@dataclass(frozen=True)
class ExpectLine(_Step):
    """The console has shown the text: exactly `times` times so far, or, if None, at least once."""

    text: str
    times: int | None = None


@dataclass(frozen=True)
class ExpectPin(_Step):
    """The pin has this level, 0 or 1."""

    pin: Pin
    level: int


@dataclass(frozen=True)
class ExpectPresses(_Step):
    """The program's handler has taken this many presses."""

    count: int


@dataclass(frozen=True)
class ForbidLine(_Step):
    """The opposite of `ExpectLine`: the console must not show the text."""

    text: str


@dataclass(frozen=True)
class ForbidPin(_Step):
    """The opposite of `ExpectPin`: the pin must not have this level, 0 or 1."""

    pin: Pin
    level: int


@dataclass(frozen=True)
class ForbidPresses(_Step):
    """The opposite of `ExpectPresses`: the handler must not have taken this many presses."""

    count: int


Step: TypeAlias = (
    WaitAsleep
    | WaitBeforeSleep
    | WaitLine
    | WaitPin
    | WaitSymbol
    | WaitMs
    | WaitInstructions
    | Press
    | Release
    | Pulse
    | Bounce
    | SetPin
    | ExpectLine
    | ExpectPin
    | ExpectPresses
    | ForbidLine
    | ForbidPin
    | ForbidPresses
)
"""Any one step."""


@dataclass(frozen=True)
class Script:
    """A script that has been read and found right."""

    name: str
    """What the script calls itself (its `name:`); without that, the file's name without folder."""
    source: str
    """The file, as the caller named it; for messages such as "two-presses.yaml, line 5: ..."."""
    steps: tuple[Step, ...]


class ScriptError(Exception):
    """A script that cannot be read. `str()` is the whole message, for people, in a few lines."""

    def __init__(
        self,
        file: str,
        problem: str,
        *,
        line: int | None = None,
        column: int | None = None,
        word: str = "",
        expected: str = "",
        hint: str = "",
        excerpt: str = "",
    ) -> None:
        super().__init__(file, problem)
        self.file = file
        """The file, as the caller named it."""
        self.problem = problem
        """What is wrong, in one sentence without a full stop."""
        self.line = line
        """The line, from 1; None if the trouble is with the file as a whole."""
        self.column = column
        """The character in the line, from 1; None if `line` is."""
        self.word = word
        """The word that is wrong, as it is in the file; "" if something is missing instead."""
        self.expected = expected
        """What may stand there; "" if that does not say more than `problem`."""
        self.hint = hint
        """What to do next, in whole sentences; may be ""."""
        self.excerpt = excerpt
        """The line of the file and the marks under the word; may be ""."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.file, self.problem), dict(vars(self)))

    def __str__(self) -> str:
        place = f", line {self.line}" if self.line is not None else ""
        advice = f"expected {self.expected}." if self.expected and self.hint else ""
        if self.expected and not self.hint:
            advice = f"expected {self.expected}"
        advice = " ".join(part for part in (advice, self.hint) if part)
        head = f"{_printable(self.file)}{place}: {self.problem}"
        return "\n".join(part for part in (head, self.excerpt, advice) if part)


# Entrances ---------------------------------------------------------------------------------------


def load_script(path: Path) -> Script:
    """Read the script in the file `path`.

    Raises ScriptError when the file cannot be read or is not a script; nothing else.
    """
    file = str(path)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ScriptError(file, "this is a folder, not a script", hint=_folder_hint(path))
        if not stat.S_ISREG(status.st_mode):
            raise ScriptError(
                file, "this is not an ordinary file", hint="Give the name of a .yaml file."
            )
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ScriptError(file, "there is no such file", hint=_missing_hint(path)) from None
    except PermissionError:
        raise ScriptError(
            file,
            "you may not read this file",
            hint="Ask its owner for permission, or copy it to a folder of your own.",
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ScriptError(
            file, f"this file cannot be read: {_printable(reason)}", hint="Check the file's name."
        ) from None
    if len(raw) > MAX_BYTES:
        raise _too_large(file)
    return parse_script(_decode(raw, file), file)


def parse_script(text: str, name: str) -> Script:
    """Read the script `text`, which came from the file called `name`.

    Raises ScriptError when it is not a script; nothing else.
    """
    text = text.removeprefix("\ufeff")
    _check_characters(text, name)
    lines = _split_lines(text)
    reader = _Reader(text, name, lines)
    root = reader.read()
    problems = [*reader.problems, *_schema_problems(root)]
    if problems:
        raise _as_error(min(problems, key=lambda problem: problem.order), name, lines)
    title = root.data.get("name") or Path(name).name or name
    steps = root.child("steps").items
    return Script(title, name, tuple(_build_step(step) for step in steps))


# Files and characters ----------------------------------------------------------------------------


def script_text(name: str, steps: Sequence[Step]) -> str:
    """Steps as a script's text, which reads as the same steps. Of steps that a hand can do: no
    `expect`, no `forbid`, and `when` is now. Raises ScriptError where they are too many."""
    if len(steps) > MAX_STEPS:
        raise ScriptError(
            name,
            f"{len(steps)} steps are more than a script may have ({MAX_STEPS})",
            hint="Restart the board, and do what matters.",
        )
    lines = ["wakelab: 1", f"name: {json.dumps(name, ensure_ascii=False)}", "steps:"]
    return "\n".join([*lines, *(f"  - {_step_text(step)}" for step in steps), ""])


def _step_text(step: Step) -> str:
    match step:
        case WaitAsleep():
            return "wait: asleep"
        case WaitMs(ms):
            return f"wait: {{ms: {ms}}}"
        case WaitInstructions(count):
            return f"wait: {{instructions: {count}}}"
        case Press(button, When.NOW):
            return f"press: {button}"
        case Release(button, When.NOW):
            return f"release: {button}"
    raise AssertionError(f"not written by hand: {step}")


def _too_large(file: str) -> ScriptError:
    return ScriptError(
        file,
        "this file is larger than 1 MiB, and a script never is",
        hint="Check that it is the right file; a long script can be cut in two.",
    )


def _missing_hint(path: Path) -> str:
    """The file in the same folder with the nearest name, if there is one."""
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f'There is no folder "{_printable(str(path.parent))}" either.'
    match = closest(path.name, names)
    if match:
        return f'Did you mean "{_printable(str(path.parent / match))}"?'
    return "Check the name and the folder."


def _folder_hint(path: Path) -> str:
    """Some scripts in the folder, if there are any."""
    try:
        scripts = sorted(entry.name for entry in path.iterdir() if entry.suffix == ".yaml")
    except OSError:
        scripts = []
    if not scripts:
        return "Give the name of a .yaml file."
    return f'Give the name of a file, such as "{_printable(str(path / scripts[0]))}".'


def _decode(raw: bytes, file: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            problem = "this file is saved as UTF-16, and a script is UTF-8"
            raise ScriptError(file, problem, hint='Save it again as "UTF-8".') from None
        before = raw[: error.start].decode("utf-8-sig", "replace")
        seen = _split_lines(before)
        raise ScriptError(
            file,
            f"the byte 0x{raw[error.start]:02x} is not UTF-8",
            line=len(seen),
            column=len(seen[-1]) + 1,
            excerpt=f"    {_printable(seen[-1][-_EXCERPT_WIDTH:])}...",
            hint='The place is after these words. Save the file again as "UTF-8".',
        ) from None


_BAD_CHARACTER = re.compile(
    "[^\t\n\r\u0020-\u007e\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
"""What YAML does not allow (controls, lone surrogates), and the rare characters that YAML takes for
the end of a line where an editor does not, so that line numbers stay the editor's."""

_TAB_INDENT = re.compile(r"^ *(\t)[ \t]*[^\s#]", re.MULTILINE)


def _check_characters(text: str, file: str) -> None:
    """Raise ScriptError for a text that is too large, or that holds characters no script holds."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _too_large(file)
    bad = _BAD_CHARACTER.search(text)
    tab = _TAB_INDENT.search(text.replace("\r", "\n"))
    if bad and not (tab and tab.start(1) < bad.start()):
        raise _as_error(
            _Problem(
                _span_at(text, bad.start()),
                f'the character "{_printable(bad[0])}" is not allowed in a script',
                word=bad[0],
                hint="Delete it. It may have come along when text was copied.",
            ),
            file,
            _split_lines(text),
        )
    if tab:
        raise _as_error(
            _Problem(
                _span_at(text, tab.start(1)),
                "this line is indented with a tab",
                word="\t",
                expected="spaces",
                hint="Replace the tab with two spaces for each level.",
            ),
            file,
            _split_lines(text),
        )


def _split_lines(text: str) -> list[str]:
    return re.split(r"\r\n|\r|\n", text)


# Places and problems -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Span:
    """A stretch of the file; lines and columns from 1, the end column is the first one after."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True)
class _Problem:
    """One thing that is wrong with the script, and where."""

    span: _Span
    problem: str
    word: str = ""
    expected: str = ""
    hint: str = ""
    choices: tuple[str, ...] = ()
    """Without a hint: the words among which one may have been meant. (Comparing takes time, and
    of many problems one is told, so it is done then.)"""
    rank: int = 1
    """Of two problems at the same place, the one with the smaller rank is told."""
    at: tuple[int, int] | None = None
    """The place by which problems are ordered, where it is not the beginning of `span`."""
    underline: bool = True

    @property
    def order(self) -> tuple[int, int, int]:
        line, column = self.at or (self.span.line, self.span.column)
        return (line, column, self.rank)


def _span_at(text: str, index: int) -> _Span:
    before = _split_lines(text[:index])
    column = len(before[-1]) + 1
    return _Span(len(before), column, len(before), column + 1)


def _as_error(problem: _Problem, file: str, lines: Sequence[str]) -> ScriptError:
    return ScriptError(
        file,
        problem.problem,
        line=problem.span.line,
        column=problem.span.column,
        word=problem.word,
        expected=problem.expected,
        hint=problem.hint or _did_you_mean(problem.word, problem.choices),
        excerpt=_excerpt(lines, problem.span) if problem.underline else "",
    )


_EXCERPT_WIDTH = 72
_WORD_WIDTH = 40


def _excerpt(lines: Sequence[str], span: _Span) -> str:
    """The line without its indentation, and carets under the span; two lines."""
    raw = lines[span.line - 1] if span.line <= len(lines) else ""
    start = min(span.column - 1, len(raw))
    indent = len(raw) - len(raw.lstrip(" "))
    first = min(indent, start)
    if len(raw) - first > _EXCERPT_WIDTH and start - first > _EXCERPT_WIDTH // 2:
        first = start - _EXCERPT_WIDTH // 4
    last = min(len(raw), first + _EXCERPT_WIDTH)
    end = span.end_column - 1 if span.end_line == span.line else len(raw.rstrip())
    end = min(max(end, start + 1), max(last, start + 1))
    left = "..." if first > indent else ""
    right = "..." if last < len(raw) else ""
    shown = left + _printable(raw[first:last]) + right
    skipped = _width(left + _printable(raw[first:start]))
    carets = "^" * max(1, _width(_printable(raw[start:end])))
    return f"    {shown.rstrip()}\n    {' ' * skipped}{carets}"


def _printable(text: str) -> str:
    """The text with everything that a terminal might act upon written as an escape."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def _width(text: str) -> int:
    """The number of terminal columns that the text takes."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) != 0 for char in text)


def _quoted(word: str) -> str:
    clipped = word if len(word) <= _WORD_WIDTH else word[:_WORD_WIDTH] + "..."
    return f'"{_printable(clipped)}"'


def _did_you_mean(word: str, choices: Sequence[str]) -> str:
    match = closest(word, choices)
    return f'Did you mean "{match}"?' if match and match != word else ""


# YAML --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Node:
    """A piece of YAML: its plain data, and where it came from."""

    span: _Span
    data: Any
    word: str = ""
    """The text of a scalar; "" for the rest."""
    items: tuple[_Node, ...] = ()
    """A list's items."""
    pairs: tuple[tuple[_Node, _Node], ...] = ()
    """A mapping's keys and values, in order, without keys that were given before."""

    def child(self, key: str | int) -> _Node:
        return self.items[key] if isinstance(key, int) else self._pair(key)[1]

    def key(self, key: str) -> _Node:
        return self._pair(key)[0]

    def _pair(self, key: str) -> tuple[_Node, _Node]:
        return next(pair for pair in self.pairs if pair[0].word == key)


_DEEPEST = 8
"""Nesting beyond this is no script; a real one has 4 levels."""

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LONGEST_NUMBER = 18


def _plain_value(word: str) -> str | int | float | bool | None:
    """What a scalar without quotes stands for: YAML 1.2's few cases, not YAML 1.1's many.

    `on`, `off`, `yes`, `no`, `010`, `1:30`, `1_000` and `2024-01-01` are no surprises here.
    """
    if word in ("", "~", "null", "Null", "NULL"):
        return None
    if word in ("true", "True", "TRUE"):
        return True
    if word in ("false", "False", "FALSE"):
        return False
    if _INTEGER.fullmatch(word):
        # Longer ones are out of every range here, and Python refuses to print the longest.
        sign = -1 if word.startswith("-") else 1
        digits = word.lstrip("+-").lstrip("0")
        return sign * (int(digits or "0") if len(digits) <= _LONGEST_NUMBER else 10**18)
    if _FLOAT.fullmatch(word):
        return float(word)
    return word


def _yaml_loader() -> Any:
    """PyYAML's parser in C, 20 times as fast, or the one in Python where there is no other."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Reader:
    """Reads one YAML document, event by event: so nothing is nested or copied without a bound."""

    def __init__(self, text: str, file: str, lines: Sequence[str]) -> None:
        self.problems: list[_Problem] = []
        self._text = text
        self._file = file
        self._lines = lines
        self._events: Iterator[yaml.Event] = iter(())

    def read(self) -> _Node:
        """The document's root. Problems that do not stop the reading go to `problems`."""
        import yaml

        try:
            self._events = iter(yaml.parse(self._text, Loader=_yaml_loader()))
            root = self._read_document()
        except yaml.MarkedYAMLError as error:
            problem = _syntax_problem(error, self._lines)
        except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
            # PyYAML's parser in Python lets chr()'s errors out, for one.
            problem = _Problem(_Span(1, 1, 1, 1), "this is not YAML", underline=False)
        else:
            return root
        raise _as_error(problem, self._file, self._lines) from None

    def _read_document(self) -> _Node:
        import yaml

        next(self._events)  # the stream's beginning
        event = next(self._events)
        if not isinstance(event, yaml.DocumentStartEvent):
            raise ScriptError(
                self._file,
                "this file is empty",
                expected='"wakelab: 1", then "steps:", then a line for each step',
                hint="docs/students/scripts.md has an example.",
            )
        root = self._read_node(next(self._events), 0)
        next(self._events)  # the document's end
        event = next(self._events)
        if isinstance(event, yaml.DocumentStartEvent):
            self._note(
                _Problem(
                    _span(event),
                    "a second document begins here, and a script is one",
                    hint='Delete the line "---", or put the rest into a file of its own.',
                )
            )
        return root

    def _note(self, problem: _Problem) -> None:
        self.problems.append(problem)

    def _read_node(self, event: yaml.Event, depth: int) -> _Node:
        import yaml

        span = _span(event)
        self._refuse_extras(event, span)
        if depth > _DEEPEST:
            problem = _Problem(
                span, "this is nested too deeply for a script", hint="Check the brackets."
            )
            raise _as_error(problem, self._file, self._lines)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._read_list(span, depth)
        if isinstance(event, yaml.MappingStartEvent):
            return self._read_mapping(span, depth)
        if isinstance(event, yaml.ScalarEvent):
            plain = event.implicit[0]  # neither quotes nor a tag
            data = _plain_value(event.value) if plain else event.value
            if any("\ud800" <= char <= "\udfff" for char in event.value):
                self._note(_Problem(span, "this text holds half a character", rank=0))
            return _Node(span, data, event.value)
        return _Node(span, None, "*")  # an alias, refused above

    def _refuse_extras(self, event: yaml.Event, span: _Span) -> None:
        """Note anchors, aliases and tags: a script needs none, and they can do harm."""
        import yaml

        name, sign = getattr(event, "anchor", None), "&"
        if isinstance(event, yaml.AliasEvent):
            sign = "*"
        elif name is None:
            name, sign = getattr(event, "tag", None), ""
        if name is not None:
            word = f"{sign}{name}"
            self._note(
                _Problem(
                    span,
                    f"{_quoted(word)} means something special in YAML that scripts do not use",
                    word=word,
                    hint='If it is meant as text, put it in quotes: "...".',
                    rank=0,
                )
            )

    def _read_list(self, span: _Span, depth: int) -> _Node:
        import yaml

        items: list[_Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._read_node(event, depth + 1))
        data = [item.data for item in items]
        return _Node(_joined(span, _span(event)), data, items=tuple(items))

    def _read_mapping(self, span: _Span, depth: int) -> _Node:
        import yaml

        pairs: dict[str, tuple[_Node, _Node]] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._read_node(event, depth + 1)
            value = self._read_node(next(self._events), depth + 1)
            if key.items or key.pairs or isinstance(key.data, list | dict):
                self._note(
                    _Problem(
                        key.span,
                        "a list or a mapping stands where a word was to come",
                        hint="Check the brackets and the question marks.",
                        rank=0,
                        at=(span.line, span.column),
                    )
                )
            elif key.word in pairs:
                earlier = pairs[key.word][0].span.line
                where = "on the same line" if earlier == key.span.line else f"on line {earlier}"
                self._note(
                    _Problem(
                        key.span,
                        f"{_quoted(key.word)} is given twice, first {where}",
                        word=key.word,
                        hint=_duplicate_hint(key.word),
                        rank=0,
                    )
                )
            else:
                pairs[key.word] = (key, value)
        data = {key.word: value.data for key, value in pairs.values()}
        return _Node(_joined(span, _span(event)), data, pairs=tuple(pairs.values()))


def _duplicate_hint(word: str) -> str:
    if word in STEP_WORDS:
        return 'Each step begins with "- ".'
    return "Keep one of the two."


def _span(event: yaml.Event) -> _Span:
    start, end = event.start_mark, event.end_mark
    assert start is not None and end is not None  # PyYAML's types allow it, its parsers never do
    return _Span(start.line + 1, start.column + 1, end.line + 1, end.column + 1)


def _joined(begin: _Span, end: _Span) -> _Span:
    return _Span(begin.line, begin.column, end.end_line, end.end_column)


_OPEN_QUOTE = "Write the same quote at the end of the text."
_OPEN_BRACKET = 'Close it, and put ", " between its parts: {button: SELECT, ms: 50}.'
_COLON = 'If it belongs to a text, put the whole text in quotes: "a: b".'

_SYNTAX = (
    # (what PyYAML's two parsers say, at the context's place?, problem, hint)
    ("mapping values are not allowed", False, 'a ":" where there can be none', _COLON),
    ("quoted scalar found unex", True, "the quote that opens here is not closed", _OPEN_QUOTE),
    ("unknown escape", False, '"\\" means something special between these quotes', "Write \\\\."),
    ("flow mapping", True, 'the "{" that opens here is not closed rightly', _OPEN_BRACKET),
    ("flow sequence", True, 'the "[" that opens here is not closed rightly', _OPEN_BRACKET),
    ("find expected ':'", True, 'there is no ":" after this', "Write word: value, with a space."),
    ("cannot start any token", False, "no word can begin like this", "Put the text in quotes."),
    ("block mapping", False, "this does not fit the lines above", "Check the indentation."),
    ("block collection", False, "this does not fit the lines above", "Check the indentation."),
    ("node content", False, "a value was to come here", "Check the brackets and the quotes."),
)


def _syntax_problem(error: yaml.MarkedYAMLError, lines: Sequence[str]) -> _Problem:
    """What is wrong with the YAML, said without the words of YAML's specification."""
    said = f"{error.context or ''} {error.problem or ''}"
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    opened = error.context_mark
    if line > len(lines):  # past the last line, where the parser in C puts the end of the file
        line, column = len(lines), len(lines[-1]) + 1
    if opened and opened.line + 1 == line and lines[line - 1][column - 1 : column] == ":":
        said = "mapping values are not allowed"  # {line: a: b}
    problem = f"this is not YAML: {_printable(error.problem or 'unknown reason')}"
    hint = "docs/students/scripts.md has an example."
    for phrase, at_context, sentence, advice in _SYNTAX:
        if phrase in said:
            problem, hint = sentence, advice
            if at_context and opened:
                line, column = opened.line + 1, opened.column + 1
            break
    word = lines[line - 1][column - 1 : column]
    return _Problem(_Span(line, column, line, column + 1), problem, word=word, hint=hint)


# The schema, and what its errors mean -------------------------------------------------------------


def _schema_problems(root: _Node) -> Iterator[_Problem]:
    """Everything that the schema has against the script."""
    steps = root.data.get("steps") if isinstance(root.data, dict) else None
    if isinstance(steps, list) and len(steps) > MAX_STEPS:
        # Told here because the validator would look at every step before it told.
        yield _Problem(
            root.child("steps").items[MAX_STEPS].span,
            f"this is step {MAX_STEPS + 1}, and a script has at most {MAX_STEPS}",
            hint="Cut the script in two.",
            at=(0, 0),
        )
        return
    from jsonschema import Draft202012Validator

    schema = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))
    for error in Draft202012Validator(schema).iter_errors(root.data):
        yield from _Explainer(root, schema, error).problems()


class _Explainer:
    """Turns one error of the validator into problems with a place and a sentence."""

    def __init__(self, root: _Node, schema: dict[str, Any], error: ValidationError) -> None:
        self._error = error
        self._path = list(error.absolute_path)
        self._node = root
        self._key: _Node | None = None
        for part in self._path:
            self._key = self._node.key(part) if isinstance(part, str) else self._key
            self._node = self._node.child(part)
        in_step = len(self._path) >= 3
        self._step_word = str(self._path[2]) if in_step else ""
        definition = schema["$defs"].get(self._step_word, {})
        self._definition: dict[str, Any] = definition
        self._rule: dict[str, Any] = dict(cast("dict[str, Any]", error.schema))
        self._asked: Any = error.validator_value
        self._phrases: dict[str, Any] = schema["$defs"]

    def problems(self) -> Iterator[_Problem]:
        match self._error.validator:
            case "additionalProperties":
                yield from self._unknown_keys()
            case "maxProperties":
                yield self._two_words()
            case "minProperties":
                yield self._empty()
            case "required":
                yield from self._missing_keys()
            case "dependentRequired":
                yield from self._missing_companions()
            case _:
                yield self._wrong_value()

    # Keys

    def _unknown_keys(self) -> Iterator[_Problem]:
        allowed = list(self._rule["properties"])
        excluded = [(key, key.word) for key, _ in self._node.pairs if key.word not in allowed]
        if "dependentSchemas" in self._error.absolute_schema_path:
            condition = str(self._error.absolute_schema_path[-2])
            yield from self._conflicts(condition, excluded)
            return
        key, word = excluded[0]
        what, expected = self._what_keys_are(allowed)
        problem = f"{_quoted(word)} is not {what}"
        yield _Problem(key.span, problem, word, expected, choices=tuple(allowed), rank=0)

    def _what_keys_are(self, allowed: Sequence[str]) -> tuple[str, str]:
        expected = f"one of: {', '.join(allowed)}"
        if not self._path:
            return "a part of a script", expected
        if not self._step_word:
            return "a step", expected
        return f'a part of "{self._step_word}"', expected

    def _conflicts(
        self, condition: str, excluded: Sequence[tuple[_Node, str]]
    ) -> Iterator[_Problem]:
        """Keys that are wrong together with `condition`; an unknown one has a better rank."""
        conditions = self._known_conditions()
        for key, word in excluded:
            first = self._node.key(condition)
            if (first.span.line, first.span.column) > (key.span.line, key.span.column):
                if word in conditions:
                    continue  # told from the other side
                problem = f'"{word}" does not go with "{condition}"'
            elif word in conditions:
                name = self._step_word
                problem = f'"{name}" has two conditions, "{condition}" and "{word}"'
            else:
                problem = f'"{word}" does not go with "{condition}"'
            yield _Problem(
                key.span,
                problem,
                word,
                self._definition["description"],
                f'Write a "- {self._step_word}:" for each.' if word in conditions else "",
            )

    def _known_conditions(self) -> dict[str, Any]:
        holder = self._definition.get("else", self._definition)
        return dict(holder["dependentSchemas"])

    def _two_words(self) -> _Problem:
        first, second = self._node.pairs[0][0], self._node.pairs[1][0]
        return _Problem(
            second.span,
            f"a step has one word, and here are two, {_quoted(first.word)} and "
            f"{_quoted(second.word)}",
            word=second.word,
            hint=self._two_words_hint(),
            rank=-1,
            at=(self._node.span.line, self._node.span.column),
        )

    def _two_words_hint(self) -> str:
        """For `press: SELECT` and below it `when: asleep`, what was meant."""
        (first, value), *rest = self._node.pairs
        parts = [("button", value), *((key.word, part) for key, part in rest)]
        parts = [(name, part) for name, part in parts if part.word]
        meant = ", ".join(f"{name}: {part.word}" for name, part in parts)
        if len(meant) > _WORD_WIDTH or any(name not in ("button", "when") for name, _ in parts):
            return 'Each step begins with "- "; what belongs to it stands between { and }.'
        return f"Write - {_printable(first.word)}: {{{_printable(meant)}}}"

    def _empty(self) -> _Problem:
        name = _quoted(self._step_word) if self._step_word else "this step"
        return _Problem(self._node.span, f"{name} is empty", expected=self._expected_here())

    def _expected_here(self) -> str:
        return str((self._definition or self._rule)["description"])

    def _missing_keys(self) -> Iterator[_Problem]:
        end = (self._node.span.end_line, self._node.span.end_column)
        for name in self._asked:
            if name in self._node.data:
                continue
            if self._key is None:
                yield self._missing_at_top(name)
                return
            yield _Problem(
                self._key.span,
                f'"{self._step_word}" needs "{name}"',
                word=self._key.word,
                expected=self._expected_here(),
                at=end,
            )

    def _missing_at_top(self, name: str) -> _Problem:
        begin = self._node.span
        if name == "wakelab":
            return _Problem(
                begin,
                "the script does not say which version of the format it is written in",
                expected="wakelab: 1",
                hint="Write that as the first line.",
                underline=False,
            )
        return _Problem(
            begin,
            "the script has no steps",
            expected='"steps:", and below it a line for each step, such as "- press: SELECT"',
            at=(begin.end_line, begin.end_column),
            underline=False,
        )

    def _missing_companions(self) -> Iterator[_Problem]:
        for name, companions in self._asked.items():
            for companion in companions:
                if name in self._node.data and companion not in self._node.data:
                    key = self._node.key(name)
                    yield _Problem(
                        key.span,
                        f'"{name}" needs "{companion}"',
                        word=name,
                        expected=self._expected_here(),
                        rank=2,
                    )

    # Values

    def _wrong_value(self) -> _Problem:
        rule, node = self._rule, self._node
        title, expected = rule["title"], rule["description"]
        if self._path == ["wakelab"] and node.data is not None:
            return self._wrong_version(expected)
        if node.data is None and not node.word:
            if self._key is not None and not self._is_step():
                where = self._key.span
                problem = f"nothing comes after {_quoted(self._key.word)}"
                return _Problem(where, problem, self._key.word, expected)
            subject = "this step" if self._is_step() else "the script"
            return _Problem(node.span, f"{subject} is empty", expected=expected)
        if isinstance(node.data, dict | list) or not node.word:
            problem = f"{_kind(node.data)} is not {title}"
            return _Problem(node.span, problem, expected=expected)
        problem = f"{_quoted(node.word)} is not {title}"
        hint = self._value_hint()
        return _Problem(node.span, problem, node.word, expected, hint, self._value_choices())

    def _wrong_version(self, expected: str) -> _Problem:
        """Told before everything else: of another version, this program knows nothing."""
        node = self._node
        problem = f"this script is in version {_quoted(node.word)} of the format"
        if isinstance(node.data, list | dict) or not node.word:
            problem = "the version of the format is a number"
        hint = self._quotes_hint() or f"This program reads version {VERSION}."
        return _Problem(node.span, problem, node.word, expected, hint, at=(0, 0))

    def _is_step(self) -> bool:
        return len(self._path) == 2

    def _value_hint(self) -> str:
        """What to do about a wrong scalar, where something better is known than a near word."""
        word, data = self._node.word, self._node.data
        if self._is_step():
            begin = re.match(r"[a-z]+", word)
            if begin and begin[0] in STEP_WORDS:
                return f'Write a colon and a space after "{begin[0]}".'
        if self._rule["title"] == self._phrases["button"]["title"]:
            wired = [name for name, where in BUTTONS.items() if where == PINS.get(word)]
            if wired and word not in BUTTONS:
                return f'{word} is the pin of "{wired[0]}".'
        number = isinstance(data, int) and not isinstance(data, bool)
        if self._path and self._path[-1] == "wait":
            if number or _milliseconds_or_none(word) is not None:
                return f"For a time write wait: {{ms: {word[:_WORD_WIDTH]}}}."
        if self._rule.get("type") == "string" and not isinstance(data, str):
            return f"Put it in quotes if it is text: {_quoted(word)}."
        return self._quotes_hint()

    def _quotes_hint(self) -> str:
        """For a number in quotes that would be right without them."""
        node = self._node
        if isinstance(node.data, str) and "pattern" not in self._rule.get("not", {}):
            number = _plain_value(node.word)
            allowed = self._rule.get("enum", [self._rule.get("const")])
            kinds = self._rule.get("type", [])
            if isinstance(number, int) and (number in allowed or "integer" in kinds):
                return "Write the number without quotes."
        return ""

    def _value_choices(self) -> tuple[str, ...]:
        if self._is_step():
            return STEP_WORDS
        if self._rule["title"] == self._phrases["pin"]["title"]:
            return tuple(PINS)
        return tuple(str(choice) for choice in self._rule.get("enum", ()))


def _kind(data: Any) -> str:
    """What a value that is not a word is."""
    if isinstance(data, str):
        return "an empty text"
    if isinstance(data, dict):
        return "a mapping" if data else "an empty mapping"
    return "a list" if data else "an empty list"


# Steps -------------------------------------------------------------------------------------------

_UNITS = {"ms": 1, "s": 1000}


def _milliseconds_or_none(value: str) -> int | None:
    found = re.fullmatch(r"([0-9]{1,7}) ?(ms|s)", value)
    return int(found[1]) * _UNITS[found[2]] if found else None


def _milliseconds(value: Any) -> int:
    """A valid `ms`, a whole number or a text such as "50ms", in milliseconds."""
    if isinstance(value, str):
        ms = _milliseconds_or_none(value)
        assert ms is not None, f"the schema let {value!r} pass"
        return ms
    return int(value)


def _build_step(node: _Node) -> Step:
    """The step that a valid node stands for."""
    key, value = node.pairs[0]
    line = key.span.line
    word, data = key.word, value.data
    if isinstance(data, str) and word != "wait":
        data = {"button": data}
    match word:
        case "wait":
            return _build_wait(data, line)
        case "expect":
            return _build_expect(data, line)
        case "forbid":
            return _build_forbid(data, line)
    when = When(data.get("when", When.NOW))
    match word:
        case "press":
            return Press(data["button"], when, line=line)
        case "release":
            return Release(data["button"], when, line=line)
        case "pulse":
            return Pulse(data["button"], _milliseconds(data["ms"]), when, line=line)
        case "bounce":
            ms = _milliseconds(data["ms"])
            return Bounce(data["button"], int(data["times"]), ms, when, line=line)
        case "set":
            return SetPin(pin(data["pin"]), int(data["level"]), when, line=line)
    raise AssertionError(f"the schema let the step {word!r} pass")


def _build_wait(data: Any, line: int) -> Step:
    if data == When.ASLEEP:
        return WaitAsleep(line=line)
    if data == When.BEFORE_SLEEP:
        return WaitBeforeSleep(line=line)
    if "ms" in data:
        return WaitMs(_milliseconds(data["ms"]), line=line)
    if "line" in data:
        return WaitLine(data["line"], line=line)
    if "symbol" in data:
        return WaitSymbol(data["symbol"], line=line)
    if "instructions" in data:
        return WaitInstructions(int(data["instructions"]), line=line)
    return WaitPin(pin(data["pin"]), int(data["level"]), line=line)


def _build_expect(data: Any, line: int) -> Step:
    if "line" in data:
        times = data.get("times")
        return ExpectLine(data["line"], None if times is None else int(times), line=line)
    if "presses" in data:
        return ExpectPresses(int(data["presses"]), line=line)
    return ExpectPin(pin(data["pin"]), int(data["level"]), line=line)


def _build_forbid(data: Any, line: int) -> Step:
    if "line" in data:
        return ForbidLine(data["line"], line=line)
    if "presses" in data:
        return ForbidPresses(int(data["presses"]), line=line)
    return ForbidPin(pin(data["pin"]), int(data["level"]), line=line)
