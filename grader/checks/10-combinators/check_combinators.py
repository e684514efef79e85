"""Lab 10: select, join and time-out, over two futures that are ready when they are told to."""

from __future__ import annotations

from collections.abc import Iterator

from wakebench.board import Ended
from wakelab import build_checks, press_checks
from wakelab.build import MAIN_LEVEL
from wakelab.checking import Finding, check, counted, shared_check
from wakelab.diagnosis import explain_ending
from wakelab.report import Verdict
from wakelab.strikes import Struck, Tally, address, sweep_call, word
from wakelab.subject import Subject

CALM = "executor_run"
"""Where main is when it has set up: the checks call from there."""

READY, POLLS, CANCELS, AGAIN, WAKER, CHILD = 1, 2, 3, 4, 5, 7
"""Words of a struct child, and how many it has."""

WINNER, TIMED_OUT = 5, 12
"""Word of a struct select2, and of a struct timeout."""

NAMES = ("the first", "the second")

check_builds = shared_check(build_checks.expect_builds, "It compiles and links", 0)
check_written = shared_check(
    press_checks.expect_written, "Every step is written", 0, needs=["builds"]
)
check_host = shared_check(
    press_checks.expect_host, "It asks nothing of the host", 5, needs=["written"]
)


class Parts:
    """One of the spare combinators of main.c, and its two children."""

    def __init__(self, subject: Subject, kind: str, ms: int = 0, level: str = MAIN_LEVEL) -> None:
        self.board = subject.board(level)
        self.timed = level == MAIN_LEVEL
        self.kind = kind
        try:
            self.board.wait_symbol(CALM)
        except Ended as ended:
            raise explain_ending(ended, "main to come to executor_run") from ended
        self.board.trace_no_more()
        self.whole = address(self.board, f"spare_{kind}")
        self.context = address(self.board, "context")
        self.poller = {"select": "select2", "join": "join2", "timeout": "timeout"}[kind]
        self.begin(ms)

    def begin(self, ms: int = 0) -> None:
        """Anew, with children that are pending."""
        self._call(f"begin_{self.kind}", *([ms] if self.kind == "timeout" else []))

    def _call(self, function: str, *arguments: int) -> int:
        try:
            return self.board.call(function, *arguments)
        except Ended as ended:
            raise explain_ending(ended, f"{function} to return") from ended

    def struck(self, function: str, by: str) -> Iterator[Struck]:
        """Calls of a function by one of main.c's, with a tick before each instruction."""
        try:
            yield from sweep_call(self.board, self.board.tick, function, by=by, timed=self.timed)
        except Ended as ended:
            raise explain_ending(ended, f"{function} to return") from ended

    def poll(self) -> bool:
        """Whether the whole is ready."""
        return bool(self._call(f"{self.poller}_poll", self.whole, self.context))

    def cancel(self) -> None:
        """Give up the whole."""
        self._call(f"{self.poller}_cancel", self.whole)

    def ready(self, *which: int) -> None:
        """These children are ready from now on."""
        for each in which:
            self.board.poke(address(self.board, "children") + 4 * (CHILD * each + READY), 1)

    def said(self, which: int, field: int) -> int:
        """What a child has noted."""
        return word(self.board, "children", CHILD * which + field)

    def polls(self) -> list[int]:
        """How often each child was polled."""
        return [self.said(which, POLLS) for which in (0, 1)]

    def cancels(self) -> list[int]:
        """How often each child was cancelled."""
        return [self.said(which, CANCELS) for which in (0, 1)]

    def tick(self, times: int) -> None:
        """Let milliseconds pass."""
        for _ in range(times):
            self.board.tick()
            self._call("let_interrupts_in")

    @property
    def woken(self) -> int:
        """How often the waker of the context was woken."""
        return word(self.board, "woken")


def _wrong(
    expected: str, seen: str, why: str, hint: str, diagnosis: str, verdict: Verdict = Verdict.WRONG
) -> Finding:
    return Finding(verdict, expected, seen, why=why, hint=hint, diagnosis=diagnosis)


def _expect_both_polled(test: Parts) -> None:
    if test.poll():
        raise _wrong(
            "POLL_PENDING while both are pending",
            "POLL_READY",
            "It is ready, and none of its parts is.",
            "What do the polls of the parts answer?",
            "ready-unchecked",
            Verdict.DOUBLE,
        )
    if 0 in test.polls():
        raise _wrong(
            "both to be polled while both are pending",
            f"the first {counted(test.polls()[0], 'time')}, the second {test.polls()[1]}",
            "One of the two was not polled, so it has left no waker anywhere: its news will wake"
            " nobody. They are to wait at the same time, not one after the other.",
            "The first one is pending: is there anything left to do before you return?",
            "one-after-the-other",
            Verdict.ASLEEP,
        )
    for which in (0, 1):
        if test.said(which, WAKER) != address(test.board, "waker"):
            raise _wrong(
                "each part to be polled with the context of this poll",
                "another one",
                "A part that is polled with another context wakes somebody else.",
                "Whose waker should a part keep?",
                "foreign-context",
                Verdict.ASLEEP,
            )


@check("Select: the first that is ready wins", points=20, needs=["host"])
def check_select(subject: Subject) -> None:
    """Each of the two alone, and both at once."""
    test = Parts(subject, "select")
    _expect_both_polled(test)
    for ready, winner in (((0,), 1), ((1,), 2), ((0, 1), 1)):
        test.begin()
        test.poll()
        polls = test.polls()
        test.ready(*ready)
        names = " and ".join(NAMES[each] for each in ready)
        if not test.poll():
            raise _wrong(
                f"POLL_READY when {names} {'is' if len(ready) == 1 else 'are'} ready",
                "POLL_PENDING",
                "One of the two is ready, and the whole is not.",
                "For how many of them does a select wait?",
                "waits-for-both",
                Verdict.ASLEEP,
            )
        seen = word(test.board, "spare_select", WINNER) & 0xFF
        if seen != winner:
            raise _wrong(
                f"`winner` to be {winner} when {names} {'is' if len(ready) == 1 else 'are'} ready",
                str(seen),
                "Both may be ready in the same poll, and the header says who wins then. A result"
                " must not depend on what was asked last.",
                "In which order are the two polled, and who is asked when one is ready?",
                "wrong-winner",
            )
        if len(ready) == 2 and test.polls()[1] != polls[1]:
            raise _wrong(
                "the second not to be polled when the first is ready",
                "it was, and said POLL_READY",
                "Both had news, and both were asked. The second one's is taken now, and nobody gets"
                " it: the select tells of one only.",
                "When need the second one not be polled?",
                "loser-dropped",
                Verdict.LOST_WAKE,
            )


@check("Select: the loser is cancelled", points=15, needs=["select"])
def check_disarmed(subject: Subject) -> None:
    """Once, and only the loser; afterwards nobody is polled."""
    test = Parts(subject, "select")
    for winner in (0, 1):
        test.begin()
        test.poll()
        test.ready(winner)
        test.poll()
        _expect_cancelled(test, [int(each != winner) for each in (0, 1)], NAMES[winner])
        before = test.polls()
        again = test.poll()
        if again or test.polls() != before:
            raise _wrong(
                "POLL_PENDING after POLL_READY, and nobody polled",
                "POLL_READY again" if again else "a poll of the parts",
                "The select was done. One of its parts was ready, and must not be polled again; the"
                " other one was cancelled, and its memory may be somebody else's.",
                "What does the select look at first?",
                "polled-after-ready",
                Verdict.DOUBLE,
            )


def _expect_cancelled(test: Parts, wanted: list[int], ready: str) -> None:
    if test.cancels() == wanted:
        return
    short = any(a < b for a, b in zip(test.cancels(), wanted, strict=True))
    raise _wrong(
        f"cancels of the two: {wanted[0]} and {wanted[1]}, when {ready} was ready",
        f"{test.cancels()[0]} and {test.cancels()[1]}",
        "Who has lost was not cancelled: it still waits. Its waker is kept somewhere, its timer"
        " runs, its pin is armed, and its memory will be used for something else."
        if short
        else "A future was cancelled that was ready, or twice: there is nothing left to give up.",
        "Which of the two still waits when one is ready?",
        "loser-left-armed" if short else "cancels-the-winner",
        Verdict.WRONG,
    )


@check("Join: both, in whatever order", points=20, needs=["host"])
def check_join(subject: Subject) -> None:
    """One is ready before the other, the other way round, and both at once."""
    test = Parts(subject, "join")
    _expect_both_polled(test)
    for one, other in ((0, 1), (1, 0)):
        test.begin()
        test.poll()
        test.ready(one)
        if test.poll():
            raise _wrong(
                f"POLL_PENDING when only {NAMES[one]} is ready",
                "POLL_READY",
                "A join waits for both.",
                "What has to be remembered of the one that is ready first?",
                "ready-too-soon",
                Verdict.DOUBLE,
            )
        before = test.polls()
        test.poll()
        if test.said(one, AGAIN):
            raise _wrong(
                f"{NAMES[one]} not to be polled again: it was ready",
                f"{counted(test.polls()[one] - before[one], 'poll')} after POLL_READY",
                "A future is ready once. Polled again it says what it likes: pending for ever, or"
                " that the next press has come as well.",
                "Where does the join keep who is done?",
                "polls-the-finished",
                Verdict.DOUBLE,
            )
        if test.polls()[other] == before[other]:
            raise _wrong(
                f"{NAMES[other]} to be polled: it is pending",
                "no poll",
                "The one that is left was not polled, and keeps the waker of an earlier poll.",
                "Whom does each poll of the join ask?",
                "one-after-the-other",
                Verdict.ASLEEP,
            )
        test.ready(other)
        if not test.poll():
            raise _wrong(
                "POLL_READY when the second of the two is ready",
                "POLL_PENDING",
                "The first one's POLL_READY has been forgotten: it comes once, and nobody kept it.",
                "Where does the join keep who is done?",
                "forgets-the-first",
                Verdict.ASLEEP,
            )
    test.begin()
    test.ready(0, 1)
    if not test.poll():
        raise _wrong(
            "POLL_READY at the first poll when both are ready",
            "POLL_PENDING",
            "It took one of the two in this poll, and leaves the other for a poll that nobody will"
            " ask for: both have told their news.",
            "How far does one poll get?",
            "one-step-a-poll",
            Verdict.ASLEEP,
        )
    if test.poll() or test.said(0, AGAIN) or test.said(1, AGAIN):
        raise _wrong(
            "POLL_PENDING after POLL_READY, and nobody polled",
            "another answer, or a poll of a part",
            "The join was done.",
            "What does the join look at first?",
            "polled-after-ready",
            Verdict.DOUBLE,
        )


@check("To cancel is to cancel the parts", points=10, needs=["disarmed", "join"])
def check_cancel(subject: Subject) -> None:
    """A select, a join of which one is done, a time-out."""
    for kind, ready, wanted in (
        ("select", (), [1, 1]),
        ("join", (), [1, 1]),
        ("join", (0,), [0, 1]),
        ("join", (1,), [1, 0]),
        ("timeout", (), [1, 0]),
    ):
        test = Parts(subject, kind, 5)
        test.poll()
        test.ready(*ready)
        test.poll()
        test.cancel()
        if test.cancels() != wanted:
            raise _wrong(
                f"cancels of the parts of a {kind} that is given up: {wanted[0]} and {wanted[1]}",
                f"{test.cancels()[0]} and {test.cancels()[1]}",
                "The whole was given up, and a part of it still waits, or one was given up that was"
                " done. A cancel has to reach everybody who waits on behalf of this future.",
                "Which parts still wait, and who tells them?",
                "cancel-stops-here",
            )
        test.tick(6 if kind == "timeout" else 0)
        if test.woken:
            raise _wrong(
                "nobody to be woken after the time-out was given up",
                "a wake when its time was over",
                "The timer of the time-out goes on: it is a part, too.",
                "What is a time-out made of?",
                "timer-left-running",
            )


@check("Time-out: the future, or the time", points=15, needs=["disarmed"])
def check_timeout(subject: Subject) -> None:
    """Ready in time; too late; both at once."""
    test = Parts(subject, "timeout", 5)
    test.tick(2)
    test.poll()
    test.ready(0)
    if not test.poll() or _timed_out(test):
        raise _wrong(
            "POLL_READY, and `timed_out` false: the future was ready after 2 of 5 ms",
            "POLL_PENDING, or timed_out",
            "The future was in time, and the whole does not say so.",
            "What does the winner of the select mean here?",
            "wrong-winner",
        )
    test.tick(6)
    if test.woken:
        raise _wrong(
            "nobody to be woken when the time is over: the future was ready before",
            counted(test.woken, "wake"),
            "The timer has lost, and runs on. Its memory is the caller's now: at the end of its"
            " time the tick will wake whatever it finds there.",
            "Who cancels the timer, and how?",
            "timer-left-running",
        )
    test.begin(5)
    test.poll()
    test.tick(5)
    if not test.poll() or not _timed_out(test):
        raise _wrong(
            "POLL_READY, and `timed_out` true after 5 ms",
            "POLL_PENDING, or not timed_out",
            "The time is over, and the whole does not say so.",
            "What does the winner of the select mean here?",
            "wrong-winner",
            Verdict.ASLEEP,
        )
    if test.cancels()[0] != 1:
        raise _wrong(
            "the future to be cancelled when the time is over",
            counted(test.cancels()[0], "cancel"),
            "The time-out has given up, and the future does not know: it still waits, and will take"
            " the news that the next one should get.",
            "Which of the two has lost?",
            "loser-left-armed",
        )
    test.begin(0)
    test.ready(0)
    if not test.poll() or _timed_out(test):
        raise _wrong(
            "the future to win when it is ready, and the time is over, too",
            "timed_out",
            "Both in the same poll: the work was done, and is thrown away. The header says who"
            " wins.",
            "In which order does the select poll the two?",
            "wrong-winner",
            Verdict.LOST_WAKE,
        )


def _timed_out(test: Parts) -> bool:
    return bool(word(test.board, "spare_timeout", TIMED_OUT) & 0xFF)


@check(
    "A tick before every instruction of the time-out's poll",
    points=10,
    needs=["timeout"],
    explores=True,
)
def check_singles(subject: Subject) -> None:
    """The tick of the deadline: ready now, or woken."""
    subject.remark(str(_sweep(subject, MAIN_LEVEL)))


def _sweep(subject: Subject, level: str) -> Tally:
    test, tally = Parts(subject, "timeout", 1, level), Tally()
    for struck in test.struck("timeout_poll", "try_timeout"):
        tally.count(struck)
        if not struck.result:
            raise Finding(
                Verdict.LOST_WAKE,
                "POLL_READY, or a wake: the tick of the deadline comes before the marked line",
                "POLL_PENDING, and no wake",
                why="The tick came between two looks, and the time-out sleeps on it.",
                hint="Who was polled last before you returned POLL_PENDING?",
                diagnosis="lost-in-poll",
                pc=struck.spot.pc,
            )
    return tally


@check("At -O0, -O2 and -Os as well", points=0, needs=["singles"], levels=True)
def check_levels(subject: Subject, level: str) -> None:
    """The tick, at another level."""
    _sweep(subject, level)


check_warnings = shared_check(
    build_checks.expect_warnings, "The compiler has no warning", 5, needs=["written"]
)
