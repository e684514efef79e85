"""Scripts: what is read, what is refused, and whether the refusal helps.

Every refusal is tried with both of PyYAML's parsers, the one in C and the one in Python, because
which of them a computer has is not ours to say.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from wakebench import script as module
from wakebench.pin_names import BUTTONS, LED, PIN_NAMES_IN_WORDS, PINS, Pin, closest, pin
from wakebench.script import (
    MAX_BYTES,
    MAX_STEPS,
    SCHEMA_PATH,
    STEP_WORDS,
    Bounce,
    ExpectLine,
    ExpectPin,
    ExpectPresses,
    ForbidLine,
    ForbidPin,
    ForbidPresses,
    Press,
    Pulse,
    Release,
    Script,
    ScriptError,
    SetPin,
    Step,
    WaitAsleep,
    WaitBeforeSleep,
    WaitInstructions,
    WaitLine,
    WaitMs,
    WaitPin,
    WaitSymbol,
    load_script,
    parse_script,
)
from wakebench.when import When

ROOT = Path(__file__).parents[2]
DESIGN = ROOT / "docs/contributors/design.md"
STUDENTS = ROOT / "docs/students/scripts.md"

HEAD = "wakelab: 1\nsteps:\n"
LOADERS = {"C": yaml.CSafeLoader, "Python": yaml.SafeLoader}


@pytest.fixture(params=LOADERS)
def either_parser(request: pytest.FixtureRequest) -> Iterator[None]:
    with mock.patch.object(module, "_yaml_loader", lambda: LOADERS[request.param]):
        yield


def refusal(text: str) -> ScriptError:
    with pytest.raises(ScriptError) as caught:
        parse_script(text, "my.yaml")
    return caught.value


def only_step(text: str) -> Step:
    (step,) = parse_script(f"{HEAD}- {text}\n", "my.yaml").steps
    return step


def yaml_blocks(path: Path) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


# What is read ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("either_parser")
def test_the_example_of_the_design_means_what_it_says() -> None:
    (example,) = yaml_blocks(DESIGN)
    script = parse_script(example, "two-presses.yaml")
    assert script.name == "two presses, the second just before the sleep"
    assert script.source == "two-presses.yaml"
    assert script.steps == (
        WaitAsleep(line=4),
        Press("SELECT", line=5),
        Release("SELECT", When.ASLEEP, line=6),
        Press("SELECT", When.BEFORE_SLEEP, line=7),
        Pulse("SELECT", 50, line=8),
        Bounce("SELECT", 7, 1, line=9),
        SetPin(BUTTONS["SELECT"], 0, line=10),
        WaitMs(500, line=11),
        WaitLine("Interrupt fired!", line=12),
        WaitPin(LED, 1, line=13),
        WaitSymbol("button_future_poll", line=14),
        WaitInstructions(3, line=15),
        ExpectLine("Interrupt fired!", 2, line=16),
        ExpectPin(LED, 0, line=17),
        ExpectPresses(2, line=18),
        ForbidLine("PASS", line=19),
        ForbidPin(LED, 1, line=20),
        ForbidPresses(3, line=21),
    )


def test_the_examples_for_students_are_right() -> None:
    blocks = yaml_blocks(STUDENTS)
    assert blocks
    for block in blocks:
        parse_script(block, "scripts.md")


def test_the_students_page_has_every_word() -> None:
    page = STUDENTS.read_text(encoding="utf-8")
    missing = [word for word in (*STEP_WORDS, *When, *BUTTONS) if f"`{word}" not in page]
    assert missing == []


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("wait: before-sleep", WaitBeforeSleep(line=3)),
        ("wait: {ms: 0}", WaitMs(0, line=3)),
        ("wait: {ms: 3600000}", WaitMs(3_600_000, line=3)),
        ("wait: {ms: 50ms}", WaitMs(50, line=3)),
        ("wait: {ms: 50 ms}", WaitMs(50, line=3)),
        ("wait: {ms: 2s}", WaitMs(2000, line=3)),
        ("wait: {ms: 3600s}", WaitMs(3_600_000, line=3)),
        ("wait: {ms: 010}", WaitMs(10, line=3)),  # eight, in YAML 1.1
        ("pulse: {button: UP, ms: 1e1, when: asleep}", Pulse("UP", 10, When.ASLEEP, line=3)),
        ("release: {button: LEFT}", Release("LEFT", line=3)),
        (
            "bounce: {button: UP, times: 1000, ms: 1s, when: before-sleep}",
            Bounce("UP", 1000, 1000, When.BEFORE_SLEEP, line=3),
        ),
        ("set: {pin: PG7, level: 1, when: asleep}", SetPin(Pin("G", 7), 1, When.ASLEEP, line=3)),
        ("set: {pin: DOWN, level: 0}", SetPin(Pin("E", 1), 0, line=3)),
        ("expect: {line: on}", ExpectLine("on", None, line=3)),  # true, in YAML 1.1
        ("expect: {line: 1:30}", ExpectLine("1:30", None, line=3)),  # 90, in YAML 1.1
        ("forbid: {line: 2024-01-01}", ForbidLine("2024-01-01", line=3)),  # a date, in YAML 1.1
        ('forbid: {line: "42"}', ForbidLine("42", line=3)),
        ("expect: {presses: 0}", ExpectPresses(0, line=3)),
    ],
)
@pytest.mark.usefixtures("either_parser")
def test_step(text: str, step: Step) -> None:
    assert only_step(text) == step


@pytest.mark.usefixtures("either_parser")
def test_line_numbers_are_the_editors() -> None:
    text = "\r\n".join(
        ["# comment", "wakelab: 1", "", "steps:", "- press: UP", "", "-", "  wait: asleep", ""]
    )
    assert [step.line for step in parse_script(text, "x").steps] == [5, 8]


def test_numbers_are_integers_however_they_are_written() -> None:
    step = only_step("set: {pin: LED, level: 1.0}")
    assert isinstance(step, SetPin)
    assert type(step.level) is int
    wait = only_step("wait: {ms: 1e3}")
    assert isinstance(wait, WaitMs)
    assert type(wait.ms) is int


def test_a_script_without_a_name_is_called_like_its_file() -> None:
    assert parse_script(f"{HEAD}- press: UP\n", "some/folder/my.yaml").name == "my.yaml"


def test_a_byte_order_mark_is_not_part_of_the_first_word() -> None:
    assert len(parse_script(f"\ufeff{HEAD}- press: UP\n", "x").steps) == 1


def test_yes_and_no_are_names() -> None:
    assert parse_script(f"name: no\n{HEAD}- press: UP\n", "x").name == "no"


def test_steps_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        only_step("press: UP").line = 4  # type: ignore[misc]


def test_a_long_script_is_read_and_a_longer_one_is_not() -> None:
    steps = "- press: {button: UP, when: asleep}\n"
    assert len(parse_script(HEAD + steps * MAX_STEPS, "x").steps) == MAX_STEPS
    error = refusal(HEAD + steps * (MAX_STEPS + 1))
    assert (error.line, error.column) == (MAX_STEPS + 3, 3)
    assert error.problem == "this is step 10001, and a script has at most 10000"


# What is refused ---------------------------------------------------------------------------------

REFUSALS = {
    # name: (text after HEAD, line, word, problem, in the last line)
    "unknown step": ("- pres: UP", 3, "pres", '"pres" is not a step', 'Did you mean "press"?'),
    "no colon": ("- press UP", 3, "press UP", '"press UP" is not a step', 'after "press"'),
    "no space": ("- press:UP", 3, "press:UP", '"press:UP" is not a step', 'after "press"'),
    "two words": (
        "- press: UP\n  when: asleep",
        4,
        "when",
        'a step has one word, and here are two, "press" and "when"',
        "Write - press: {button: UP, when: asleep}",
    ),
    "two steps in one": (
        "- press: UP\n  release: UP",
        4,
        "release",
        'a step has one word, and here are two, "press" and "release"',
        'Each step begins with "- "',
    ),
    "not indented": (
        "- press:\n  button: UP",
        4,
        "button",
        'a step has one word, and here are two, "press" and "button"',
        "Write - press: {button: UP}",
    ),
    "empty step": ("-", 3, "", "this step is empty", "one of: wait, press"),
    "empty braces": ("- {}", 3, "", "this step is empty", "one of: wait, press"),
    "list as step": ("- [a]", 3, "", "a list is not a step", "one of: wait, press"),
    "nothing after word": ("- wait:", 3, "wait", 'nothing comes after "wait"', "{ms: 500}"),
    "unknown button": ("- press: UPP", 3, "UPP", '"UPP" is not a button', 'Did you mean "UP"?'),
    "small letters": (
        "- press: select",
        3,
        "select",
        '"select" is not a button',
        'Did you mean "SELECT"?',
    ),
    "button by pin": ("- press: PF1", 3, "PF1", '"PF1" is not a button', 'the pin of "SELECT"'),
    "boolean button": ("- press: true", 3, "true", '"true" is not something to press', "SELECT"),
    "off is a word": ("- press: off", 3, "off", '"off" is not a button', "one of: UP"),
    "unknown field": (
        "- press: {buton: UP}",
        3,
        "buton",
        '"buton" is not a part of "press"',
        'Did you mean "button"?',
    ),
    "unknown pin": (
        "- set: {pin: PH0, level: 0}",
        3,
        "PH0",
        '"PH0" is not a pin',
        "PA0 to PG7, UP, DOWN, LEFT, RIGHT, SELECT or LED. Did you mean",
    ),
    "pin and more": (
        '- set: {pin: "PF1\\n", level: 0}',
        3,
        "PF1\n",
        '"PF1\\n" is not a pin',
        "PA0",
    ),
    "level 2": ("- set: {pin: LED, level: 2}", 3, "2", '"2" is not a level', "0 (low) or 1 (high)"),
    "level true": ("- set: {pin: LED, level: true}", 3, "true", '"true" is not a level', "0 (low)"),
    "level in quotes": (
        '- set: {pin: LED, level: "1"}',
        3,
        "1",
        '"1" is not a level',
        "without quotes",
    ),
    "negative ms": ("- wait: {ms: -5}", 3, "-5", '"-5" is not a time', "0 to 3600000"),
    "long ms": ("- wait: {ms: 3600001}", 3, "3600001", '"3600001" is not a time', "3600000"),
    "long s": ("- wait: {ms: 3601s}", 3, "3601s", '"3601s" is not a time', "3600000"),
    "ms and more": ('- wait: {ms: "1s\\n"}', 3, "1s\n", '"1s\\n" is not a time', "3600000"),
    "fraction": ("- wait: {ms: 1.5}", 3, "1.5", '"1.5" is not a time', "whole number"),
    "infinity": ("- wait: {ms: 1e999}", 3, "1e999", '"1e999" is not a time', "whole number"),
    "word for ms": ("- wait: {ms: fast}", 3, "fast", '"fast" is not a time', "50ms or 2s"),
    "huge number": (
        f"- wait: {{ms: {'9' * 5000}}}",
        3,
        "9" * 5000,
        f'"{"9" * 40}..." is not a time',
        "3600000",
    ),
    "times 0": (
        "- bounce: {button: UP, times: 0, ms: 1}",
        3,
        "0",
        '"0" is not a number of times',
        "1 to 1000",
    ),
    "times 1001": (
        "- bounce: {button: UP, times: 1001, ms: 1}",
        3,
        "1001",
        '"1001" is not a number of times',
        "1 to 1000",
    ),
    "unknown when": (
        "- press: {button: UP, when: sleeping}",
        3,
        "sleeping",
        '"sleeping" is not a moment',
        'now, before-sleep, asleep. Did you mean "asleep"?',
    ),
    "pulse without ms": ("- pulse: {button: UP}", 3, "pulse", '"pulse" needs "ms"', "ms: 50}"),
    "pulse of a word": ("- pulse: UP", 3, "UP", '"UP" is not a pulse', "{button: SELECT, ms: 50}"),
    "two conditions": (
        "- wait: {ms: 5, line: x}",
        3,
        "line",
        '"wait" has two conditions, "ms" and "line"',
        'Write a "- wait:" for each.',
    ),
    "level without pin": ("- wait: {level: 1}", 3, "level", '"level" needs "pin"', "{pin: LED"),
    "pin without level": ("- forbid: {pin: LED}", 3, "pin", '"pin" needs "level"', "{pin: LED"),
    "times without line": ("- expect: {times: 2}", 3, "times", '"times" needs "line"', "times: 2}"),
    "level with line": (
        "- wait: {line: x, level: 1}",
        3,
        "level",
        '"level" does not go with "line"',
        "{pin: LED",
    ),
    "times with presses": (
        "- expect: {times: 2, presses: 1, line: x}",
        3,
        "times",
        '"times" does not go with "presses"',
        "{presses: 2}",
    ),
    "no condition": ("- wait: {}", 3, "", '"wait" is empty', "{ms: 500}"),
    "bare number": ("- wait: 500", 3, "500", '"500" is not something to wait for', "{ms: 500}."),
    "bare time": ("- wait: 50ms", 3, "50ms", '"50ms" is not something to wait for', "{ms: 50ms}."),
    "misspelt wait": (
        "- wait: aslepp",
        3,
        "aslepp",
        '"aslepp" is not something to wait for',
        'Did you mean "asleep"?',
    ),
    "number as line": (
        "- expect: {line: 42}",
        3,
        "42",
        '"42" is not a console line',
        'in quotes if it is text: "42"',
    ),
    "empty line": ('- forbid: {line: ""}', 3, "", "an empty text is not a console line", "1 to"),
    "two lines": ('- wait: {line: "a\\nb"}', 3, "a\nb", '"a\\nb" is not a console line', "on one"),
    "not a symbol": ("- wait: {symbol: a-b}", 3, "a-b", '"a-b" is not a name in the', "C function"),
    "duplicate": (
        "- press: {button: UP, button: UP}",
        3,
        "button",
        '"button" is given twice, first on the same line',
        "Keep one",
    ),
    "duplicate step": (
        "- press: UP\n  press: UP",
        4,
        "press",
        '"press" is given twice, first on line 3',
        'begins with "- "',
    ),
    "duplicate at top": (
        "- press: UP\nsteps: []",
        4,
        "steps",
        '"steps" is given twice, first on line 2',
        "Keep one",
    ),
    "alias": ("- wait: {line: *x}", 3, "*x", '"*x" means something special', "in quotes"),
    "anchor": ("- wait: {line: &x y}", 3, "&x", '"&x" means something special', "in quotes"),
    "tag": ("- wait: {line: !x y}", 3, "!x", '"!x" means something special', "in quotes"),
    "python": (
        "- !!python/name:os.system x",
        3,
        "tag:yaml.org,2002:python/name:os.system",
        '"tag:yaml.org,2002:python/name:os.system" means something special',
        "in quotes",
    ),
    "list as key": ("- ? [a]\n  : b", 3, "", "a list or a mapping stands", "Check the"),
    "tab": ("\t- press: UP", 3, "\t", "this line is indented with a tab", "two spaces"),
    "tab after spaces": ("  \t- press: UP", 3, "\t", "this line is indented with a tab", "two"),
    "open brace": ("- press: {button: UP", 3, "{", 'the "{" that opens here is not', "Close it"),
    "open bracket": ("- [a, b", 3, "[", 'the "[" that opens here is not closed', "Close it"),
    "open quote": ('- wait: {line: "x}', 3, '"', "the quote that opens here is not", "same quote"),
    "colon in braces": ("- wait: {line: a: b}", 3, ":", 'a ":" where there can be none', "quotes"),
    "colon": ("- press: UP: x", 3, ":", 'a ":" where there can be none', "quotes"),
    "at": ("- wait: {line: @x}", 3, "@", "no word can begin like this", "quotes"),
    "escape": ('- wait: {line: "\\q"}', 3, None, '"\\" means something special', "Write \\\\."),
    "no value": ("- wait: }", 3, "}", "a value was to come here", "Check the brackets"),
    "indentation": ("- press: UP\n - press: UP", 4, None, "this does not fit the lines", "Check"),
    "less indentation": ("  - press: UP\n - press: UP", 4, None, "this does not fit", "Check"),
    "no dash": ("  - press: UP\n  wait: asleep", 4, None, "this does not fit the lines", "Check"),
    "unknown beside a condition": (
        "- wait: {line: x, lime: y}",
        3,
        "lime",
        '"lime" is not a part of "wait"',
        'Did you mean "line"?',
    ),
    "second document": ("- press: UP\n---\na", 4, "", "a second document begins here", '"---"'),
    "control": ("- press: \x1b[31m", 3, "\x1b", 'the character "\\x1b" is not allowed', "Delete"),
    "line separator": ("- press: \u2028", 3, "\u2028", 'the character "\\u2028" is', "Delete it"),
    "lone surrogate": ("- press: \udc80", 3, "\udc80", 'the character "\\udc80" is', "Delete it"),
    "nested": ("- " + "[" * 3000, 3, "", "this is nested too deeply for a script", "Check"),
    "no-break space": (
        "- press:\u00a0UP",
        3,
        "press:\u00a0UP",
        '"press:\\xa0UP" is not',
        "a space",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
@pytest.mark.usefixtures("either_parser")
def test_refusal(case: str) -> None:
    text, line, word, problem, advice = REFUSALS[case]
    error = refusal(HEAD + text + "\n")
    assert error.file == "my.yaml"
    assert error.line == line
    assert word is None or error.word == word
    assert error.problem.startswith(problem)
    shown = str(error).splitlines()
    assert shown[0].startswith(f"my.yaml, line {line}: {problem}")
    assert advice in shown[-1]
    assert len(shown) <= 5
    assert str(error).replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("text", "line", "problem", "advice"),
    [
        ("", None, "this file is empty", "scripts.md has an example"),
        ("# only a comment\n", None, "this file is empty", "scripts.md has an example"),
        ("\n~\n", 2, '"~" is not a wakelab stimulus script', "wakelab: 1, then steps:"),
        ("---\n...\n", 2, "the script is empty", "wakelab: 1, then steps:"),
        ("hello", 1, '"hello" is not a wakelab stimulus script', "wakelab: 1, then steps:"),
        ("- press: UP\n", 1, "a list is not a wakelab stimulus script", "wakelab: 1, then"),
        ("# x\nsteps:\n- press: UP\n", 2, "the script does not say which version", "wakelab: 1"),
        ("wakelab: 2\nwhatever: 1\n", 1, 'this script is in version "2"', "reads version 1"),
        ("steps: 5\nwakelab: 2\n", 2, 'this script is in version "2"', "reads version 1"),
        ("wakelab: 1.1\nsteps: []\n", 1, 'this script is in version "1.1"', "reads version 1"),
        ('wakelab: "1"\nsteps: []\n', 1, 'this script is in version "1"', "without quotes"),
        ("wakelab: true\nsteps: []\n", 1, 'this script is in version "true"', "version 1"),
        ("wakelab: [1]\nsteps: []\n", 1, "the version of the format is a number", "version 1"),
        ("wakelab:\nsteps: []\n", 1, 'nothing comes after "wakelab"', "wakelab: 1"),
        ("wakelab: 1\n", 1, "the script has no steps", "- press: SELECT"),
        ("wakelab: 1\nsteps:\n", 2, 'nothing comes after "steps"', "- press: SELECT"),
        ("wakelab: 1\nsteps: []\n", 2, "an empty list is not a list of steps", "- press"),
        ("wakelab: 1\nsteps: press\n", 2, '"press" is not a list of steps', "- press: SELECT"),
        ("wakelab: 1\nsteps: {press: UP}\n", 2, "a mapping is not a list of steps", "- press"),
        ("wakelab: 1\nsteps\n  - press: UP\n", 2, 'there is no ":" after this', "word: value"),
        ("wakelab: 1\nstep:\n- press: UP\n", 2, '"step" is not a part of a', 'mean "steps"?'),
        (f"name: 42\n{HEAD}- press: UP\n", 1, '"42" is not a name', "in quotes"),
        (f'name: "a\\eb"\n{HEAD}- press: UP\n', 1, '"a\\x1bb" is not a name', "on one line"),
        (f'name: ""\n{HEAD}- press: UP\n', 1, "an empty text is not a name", "1 to 200"),
    ],
)
@pytest.mark.usefixtures("either_parser")
def test_refusal_of_a_whole_script(text: str, line: int | None, problem: str, advice: str) -> None:
    error = refusal(text)
    assert error.line == line
    assert error.problem.startswith(problem)
    assert advice in str(error).splitlines()[-1]


@pytest.mark.parametrize("text", ["[a,", "- {", 'a: "', "a: [", "? ["])
@pytest.mark.usefixtures("either_parser")
def test_an_end_in_the_middle_is_on_the_last_line(text: str) -> None:
    assert refusal(text).line == 1


@pytest.mark.usefixtures("either_parser")
def test_half_a_character_is_refused() -> None:
    """One parser refuses it by itself, the other would let it through to a terminal."""
    assert refusal(f'{HEAD}- wait: {{line: "\\ud800"}}\n').line == 3


@pytest.mark.usefixtures("either_parser")
def test_the_whole_message() -> None:
    error = refusal(f"{HEAD}  - wait: asleep\n  - pres: SELECT\n  - press: X\n")
    assert str(error) == (
        'my.yaml, line 4: "pres" is not a step\n'
        "    - pres: SELECT\n"
        "      ^^^^\n"
        "expected one of: wait, press, release, pulse, bounce, set, expect, forbid."
        ' Did you mean "press"?'
    )
    assert (error.file, error.line, error.column) == ("my.yaml", 4, 5)
    assert error.expected == "one of: wait, press, release, pulse, bounce, set, expect, forbid"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("- press: X", "- pres: UP"),
        ("- pulse: {button: UP}", "- pres: UP"),
        ("- wait: {level: 1}", "- press: {button: UP, button: UP}"),
        ("- press: {button: UP, button: UP}", "- press: X"),
        ("- {}", "- press: X"),
    ],
)
@pytest.mark.usefixtures("either_parser")
def test_the_first_problem_is_told(first: str, second: str) -> None:
    alone = refusal(f"{HEAD}{first}\n- press: UP\n")
    both = refusal(f"{HEAD}{first}\n{second}\n")
    assert (both.line, both.problem) == (3, alone.problem)


@pytest.mark.parametrize(
    ("line", "excerpt"),
    [
        ("- press: 日本語 # x", "    - press: 日本語 # x\n             ^^^^^^"),
        ("- {set: {pin: LED, level: 7}}", "    - {set: {pin: LED, level: 7}}\n" + " " * 30 + "^"),
        (
            "- wait: {line: " + "x" * 99 + ", ms: 1}",
            "    ..." + "x" * 16 + ", ms: 1}\n" + " " * 25 + "^^",
        ),
        (
            "- press: " + "x" * 99,
            "    - press: " + "x" * 63 + "...\n" + " " * 13 + "^" * 63,
        ),
        ('- press: "\\e[31m\u202e"', '    - press: "\\e[31m\\u202e"\n             ' + "^" * 14),
    ],
)
def test_excerpt(line: str, excerpt: str) -> None:
    assert refusal(f"{HEAD}{line}\n").excerpt == excerpt


def test_the_file_name_cannot_write_to_the_terminal() -> None:
    with pytest.raises(ScriptError) as caught:
        parse_script("", "\x1b[31m.yaml")
    assert str(caught.value).startswith("\\x1b[31m.yaml: this file is empty")


def test_an_error_survives_pickling() -> None:
    error = refusal(f"{HEAD}- pres: UP\n")
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), vars(copy)) == (str(error), vars(error))


# Files -------------------------------------------------------------------------------------------


def file_refusal(path: Path) -> str:
    with pytest.raises(ScriptError) as caught:
        load_script(path)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + f"{HEAD}- expect: {{line: née}}\n".encode())
    assert load_script(path) == Script("my.yaml", str(path), (ExpectLine("née", line=3),))


def test_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "two-presses.yaml").touch()
    asked, there = tmp_path / "two-preses.yaml", tmp_path / "two-presses.yaml"
    assert file_refusal(asked) == f'{asked}: there is no such file\nDid you mean "{there}"?'
    assert file_refusal(tmp_path / "x").endswith("Check the name and the folder.")
    nowhere = tmp_path / "no" / "x.yaml"
    assert file_refusal(nowhere).endswith(f'There is no folder "{nowhere.parent}" either.')


def test_a_folder(tmp_path: Path) -> None:
    assert file_refusal(tmp_path) == (
        f"{tmp_path}: this is a folder, not a script\nGive the name of a .yaml file."
    )
    (tmp_path / "my.yaml").touch()
    assert file_refusal(tmp_path).endswith(f'such as "{tmp_path / "my.yaml"}".')


def test_a_file_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").touch()
    assert "this file cannot be read" in file_refusal(tmp_path / "my.yaml" / "x")


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000])
def test_an_impossible_name(name: str) -> None:
    assert "this file cannot be read" in file_refusal(Path(name))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "this is not an ordinary file" in file_refusal(tmp_path / "pipe")


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.touch()
    with mock.patch.object(Path, "open", side_effect=PermissionError(13, "Permission denied")):
        assert "you may not read this file" in file_refusal(path)


def test_the_size_is_limited(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    text = f"{HEAD}- press: UP\n#"
    path.write_text(text + "x" * (MAX_BYTES - len(text)), encoding="utf-8")
    assert len(load_script(path).steps) == 1
    path.write_text(text + "x" * (MAX_BYTES - len(text) + 1), encoding="utf-8")
    assert "larger than 1 MiB" in file_refusal(path)
    assert "larger than 1 MiB" in str(refusal("é" * (MAX_BYTES // 2 + 1)))


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_bytes(f"{HEAD}- expect: {{line: ".encode() + b"\xe9t\xe9}\n")
    assert file_refusal(path) == (
        f"{path}, line 3: the byte 0xe9 is not UTF-8\n"
        "    - expect: {line: ...\n"
        'The place is after these words. Save the file again as "UTF-8".'
    )
    path.write_bytes(f"{HEAD}- press: UP\n".encode("utf-16"))
    assert "saved as UTF-16" in file_refusal(path)


# The schema --------------------------------------------------------------------------------------


def schema() -> dict[str, dict[str, dict[str, object]]]:
    loaded: dict[str, dict[str, dict[str, object]]] = json.loads(
        SCHEMA_PATH.read_text(encoding="utf-8")
    )
    return loaded


def test_the_schema_is_valid() -> None:
    Draft202012Validator.check_schema(schema())


def test_the_schema_and_the_program_know_the_same_words() -> None:
    definitions = schema()["$defs"]
    assert definitions["step"]["properties"] == {
        word: {"$ref": f"#/$defs/{word}"} for word in STEP_WORDS
    }
    assert definitions["step"]["description"] == f"one of: {', '.join(STEP_WORDS)}"
    assert definitions["button"]["enum"] == list(BUTTONS)
    assert definitions["button"]["description"] == f"one of: {', '.join(BUTTONS)}"
    assert definitions["when"]["enum"] == list(When)
    assert definitions["when"]["description"] == f"one of: {', '.join(When)}"
    assert definitions["pin"]["description"] == PIN_NAMES_IN_WORDS
    assert schema()["properties"]["steps"]["maxItems"] == MAX_STEPS
    pattern = re.compile(str(definitions["pin"]["pattern"]))
    tried = {f"P{port}{n}" for port in "ABCDEFGHabc" for n in range(12)} | set(PINS) | {"", "PA"}
    assert {name for name in tried if pattern.search(name)} == set(PINS)


# Pins --------------------------------------------------------------------------------------------


def test_pins_have_names() -> None:
    assert pin("PC5") == Pin("C", 5)
    assert pin("SELECT") == BUTTONS["SELECT"] == Pin("F", 1)
    assert pin("LED").name == "PF0"
    assert [BUTTONS[name].name for name in BUTTONS] == ["PE0", "PE1", "PE2", "PE3", "PF1"]
    assert len(PINS) == 56 + 6
    assert all(PINS[name].name == name for name in PINS if re.fullmatch("P[A-G][0-7]", name))


def test_what_is_no_pin() -> None:
    with pytest.raises(ValueError, match=r"'led' is not a pin; .* Did you mean \"LED\"\?"):
        pin("led")
    with pytest.raises(ValueError, match="RIGHT, SELECT or LED.$"):
        pin("\x1b")
    for port, number in [("H", 0), ("", 0), ("AB", 0), ("A", 8), ("A", -1)]:
        with pytest.raises(ValueError, match=r"^(the board has no port|port A has no pin)"):
            Pin(port, number)


def test_closest() -> None:
    assert closest("Slect", BUTTONS) == "SELECT"
    assert closest("zzz", BUTTONS) is None
    assert closest("up" + "x" * 10**6, BUTTONS) is None


# Whatever comes ----------------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        *STEP_WORDS,
        *BUTTONS,
        "now",
        "asleep",
        "before-sleep",
        "LED",
        "PF1",
        "PH9",
        "wakelab",
        "steps",
        "name",
        "button",
        "ms",
    ]
    + ["when", "times", "pin", "level", "line", "symbol", "presses", "0", "1", "-1", "50ms", "2s"]
    + ["1e999", "true", "~", "<<", "9" * 5000, '"', "'", '"a"', "&a", "*a", "!a", "|", ">", "%YAML"]
    + [": ", ":", "- ", "? ", "{", "}", "[", "]", ", ", "\n", "\n  ", "\n\t", "#", " #", "---", "@"]
    + ["\\", '"\\U00110000"', '"\\ud800"', '"\\0"', "\0", "\ufeff", "\u2028", "\r", "\x85", "é"]
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), WORDS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.fixed_dictionaries(
    {
        "wakelab": st.just(1) | VALUES,
        "steps": st.lists(st.dictionaries(st.sampled_from(STEP_WORDS), VALUES, min_size=1))
        | VALUES,
    },
    optional={"name": VALUES},
)


def check_anything(text: str) -> None:
    for loader in LOADERS.values():
        with mock.patch.object(module, "_yaml_loader", lambda loader=loader: loader):
            try:
                script = parse_script(text, "my.yaml")
            except ScriptError as error:
                lines = str(error).splitlines()
                assert len(lines) <= 6
                assert all(line.isprintable() for line in lines)
            else:
                assert isinstance(script, Script)


@settings(deadline=None)
@given(st.text() | st.text(st.characters()))
def test_any_text_gives_a_script_or_a_script_error(text: str) -> None:
    check_anything(text)
    check_anything(HEAD + text)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(WORDS, max_size=20).map("".join))
def test_any_rubble_of_yaml_gives_a_script_or_a_script_error(text: str) -> None:
    check_anything(text)
    check_anything(f"{HEAD}- {text}")


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(DOCUMENTS)
def test_any_document_gives_a_script_or_a_script_error(document: object) -> None:
    check_anything(yaml.safe_dump(document, allow_unicode=True))
    check_anything(json.dumps(document))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_script_or_a_script_error(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "my.yaml"
    path.write_bytes(raw)
    try:
        load_script(path)
    except ScriptError as error:
        assert str(error).startswith(str(path))


def test_importing_is_cheap() -> None:
    code = (
        "import sys, wakebench.script;"
        "print([name for name in ('yaml', 'jsonschema') if name in sys.modules])"
    )
    folder = str(Path(module.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": folder}
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout == "[]\n"
