"""Lab 08: one press, one line, whenever it comes; and sleep in between."""

from __future__ import annotations

from wakebench.board import Ended, Ending, Unmet
from wakebench.exceptions import FIRST_IRQ
from wakebench.trace import Event, Kind
from wakebench.when import When
from wakelab.checking import Finding, check
from wakelab.press import PressTest
from wakelab.report import Place, Verdict
from wakelab.subject import Subject, tell

SPACINGS_MS = ((5, 5), (50, 200), (1, 1), (0, 0), (1000, 30), (3, 0), (0, 3), (20, 20))
"""How long a press is held, and how long nobody presses after it."""


@check("It compiles and links", points=0)
def check_builds(subject: Subject) -> None:
    """The files handed in build with the board, the async core and the references."""
    problem = subject.submission.problem
    if problem is not None:
        raise Finding(
            Verdict.BUILD,
            f"the files {' and '.join(subject.lab.files)}",
            problem.what,
            hint=problem.next_step,
        )
    if subject.build.ok:
        return
    first = subject.build.errors[0]
    raise Finding(
        Verdict.BUILD,
        "no error from the compiler and the linker",
        first.text,
        hint="Mend the first error first; the others often follow from it.",
        place=Place(first.file, first.line, subject.source_line(first.file, first.line)),
    )


@check("Every step is written", points=0, needs=["builds"])
def check_written(subject: Subject) -> None:
    """No TODO is reached, neither before nor after a press."""
    board = subject.board()
    try:
        board.wait_asleep()
        board.press(subject.button)
        board.wait_asleep()
    except Ended:
        pass  # what ended it is for the checks that follow
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


@check("It asks nothing of the host", points=5, needs=["written"])
def check_host(subject: Subject) -> None:
    """The program prints on its console and asks the host for nothing else."""
    board = subject.board()
    try:
        board.wait_asleep()
        board.press(subject.button)
        board.wait_asleep()
    except Ended as ended:
        if ended.ending is Ending.FORBIDDEN:
            raise


@check("A press runs the handler once, and it acknowledges", points=10, needs=["host"])
def check_handler(subject: Subject) -> None:
    """Press, and the handler of the button's port runs, once, and clears RIS."""
    test = _start(subject)
    _settle_or_revive(test)
    test.board.press(test.button)
    number = test.irq + FIRST_IRQ
    try:
        test.board.wait_handler(number)
    except Unmet as unmet:
        raise test.silence() from unmet
    except Ended as ended:
        if ended.ending in (Ending.LOOP, Ending.POLLING):
            raise test.silence() from ended
        raise test.explain(ended) from ended
    _settle_or_revive(test)
    if test.board.port(test.button).raw & test.bit:
        raise Finding(
            Verdict.WRONG,
            f"GPIORIS bit {test.pin.number} to be 0 after the handler",
            "it is still 1",
            why="The handler returned without acknowledging. Until somebody does, every further"
            " press"
            " merges with this one.",
            hint="Who tells the port that the edge has been seen, and when?",
            diagnosis="no-acknowledge",
        )
    entries = [e for e in test.board.trace if e.kind is Kind.ENTER and e.value == number]
    if len(entries) > 1:
        raise Finding(
            Verdict.DOUBLE,
            "one press, one interrupt",
            f"the handler ran {len(entries)} times",
            hint="What asks for the interrupt again after it was served?",
            diagnosis="double-interrupt",
        )


@check("It sleeps, and polls only when woken", points=10, needs=["handler"])
def check_sleeps(subject: Subject) -> None:
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


@check("One press, one line, at every spacing", points=15, needs=["sleeps"])
def check_one_line(subject: Subject) -> None:
    """The line comes with the press, not with the release, and comes once, press after press."""
    test = _start(subject)
    test.settle()
    for number, (held_ms, pause_ms) in enumerate(SPACINGS_MS, 1):
        test.press()
        test.compare(f"after press {number}, before its release")
        test.board.wait_ms(held_ms)
        test.release()
        test.compare(f"after press {number} and its release")
        test.board.wait_ms(pause_ms)


@check("A press just before the sleep, and during it", points=15, needs=["one-line"])
def check_sleep_moments(subject: Subject) -> None:
    """The last instant before WFI executes, and the sleep itself, after reset and after a press."""
    test = _start(subject)
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


@check("A press while the task gets ready to wait", points=10, needs=["sleep-moments"])
def check_first_wait(subject: Subject) -> None:
    """A press at every traced step from the first poll to the first sleep."""
    test = _start(subject)
    test.settle()
    clean = list(test.board.trace)
    first_poll = next(
        (at for at, e in enumerate(clean) if e.kind is Kind.CALL and e.note == "poll"), len(clean)
    )
    for at in range(first_poll, len(clean) - 1):
        again = _start(subject)
        again.board.wait_events(at + 1)
        again.board.press(again.button)
        _judge_moment(again, clean[at], clean[first_poll : at + 1], before_ready=True)


@check("Two quick presses, two lines", points=15, needs=["sleep-moments"])
def check_two_quick(subject: Subject) -> None:
    """A second press at every traced step of the way from the first one back to sleep."""
    test = _start(subject)
    test.settle()
    start = len(test.board.trace)
    test.press()
    clean = test.board.trace.since(start)
    test.release()
    for at in range(1, len(clean) - 1):
        start = len(test.board.trace)
        try:
            test.board.press(test.button)
            test.board.wait_events(start + at + 1)
            test.board.release(test.button)
            test.board.press(test.button)
        except Unmet as unmet:
            raise _dead_after(test, clean[at - 1]) from unmet
        ready = any(e.kind is Kind.RETURN and e.note == "poll" and e.value for e in clean[: at + 1])
        _judge_moment(test, clean[at], clean[: at + 1], before_ready=not ready)
        test.release()
    test.press()
    test.compare("after all of that")


@check("Spurious wakes and polls do no harm", points=10, needs=["one-line"])
def check_spurious(subject: Subject) -> None:
    """The task is woken although nothing happened, once and three times; then somebody presses."""
    test = _start(subject)
    test.settle()
    for wakes in (1, 3):
        for _ in range(wakes):
            test.board.spurious_wake()
            test.settle()
        if test.lines > test.presses:
            raise Finding(
                Verdict.DOUBLE,
                "no line: nobody pressed",
                f"{test.lines - test.presses} lines after a spurious wake",
                why="poll was called, and took that for the news. A wake is only a hint: anybody"
                " may"
                " wake the task, for any reason.",
                hint="What does poll look at before it says READY?",
                diagnosis="ready-unchecked",
            )
        test.press()
        test.compare("pressed after a spurious wake")
        test.release()


@check("It works at -O0, -O2 and -Os as well", points=5, needs=["one-line"])
def check_levels(subject: Subject) -> None:
    """Two presses, a quick one and a spurious wake at the other optimisation levels."""
    for level in subject.levels:
        test = PressTest(subject, subject.board(level))
        try:
            test.settle()
            test.press()
            test.compare(f"at -{level}")
            test.board.release(test.button)
            test.board.spurious_wake()
            test.settle()
            test.press()
            test.compare(f"at -{level}, after a spurious wake")
        except Finding as finding:
            finding.hint = (
                "It is right at one level and wrong at another: does the compiler know that an"
                " interrupt changes what you read? " + finding.hint
            )
            raise


@check("The compiler has no warning", points=5, needs=["written"])
def check_warnings(subject: Subject) -> None:
    """-Wall -Wextra -Wpedantic, at every level."""
    if subject.build.warnings:
        first = subject.build.warnings[0]
        raise Finding(
            Verdict.WRONG,
            "no warning at -Wall -Wextra -Wpedantic",
            f"{len(subject.build.warnings)} warnings; the first: {first.text}",
            hint="The compiler has seen something that you have not.",
            diagnosis="warnings",
            place=Place(first.file, first.line, subject.source_line(first.file, first.line)),
        )


# -- steps that several checks share -------------------------------------------------------------


def _start(subject: Subject) -> PressTest:
    return PressTest(subject, subject.board())


def _settle_or_revive(test: PressTest) -> None:
    """Run until the program sleeps; a program that never does is left where it goes round."""
    try:
        test.board.wait_asleep()
    except Ended as ended:
        if ended.ending not in (Ending.LOOP, Ending.POLLING):
            raise test.explain(ended) from ended
        test.board.revive()


def _busy_or_stuck(test: PressTest, ended: Ended) -> Finding:
    """The program does not sleep. Does it at least answer a press?"""
    explained = test.explain(ended)
    if ended.ending not in (Ending.LOOP, Ending.POLLING) or explained.verdict is Verdict.DOUBLE:
        return explained
    story = tell(list(test.board.trace))
    test.board.revive()
    before = test.lines
    test.board.press(test.button)
    try:
        test.board.wait_line(test.line)
    except (Ended, Unmet):
        pass
    if test.lines == before or explained.diagnosis == "self-wake":
        return explained
    return Finding(
        Verdict.BUSY,
        "the core to sleep while nobody presses",
        f"it answers presses, but never sleeps ({ended.detail})",
        why="The future is polled in a loop, woken or not. It works, and the waker is not needed"
        " for"
        "it: take register and wake away, and nothing changes. Now the core spends all its"
        " power on"
        " asking.",
        hint="Give the future to the executor: it polls a task when somebody woke it, and sleeps"
        " otherwise.",
        diagnosis="busy-polling",
        pc=ended.pc,
        story=story,
    )


def _expect_polls(test: PressTest, when: str) -> None:
    """A poll needs a reason: the first one, a wake, or that the last one was READY."""
    calls = [e for e in test.board.trace if e.kind is Kind.CALL]
    polls = sum(e.note == "poll" for e in calls)
    allowed = 1 + sum(e.note == "woken" for e in calls) + test.lines
    if polls > allowed:
        raise Finding(
            Verdict.BUSY,
            f"at most {allowed} polls {when}",
            f"{polls}",
            why="The future was polled although nobody had woken its task. A loop around WFI"
            " polls after"
            " every interrupt, whosever it is: the waker is not needed, and other tasks' news cost"
            " you polls.",
            hint="Who decides that this task is polled: the waker, or the loop?",
            diagnosis="polls-unwoken",
        )


def _lost_before_sleep(finding: Finding) -> Finding:
    if finding.verdict is not Verdict.ASLEEP or finding.diagnosis not in (
        "flag-unseen",
        "wrong-waker",
        "never-wakes",
    ):
        return finding
    return Finding(
        Verdict.LOST_WAKE,
        finding.expected,
        finding.seen,
        why="The interrupt came after the last look and before WFI: it was served, then the core"
        " went"
        " to sleep on the news.",
        hint="Mask, look again, WFI, unmask: WFI ends when an interrupt is pending, masked or not.",
        diagnosis="sleeps-unchecked",
        story=finding.story,
    )


def _judge_moment(test: PressTest, at: Event, path: list[Event], *, before_ready: bool) -> None:
    """A press was made just after event `at`: is it reported, and only once?"""
    merged = test.board.trace[-1].note == "merged"
    when = f"pressed {_moment(at)}"
    pressed_at = len(test.board.trace) - 1
    try:
        test.settle()
        test.compare(when)
    except Finding as finding:
        if test.lines >= test.presses:
            raise
        served = next((e for e in test.board.trace.since(pressed_at) if e.kind is Kind.ENTER), None)
        why, hint, diagnosis = _why_lost(at, path, before_ready=before_ready, merged=merged)
        raise Finding(
            Verdict.LOST_WAKE,
            finding.expected,
            f"{test.lines} lines; the program sleeps, and the press is lost",
            why=why,
            hint=hint,
            diagnosis=diagnosis,
            pc=at.pc if at.kind is Kind.CALL else served.pc if served else None,
            story=tell(test.board.trace.since(max(0, pressed_at - len(path) - 2))),
        ) from finding


def _why_lost(
    at: Event, path: list[Event], *, before_ready: bool, merged: bool
) -> tuple[str, str, str]:
    """(why, hint, diagnosis) from the moment at which a press gets lost."""
    if at.exception and merged:
        return (
            "The edge came while the handler was at work, after it had told the task; then"
            " the handler"
            " acknowledged both edges at once.",
            "What must the handler do first, so that an edge that comes later is not taken for this"
            " one?",
            "late-acknowledge",
        )
    in_poll = _inside_poll(path)
    if in_poll and at.note == "register" and at.kind is Kind.CALL:
        return (
            "poll had looked already, and the waker was not registered yet: nobody to wake,"
            " and nobody"
            " looks again.",
            "Two steps of poll are in the wrong order. You look before you leave your phone"
            " number.",
            "check-then-register",
        )
    if in_poll:
        return (
            "The press came while poll was running, and poll threw it away.",
            "Between reading what the handler wrote and clearing it, can the handler come?",
            "cleared-in-poll",
        )
    if before_ready:
        return (
            "Both presses were acknowledged before the task was polled, and only one was"
            " remembered.",
            "What keeps the interrupt from firing a second time before the first was reported?",
            "one-bit-memory",
        )
    return (
        "The press came between two futures, and the next one threw it away when it was created.",
        "What does button_future_init clear, and is it allowed to every time?",
        "init-forgets",
    )


def _inside_poll(path: list[Event]) -> bool:
    depth = 0
    for event in path:
        if event.note == "poll" and not event.exception:
            depth += 1 if event.kind is Kind.CALL else -1
    return depth > 0


def _moment(at: Event) -> str:
    match at.kind:
        case Kind.CALL:
            return f"at the first instruction of {at.name}"
        case Kind.RETURN:
            return f"just after {at.name} returned"
        case Kind.LINE:
            return "just after the line was printed"
        case Kind.ENTER:
            return f"at the first instruction of {at.name}"
        case Kind.EXIT:
            return f"just after {at.name} returned"
        case _:
            return f"at “{at.kind}”"


def _dead_after(test: PressTest, at: Event) -> Finding:
    return Finding(
        Verdict.LOST_WAKE,
        "the program to answer the next press, too",
        f"it is dead since a press that came {_moment(at)}",
        why="That press left something behind, a state or a mask, from which the program does not"
        " come back.",
        hint="What does each step leave behind when the press comes right after it?",
        diagnosis="dead-afterwards",
        story=tell(list(test.board.trace)),
    )
