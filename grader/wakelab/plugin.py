"""The pytest plugin that turns a lab's checks into results.

pytest finds the checks and runs each; this plugin says which and in what order, hands each its
Subject, skips what stands on a failed check, and makes one CheckResult of whatever happened.
Whatever is not the student's doing becomes `infra`, which costs no student a point.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from wakebench.board import Ended, Unmet
from wakebench.errors import BenchError, Suspected
from wakebench.sweep import SweepError
from wakelab.checking import Finding, Spec, spec_of
from wakelab.diagnosis import explain_ending, explain_unfit, explain_unmet
from wakelab.errors import UserError
from wakelab.points import NO_CHANGES, PointsPlan
from wakelab.report import CheckResult, Verdict
from wakelab.subject import Subject


def _spec(item: pytest.Item) -> Spec | None:
    return spec_of(getattr(item, "obj", None))


def _explores(item: pytest.Item) -> bool:
    spec = _spec(item)
    return spec is not None and spec.explores


def _everything(_: int) -> bool:
    return True


def _nobody(_: CheckResult) -> None:
    return None


@dataclass(frozen=True)
class Lane:
    """Which of the checks a process runs.

    claim       asked before a check, by its position from 0: is it this lane's?
    backwards   the checks that explore first, then the others from the last to the first; without
                a look at what a check needs
    tell        is told each result
    """

    claim: Callable[[int], bool] = _everything
    backwards: bool = False
    tell: Callable[[CheckResult], object] = _nobody


_ALL = Lane()


class ChecksPlugin:
    """Runs the checks, of one lane or all, and collects the results."""

    def __init__(
        self,
        begin: Callable[[ChecksPlugin], object],
        modes: Collection[str],
        plan: PointsPlan = NO_CHANGES,
    ) -> None:
        """See with_checks."""
        self._begin = begin
        self._modes = modes
        self._plan = plan
        self._lane = _ALL
        self._items: Sequence[pytest.Item] = ()
        self._by_id: dict[str, CheckResult] = {}
        self.specs: list[Spec] = []
        """All checks, also those of other lanes, in the order in which they stand."""
        self.trouble: Exception | None = None
        """What `begin` has raised."""

    def run(self, subject: Subject, lane: Lane = _ALL) -> None:
        """Run the checks of a lane on a subject; to be called by `begin`, in this process or in one
        that is forked off it then. Not for two lanes at once."""
        self._subject, self._lane = subject, lane
        for item in self._in_order():
            spec = _spec(item)
            if spec is None or lane.claim(self._position(self._plan.applied(spec))):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)

    def _in_order(self) -> Sequence[pytest.Item]:
        if not self._lane.backwards:
            return self._items
        last_first = reversed(self._items)
        return sorted(last_first, key=lambda item: not _explores(item))

    @property
    def results(self) -> list[CheckResult]:
        """What there is so far, in the order in which the checks stand."""
        return [self._by_id[spec.id] for spec in self.specs if spec.id in self._by_id]

    def add(self, result: CheckResult) -> None:
        """Take over a result that another lane has found."""
        self._by_id[result.id] = result

    def owed(self) -> bool:
        """Whether another lane has still to say something that matters. What stands on a failed
        check is skipped, whatever came of it there.
        """
        for spec in self.specs:
            if missing := self._missing(spec):
                self.add(self._skipped(spec, missing))
            elif spec.id not in self._by_id:
                return True
        return False

    def looked_at_levels(self) -> bool:
        """Whether any check was run that looks at more than the main level."""
        return any(
            spec.levels and self._by_id[spec.id].verdict is not Verdict.SKIPPED
            for spec in self.specs
            if spec.id in self._by_id
        )

    def is_owed(self, position: int) -> bool:
        """Whether there is no result for the check at this position."""
        return self.specs[position].id not in self._by_id

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out the checks of modes that nobody asked for."""
        items[:] = [item for item in items if self._wanted(_spec(item))]
        specs = map(_spec, items)
        self.specs = [self._plan.applied(spec) for spec in specs if spec is not None]

    def _wanted(self, spec: Spec | None) -> bool:
        return spec is None or not spec.mode or spec.mode in self._modes

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """All is ready: have somebody run the checks. What that raises is no matter of pytest's."""
        self._items = session.items
        try:
            self._begin(self)
        except Exception as trouble:
            self.trouble = trouble
        return True

    @pytest.fixture
    def subject(self) -> Subject:
        """The submission on its boards."""
        return self._subject

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Run one check and keep its result; nothing it raises reaches pytest but a real error."""
        marked = spec_of(pyfuncitem.obj)
        if marked is None:
            return None
        spec = self._plan.applied(marked)
        missing = "" if self._lane.backwards else self._failed_before(spec)
        if missing:
            self._keep(self._skipped(spec, missing))
            return True
        self._subject.take_remark()
        self._subject.take_digest()  # what a check before this one left, which ended in trouble
        self._keep(self._outcome(spec, pyfuncitem.obj))
        return True

    def _outcome(self, spec: Spec, check: Callable[..., object]) -> CheckResult:
        """Run a check, and make a result of what comes of it."""
        try:
            self._with_second_try(check)
        except Finding as finding:
            return self._failed(spec, finding)
        except Ended as ended:
            return self._failed(spec, explain_ending(ended))
        except Unmet as unmet:
            return self._failed(spec, explain_unmet(unmet))
        except SweepError as unfit:
            return self._failed(spec, explain_unfit(unfit))
        except (BenchError, UserError, OSError) as trouble:
            return self._infra(spec, str(trouble))
        except Exception as bug:  # a defect of ours must not look like the student's
            return self._infra(spec, f"{type(bug).__name__}: {bug}")
        return self._result(
            spec,
            Verdict.PASS,
            trace_hash=self._subject.take_digest(),
            **self._subject.take_remark(),
        )

    def _with_second_try(self, check: Callable[..., object]) -> None:
        """Done again, on machines that count, where a core is suspected; and ended by Ctrl-C,
        whatever comes of it."""
        try:
            try:
                check(subject=self._subject)
            except Suspected:
                self._subject.count_from_now_on()
                check(subject=self._subject)
        except Exception as error:
            if _was_interrupted(error):
                raise KeyboardInterrupt from error
            raise

    def _position(self, spec: Spec) -> int:
        """Of the check; of all that explore, which are claimed together, that of the first."""
        if spec.explores:
            return next(at for at, each in enumerate(self.specs) if each.explores)
        return self.specs.index(spec)

    def _missing(self, spec: Spec) -> str:
        """The title of the first need that did not pass, or empty."""
        for need in spec.needs:
            result = self._by_id.get(need)
            if result is None or result.verdict is not Verdict.PASS:
                return result.title if result else need
        return ""

    def _failed_before(self, spec: Spec) -> str:
        """The same, as far as is known: another lane may be at a need just now."""
        if self._lane.claim is _everything or all(need in self._by_id for need in spec.needs):
            return self._missing(spec)
        return ""

    def _keep(self, result: CheckResult) -> None:
        self.add(result)
        self._lane.tell(result)

    def _failed(self, spec: Spec, finding: Finding) -> CheckResult:
        place = finding.place
        if place is None and finding.pc is not None:
            place = self._subject.place(finding.pc)
        return self._result(
            spec,
            finding.verdict,
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

    def _skipped(self, spec: Spec, missing: str) -> CheckResult:
        return self._result(
            spec,
            Verdict.SKIPPED,
            expected=f"first: {missing}",
            seen="not run, because that check has not passed",
        )

    def _infra(self, spec: Spec, what: str) -> CheckResult:
        self._subject.distrust_machine()
        return self._result(
            spec,
            Verdict.INFRA,
            expected="the bench to do its work",
            seen=what,
            hint="this is not about your code; `make doctor` checks the tools",
        )

    def _result(self, spec: Spec, verdict: Verdict, **found: Any) -> CheckResult:
        """A result of the check, which is worth its points when it passed and else nothing."""
        return CheckResult(
            id=spec.id,
            title=spec.title,
            verdict=verdict,
            points=spec.points if verdict is Verdict.PASS else 0,
            max_points=spec.points,
            needs=spec.needs,
            visibility=self._plan.visibility(spec),
            **found,
        )


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether it came of Ctrl-C. Who then puts the bench back as it was talks to a core that may
    still run; what comes of that hides the interrupt, and is nobody's finding."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None
