"""The report as JUnit XML, which GitLab, Jenkins and every other CI reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wakelab.formats.format import Surroundings
from wakelab.formats.words import clean, details, reason
from wakelab.report import CheckResult, Report, Verdict

if TYPE_CHECKING:
    from junitparser import TestCase


def to_junit(report: Report, _: Surroundings) -> str:
    """XML with one test case for each check, and no times, so that two gradings compare.

    `skipped` maps to skipped, `infra` to error, every other verdict but `pass` to failure. Points
    are properties. Characters that XML has not are spelled out (`\\x1b`).
    """
    from junitparser import JUnitXml, TestSuite

    suite = TestSuite(clean(f"lab {report.lab}: {report.title}"))
    for name, value in (
        ("schema", report.schema),
        ("submission", report.submission),
        ("verdict", report.verdict),
        ("points", report.points),
        ("max_points", report.max_points),
    ):
        suite.add_property(name, clean(str(value)))
    for check in report.checks:
        suite.add_testcase(_case(report, check))
    document = JUnitXml("wakelab")
    document.add_testsuite(suite)
    return _serialized(document.tostring())  # type: ignore[no-untyped-call]


def _case(report: Report, check: CheckResult) -> TestCase:
    from junitparser import Error, Failure, Properties, Property, Skipped, TestCase

    case = TestCase(clean(check.title), classname=clean(f"lab{report.lab}.{check.id}"))
    properties = Properties()  # type: ignore[no-untyped-call]
    for name, value in (
        ("points", str(check.points)),
        ("max_points", str(check.max_points)),
        ("verdict", str(check.verdict)),
        ("diagnosis", check.diagnosis),
        ("level", check.level),
        ("trace_hash", check.trace_hash),
    ):
        if value:
            item = Property(name, clean(value))
            properties.append(item)  # type: ignore[no-untyped-call]
    case.append(properties)  # type: ignore[no-untyped-call]
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
