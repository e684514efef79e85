"""The pytest plugin that turns a lab's checks into results.

pytest finds, orders and runs the checks; this plugin hands each its Subject, skips what stands on a
failed check, and makes one CheckResult of whatever happened. Whatever is not the student's doing
becomes `infra`, which costs no student a point.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from wakebench.board import Ended, Unmet
from wakebench.errors import BenchError
from wakebench.sweep import SweepError
from wakelab.checking import Finding, Spec, spec_of
from wakelab.diagnosis import explain_ending, explain_unfit, explain_unmet
from wakelab.errors import UserError
from wakelab.report import CheckResult, Verdict
from wakelab.subject import Subject


class ChecksPlugin:
    """Collects results in `results`, in the order in which the checks stand."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.results: list[CheckResult] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out the checks of modes that nobody asked for."""
        items[:] = [item for item in items if self._wanted(spec_of(getattr(item, "obj", None)))]

    def _wanted(self, spec: Spec | None) -> bool:
        return spec is None or not spec.mode or spec.mode in self._subject.modes

    @pytest.fixture
    def subject(self) -> Subject:
        """The submission on its boards."""
        return self._subject

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Run one check and keep its result; nothing it raises reaches pytest but a real error."""
        spec = spec_of(pyfuncitem.obj)
        if spec is None:
            return (yield)
        missing = self._missing(spec)
        if missing:
            self.results.append(_skipped(spec, missing))
            pyfuncitem.obj = _nothing
            return (yield)
        try:
            outcome = yield
        except Finding as finding:
            self.results.append(self._failed(spec, finding))
            return True
        except Ended as ended:
            self.results.append(self._failed(spec, explain_ending(ended)))
            return True
        except Unmet as unmet:
            self.results.append(self._failed(spec, explain_unmet(unmet)))
            return True
        except SweepError as unfit:
            self.results.append(self._failed(spec, explain_unfit(unfit)))
            return True
        except (BenchError, UserError, OSError) as trouble:
            self.results.append(_infra(spec, str(trouble)))
            return True
        except Exception as bug:  # a defect of ours must not look like the student's
            self.results.append(_infra(spec, f"{type(bug).__name__}: {bug}"))
            return True
        digest = self._subject.take_digest()
        self.results.append(
            CheckResult(
                spec.id, spec.title, Verdict.PASS, spec.points, spec.points, trace_hash=digest
            )
        )
        return outcome

    def _missing(self, spec: Spec) -> str:
        """The title of the first need that did not pass, or empty."""
        by_id = {r.id: r for r in self.results}
        for need in spec.needs:
            result = by_id.get(need)
            if result is None or result.verdict is not Verdict.PASS:
                return result.title if result else need
        return ""

    def _failed(self, spec: Spec, finding: Finding) -> CheckResult:
        place = finding.place
        if place is None and finding.pc is not None:
            place = self._subject.place(finding.pc)
        return CheckResult(
            id=spec.id,
            title=spec.title,
            verdict=finding.verdict,
            points=0,
            max_points=spec.points,
            expected=finding.expected,
            seen=finding.seen,
            why=finding.why,
            hint=finding.hint,
            place=place,
            story=self._subject.story() if finding.story is None else finding.story,
            diagnosis=finding.diagnosis,
            level=finding.level or self._subject.latest_level,
            trace_hash=self._subject.take_digest(),
        )


def _nothing(**_: object) -> None:
    return None


def _skipped(spec: Spec, missing: str) -> CheckResult:
    return CheckResult(
        spec.id,
        spec.title,
        Verdict.SKIPPED,
        0,
        spec.points,
        expected=f"first: {missing}",
        seen="not run, because that check has not passed",
    )


def _infra(spec: Spec, what: str) -> CheckResult:
    return CheckResult(
        spec.id,
        spec.title,
        Verdict.INFRA,
        0,
        spec.points,
        expected="the bench to do its work",
        seen=what,
        hint="this is not about your code; `make doctor` checks the tools",
    )
