"""The second presses of an exploration, made by two: it does not matter who makes which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from lab08 import POLL, build
from test_footprint import BUTTON, LINE, WRONG, window_start

from wakebench.answers import Answers
from wakebench.board import Board, Ended, Ending, Points
from wakebench.errors import BenchError
from wakebench.explore import explore
from wakebench.footprint import Exploration, TraceError
from wakebench.image import Image
from wakebench.machine import Machine, Qemu
from wakebench.marks import Arrival
from wakebench.probe import NO_REGISTERS, ConnectionLost
from wakebench.seconds import Made, Second, make_all, make_some
from wakebench.sweep import Moment, Place


class Pair:
    """Two boards with the same program: the second one's takes what the first has not by then."""

    def __init__(self, image: Image, first: Board, second: Board) -> None:
        self._start, self.first, self.second = window_start(image), first, second

    def explored(self, share: int, fails_after: int = 1000) -> tuple[Exploration, list[str]]:
        """With a helper that takes all but `share`, and fails when it has made so many; and what
        happened meanwhile."""
        helper = Half(self.second, self._start, share, fails_after)
        seen: list[str] = []

        def meanwhile(exploration: Exploration) -> None:
            assert not exploration.failing and not exploration.gaps
            seen.append(f"{len(helper.seconds)} offered")

        whole = explore(
            *(self.first, self._start, BUTTON, LINE), helper=helper, meanwhile=meanwhile
        )
        seen.append(f"{helper.helped} made")
        return whole, seen

    def alone(self) -> Exploration:
        return explore(self.first, self._start, BUTTON, LINE)


class Half:
    """A Helper."""

    def __init__(self, board: Board, start: int, share: int, fails_after: int) -> None:
        self._board, self._start = board, start
        self._share, self._fails_after = share, fails_after
        self.seconds: Sequence[Second] = ()
        self.helped = 0

    def offer(self, seconds: Sequence[Second]) -> None:
        assert not self.seconds
        self.seconds = seconds

    def claim(self, number: int) -> bool:
        assert number < len(self.seconds)
        return number < self._share

    def made(self) -> Mapping[int, Made]:
        found: dict[int, Made] = {}
        for number, made in make_some(
            *(self._board, self._start, BUTTON, LINE, self.seconds), lambda n: not self.claim(n)
        ):
            if len(found) == self._fails_after:
                break
            found[number] = made
        self.helped = len(found)
        return found


@pytest.fixture
def pair(request: pytest.FixtureRequest, tmp_path: Path, one_qemu: Qemu) -> Iterator[Pair]:
    """Of the program of that name in WRONG, or of the reference."""
    _, changes = WRONG.get(request.param, (0, {}))
    image = build(tmp_path / "program", "Og", changes)
    with ExitStack() as owned:
        boards = [
            Board(owned.enter_context(Machine(image.path, one_qemu)), image, Points({"poll": POLL}))
            for _ in range(2)
        ]
        yield Pair(image, *boards)


NAMES = ["reference", "late-acknowledge", "one-bit-memory", "dead-afterwards"]


@pytest.mark.parametrize("pair", NAMES, indirect=True)
def test_it_does_not_matter_who_makes_which(pair: Pair) -> None:
    expected = pair.alone()
    assert not expected.gaps
    for share in (0, 10):
        seen, told = pair.explored(share)
        assert seen == expected
        offered, made = (int(each.split()[0]) for each in told)
        assert made == offered - share > 20


@pytest.mark.parametrize("pair", ["late-acknowledge"], indirect=True)
def test_what_a_helper_has_not_made_is_made_here(pair: Pair) -> None:
    seen, (_, made) = pair.explored(5, fails_after=3)
    assert made == "3 made"
    assert seen == pair.alone()


@pytest.mark.parametrize("pair", ["late-acknowledge"], indirect=True)
def test_a_helper_that_comes_too_late_is_not_missed(pair: Pair) -> None:
    seen, (_, made) = pair.explored(1000)
    assert made == "0 made"
    assert seen == pair.alone()


class Broken(Answers):
    """Of a program that ends, or cannot be followed, at some point of a run."""

    def __init__(self, at: str, problem: Exception) -> None:
        self._at, self._problem = at, problem

    def _come_to(self, where: str) -> bool:
        if where == self._at:
            raise self._problem
        return True

    def go_to(self, *_: Any) -> None:
        self._come_to("first")

    def press(self, *_: Any, **__: Any) -> None:
        pass

    def go_on_to(self, *_: Any) -> None:
        self._come_to("second")

    def are_right(self) -> bool:
        return self._come_to("sleep")

    def live_on(self) -> bool:
        return self._come_to("next sleep")


PLACE = Place(0x400, Moment.BOUNDARY, 1)
SECOND = Second((PLACE, PLACE), (), Arrival(NO_REGISTERS), False)


def made(at: str, ending: Ending, detail: str = "") -> Made:
    return next(make_all(Broken(at, Ended(ending, detail, 0, None)), [SECOND]))


def test_who_ends_after_both_presses_is_wrong_and_before_is_not_known() -> None:
    for at in ("sleep", "next sleep"):
        assert made(at, Ending.STORM) == Made(right=False)
    for at in ("first", "second"):
        assert made(at, Ending.STORM).gap
    lost = TraceError("it goes another way")
    assert next(make_all(Broken("second", lost), [SECOND])) == Made(gap="it goes another way")


def test_who_uses_what_is_the_sweeps_is_told_so() -> None:
    assert made("sleep", Ending.TRESPASS, "the timers").trespass == "the program uses the timers"


@pytest.mark.parametrize("at", ["first", "second", "sleep", "next sleep"])
def test_who_brings_the_machine_down_ends_it(at: str) -> None:
    """What is told must not depend on whose machine that was."""
    with pytest.raises(ConnectionLost) as raised:
        made(at, Ending.DIED)
    assert isinstance(raised.value, BenchError)
