"""The comparison of reduced and brute force sees a difference. That there is none between the real
ones is what test_footprint and the campaign look at."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from wakebench.agreement import Comparison, first_failure, representatives
from wakebench.footprint import Exploration, Footprint, Step, WindowTrace
from wakebench.sweep import Moment, Outcome, Place, Placement, Sweep

DEPENDENT = {6, 12}
WFI = 14
OK, LOST = Outcome.OK, Outcome.LOST


def step(pc: int) -> Step:
    return Step(pc, False, (), 0, pc in DEPENDENT, False)


SEEN = Exploration(
    WindowTrace(tuple(map(step, range(0, WFI, 2))), step(WFI)._replace(closed=True), "SELECT"),
    frozenset(map(step, range(0, WFI, 2))),
    (),
    Footprint(),
    1,
)


def placed(pc: int, moment: Moment = Moment.BOUNDARY, outcome: Outcome = OK) -> Placement:
    return Placement(Place(pc, moment, 1), outcome, 1, 1, False, pc // 2 + 1)


ALL = [
    *(placed(pc) for pc in range(0, WFI, 2)),
    placed(WFI, Moment.BEFORE_SLEEP),
    placed(WFI, Moment.ASLEEP),
]


def but(changes: dict[int, Outcome], placements: Sequence[Placement] = ALL) -> list[Placement]:
    """With other outcomes, by index."""
    return [p._replace(outcome=changes.get(n, p.outcome)) for n, p in enumerate(placements)]


def reduced(placements: Sequence[Placement]) -> list[Placement]:
    return [p for p in placements if p.place.pc in {*DEPENDENT, WFI}]


@dataclass
class Fake:
    """A sweep that says what it is told to; every first press has the same second ones, but for
    those in `other`."""

    brute: list[Placement]
    few: list[Placement]
    other: dict[int, list[Placement]] = field(default_factory=dict)

    def singles(self, only: Collection[int] | None = None) -> list[Placement]:
        return self.brute if only is None else self.few

    def seconds(self, first: Placement, only: Collection[int] | None = None) -> list[Placement]:
        if only is None:
            return self.other.get(first.place.pc, self.brute)
        return self.few


def comparison(fake: Fake) -> Comparison:
    return Comparison(cast(Sweep, fake), SEEN)


def test_the_last_of_a_class_stands_for_it() -> None:
    assert representatives(ALL, DEPENDENT) == [3, 3, 3, 3, 6, 6, 6, 7, 8]


FINE = [{}, dict.fromkeys(range(4), LOST), {7: LOST}, dict.fromkeys(range(9), LOST)]


@pytest.mark.parametrize("outcomes", FINE, ids=str)
def test_no_problem_where_they_agree(outcomes: dict[int, Outcome]) -> None:
    brute = but(outcomes)
    compared = comparison(Fake(brute, reduced(brute)))
    assert compared.singles(brute)
    assert len(list(compared.pairs(ALL))) == len(ALL)
    assert compared.problems == []
    assert compared.compared == len(ALL) * (1 + len(set(representatives(ALL, DEPENDENT))))


@pytest.mark.parametrize("index", [0, 2, 5])
def test_a_single_press_that_is_not_as_its_representative(index: int) -> None:
    brute = but({index: LOST})
    compared = comparison(Fake(brute, reduced(brute)))
    compared.singles(brute)
    assert any("is LOST, and not as" in problem for problem in compared.problems)
    assert "only one of the two finds a failure" in compared.problems


def test_a_representative_that_fails_alone() -> None:
    brute = but({3: LOST})
    compared = comparison(Fake(brute, reduced(brute)))
    compared.singles(brute)
    assert len(compared.problems) == 3 and all("is OK" in p for p in compared.problems)


def test_in_a_handler_the_representative_may_be_the_stricter_one() -> None:
    nested = [p._replace(nested=True) for p in ALL]
    for outcomes, problems in (({3: LOST}, 0), ({1: LOST}, 2)):
        brute = but(outcomes, nested)
        compared = comparison(Fake(brute, reduced(brute)))
        compared.singles(brute)
        assert len(compared.problems) == problems


def test_a_reduced_sweep_that_strikes_elsewhere_or_less() -> None:
    compared = comparison(Fake(ALL, reduced(ALL)[1:]))
    compared.singles(ALL)
    assert "reduced, the sweep strikes elsewhere" in compared.problems
    assert "3 placements stand for 4 classes" in compared.problems


def test_a_sweep_that_strikes_where_the_trace_is_not() -> None:
    brute = [placed(100), *ALL]
    compared = comparison(Fake(brute, reduced(brute)))
    assert not compared.singles(brute)
    assert "the sweep struck elsewhere than the trace says" in compared.problems


def test_a_sweep_that_gives_up_is_compared_at_its_earliest_failure() -> None:
    brute = [*ALL[:2], ALL[2]._replace(outcome=Outcome.RUNAWAY)]

    def fails(*indexes: int) -> list[Placement]:
        return [ALL[n]._replace(outcome=Outcome.RUNAWAY) for n in indexes]

    for few, problems in ((fails(3), 0), (fails(1), 1), ([], 1)):
        compared = comparison(Fake(brute, few))
        assert not compared.singles(brute)
        assert len(compared.problems) == problems


@pytest.mark.parametrize("pc", [0, 6])
def test_a_first_press_that_is_not_as_its_representative(pc: int) -> None:
    compared = comparison(Fake(ALL, reduced(ALL), {pc: but({8: LOST})}))
    list(compared.pairs(ALL))
    assert f"first press at 0x{pc:x}: its representative says otherwise" in compared.problems


def test_some_first_presses_only() -> None:
    compared = comparison(Fake(ALL, reduced(ALL)))
    tried = [first.place.pc for first, _ in compared.pairs(ALL, step=8)]
    assert tried == [0, 6, WFI, WFI] and compared.problems == []
    assert [first for first, _ in compared.reduced_pairs(ALL)] == [ALL[n] for n in (3, 6, 7, 8)]


def test_the_first_failure() -> None:
    assert first_failure(ALL) is None
    assert first_failure(but({5: Outcome.UNSAVED, 6: LOST})) == but({6: LOST})[6]
