"""Every format: golden files, schemas, and what a hostile submission may not do with it."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from report_samples import (
    HOSTILE,
    SAMPLES,
    SURROUNDINGS,
    failing,
    golden_path,
    hostile,
    passing,
    unbuilt,
)

from wakelab.errors import InfraError, UserError
from wakelab.formats.format import Audience, Format, Surroundings
from wakelab.formats.github_summary import escaped, fenced
from wakelab.formats.gradescope import refusal
from wakelab.formats.registry import FORMATS, convert, format_named
from wakelab.formats.words import line
from wakelab.report import CheckResult, CompilerMessage, Report, Verdict, make_report

SCHEMAS = Path(__file__).parent / "schemas"
PAIRS = [(name, shape) for name in SAMPLES for shape in FORMATS if shape.name != "html"]
"""The page is looked at in a browser: test_pictures.py."""
IDS = [f"{name}-{shape.name}" for name, shape in PAIRS]
BY_NAME = {shape.name: shape for shape in FORMATS}
WITH_SCHEMA = ("gradescope", "classroom50", "gitlab", "autolab", "prairielearn", "check50")


def made(report: Report, name: str, **how: Any) -> str:
    return convert(report, BY_NAME[name], SURROUNDINGS, **how)


def loaded(report: Report, name: str, **how: Any) -> Any:
    """The JSON in it."""
    text = made(report, name, **how)
    return json.loads(text.splitlines()[-1] if name == "autolab" else text)


def cannot_say_infra(sample: str, shape: Format) -> bool:
    return sample == "broken" and shape.name == "classroom50"


# ---- golden files and schemas --------------------------------------------------------------------


@pytest.mark.parametrize(("sample", "shape"), PAIRS, ids=IDS)
def test_the_golden_files(sample: str, shape: Format) -> None:
    if cannot_say_infra(sample, shape):
        with pytest.raises(InfraError, match="QEMU ended"):
            convert(SAMPLES[sample](), shape, SURROUNDINGS)
        return
    text = convert(SAMPLES[sample](), shape, SURROUNDINGS)
    assert text.encode() == golden_path(sample, shape).read_bytes()


def test_no_golden_file_is_left_over() -> None:
    wanted = {golden_path(n, s) for n, s in PAIRS if not cannot_say_infra(n, s)}
    assert set(golden_path("x", FORMATS[0]).parents[1].glob("*/*")) == wanted


def schema(name: str) -> Any:
    return json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("name", WITH_SCHEMA)
def test_what_is_made_fits_the_schema(sample: str, name: str) -> None:
    if sample == "broken" and name in ("classroom50", "autolab"):
        return  # neither has a way to say so in JSON; see below
    jsonschema.Draft202012Validator.check_schema(schema(name))
    jsonschema.Draft202012Validator(schema(name)).validate(loaded(SAMPLES[sample](), name))


@pytest.mark.parametrize("name", WITH_SCHEMA)
def test_the_schemas_are_strict(name: str) -> None:
    """What is renamed, left out or of another type is refused, wherever it stands."""
    good = loaded(failing(), name)
    validator = jsonschema.Draft202012Validator(schema(name))
    top = good[0] if isinstance(good, list) else good
    for key in list(top):
        for change in ("rename", "type"):
            bad = json.loads(json.dumps(good))
            at = bad[0] if isinstance(bad, list) else bad
            value = at.pop(key)
            at[f"{key}x" if change == "rename" else key] = value if change == "rename" else object
            if change == "type":
                at[key] = {"never": ["of", "this", "type"]} if key != "scores" else []
            if key == "extra_data" and change == "type":
                continue
            assert not validator.is_valid(bad), (key, change)


@pytest.mark.parametrize("name", [shape.name for shape in FORMATS])
def test_the_same_report_gives_the_same_text(name: str) -> None:
    assert made(failing(), name) == made(failing(), name)


def test_the_names_are_their_own() -> None:
    assert len({shape.name for shape in FORMATS}) == len({shape.file for shape in FORMATS})
    assert len(FORMATS) == len(BY_NAME)


# ---- hidden checks -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", FORMATS, ids=lambda shape: shape.name)
def test_a_hidden_finding_reaches_no_student(shape: Format) -> None:
    before = convert(failing(), shape, SURROUNDINGS)
    after = convert(failing(), shape, SURROUNDINGS, show_hidden=True)
    if shape.audience is Audience.STUDENT:
        assert "STAYS HIDDEN" not in before
    if shape.name not in ("classroom50", "autolab", "gitlab"):  # they hold no sentence, or no line
        assert "STAYS HIDDEN" in after
    if shape.name == "autolab":
        assert "STAYS HIDDEN" in after and '"two-quick": 0' in after
    if shape.audience is not Audience.STUDENT:
        assert before == after


def test_what_students_read_does_not_change_with_a_hidden_finding() -> None:
    report = failing()
    (*others, hidden) = report.checks
    passed = replace(hidden, verdict=Verdict.PASS, points=10, seen="", trace_hash="ae" * 32)
    other = replace(report, checks=(*others, passed), points=report.points + 10)
    for shape in FORMATS:
        if shape.audience is Audience.STUDENT:
            one = convert(report, shape, SURROUNDINGS)
            assert one == convert(other, shape, SURROUNDINGS), shape.name


def test_gradescope_hides_it_itself_and_makes_the_sum() -> None:
    page = loaded(failing(), "gradescope")
    assert "score" not in page
    hidden = [test for test in page["tests"] if test["visibility"] == "after_due_date"]
    assert [test["extra_data"]["id"] for test in hidden] == ["two-quick"]
    assert sum(test["max_score"] for test in page["tests"]) == failing().max_points
    assert "10 of 35" in page["output"]


# ---- what each format means ----------------------------------------------------------------------


def test_points_are_the_same_everywhere() -> None:
    report = passing()
    assert sum(test["score"] for test in loaded(report, "gradescope")["tests"]) == 30
    assert loaded(report, "classroom50")["score"] == 30
    assert loaded(report, "prairielearn")["score"] == 1.0
    assert loaded(report, "autolab") == {
        "scores": {"one-line": 10, "singles": 20},
        "scoreboard": [30],
    }
    rows = list(csv.DictReader(io.StringIO(made(report, "csv"), newline="")))
    assert sum(int(row["points"]) for row in rows) == 30


def test_what_does_not_compile_costs_no_attempt_on_prairielearn() -> None:
    page = loaded(unbuilt(), "prairielearn")
    assert page["gradable"] is False
    assert "button_future.c:12:14: error: expected ';' before 'return'" in page["format_errors"]


def test_our_fault_is_never_a_mark() -> None:
    report = SAMPLES["broken"]()
    assert loaded(report, "prairielearn")["gradable"] is False
    assert "results" not in loaded(report, "check50")
    assert "scores" not in made(report, "autolab")
    page = loaded(report, "gradescope")
    assert "could not grade" in page["output"] and page["extra_data"]["verdict"] == "infra"
    root = ElementTree.fromstring(made(report, "junit"))
    assert [each.tag for each in root.iter() if each.tag in ("error", "failure")] == ["error"]


def test_a_refusal_is_a_results_json() -> None:
    page = json.loads(refusal("no namespaces here\x1b[2J"))
    jsonschema.Draft202012Validator(schema("gradescope")).validate(page)
    assert "no namespaces here\\x1b[2J" in page["output"] and page["score"] == 0


def test_check50_skips_what_stands_on_a_failed_check() -> None:
    results = {each["name"]: each for each in loaded(failing(), "check50")["results"]}
    assert results["singles"]["passed"] is False
    assert results["later"]["passed"] is None and results["later"]["dependency"] == "singles"
    assert results["one-line"]["cause"] is None


def test_classroom50_wants_to_be_told_whose_it_is() -> None:
    with pytest.raises(UserError, match="SUBMISSION_TAG, COMMIT_URL") as caught:
        environment = {"CLASSROOM": "c", "ASSIGNMENT": "a", "RELEASE_URL": "https://x"}
        convert(passing(), BY_NAME["classroom50"], Surroundings(environment))
    assert caught.value.next_step


def test_an_unknown_format_is_told() -> None:
    with pytest.raises(UserError, match="no format 'gradscope'") as caught:
        format_named("gradscope")
    assert "gradescope" in caught.value.next_step


def test_prairielearn_takes_no_more_than_1_mb() -> None:
    checks = [
        CheckResult(f"c{number}", "t", Verdict.WRONG, 0, 1, seen="\x01" * 4000)
        for number in range(400)
    ]
    text = made(make_report("08", "t", "s", checks), "prairielearn")
    assert len(text.encode()) <= 1_000_000
    assert len(json.loads(text)["tests"]) == 400


def test_the_summary_stays_below_what_github_takes() -> None:
    checks = [
        CheckResult(f"c{number}", "t", Verdict.WRONG, 0, 1, seen="ü*" * 2000, why="ü*" * 2000)
        for number in range(200)
    ]
    text = made(make_report("08", "t", "s", checks), "github-summary")
    assert len(text.encode()) <= 1_000_000
    assert text.count("| ❌ |") == 200


def test_github_shows_ten_of_a_kind_and_the_sum() -> None:
    messages = [CompilerMessage("a.c", n, 1, "warning", "w", "O0") for n in range(1, 40)]
    checks = [CheckResult(f"c{n}", "t", Verdict.WRONG, 0, 1) for n in range(40)]
    report = make_report("08", "t", "s", checks, compiler_messages=messages)
    lines = made(report, "github-annotations").splitlines()
    kinds = [line.split(" ")[0] for line in lines]
    assert (kinds.count("::warning"), kinds.count("::error"), kinds.count("::notice")) == (
        10,
        10,
        1,
    )
    assert "59 more" in lines[-1]


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("main.c", "lab/08/main.c"),
        ("./main.c", "lab/08/main.c"),
        ("lab/async/waker.h", "lab/async/waker.h"),
        ("/etc/passwd", ""),
        ("../main.c", ""),
        ("a/../../main.c", ""),
        ("..", ""),
        ("", ""),
    ],
)
def test_a_file_outside_the_repository_has_no_place_in_it(file: str, path: str) -> None:
    """A student may name any file by `#line`."""
    surroundings = Surroundings(folder="lab/08")
    assert surroundings.path(file) == path
    message = CompilerMessage(file, 3, 1, "warning", "w", "O0")
    report = make_report("08", "t", "s", [], compiler_messages=[message])
    found = json.loads(convert(report, BY_NAME["gitlab"], surroundings))
    assert [each["location"]["path"] for each in found] == ([path] if path else [])
    first = convert(report, BY_NAME["github-annotations"], surroundings).splitlines()[0]
    assert (f"file={path},line=3,col=1," in first) == bool(path)
    assert first.startswith("::warning ") and first.endswith("::w")


def test_a_second_finding_like_the_first_has_a_fingerprint_of_its_own() -> None:
    messages = [CompilerMessage("a.c", n, 1, "warning", "w", "O0") for n in (3, 9)]
    report = make_report("08", "t", "s", [], compiler_messages=messages)
    prints = [entry["fingerprint"] for entry in loaded(report, "gitlab")]
    assert len(set(prints)) == 2
    moved = [replace(message, line=message.line + 5) for message in messages]
    again = make_report("08", "t", "s", [], compiler_messages=moved)
    assert [entry["fingerprint"] for entry in loaded(again, "gitlab")] == prints


# ---- hostile -------------------------------------------------------------------------------------

RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029\ud800-\udfff]")


@pytest.mark.parametrize("shape", FORMATS, ids=lambda shape: shape.name)
def test_no_control_code_gets_through(shape: Format) -> None:
    text = convert(hostile(), shape, SURROUNDINGS)
    text = text.replace("\r\n", "\n") if shape.name == "csv" else text
    assert not RAW.search(text)
    try:
        said = json.dumps(json.loads(text), ensure_ascii=False)
    except ValueError:
        return
    assert not RAW.search(said)


def test_every_line_for_github_is_one_command_of_ours() -> None:
    lines = made(hostile(), "github-annotations").splitlines()
    assert len(lines) == 3
    for each in lines:
        assert re.match(r"::(error|warning|notice) (\w+=[^,:]*,)*\w+=[^,:]*::", each), each


def test_the_last_line_for_autolab_is_ours() -> None:
    assert loaded(hostile(), "autolab")["scores"] == {"one-line": 0}


def markdown(text: str) -> list[Token]:
    """As GitHub reads it: with tables, and HTML as it is."""
    parser = MarkdownIt("gfm-like", {"html": True, "linkify": False})
    return parser.disable("linkify").parse(text)


OURS = {"heading", "paragraph", "inline", "strong", "table", "thead", "tbody", "tr", "th", "td",
        "fence", "html_block", "bullet_list", "list_item", "em", "text"}  # fmt: skip


@pytest.mark.parametrize("sample", SAMPLES)
def test_nothing_in_the_summary_is_markdown_or_html_of_the_students(sample: str) -> None:
    """A Markdown parser finds no more in it than what this module writes."""
    tokens = markdown(made(SAMPLES[sample](), "github-summary"))
    tokens += [child for token in tokens for child in token.children or ()]
    kinds = {token.type.removesuffix("_open").removesuffix("_close") for token in tokens}
    assert kinds <= OURS, kinds - OURS
    for token in tokens:
        if token.type == "html_block":
            assert re.fullmatch(
                r"<details( open)?><summary>[^<>]*</summary>\n|</details>\n?", token.content
            )
    headings = [token.tag for token in tokens if token.type == "heading_open"]
    assert headings in (["h2"], ["h2", "h3"])


def test_the_story_stands_in_a_fence_as_it_is() -> None:
    fences = [each for each in markdown(made(hostile(), "github-summary")) if each.type == "fence"]
    assert len(fences) == 2
    assert "</summary></details>" in fences[1].content
    assert fences[1].content.rstrip().endswith("```````")


@settings(deadline=None)
@given(st.text())
def test_any_line_is_one_paragraph_that_reads_as_it_is(text: str) -> None:
    opening, inline, closing = markdown(f"x {escaped(text)} x")
    assert (opening.type, closing.type) == ("paragraph_open", "paragraph_close")
    (child,) = inline.children or ()
    assert child.type == "text"
    assert child.content.split() == ["x", *line(text).split(), "x"]


@settings(deadline=None)
@given(st.text())
def test_escaped_text_is_one_line_and_every_sign_is_escaped(text: str) -> None:
    shown = escaped(text)
    assert "\n" not in shown
    assert not re.search(r"[!-/:-@\[-`{-~]", re.sub(r"\\[!-/:-@\[-`{-~]", "", shown))


@settings(deadline=None)
@given(st.text(alphabet="`~\n x"))
def test_nothing_ends_a_fence(text: str) -> None:
    head, *body, tail = fenced(text).split("\n")
    fence = head.removesuffix("text")
    assert tail == fence and set(fence) == {"`"}
    assert not any(line.strip().startswith(fence) for line in body)


@settings(deadline=None, max_examples=40)
@given(st.text())
@example("/etc/passwd")
@example("a/../../x")
def test_any_text_makes_a_report_in_every_format(text: str) -> None:
    check = CheckResult(
        "id", text, Verdict.WRONG, 0, 1, text, text, text, text, story=(text,), diagnosis=text
    )
    message = CompilerMessage(text, 1, 1, "warning", text, text)
    report = make_report("08", text, text, [check], compiler_messages=[message])
    for shape in FORMATS:
        made_text = convert(report, shape, SURROUNDINGS)
        made_text.encode()
        if shape.name in WITH_SCHEMA and text:
            jsonschema.validate(loaded(report, shape.name), schema(shape.name))
    ElementTree.fromstring(made(report, "junit"))


def test_the_hostile_sample_is_hostile() -> None:
    """Each thing that the tests above look for is there to be found."""
    for needle in ("\x1b", "\r", "::error", "##[", "<script>", "](http", "```", "=HYPER", "\u202e"):
        assert needle in HOSTILE
