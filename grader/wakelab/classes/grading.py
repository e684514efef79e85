"""A class through a pool: what is known comes from the cache, the rest is graded, and each report
is on disk before the next step is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from wakelab.classes.fingerprint import report_key
from wakelab.classes.intake import Entry
from wakelab.classes.job import Job, Outcome
from wakelab.classes.pool import Pool
from wakelab.classes.store import Cache, Results
from wakelab.errors import UserError
from wakelab.interrupts import PutOff
from wakelab.points import PointsPlan
from wakelab.report import Report, Verdict


@dataclass(frozen=True)
class Graded:
    """One student's result.

    report   None where there is none; then `trouble` says why, and it is not the student's fault
    known    it came from the cache
    """

    entry: Entry
    report: Report | None
    trouble: str = ""
    known: bool = False

    @property
    def verdict(self) -> Verdict:
        """The report's; infra where there is none."""
        return self.report.verdict if self.report is not None else Verdict.INFRA


@dataclass(frozen=True)
class Assignment:
    """What is graded, by which grader. `modes` of the sweep come on top of the lab's own, and
    `points` on top of what the lab says."""

    lab: str
    modes: tuple[str, ...]
    points: PointsPlan
    fingerprint: str
    trust: bool = False


@dataclass(frozen=True)
class _Group:
    """Entries with the same content: graded once."""

    key: str
    job: Job
    entries: tuple[Entry, ...]


class ClassGrading:
    """Grades entries. `uncached` says, after it, why reports could not be kept for next time."""

    def __init__(
        self,
        assignment: Assignment,
        cache: Cache,
        results: Results,
        tell: Callable[[Graded], None],
        interrupts: PutOff,
    ) -> None:
        """`tell` hears of each result as soon as it is on disk. Interrupted between two of them."""
        self._assignment = assignment
        self._cache = cache
        self._results = results
        self._tell = tell
        self._interrupts = interrupts
        self.uncached = ""

    def known(self, entries: Sequence[Entry]) -> tuple[list[Graded], list[Entry]]:
        """What the cache has, and which entries are to be graded."""
        found: list[Graded] = []
        rest: list[Entry] = []
        for entry in self._interrupts.between(entries):
            report = self._cache.get(self._key(entry))
            if report is None:
                rest.append(entry)
            else:
                found.append(self._keep(entry, report, known=True))
        return found, rest

    def grade(self, entries: Sequence[Entry], pool: Pool) -> list[Graded]:
        """Grade them all; what the pool could not do is tried once more, alone. Raises UserError
        where nothing can be graded, or kept."""
        groups = list(self._groups(entries))
        graded: list[Graded] = []
        failed: list[_Group] = []
        outcomes = pool.grade([group.job for group in groups])
        for number, outcome in self._interrupts.between(outcomes):
            group = groups[number]
            if _is_sound(outcome):
                graded += self._done(group, outcome)
            else:
                failed.append(group)
        for group in failed:
            for _, outcome in self._interrupts.between(pool.grade([group.job])):
                graded += self._done(group, outcome)
        return graded

    def _key(self, entry: Entry) -> str:
        wanted = self._assignment
        return report_key(wanted.fingerprint, entry.submission, wanted.modes, wanted.points)

    def _groups(self, entries: Sequence[Entry]) -> Iterator[_Group]:
        alike: dict[str, list[Entry]] = {}
        for entry in entries:
            alike.setdefault(self._key(entry), []).append(entry)
        wanted = self._assignment
        for key, same in alike.items():
            # What is graded has no name: the report is the same for all of them.
            content = same[0].submission
            job = Job(
                wanted.lab,
                wanted.modes,
                wanted.points,
                wanted.fingerprint,
                content,
                wanted.trust,
            )
            yield _Group(key, job, tuple(same))

    def _done(self, group: _Group, outcome: Outcome) -> list[Graded]:
        report = outcome.report
        if outcome.fatal:
            raise UserError(outcome.trouble, "", "the same command goes on from here")
        if report is None:
            trouble = outcome.trouble or "no report came"
            lost = [Graded(entry, None, trouble) for entry in group.entries]
            for each in lost:
                self._tell(each)
            return lost
        try:
            self._cache.put(group.key, report)
        except OSError as error:
            self.uncached = error.strerror or str(error)
        return [self._keep(entry, report) for entry in group.entries]

    def _keep(self, entry: Entry, report: Report, known: bool = False) -> Graded:
        graded = Graded(entry, replace(report, submission=entry.name), known=known)
        assert graded.report is not None
        self._results.keep(entry.key, graded.report)
        self._tell(graded)
        return graded


def _is_sound(outcome: Outcome) -> bool:
    """Fatal ones are sound: trying again would not help."""
    report = outcome.report
    return outcome.fatal or (report is not None and report.verdict is not Verdict.INFRA)
