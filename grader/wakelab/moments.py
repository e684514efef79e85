"""A press at every moment at which it could get lost, one run for each.

The moments are the traced steps, and the instants before the acts of the student's own functions:
before they write to memory, or mask interrupts. Between two of its acts a program changes nothing
that a handler could notice, so a press before the second one stands for all those in between:
whatever the program has read by then, it has not acted on yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from functools import cache
from typing import NamedTuple

from wakebench.board import Ended, Unmet
from wakebench.image import Symbol
from wakebench.pins import Edge
from wakebench.trace import Event, Kind
from wakelab.checking import Finding, counted
from wakelab.diagnosis import Mistake
from wakelab.press import PressTest, Why, called, flag_unseen, is_ready
from wakelab.report import Verdict
from wakelab.subject import Subject, tell


class Moment(NamedTuple):
    """A place on the way from one sleep to the next.

    events   events of the way up to here; the last of them is `step`
    ready    poll has said READY on the way
    address  the act that comes next, or 0 where the moment is `step` itself
    nth      how many times the way has come to that act
    """

    events: int
    step: Event
    ready: bool
    address: int = 0
    nth: int = 0


def own_acts(subject: Subject, test: PressTest) -> frozenset[int]:
    """The acts in functions of the student's files; what was inlined into them counts, too."""
    image = test.board.image

    @cache
    def is_own(function: Symbol) -> bool:
        # Not its first line alone: that may be of a header, as that of interrupts_mask().
        addresses = range(function.address, function.address + max(function.size, 2), 2)
        return any(subject.place(address) is not None for address in addresses)

    def own(address: int) -> bool:
        function = image.symbol_at(address)
        return function is not None and is_own(function)

    return frozenset(filter(own, image.acts))


def way_to_sleep(test: PressTest, acts: Collection[int]) -> list[Moment]:
    """Let the program run until it sleeps; return the moments on the way."""
    board = test.board
    start = len(board.trace)
    reached: Counter[int] = Counter()
    found: list[tuple[int, int, int]] = []
    sleeps = {address for address, kind in board.image.sites.items() if kind != "bkpt"}
    try:
        while (address := board.wait_any({*acts, *sleeps}, "an act or a sleep")) not in sleeps:
            reached[address] += 1
            found.append((len(board.trace) - start, address, reached[address]))
    except Unmet:
        pass  # it sleeps again where it has slept before
    except Ended as ended:
        raise test.explain(ended) from ended
    test.settle()
    way = board.trace.since(start)[:-1]
    return _moments(way, found)


def hardest_last(way: list[Moment]) -> list[Moment]:
    """The moments in an order in which the first press that gets lost tells most about why.

    After READY: only init can be the cause. In thread mode before it: the memory for presses. Then
    what is right there, and wrong in the handler.
    """
    return sorted(way, key=lambda m: (not m.ready, m.step.exception != 0))


def _moments(way: list[Event], found: list[tuple[int, int, int]]) -> list[Moment]:
    """A step is left out where an act follows it, because the press before that stands for it."""
    moments = []
    for at, step in enumerate(way, 1):
        ready = any(map(is_ready, way[:at]))
        before_acts = [Moment(at, step, ready, a, nth) for n, a, nth in found if n == at]
        moments += before_acts or [Moment(at, step, ready)]
    return moments


def go_to(test: PressTest, moment: Moment, start: int) -> None:
    """Run to a moment of a way that began with event number `start`."""
    if not moment.address:
        test.board.wait_events(start + moment.events)
    for _ in range(moment.nth):
        test.board.wait_address(moment.address)


def press_and_judge(test: PressTest, moment: Moment, *, again: bool) -> None:
    """Press now, at `moment`: is that reported, and only once? `again`: another press before this
    one has not been reported yet, or only just.
    """
    in_poll = "poll" in test.board.open_roles
    test.strike()
    pressed_at = len(test.board.trace) - 1
    left_open = bool(test.board.trace[pressed_at].exception) and _leaves_open(test)
    test.settle()
    try:
        test.compare(f"pressed {tell_moment(test, moment)}")
    except Finding as finding:
        since = test.board.trace.since(pressed_at)
        why = _why_lost(test, moment, since, in_poll=in_poll, again=again, left_open=left_open)
        if test.lines >= test.presses or why is None:
            raise
        lost = _lost(test, moment, finding, why, pressed_at)
        if why == _wake_forgotten() and _kept(test):
            lost.why, lost.hint, lost.diagnosis = sleeps_unchecked()
        raise lost from finding


def _kept(test: PressTest) -> bool:
    """Whether the executor that sleeps knows that a task was woken: without a new wake, it polls
    when the sleep has ended for no reason."""
    before = len(test.board.trace)
    test.board.leave_sleep()
    test.settle()
    return bool(called("poll", test.board.trace.since(before)))


def dead_after(test: PressTest, moment: Moment | None) -> Finding:
    """No press is answered any more, since one at `moment`, if there was any."""
    when = f"since one {tell_moment(test, moment)}" if moment else "although the first one was"
    return Finding(
        Verdict.LOST_WAKE,
        "every press to be answered",
        f"a press is not answered {when}",
        why="That press left something behind, a state or a mask, from which the program does not"
        " come back.",
        hint="What does each step leave behind when the press comes right after it?",
        diagnosis=Mistake.DEAD_AFTERWARDS,
    )


def expect_alive(test: PressTest, moment: Moment) -> None:
    """After a press at `moment` that was answered: one more is answered, too."""
    try:
        test.release()
        test.press()
        test.compare("pressed once more")
    except Finding as finding:
        if test.lines >= test.presses:
            raise
        raise dead_after(test, moment) from finding


def _leaves_open(test: PressTest) -> bool:
    """Whether the handler that is at work returns with the pin unmasked."""
    board = test.board
    pressed = len(board.trace)
    try:
        while not any(e.kind is Kind.EXIT for e in board.trace.since(pressed)):
            board.wait_events(len(board.trace) + 1)
    except Ended as ended:
        raise test.explain(ended) from ended
    except Unmet:
        return False  # it sleeps in the handler
    return test.armed


def _lost(test: PressTest, moment: Moment, finding: Finding, why: Why, at: int) -> Finding:
    explanation, hint, mistake = why
    pressed = test.board.trace[at]
    return Finding(
        Verdict.LOST_WAKE,
        finding.expected,
        f"{counted(test.lines, 'line')}; the program sleeps, and the press is lost",
        why=explanation,
        hint=hint,
        diagnosis=mistake,
        pc=moment.address or (moment.step.pc if moment.step.kind is Kind.CALL else pressed.pc),
        story=tell(test.board.trace.since(max(0, at - moment.events - 2))),
    )


def tell_moment(test: PressTest, moment: Moment) -> str:
    """The moment in words."""
    if moment.address:
        return f"just before a step of {test.board.image.name_at(moment.address)}"
    match moment.step.kind:
        case Kind.CALL | Kind.ENTER:
            return f"at the first instruction of {moment.step.name}"
        case Kind.RETURN | Kind.EXIT:
            return f"just after {moment.step.name} returned"
        case Kind.LINE:
            return "just after the line was printed"
        case _:
            return f"at “{moment.step.kind}”"


def _why_lost(
    test: PressTest,
    moment: Moment,
    since: list[Event],
    *,
    in_poll: bool,
    again: bool,
    left_open: bool,
) -> Why | None:
    """From what happened since the press; None where that is no question of the moment.
    left_open: it came in a handler, which then left the pin unmasked.

    Relies on the order of `hardest_last`.
    """
    press = since[0]
    in_poll = in_poll and not press.exception
    if press.exception and press.note == Edge.MERGED:
        return _late_acknowledge()
    if not any(e.kind is Kind.ENTER for e in since):
        if test.requested:
            return None
        return _init_forgets() if moment.ready else _cleared_in_poll()
    if press.exception and again:
        return _one_bit_memory() if left_open else _late_mask()
    woken = called("woken", since)
    if not woken:
        return _why_nobody_woken(moment, since) if in_poll else None
    if not called("poll", since[since.index(woken[-1]) :]):
        return _wake_forgotten()
    if in_poll:
        return _cleared_in_poll()
    if moment.ready:
        return _init_forgets()
    return _one_bit_memory() if again else None


def _why_nobody_woken(moment: Moment, since: list[Event]) -> Why:
    answer = next((e for e in since if e.kind is Kind.RETURN and e.note == "poll"), None)
    if answer and is_ready(answer):
        return _one_bit_memory()
    at_entry = moment.step.kind is Kind.CALL and moment.step.note == "poll" and not moment.address
    return flag_unseen() if at_entry else _check_then_register()


def sleeps_unchecked() -> Why:
    """Woken between the last look and the sleep."""
    return (
        "The interrupt came after the last look and before WFI: it was served, then the core went"
        " to sleep on the news.",
        "Mask, look again, WFI, unmask: WFI ends when an interrupt is pending, masked or not.",
        Mistake.SLEEPS_UNCHECKED,
    )


def _late_acknowledge() -> Why:
    return (
        "The edge came while the handler was at work, after it had told the task; then the handler"
        " acknowledged both edges at once.",
        "What must the handler do first, so that an edge that comes later is not taken for this"
        " one?",
        Mistake.LATE_ACKNOWLEDGE,
    )


def _late_mask() -> Why:
    return (
        "The edge came while the handler was at work, after the acknowledge and before it had"
        " masked the pin. The NVIC took note of it at once: the handler ran a second time, and"
        " acknowledged this edge, too.",
        "What can the handler look at, when it runs, to see whether it has anything to do?",
        Mistake.LATE_MASK,
    )


def _check_then_register() -> Why:
    return (
        "poll had looked already, and the waker was not registered yet: nobody to wake, and nobody"
        " looks again.",
        "Two steps of poll are in the wrong order. You look before you leave your phone number.",
        Mistake.CHECK_THEN_REGISTER,
    )


def _cleared_in_poll() -> Why:
    return (
        "The press came while poll was running, and poll threw it away.",
        "Between reading what the handler wrote and clearing it, can the handler come?",
        Mistake.CLEARED_IN_POLL,
    )


def _one_bit_memory() -> Why:
    return (
        "Both presses were acknowledged before the task was polled, and only one was remembered.",
        "What keeps the interrupt from firing a second time before the first was reported?",
        Mistake.ONE_BIT_MEMORY,
    )


def _init_forgets() -> Why:
    return (
        "The press came between two futures, and the next one threw it away when it was created.",
        "What does button_future_init clear, and is it allowed to every time?",
        Mistake.INIT_FORGETS,
    )


def _wake_forgotten() -> Why:
    return (
        "The handler woke the task while it was running, and whoever polls forgot that: the task"
        " was not polled again.",
        "When is the mark “woken” taken away: before the poll, or after it?",
        Mistake.WAKE_FORGOTTEN,
    )
