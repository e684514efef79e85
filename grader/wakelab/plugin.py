"""The pytest plugin that turns a lab's checks into results.

pytest finds the checks and runs each; this plugin says which and in what order, hands each its
Subject, skips what stands on a failed check, and makes one CheckResult of whatever happened.
Whatever is not the student's doing becomes `infra`, which costs no student a point.

A check that looks at the other levels is run once for each: a *part*, which a lane claims for
itself. The first part that has not passed, in the levels' order, is what became of the check.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import pytest

from wakebench.board import Ended, Unmet
from wakebench.errors import BenchError, Suspected
from wakebench.sweep import SweepError
from wakelab.build import OTHER_LEVELS
from wakelab.build_checks import expect_level
from wakelab.checking import Finding, Spec, spec_of
from wakelab.diagnosis import explain_ending, explain_unfit, explain_unmet
from wakelab.errors import UserError
from wakelab.points import NO_CHANGES, PointsPlan
from wakelab.report import CheckResult, Verdict
from wakelab.subject import Subject


def _spec(item: pytest.Item) -> Spec | None:
    return spec_of(getattr(item, "obj", None))


class _Part(NamedTuple):
    """A check; or, of one that looks at the other levels, what it does at one of them."""

    spec: Spec
    level: str = ""


def _everything(_: int) -> bool:
    return True


def _nobody(_: int, __: CheckResult) -> None:
    return None


class Lane(NamedTuple):
    """Which of the checks a process runs.

    claim       asked before a part of a check, by its position from 0: is it this lane's?
    beside      another lane runs checks, too, and what takes long must not begin last: so the other
                levels come at the end, each from the last check to the first, which sweeps before
    backwards   the checks that explore first, then the others from the last to the first
    tell        is told each part's position and result
    """

    claim: Callable[[int], bool] = _everything
    beside: bool = False
    backwards: bool = False
    tell: Callable[[int, CheckResult], object] = _nobody


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
        self._parts: Sequence[_Part] = ()
        """One for each item."""
        self._found: dict[_Part, CheckResult] = {}
        self.specs: list[Spec] = []
        """All checks, also those of other lanes, in the order in which they stand."""
        self.trouble: Exception | None = None
        """What `begin` has raised, or why it was not called."""

    def run(self, subject: Subject, lane: Lane = _ALL) -> None:
        """Run the checks of a lane on a subject; to be called by `begin`, in this process or in one
        that is forked off it then. Not for two lanes at once."""
        self._subject, self._lane = subject, lane
        for at in self._backwards() if lane.backwards else self._forwards(lane.beside):
            if lane.claim(self._claimed_as(at)):
                item = self._items[at]
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)

    def _forwards(self, beside: bool) -> Sequence[int]:
        """As Lane says."""
        positions = range(len(self._parts))
        if not beside:
            return positions
        levels = ("", *OTHER_LEVELS)

        def turn(at: int) -> tuple[int, int]:
            level = self._parts[at].level
            return levels.index(level), -at if level else at

        return sorted(positions, key=turn)

    def _backwards(self) -> Iterator[int]:
        """As Lane says; but what looks at the other levels not before they are built, while there
        is something else to do."""
        last_first = reversed(range(len(self._parts)))
        left = sorted(last_first, key=lambda at: not self._parts[at].spec.explores)
        while left:
            built = self._subject.is_wholly_built()
            ready = (at for at in left if built or not self._parts[at].level)
            chosen = next(ready, left[0])
            left.remove(chosen)
            yield chosen

    def _claimed_as(self, at: int) -> int:
        """A part's position; of all that explore, which are claimed together, the first one's."""
        if self._parts[at].spec.explores:
            return next(at for at, part in enumerate(self._parts) if part.spec.explores)
        return at

    @property
    def results(self) -> list[CheckResult]:
        """What there is so far, in the order in which the checks stand."""
        return list(self._known().values())

    def _known(self) -> dict[str, CheckResult]:
        """What became of each check of which that is known, by its id. Where what it needs has not
        passed, or does not stand before it, it is left out, whatever came of it in some lane."""
        known: dict[str, CheckResult] = {}
        unknown: set[str] = set()
        for spec in self.specs:
            missing = next((need for need in spec.needs if not _passed(known.get(need))), None)
            result = None
            if missing is None:
                result = self._result_of(spec)
            elif missing not in unknown:
                result = self._skipped(spec, known[missing].title if missing in known else missing)
            if result is None:  # another lane is at it, or at what it needs
                unknown.add(spec.id)
            else:
                known[spec.id] = result
        return known

    def _result_of(self, spec: Spec) -> CheckResult | None:
        """What became of a check, as soon as its parts leave no doubt about it."""
        found = []
        for part in self._parts:
            if part.spec != spec:
                continue
            if part not in self._found:
                return None
            found.append(self._found[part])
            if not _passed(found[-1]):
                break
        return _merged(found)

    def _is_moot(self, spec: Spec) -> bool:
        """Whether nobody will ask what the check says: it is known, or will be left out. Another
        lane may be at a need just now, which may stand on one that failed here."""
        return spec.id in self._known() or any(map(self._cannot_pass, self._needs(spec)))

    def _cannot_pass(self, spec: Spec) -> bool:
        found = (self._found.get(part) for part in self._parts if part.spec == spec)
        failed = any(result is not None and not _passed(result) for result in found)
        return failed or any(map(self._cannot_pass, self._needs(spec)))

    def _needs(self, spec: Spec) -> list[Spec]:
        before = self.specs[: self.specs.index(spec)]
        return [each for each in before if each.id in spec.needs]

    def add(self, position: int, result: CheckResult) -> None:
        """Take over what another lane has found of a part."""
        self._found[self._parts[position]] = result

    def owed(self) -> bool:
        """Whether another lane has still to say something that matters."""
        return len(self._known()) < len(self.specs)

    def looked_at_levels(self) -> bool:
        """Whether any check was run that looks at more than the main level."""
        known = self._known()
        return any(
            spec.levels and known[spec.id].verdict is not Verdict.SKIPPED
            for spec in self.specs
            if spec.id in known
        )

    def is_owed(self, position: int) -> bool:
        """Whether there is no result for the part at this position, and should be one."""
        part = self._parts[position]
        return part not in self._found and not self._is_moot(part.spec)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """A check that looks at other levels is one item for each."""
        spec = spec_of(metafunc.function)
        if spec is not None and spec.levels:
            metafunc.parametrize("level", OTHER_LEVELS)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out the checks of modes that nobody asked for. What is called like a check and is
        not marked as one would be left out, too, and nobody would ever know."""
        marked = [(item, spec) for item in items if (spec := _spec(item)) is not None]
        unmarked = next((item for item in items if _spec(item) is None), None)
        if unmarked is not None:
            self.trouble = UserError(
                f"{unmarked.name} is called like a check, and nothing marks it as one",
                str(unmarked.path),
                "put @check(...) before it, or give it a name that does not begin with check_",
            )
        wanted = [(item, spec) for item, spec in marked if spec.is_wanted(self._modes)]
        items[:] = [item for item, _ in wanted]
        self._parts = [_Part(self._plan.applied(spec), _level(item)) for item, spec in wanted]
        self.specs = list(dict.fromkeys(part.spec for part in self._parts))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """All is ready: have somebody run the checks. What that raises is no matter of pytest's."""
        self._items = session.items
        if self.trouble is not None:
            return True
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
        part = _Part(self._plan.applied(marked), _level(pyfuncitem))
        if self._is_moot(part.spec):
            return True
        self._subject.take_remark()
        self._subject.take_digest()  # what a check before this one left, which ended in trouble
        check = partial(_at_level, pyfuncitem.obj, part.level)
        result = self._found[part] = self._outcome(part.spec, check)
        self._lane.tell(self._parts.index(part), result)
        return True

    def _outcome(self, spec: Spec, check: Callable[[Subject], object]) -> CheckResult:
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

    def _with_second_try(self, check: Callable[[Subject], object]) -> None:
        """Done again, on machines that count, where a core is suspected; and ended by Ctrl-C,
        whatever comes of it."""
        try:
            try:
                check(self._subject)
            except Suspected:
                self._subject.count_from_now_on()
                check(self._subject)
        except Exception as error:
            if _was_interrupted(error):
                raise KeyboardInterrupt from error
            raise

    def _failed(self, spec: Spec, finding: Finding) -> CheckResult:
        place = finding.place
        if place is None and finding.pc is not None:
            place = self._subject.place(finding.pc)
        story, level, digest = finding.story, finding.level, self._subject.take_digest()
        # Without one nothing ran; what did in the check before this one is another in each lane.
        if digest:
            story = self._subject.story() if story is None else story
            level = level or self._subject.latest_level
        return self._result(
            spec,
            finding.verdict,
            expected=finding.expected,
            seen=finding.seen,
            why=finding.why,
            hint=finding.hint,
            place=place,
            story=story or (),
            diagnosis=finding.diagnosis,
            level=level,
            trace_hash=digest,
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


def _level(item: pytest.Item) -> str:
    """The level that the item is for; empty where it is for the main one."""
    called = getattr(item, "callspec", None)
    return str(called.params.get("level", "")) if called else ""


def _at_level(check: Callable[..., object], level: str, subject: Subject) -> None:
    if not level:
        check(subject=subject)
        return
    expect_level(subject, level)
    check(subject=subject, level=level)


def _passed(result: CheckResult | None) -> bool:
    return result is not None and result.verdict is Verdict.PASS


def _merged(parts: Sequence[CheckResult]) -> CheckResult:
    """One result of what was found at one level after the other, up to the first that decides."""
    if len(parts) == 1:
        return parts[0]
    seen = "".join(part.trace_hash for part in parts)
    digest = hashlib.sha256(seen.encode()).hexdigest() if seen else ""
    return replace(parts[-1], trace_hash=digest)


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether it came of Ctrl-C. Who then puts the bench back as it was talks to a core that may
    still run; what comes of that hides the interrupt, and is nobody's finding."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None
