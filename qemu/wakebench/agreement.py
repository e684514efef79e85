"""The reduction held against brute force: the same presses all tried, and only those that stand for
a class. docs/contributors/reduction.md says what has to be equal; the bench's tests look at a few
programs, the mutant campaign (grader/tests/campaign.py) at every one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from wakebench.footprint import Exploration, chosen, coverage
from wakebench.sweep import Moment, Outcome, Placement, Sweep


def failed(placement: Placement) -> bool:
    """Whether a press was not answered as it should."""
    return placement.outcome not in (Outcome.OK, Outcome.UNSAVED)


def first_failure(placements: Sequence[Placement]) -> Placement | None:
    """The earliest placement that failed."""
    return next(filter(failed, placements), None)


def representatives(placements: Sequence[Placement], dependent: Collection[int]) -> list[int]:
    """For each placement the index of the one that stands for it: the last of its class."""
    found, last = [], len(placements) - 1
    for index in reversed(range(len(placements))):
        place = placements[index].place
        if place.moment is not Moment.BOUNDARY or place.pc in dependent:
            last = index
        found.append(last)
    return found[::-1]


def _spared(placement: Placement, representative: Placement) -> bool:
    """In a handler a placement may be right where its representative is not. The two end in the
    same state; but an edge that merges is a press that got lost only if the task has been told
    before, and a class may span the moment at which it is.
    """
    return placement.nested and not failed(placement) and failed(representative)


@dataclass
class Comparison:
    """Compares on one sweep. `problems`: where the two do not say the same, in words."""

    sweep: Sweep
    seen: Exploration
    problems: list[str] = field(default_factory=list)
    compared: int = 0
    """Placements whose verdict was held against that of their representative."""

    def __post_init__(self) -> None:
        self._dependent = self.seen.reduction.dependent
        self._reduced: dict[Placement, list[Placement]] = {}

    def singles(self, brute: Sequence[Placement]) -> bool:
        """One press. Whether all placements were tried: the sweep gives up where one program after
        the other never sleeps again."""
        struck = coverage(self.seen.window, brute)
        if not struck.complete:
            given_up = brute and brute[-1].outcome is Outcome.RUNAWAY
            if struck.extra or not given_up:
                self.problems.append("the sweep struck elsewhere than the trace says")
            self._earliest(brute, self.sweep.singles(self._dependent), "")
            return False
        reduced = self.sweep.singles(self._dependent)
        self._all(brute, reduced, "")
        if len(reduced) != self.seen.reduction.classes:
            self.problems.append(
                f"{len(reduced)} placements stand for {self.seen.reduction.classes} classes"
            )
        return True

    def pairs(
        self, singles: Sequence[Placement], step: int = 1
    ) -> Iterator[tuple[Placement, list[Placement]]]:
        """Two presses: each first one with all its second ones, as brute force finds them. With
        that of a representative each second one has the verdict of the one that stands for it; and
        any first one fails if, and only if, its representative does in the reduced sweep. `step`:
        not every first press, but every so many."""
        stands = representatives(singles, self._dependent)
        some = sorted(set(stands))[:: max(1, step // 4)]
        for index in sorted({*range(0, len(singles), step), *some}):
            first = singles[index]
            brute = self.sweep.seconds(first)
            yield first, brute
            representative = singles[stands[index]]
            reduced = self._seconds(representative)
            name = f"first press at 0x{first.place.pc:x}: "
            if first is representative:
                self._seconds_agree(brute, reduced, name)
            if bool(first_failure(brute)) != bool(first_failure(reduced)):
                self.problems.append(f"{name}its representative says otherwise")

    def reduced_pairs(
        self, singles: Sequence[Placement]
    ) -> Iterator[tuple[Placement, list[Placement]]]:
        """Two presses, as the reduced sweep tries them."""
        for index in sorted(set(representatives(singles, self._dependent))):
            yield singles[index], self._seconds(singles[index])

    def _seconds(self, first: Placement) -> list[Placement]:
        if first not in self._reduced:
            self._reduced[first] = self.sweep.seconds(first, self._dependent)
        return self._reduced[first]

    def _seconds_agree(
        self, brute: Sequence[Placement], reduced: Sequence[Placement], name: str
    ) -> None:
        if brute and brute[-1].place.moment is Moment.ASLEEP:
            self._all(brute, reduced, name)
        else:
            self._earliest(brute, reduced, name)

    def _all(self, brute: Sequence[Placement], reduced: Sequence[Placement], name: str) -> None:
        stands = representatives(brute, self._dependent)
        if [p.place for p in chosen(brute, self._dependent)] != [p.place for p in reduced]:
            self.problems.append(f"{name}reduced, the sweep strikes elsewhere")
        for index, placement in enumerate(brute):
            self.compared += 1
            other = brute[stands[index]]
            if placement.outcome is not other.outcome and not _spared(placement, other):
                place, said = placement.place, placement.outcome.name
                self.problems.append(
                    f"{name}0x{place.pc:x} #{place.nth} is {said}, and not as 0x{other.place.pc:x}"
                )
        self._earliest(brute, reduced, name)

    def _earliest(
        self, brute: Sequence[Placement], reduced: Sequence[Placement], name: str
    ) -> None:
        """The earliest class that fails is the same."""
        stands = representatives(brute, self._dependent)
        earliest = next((i for i, placement in enumerate(brute) if failed(placement)), None)
        found = first_failure(reduced)
        if earliest is None or found is None:
            if earliest is not None or found is not None:
                self.problems.append(f"{name}only one of the two finds a failure")
        elif not self._same_class(brute, brute[stands[earliest]], found):
            self.problems.append(f"{name}the earliest failing class is another")

    def _same_class(self, brute: Sequence[Placement], stands: Placement, found: Placement) -> bool:
        """Where brute force gave up in the middle of a class, its end comes later."""
        place = stands.place
        is_end = place.moment is not Moment.BOUNDARY or place.pc in self._dependent
        return place == found.place if is_end else found.ticks > brute[-1].ticks
