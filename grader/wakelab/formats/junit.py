"""The report as JUnit XML, which GitLab, Jenkins and every other CI reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from wakelab.formats.format import Surroundings
from wakelab.formats.words import clean, details, reason
from wakelab.report import CheckResult, Report, Verdict

if TYPE_CHECKING:
    from junitparser import TestCase


def to_junit(report: Report, _: Surroundings) -> str:
    """XML with one test case for each check, and no times, so that two gradings compare.

    `skipped` maps to skipped, `infra` to error, every other verdict but `pass` to failure. Points
    are properties of the suite, where the schema of Jenkins' xUnit plugin has them; a test case may
    have none. Characters that XML has not are spelled out (`\\x1b`).
    """
    from junitparser import JUnitXml, TestSuite

    suite = TestSuite(clean(f"lab {report.lab}: {report.title}"))
    for name, value in (*_of_the_report(report), *_of_the_checks(report)):
        if value:
            suite.add_property(clean(name), clean(value))
    for check in report.checks:
        suite.add_testcase(_case(report, check))
    document = JUnitXml("wakelab")
    document.add_testsuite(suite)
    return _serialized(document.tostring())  # type: ignore[no-untyped-call]


def _of_the_report(report: Report) -> Iterator[tuple[str, str]]:
    yield "schema", report.schema
    yield "submission", report.submission
    yield "verdict", str(report.verdict)
    yield "points", str(report.points)
    yield "max_points", str(report.max_points)


def _of_the_checks(report: Report) -> Iterator[tuple[str, str]]:
    for check in report.checks:
        yield f"{check.id}.points", str(check.points)
        yield f"{check.id}.max_points", str(check.max_points)
        yield f"{check.id}.verdict", str(check.verdict)
        yield f"{check.id}.diagnosis", check.diagnosis
        yield f"{check.id}.level", check.level
        yield f"{check.id}.trace_hash", check.trace_hash


def _case(report: Report, check: CheckResult) -> TestCase:
    from junitparser import Error, Failure, Skipped, TestCase

    case = TestCase(clean(check.title), classname=clean(f"lab{report.lab}.{check.id}"))
    if check.verdict is not Verdict.PASS:
        kinds = {Verdict.SKIPPED: Skipped, Verdict.INFRA: Error}
        result = kinds.get(check.verdict, Failure)(reason(check), str(check.verdict))
        result.text = details(check)
        case.result = [result]
    return case


def _serialized(xml: str | bytes) -> str:
    """The same document, one element a line and without times; and the same text whichever XML
    library junitparser found."""
    from xml.etree import ElementTree

    root = ElementTree.fromstring(xml)
    for element in root.iter():
        element.attrib.pop("time", None)
        element.attrib.pop("timestamp", None)
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'
