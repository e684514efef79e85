"""The report as JUnit XML."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from report_samples import SAMPLES

from wakelab.formats.format import Surroundings
from wakelab.formats.junit import to_junit
from wakelab.report import CheckResult, Report, Verdict, from_json, make_report

GOLDEN = Path(__file__).parent / "golden"
HERE = Surroundings()


def sample() -> Report:
    return from_json((GOLDEN / "report.json").read_bytes())


def case_of(check: CheckResult) -> ElementTree.Element:
    root = ElementTree.fromstring(to_junit(make_report("08", "t", "s", [check]), HERE))
    (case,) = root.iter("testcase")
    return case


@pytest.mark.parametrize("verdict", list(Verdict))
def test_each_verdict_has_its_element(verdict: Verdict) -> None:
    expected = {Verdict.PASS: None, Verdict.SKIPPED: "skipped", Verdict.INFRA: "error"}
    case = case_of(CheckResult("id", "title", verdict, 0, 1, why="because"))
    results = list(case)
    tag = expected.get(verdict, "failure")
    assert [child.tag for child in results] == ([tag] if tag else [])
    for child in results:
        assert child.get("message") == "because"
        assert child.get("type") == str(verdict)


def test_the_suite_counts() -> None:
    checks = [
        CheckResult(str(verdict), "t", verdict, 0, 1)
        for verdict in (Verdict.PASS, Verdict.WRONG, Verdict.TODO, Verdict.SKIPPED, Verdict.INFRA)
    ]
    (suite,) = ElementTree.fromstring(to_junit(make_report("08", "t", "s", checks), HERE))
    counts = {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "5", "failures": "2", "errors": "1", "skipped": "1"}


def test_there_are_no_times() -> None:
    for element in ElementTree.fromstring(to_junit(sample(), HERE)).iter():
        assert not {"time", "timestamp"} & set(element.keys())


def test_no_character_breaks_the_xml() -> None:
    hostile = "".join(map(chr, range(0x300))) + "\ud800\udfff\ufffe\uffff]]></failure>&lt;"
    check = CheckResult(
        hostile, hostile, Verdict.WRONG, 0, 1, seen=hostile, why=hostile, story=(hostile,)
    )
    report = replace(make_report("08", hostile, hostile, [check]), lab="08")
    xml = to_junit(report, HERE)
    assert "\x1b" not in xml
    (case,) = ElementTree.fromstring(xml).iter("testcase")
    assert [child.tag for child in case] == ["failure"]
    assert "\\x1b" in (case[0].text or "")


# What the schema of Jenkins' xUnit plugin (junit-10.xsd) allows, of what we write: the children and
# the attributes of each element.
ALLOWED = {
    "testsuites": ({"testsuite"}, {"name", "tests", "failures", "errors"}),
    "testsuite": (
        {"properties", "testcase"},
        {"name", "tests", "failures", "errors", "skipped"},
    ),
    "properties": ({"property"}, set()),
    "property": (set(), {"name", "value"}),
    "testcase": ({"skipped", "error", "failure"}, {"name", "classname"}),
    "skipped": (set(), {"type", "message"}),
    "error": (set(), {"type", "message"}),
    "failure": (set(), {"type", "message"}),
}


@pytest.mark.parametrize("sample", SAMPLES)
def test_it_is_what_the_schema_of_jenkins_allows(sample: str) -> None:
    for element in ElementTree.fromstring(to_junit(SAMPLES[sample](), HERE)).iter():
        children, attributes = ALLOWED[element.tag]
        assert {child.tag for child in element} <= children, element.tag
        assert set(element.keys()) <= attributes, element.tag
        if element.tag == "testsuite":
            assert {"name", "tests", "failures", "errors"} <= set(element.keys())
        if element.tag == "testcase":
            assert "name" in element.keys() and len(element) <= 1


def test_points_and_traces_are_properties() -> None:
    root = ElementTree.fromstring(to_junit(SAMPLES["failing"](), HERE))
    found = {each.get("name"): each.get("value") for each in root.iter("property")}
    assert (found["points"], found["max_points"]) == ("10", "45")
    assert (found["singles.points"], found["singles.max_points"]) == ("0", "20")
    assert found["singles.trace_hash"] == "ac" * 32
    assert found["singles.verdict"] == "lost-wake"
