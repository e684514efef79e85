"""What most labs check: it is written, asks nothing of the host; and, where a press makes a
line, that each does, whenever it comes, with sleep in between. A lab's check file says which, under
which title and for how many points."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from wakebench.board import Board, Ended, Ending, Unmet
from wakebench.footprint import TraceError
from wakebench.pin_names import Pin
from wakebench.sweep import SweepError
from wakebench.trace import Kind
from wakebench.when import When
from wakelab.build import MAIN_LEVEL
from wakelab.build_checks import expect_no_warning
from wakelab.checking import Finding, counted
from wakelab.diagnosis import Mistake
from wakelab.moments import (
    Moment,
    dead_after,
    go_to,
    hardest_last,
    own_acts,
    press_and_judge,
    sleeps_unchecked,
    way_to_sleep,
)
from wakelab.press import PressTest, blocks_in_handler, called, is_ready
from wakelab.report import Verdict
from wakelab.subject import Subject, tell

ENDLESS = (Ending.LOOP, Ending.POLLING)
"""Programs that do not sleep, and may answer a press all the same."""

SPACINGS_MS = ((5, 5), (50, 200), (1, 1), (0, 0), (1000, 30), (3, 0), (0, 3), (20, 20))
"""How long a press is held, and how long nobody presses after it."""


def expect_written(subject: Subject) -> None:
    """No TODO is reached, neither before nor after a press."""
    board, _ = _pressed_once(subject)  # what ended it is for the checks that follow
    expect_no_todo(subject, board)


def _pressed_once(subject: Subject) -> tuple[Board, Ended | None]:
    def press(board: Board) -> None:
        board.wait_asleep()
        board.press(subject.button)
        board.wait_asleep()

    return subject.after("a press", press)


def expect_no_todo(subject: Subject, board: Board) -> None:
    """The run so far has come to no TODO."""
    open_steps = sorted({e.value for e in board.trace if e.kind is Kind.TODO})
    if open_steps:
        steps = ", ".join(map(str, open_steps))
        raise Finding(
            Verdict.TODO,
            "no TODO left on the way",
            f"step {steps} still to do" if len(open_steps) == 1 else f"steps {steps} still to do",
            hint=f"Open lab/{subject.lab.slug}/ and look for TODO({open_steps[0]}). Remove the TODO"
            " when the step is written.",
            story=(),
        )


def expect_host(subject: Subject) -> None:
    """The program prints on its console and asks the host for nothing else."""
    _, ended = _pressed_once(subject)
    if ended is not None and ended.ending is Ending.FORBIDDEN:
        raise ended


def expect_handler(subject: Subject) -> None:
    """Press, and the handler of the button's port runs, once, and clears RIS."""
    test = _start(subject)
    _settle_or_revive(test)
    test.board.press(test.button)
    _expect_handler(test)
    _wait_return(test)
    kept = test.requested
    ended = _settle_or_end(test)
    if kept:
        raise _unacknowledged(test, ended)
    if ended is not None and ended.ending not in ENDLESS:
        raise test.explain(ended) from ended


def expect_sleeps(subject: Subject) -> None:
    """With nothing to do the core is in WFI; a WFI that returns for no reason causes no poll."""
    test = _start(subject)
    try:
        test.board.wait_asleep()
    except Ended as ended:
        raise _busy_or_stuck(test, ended) from ended
    test.settle()
    test.compare("before the first press")
    _expect_polls(test, "before the first press")
    test.board.leave_sleep()
    test.settle()
    _expect_polls(test, "after the core had left its sleep for no reason")
    test.press()
    _expect_polls(test, "after a press")


def expect_one_line(subject: Subject) -> None:
    """The line comes with the press, not with the release, and comes once, press after press."""
    _judge_quickly(subject, _press_at_every_spacing)


def _press_at_every_spacing(test: PressTest, quick: bool) -> None:
    test.settle()
    for number, (held_ms, pause_ms) in enumerate(SPACINGS_MS, 1):
        test.press()
        test.compare(f"after press {number}, before its release")
        test.board.wait_ms(held_ms)
        test.release()
        test.compare(f"after press {number} and its release")
        test.board.wait_ms(pause_ms)
        if quick and number == 1:
            test.board.trace_no_more()


def expect_spurious(subject: Subject) -> None:
    """The task is woken although nothing happened, once and three times; then somebody presses."""
    _judge_quickly(subject, _wake_for_nothing)


def _wake_for_nothing(test: PressTest, quick: bool) -> None:
    test.settle()  # its waker has been seen
    if quick:
        test.board.trace_no_more()
    for wakes in (1, 3):
        for _ in range(wakes):
            test.board.spurious_wake()
            test.settle()
        _use_up_registration(test)
        if test.lines > test.presses:
            raise Finding(
                Verdict.DOUBLE,
                "no line: nobody pressed",
                f"{counted(test.lines - test.presses, 'line')} after a spurious wake",
                why="poll was called, and took that for the news. A wake is only a hint: anybody"
                " may wake the task, for any reason.",
                hint="What does poll look at before it says READY?",
                diagnosis=Mistake.READY_UNCHECKED,
            )
        test.press()
        test.compare("pressed after a spurious wake")
        test.release()


def expect_sleep_moments(subject: Subject) -> None:
    """The last instant before WFI executes, and the sleep itself, after reset and after a press."""
    _judge_quickly(subject, _press_about_the_sleep)


def _press_about_the_sleep(test: PressTest, quick: bool) -> None:
    if quick:
        test.board.trace_no_more()
    for round_ in ("after reset", "after a press"):
        test.board.press(test.button, When.BEFORE_SLEEP)
        try:
            test.settle()
            test.compare(f"pressed just before the sleep, {round_}")
        except Finding as finding:
            raise _lost_before_sleep(finding) from finding
        test.release()
        test.board.press(test.button, When.ASLEEP)
        test.settle()
        test.compare(f"pressed during the sleep, {round_}")
        test.board.release(test.button)
        # The program is on its way to the next sleep again after this one.
        test.board.leave_sleep()


def expect_first_wait(subject: Subject) -> None:
    """A press before the first init, and one at every step from the first poll to the first
    sleep."""
    _press_before_init(_start(subject))
    if _are_answered(subject, 1):
        return
    test = _start(subject)
    own = own_acts(subject, test)
    for moment in _from_first_poll(way_to_sleep(test, own)):
        again = _start(subject)
        go_to(again, moment, 1)
        if not again.armed:
            continue  # the task is on its way to the first init of this button
        press_and_judge(again, moment, again=False)


def expect_before_setup(subject: Subject) -> None:
    """An edge from before the program sets up its button is no press."""
    _press_before_init(_start(subject))


def expect_other_pins(subject: Subject) -> None:
    """The port remembers an edge on a pin that is not the button's; the program neither
    acknowledges it, nor takes it for a press."""
    test = _start(subject)
    other = Pin(test.pin.port, test.pin.number + 1)
    bit = 1 << other.number
    for when in ("the program started", "a press was handled"):
        test.board.set_pin(other, 1)
        test.board.set_pin(other, 0)
        test.settle()
        if when != "the program started":
            test.press()
        if not test.board.port(test.button).raw & bit:
            raise Finding(
                Verdict.WRONG,
                f"the edge on {other.name} still to be remembered in GPIORIS after {when}",
                f"GPIORIS bit {other.number} is 0",
                why=f"{other.name} had an edge, which is not yours to acknowledge: whoever waits"
                " for that pin will never hear of it. GPIOICR clears every bit written as 1.",
                hint="Which bits do you write to GPIOICR, and how many of them are the button's?",
                diagnosis="acknowledges-all",
            )
        test.compare(f"with an edge on {other.name}, which is not the button")


def expect_two_quick(subject: Subject) -> None:
    """A second press at every step of the way from the first one back to sleep."""
    if _are_answered(subject, 2):
        return
    test = _start(subject)
    own = own_acts(subject, test)
    test.settle()
    test.board.press(test.button)
    way = way_to_sleep(test, own)
    test.release()
    before = None
    for moment in hardest_last(way):
        start = len(test.board.trace)
        test.board.press(test.button)
        try:
            go_to(test, moment, start + 1)
        except Unmet as unmet:
            raise dead_after(test, before) from unmet
        test.board.release(test.button)
        press_and_judge(test, moment, again=True)
        test.release()
        before = moment
    test.press()
    test.compare("after all of that")


def expect_levels(subject: Subject, level: str) -> None:
    """Two presses, a quick one and a spurious wake at another optimisation level, and no warning
    that the main one does not have."""
    try:
        _judge_quickly(subject, partial(_press_at_level, level), level)
    except Finding as finding:
        finding.why = (
            f"The same steps were right at -{MAIN_LEVEL}, so what the program does depends on how"
            f" it is optimised. At -{level}: {finding.why}"
        )
        finding.hint = (
            "Does the compiler know that an interrupt changes what you read? Does the preprocessor"
            " leave something out?"
        )
        finding.diagnosis = Mistake.ONE_LEVEL
        raise
    if not subject.build.warnings:
        expect_no_warning(subject, subject.whole_build().at(level).warnings)


def _press_at_level(level: str, test: PressTest, quick: bool) -> None:
    test.settle()  # its waker has been seen
    if quick:
        test.board.trace_no_more()
    test.press()
    test.compare(f"at -{level}")
    test.board.release(test.button)
    test.board.spurious_wake()
    test.settle()
    test.press()
    test.compare(f"at -{level}, after a spurious wake")


# -- steps that several checks share -------------------------------------------------------------


def _start(subject: Subject) -> PressTest:
    return PressTest(subject, subject.board())


def _judge_quickly(
    subject: Subject, judge: Callable[[PressTest, bool], object], level: str = MAIN_LEVEL
) -> None:
    """For what judges presses and lines. It is told to be quick, and does without the trace of
    functions as soon as it can, for the core stops at each. Where that finds something, all is done
    again with a trace, which is what counts, and says what went wrong."""
    try:
        judge(PressTest(subject, subject.board(level)), True)
    except (Ended, Finding, Unmet):
        judge(PressTest(subject, subject.board(level)), False)


def _settle_or_end(test: PressTest) -> Ended | None:
    """Run until the program sleeps; None, or how it ended instead."""
    try:
        test.board.wait_asleep()
    except Ended as ended:
        return ended
    return None


def _settle_or_revive(test: PressTest) -> None:
    """Run until the program sleeps; a program that never does is left where it goes round."""
    ended = _settle_or_end(test)
    if ended is None:
        return
    if ended.ending not in ENDLESS:
        raise test.explain(ended) from ended
    _revive(test, ended)


def _revive(test: PressTest, ended: Ended) -> None:
    test.board.revive()
    if ended.ending is Ending.LOOP:
        test.board.wait_address(ended.pc)  # it goes round there, so there it can be met


def _expect_handler(test: PressTest) -> None:
    try:
        test.board.wait_handler(test.exception)
    except Unmet as unmet:
        raise test.silence() from unmet
    except Ended as ended:
        if ended.ending in ENDLESS and called("poll", list(test.board.trace)):
            raise test.silence() from ended
        raise test.explain(ended) from ended


def _wait_return(test: PressTest) -> None:
    """Run until the handler has returned."""
    board = test.board
    entered = len(board.trace)
    try:
        while not any(e.kind is Kind.EXIT for e in board.trace.since(entered)):
            board.wait_events(len(board.trace) + 1)
    except Unmet as unmet:
        raise blocks_in_handler("the core sleeps inside the handler") from unmet
    except Ended as ended:
        if ended.ending not in ENDLESS or board.trace[-1].exception:
            raise test.explain(ended) from ended
        _revive(test, ended)


def _unacknowledged(test: PressTest, ended: Ended | None) -> Finding:
    """The handler has returned, and the port still asks."""
    if test.board.port(test.button).sense & test.bit:
        return test.level(ended.detail if ended else "the request is there again at once")
    storm = ended is not None and ended.ending is Ending.STORM
    if ended is not None and storm and not _task_ran(test):
        return test.explain(ended)
    expected = f"GPIORIS bit {test.pin.number} to be 0 when the handler returns"
    if test.requested:
        return Finding(
            Verdict.WRONG,
            expected,
            "it is still 1, and stays so",
            why="The handler returned without acknowledging. Until somebody does, every further"
            " press merges with this one.",
            hint="Who tells the port that the edge has been seen, and when?",
            diagnosis=Mistake.NO_ACKNOWLEDGE,
        )
    if test.entries > 1:
        return Finding(
            Verdict.DOUBLE,
            "one press, one interrupt",
            f"the handler ran {test.entries} times",
            why="The request was still there when the handler returned for the first time, so the"
            " core called it again.",
            hint="Is there a way through the handler that does not acknowledge?",
            diagnosis=Mistake.DOUBLE_INTERRUPT,
        )
    return Finding(
        Verdict.WRONG,
        expected,
        "it is still 1, and became 0 later",
        why="The edge is acknowledged later, in thread mode. A press that comes before the task"
        " gets there merges with this one, and nobody knows how long that takes.",
        hint="Who can acknowledge at once?",
        diagnosis=Mistake.DEFERRED_ACKNOWLEDGE,
    )


def _task_ran(test: PressTest) -> bool:
    """Whether the program came to a poll since the handler ran for the first time."""
    events = list(test.board.trace)
    first = next(at for at, e in enumerate(events) if e.kind is Kind.ENTER)
    return any(not e.exception for e in called("poll", events[first:]))


def _busy_or_stuck(test: PressTest, ended: Ended) -> Finding:
    """The program does not sleep. Does it at least answer a press?"""
    explained = test.explain(ended)
    telling = explained.diagnosis in (Mistake.SELF_WAKE, Mistake.BLOCKS_IN_POLL)
    if ended.ending not in ENDLESS or explained.verdict is Verdict.DOUBLE or telling:
        return explained
    story = tell(list(test.board.trace))
    _revive(test, ended)
    before = test.lines
    test.board.press(test.button)
    try:
        test.board.wait_line(test.line)
    except (Ended, Unmet):
        pass
    if test.lines == before:
        return explained
    if ended.ending is Ending.LOOP:
        return Finding(
            Verdict.BUSY,
            "the core to sleep while nobody presses",
            f"it answers presses, but never sleeps ({ended.detail})",
            why="Nothing is polled without need; but the program asks in a loop whether anything is"
            " to do, and the core spends all its power on the question.",
            hint="Who could say that there is something to do, so that nobody has to ask?",
            diagnosis=Mistake.ASKS_IN_A_LOOP,
            pc=ended.pc,
            story=story,
        )
    return Finding(
        Verdict.BUSY,
        "the core to sleep while nobody presses",
        f"it answers presses, but never sleeps ({ended.detail})",
        why="The future is polled in a loop, woken or not. It works, and the waker is not needed"
        " for it: take register and wake away, and nothing changes. Now the core spends all its"
        " power on asking.",
        hint="Give the future to the executor: it polls a task when somebody woke it, and sleeps"
        " otherwise.",
        diagnosis=Mistake.BUSY_POLLING,
        pc=ended.pc,
        story=story,
    )


def _expect_polls(test: PressTest, when: str) -> None:
    """A poll needs a reason: a future's first one, a wake, or that the last one was READY."""
    events = [e for e in test.board.trace if not e.exception or e.note == "woken"]
    polls = called("poll", events)
    futures = len({e.value for e in polls})
    allowed = futures + len(called("woken", events)) + sum(map(is_ready, events))
    if len(polls) > allowed:
        raise Finding(
            Verdict.BUSY,
            f"at most {allowed} polls {when}",
            f"{len(polls)}",
            why="The future was polled although nobody had woken its task. A loop around WFI polls"
            " after every interrupt, whosever it is: the waker is not needed, and other tasks' news"
            " cost you polls.",
            hint="Who decides that this task is polled: the waker, or the loop?",
            diagnosis=Mistake.POLLS_UNWOKEN,
        )


def _use_up_registration(test: PressTest) -> None:
    """Wake the task by the way of its AtomicWaker, which then forgets it."""
    registered = called("register", list(test.board.trace))
    if registered and test.board.image.symbol("atomic_waker_wake"):
        test.board.call("atomic_waker_wake", registered[-1].value)
        test.settle()


def _press_before_init(test: PressTest) -> None:
    """An edge from before the first init is none."""
    test.board.press(test.button)
    test.board.release(test.button)
    test.settle()
    if test.lines:
        raise Finding(
            Verdict.DOUBLE,
            "no line for an edge from before the first init",
            f"{counted(test.lines, 'line')}",
            why="An interrupt came although nobody had pressed since: the pin remembers edges in"
            " RIS from reset on, and one from before was kept.",
            hint="What may be set in RIS before you unmask the pin for the first time?",
            diagnosis=Mistake.STALE_EDGE,
        )


def _are_answered(subject: Subject, presses: int) -> bool:
    """Whether the exploration says that so many presses are answered wherever they come. Where it
    does not, or the lab has none, it is for this file's checks to find out, step by step."""
    if "singles" not in subject.modes:
        return False
    try:
        seen = subject.exploration(first_asleep="pairs" not in subject.modes)
    except (TraceError, SweepError):
        return False
    return not seen.gaps and all(len(places) > presses for places in seen.failing)


def _from_first_poll(way: list[Moment]) -> list[Moment]:
    first = next((at for at, m in enumerate(way) if m.step.note == "poll"), len(way))
    return way[first:]


def _lost_before_sleep(finding: Finding) -> Finding:
    if finding.diagnosis not in (Mistake.WRONG_WAKER, Mistake.FLAG_UNSEEN, Mistake.NEVER_WAKES):
        return finding
    why, hint, mistake = sleeps_unchecked()
    return Finding(
        Verdict.LOST_WAKE,
        finding.expected,
        finding.seen,
        why=why,
        hint=hint,
        diagnosis=mistake,
        story=finding.story,
    )
