"""The report: canonical JSON, its schema, and the verdict that follows from the checks."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import wakelab.report
from wakelab.errors import UserError
from wakelab.report import (
    CheckResult,
    CompilerMessage,
    Place,
    Report,
    Verdict,
    Visibility,
    from_json,
    make_report,
    overall_verdict,
    to_json,
    write_report,
)

GOLDEN = Path(__file__).parent / "golden"
HOSTILE = "\x1b[2J\x1b]0;evil\x07[red]not markup[/red]\r\u202ebackwards \ud800 \u2028 ünï"


def check(verdict: Verdict = Verdict.PASS, points: int = 1, **more: Any) -> CheckResult:
    return CheckResult("id", "title", verdict, points, 2, **more)


def sample() -> Report:
    """What golden/report.json holds; the goldens of render and junit are made from that."""
    return make_report(
        "08",
        "The button future",
        "alice",
        [
            CheckResult("builds", "It builds, from -O0 to -Os", Verdict.PASS, 1, 1),
            CheckResult(
                "one-press",
                "One press prints one line, whenever the press falls",
                Verdict.LOST_WAKE,
                0,
                3,
                expected='"Interrupt fired!" once for press 2',
                seen="nothing; the task slept on with press 2 undelivered",
                why="You looked before you left your phone number.",
                hint="What if the button is pressed between line 40 and line 42?",
                place=Place(
                    "button_future.c", 41, "\tatomic_waker_register(&w, cx->waker);", 0x1E2
                ),
                story=(
                    "press SELECT    before 0x1e2",
                    "wake            the slot is empty",
                    "sleep",
                ),
                diagnosis="check-then-register",
                level="Os",
                trace_hash="ab" * 32,
            ),
            CheckResult(
                "console",
                "The console says what was asked for",
                Verdict.WRONG,
                1,
                2,
                expected="one line",
                seen="\x1b[2J\x1b]0;evil\x07[red]not markup[/red]\r\u202ebackwards",
            ),
            CheckResult(
                "sleeps",
                "The CPU sleeps between presses",
                Verdict.SKIPPED,
                0,
                2,
                why="needs: one press prints one line",
                needs=("one-press",),
                visibility=Visibility.AFTER_DUE_DATE,
            ),
        ],
        compiler_messages=[
            CompilerMessage("main.c", 7, 9, "warning", "unused variable 'x'", "O0 Og O2 Os")
        ],
        versions={"qemu": "7.2.22", "gcc": "12.2.1"},
        hashes={"submission": "cd" * 32},
        modes=["pairs"],
    )


@pytest.mark.parametrize(
    ("verdicts", "overall"),
    [
        ("pass pass", "pass"),
        ("pass todo wrong", "todo"),
        ("pass wrong todo", "wrong"),
        ("lost-wake skipped", "lost-wake"),
        ("wrong pass infra", "infra"),
        ("", "infra"),
    ],
)
def test_the_overall_verdict_is_the_first_that_is_no_pass(verdicts: str, overall: str) -> None:
    assert overall_verdict([check(Verdict(each)) for each in verdicts.split()]) == overall


def test_points_are_summed() -> None:
    report = make_report("08", "t", "s", [check(points=2), check(Verdict.WRONG, points=0)])
    assert (report.points, report.max_points, report.verdict) == (2, 4, "wrong")


def test_the_golden_report() -> None:
    assert to_json(sample()) == (GOLDEN / "report.json").read_text(encoding="utf-8")


def test_json_gives_the_same_report_back() -> None:
    report = sample()
    assert from_json(to_json(report)) == report
    assert from_json(to_json(report).encode()) == report


def test_hostile_text_survives_and_the_json_is_plain_ascii() -> None:
    report = make_report(HOSTILE, HOSTILE, HOSTILE, [check(seen=HOSTILE, story=(HOSTILE,))])
    text = to_json(report)
    assert all(character == "\n" or " " <= character <= "~" for character in text)
    assert from_json(text) == report


def test_the_order_of_mappings_does_not_matter() -> None:
    one = replace(sample(), versions={"a": "1", "b": "2"})
    two = replace(sample(), versions={"b": "2", "a": "1"})
    assert to_json(one) == to_json(two)


def schema() -> dict[str, Any]:
    path = Path(wakelab.report.__file__).with_name("report.schema.json")
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def test_the_schema_is_valid_and_the_sample_fits_it() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.Draft202012Validator(schema()).validate(json.loads(to_json(sample())))


def test_the_schema_knows_every_verdict() -> None:
    assert schema()["$defs"]["verdict"]["enum"] == list(Verdict)


def without(key: str) -> Any:
    value = json.loads(to_json(sample()))
    del value[key]
    return value


def changed(path: str, new: object) -> Any:
    value = json.loads(to_json(sample()))
    *parents, last = path.split("/")
    at = value
    for parent in parents:
        at = at[int(parent)] if parent.isdigit() else at[parent]
    at[last] = new
    return value


@pytest.mark.parametrize(
    "value",
    [
        without("checks"),
        without("hashes"),
        changed("schema", "wakelab/report/v1"),
        changed("more", 1),
        changed("verdict", "great"),
        changed("points", "3"),
        changed("points", True),
        changed("points", 1.5),
        changed("points", -1),
        changed("checks/1/place/address", -1),
        changed("checks", {}),
        changed("checks/0/more", 1),
        changed("checks/0/verdict", None),
        changed("checks/0/verdict", []),
        changed("checks/0/visibility", "hidden"),
        changed("checks/0/needs", "builds"),
        changed("modes", "pairs"),
        changed("checks/1/place/line", "41"),
        changed("checks/1/place", []),
        changed("checks/1/story", "press"),
        changed("checks/1/story", [1]),
        changed("versions", {"gcc": 12}),
        changed("compiler_messages", [None]),
        [],
        None,
    ],
)
def test_reader_and_schema_refuse_the_same(value: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema()).validate(value)
    with pytest.raises(UserError) as caught:
        from_json(json.dumps(value), "report.json")
    assert caught.value.where == "report.json"


def test_a_report_of_another_version_is_told_apart_from_what_is_no_report() -> None:
    with pytest.raises(UserError, match="schema wakelab/report/v1; this wakelab reads .*v2"):
        from_json(json.dumps(changed("schema", "wakelab/report/v1")))
    with pytest.raises(UserError, match="not a report"):
        from_json(json.dumps(changed("schema", "\x1b[2Jevil/report/v1")))


@pytest.mark.parametrize("text", ["", "{", "\x00", "[" * 100_000, "\ud800"])
def test_what_is_no_json_is_a_user_error(text: str) -> None:
    with pytest.raises(UserError, match="not a report"):
        from_json(text)


def test_bytes_that_are_no_text_are_a_user_error() -> None:
    with pytest.raises(UserError, match="not a report"):
        from_json(b"\xff\xfe\x80")


def test_writing_makes_the_folder_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "deep/report.json"
    write_report(sample(), path)
    write_report(sample(), path)
    assert from_json(path.read_bytes()) == sample()
    assert os.listdir(path.parent) == ["report.json"]


def test_a_failed_write_leaves_the_old_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match="No space left"):
        write_report(sample(), path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.json"]
