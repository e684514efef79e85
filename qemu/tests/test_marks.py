"""Ways to an instruction without a breakpoint: they lead where a record says, or are not used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import pytest
from lab08 import POLL, build
from test_footprint import BUTTON, LINE, WRONG, window_start

from wakebench import core
from wakebench.answers import Answers, Missed
from wakebench.board import Board, Points
from wakebench.explore import explore
from wakebench.line import wire_of
from wakebench.machine import Machine, Qemu
from wakebench.marks import Arrival, Mark, Trail, landmarks, mark_of
from wakebench.probe import Area, Registers, Touch
from wakebench.seconds import Made, Second, make_all
from wakebench.sweep import Moment
from wakebench.trace import Kind

NOBODYS = Area("nobody's", 0x2000_7000, 4, Touch.READS)


@pytest.fixture
def board(request: pytest.FixtureRequest, tmp_path: Path, one_qemu: Qemu) -> Iterator[Board]:
    """The reference of lab 08, at the level that the test's parameter names."""
    image = build(tmp_path / "program", getattr(request, "param", "Og"), {})
    with Machine(image.path, one_qemu) as machine:
        yield Board(machine, image, Points({"poll": POLL}))


@pytest.fixture
def answers(board: Board) -> Answers:
    return Answers(board, window_start(board.image), wire_of(BUTTON), LINE)


def recorded(board: Board) -> list[Registers]:
    """From where it stands to the sleep."""
    with board.untraced(), board.recording() as lines:
        board.wait_asleep()
    return lines


@pytest.mark.parametrize("board", ["O0", "Og", "O2", "Os"], indirect=True)
def test_a_way_leads_where_the_record_says(board: Board, answers: Answers) -> None:
    """From the window's start; and from the reset, by way of a landmark."""
    with board.untraced():
        answers.begin()
        record = recorded(board)
        trail = Trail(record, board.decoder)
        at, _ = next(
            each for each in landmarks(record, board.decoder) if answers.is_landmark(each[1])
        )
        by_landmark = Trail(record, board.decoder, at, by_mark=True)
        numbers = [n for n in range(at, len(record) - 1) if trail.way(n) and by_landmark.way(n)]
        touching = [n for n in range(at, len(record) - 1) if mark_at(board, record[n])]
        assert len(numbers) > 0.7 * len(touching) > 10
        for number in [*numbers[::5], *numbers[::7], at]:
            answers.begin()
            follow(board, trail.way(number))
            assert board.registers == record[number]
            board.reset()
            follow(board, by_landmark.way(number))
            assert board.registers == record[number]
            board.wait_asleep()
            assert board.registers == record[-1], "and it goes on from there"


def mark_at(board: Board, here: Registers) -> Mark | None:
    instruction = board.decoder.at(here.pc)
    return None if instruction.plain else mark_of(here, instruction.accesses(here))


def follow(board: Board, way: Sequence[Mark]) -> None:
    assert way
    for mark in way:
        assert board.wait_touched(mark.area)


def test_what_is_touched_before_the_window_is_no_landmark(board: Board, answers: Answers) -> None:
    start = window_start(board.image)
    board.reset()
    with board.untraced(), board.recording() as before:
        board.wait_address(start)
    early = [mark for _, mark in landmarks(before[:-1], board.decoder)]
    for mark in early[:3]:
        board.reset()
        assert board.wait_touched(mark.area) and board.registers == mark.here
        assert not answers.is_landmark(mark)
    assert early


def test_nobody_waits_for_ever(board: Board, answers: Answers) -> None:
    board.reset()
    assert not board.wait_touched(NOBODYS)
    assert board.asleep
    assert not answers.is_landmark(Mark(board.registers, NOBODYS))


def test_what_is_waited_for_is_watched_no_longer(board: Board, answers: Answers) -> None:
    """Whether it has come or not."""
    answers.begin()
    mark = next(mark for _, mark in landmarks(recorded(board), board.decoder))
    for area, comes in ((mark.area, True), (NOBODYS, False)):
        board.reset()
        assert board.wait_touched(area) == comes
        assert not is_watched(board, area)


def is_watched(board: Board, area: Area) -> bool:
    """By the stub's word: it undoes nothing that has not been done."""
    return board.ask_stub(b"z%d,%x,%x" % (area.touch, area.start, area.length)) == b"OK"


def test_a_way_writes_nothing_down(board: Board) -> None:
    """Also where it leads to the first instruction of a handler, which saves registers."""
    handler = board.image.handlers()[wire_of(BUTTON).exception]
    with board.untraced():
        board.reset()
        board.wait_asleep()
        with board.recording() as lines:
            board.press(BUTTON)
            board.wait_asleep()
        at = next(n for n, line in enumerate(lines) if line.pc == handler)
        way = Trail(lines, board.decoder).way(at)
        board.reset()
        board.wait_asleep()
        board.press(BUTTON)
        before = len(board.trace)
        follow(board, way)
        assert board.registers == lines[at]
        assert not any(event.kind is Kind.ENTER for event in board.trace.since(before))


def test_where_a_way_leads_nowhere_there_are_others(board: Board, answers: Answers) -> None:
    """The place is found by a breakpoint, or what it was for is done without the way."""
    second = far(seconds_of(board))
    first, place = second.presses
    answers.go_to(first)
    expected = board.registers
    for way in (
        (Mark(expected, NOBODYS),),
        (*second.way[:-1], second.way[-1]._replace(area=NOBODYS)),
        (second.way[0]._replace(here=expected), *second.way[1:]),
    ):
        answers.go_to(first, way)
        assert board.registers == expected
    answers.press(first)
    with pytest.raises(Missed):
        answers.go_on_to(place, Arrival(second.arrival.here, (Mark(expected, NOBODYS),)))
    wrong = second._replace(arrival=second.arrival._replace(way=(Mark(expected, NOBODYS),)))
    assert list(make_all(answers, [second, wrong])) == [Made(), Made()]


class Asked(Exception):
    """The seconds are known."""


class Asking:
    """A Helper that wants to know the seconds, and nothing else."""

    seconds: Sequence[Second] = ()

    def offer(self, seconds: Sequence[Second]) -> None:
        self.seconds = seconds
        raise Asked

    def claim(self, number: int) -> bool:
        raise AssertionError(number)

    def made(self) -> Mapping[int, Made]:
        raise AssertionError


def seconds_of(board: Board) -> Sequence[Second]:
    asking = Asking()
    with pytest.raises(Asked):
        explore(board, window_start(board.image), BUTTON, LINE, helper=asking)
    return asking.seconds


def far(seconds: Sequence[Second]) -> Second:
    """One with marks on both ways."""
    return next(each for each in seconds if len(each.way) > 1 and len(each.arrival.way) > 1)


@pytest.mark.parametrize("board", ["O0", "Og"], indirect=True)
def test_a_second_press_comes_where_the_run_was_interrupted(board: Board, answers: Answers) -> None:
    """By its way and by breakpoints; also where the core has had the same registers before, when
    interrupts were masked."""
    seconds = seconds_of(board)
    in_task = [each for each in seconds if each.presses[1].moment is Moment.BOUNDARY]
    again = [each for each in in_task if each.arrival.nth > 1]
    assert again or board.image.path.stem.endswith("O0")
    assert sum(bool(each.arrival.way) for each in in_task) > 0.7 * len(in_task)
    with board.untraced():
        for second in [*again, *islice(in_task, 0, None, 5)]:
            found = [there(board, answers, each) for each in both(second)]
            assert found[0] == found[-1] and found[0][0] == second.arrival.here
            assert not (second in again and found[0][-1])


def both(second: Second) -> Iterator[Second]:
    yield second._replace(way=(), arrival=second.arrival._replace(way=()))
    if second.arrival.way:
        yield second


def there(board: Board, answers: Answers, second: Second) -> tuple[object, ...]:
    """Registers, memory and PRIMASK at the second press."""
    first, place = second.presses
    start, end = (board.image.value(name) for name in ("__data_start__", "__bss_end__"))
    answers.go_to(first, second.way)
    answers.press(first)
    answers.go_on_to(place, second.arrival)
    here = board.registers
    return here, board.read_memory(start, end - start), not here.exception and board.primask()


@pytest.mark.parametrize("name", ["reference", *WRONG])
def test_ways_change_nothing_that_is_found(
    tmp_path: Path, one_qemu: Qemu, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    image = build(tmp_path / name, "Og", WRONG[name][1] if name in WRONG else {})
    with Machine(image.path, one_qemu) as machine:
        board = Board(machine, image, Points({"poll": POLL}))
        with_ways = explore(board, window_start(image), BUTTON, LINE)
        with monkeypatch.context() as patch:
            patch.setattr(Trail, "way", lambda *_: ())
            assert explore(board, window_start(image), BUTTON, LINE) == with_ways


def test_a_run_that_is_done_again_goes_its_way_again(
    board: Board, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = far(seconds_of(board))
    with board.untraced(), monkeypatch.context() as patch:
        patch.setattr(core, "FASTEST_HOST", 1e15)
        patch.setattr(core.Core, "_is_acquitted", lambda _: False)
        assert there(board, answers, second)[0] == second.arrival.here
    for mark in (*second.way, *second.arrival.way):
        assert not is_watched(board, mark.area)
