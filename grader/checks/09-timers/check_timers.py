"""Lab 09: timers on one tick, with a tick before every instruction; and a button that bounces."""

from __future__ import annotations

from collections.abc import Iterator

from wakebench.board import Board, Ended, Ending
from wakelab import build_checks, press_checks
from wakelab.build import MAIN_LEVEL
from wakelab.checking import Finding, check, counted, shared_check
from wakelab.diagnosis import explain_ending
from wakelab.report import Verdict
from wakelab.strikes import Struck, Tally, address, sweep_call, words
from wakelab.subject import Subject

CALM = "future_poll"
"""Where the executor is about to poll its first task: the checks call from there."""

MASKED_AT_MOST = 30 + 3 * 10 + 6
"""With three timers; and the mask and the restore themselves."""

SIZE = 20
"""Bytes of a struct timer_future."""

QUIET_MS = 20

check_builds = shared_check(build_checks.expect_builds, "It compiles and links", 0)


@check("Every step is written", points=0, needs=["builds"])
def check_written(subject: Subject) -> None:
    """No TODO is reached, with a press and some time."""
    board = subject.board()
    try:
        board.wait_ms(2)
        board.press("SELECT")
        board.wait_ms(30)
        board.release("SELECT")
    except Ended:
        pass  # what ended it is for the checks that follow
    press_checks.expect_no_todo(subject, board)


check_host = shared_check(
    press_checks.expect_host, "It asks nothing of the host", 5, needs=["written"]
)


class Timers:
    """The three spare timers of main.c."""

    def __init__(self, subject: Subject, level: str = MAIN_LEVEL) -> None:
        self.board: Board = subject.board(level)
        self.timed = level == MAIN_LEVEL
        try:
            self.board.wait_symbol(CALM)
        except Ended as ended:
            raise _never_returns(ended, "main to come to its first poll") from ended
        self.board.trace_no_more()
        self.timers = address(self.board, "timers")

    def call(self, function: str, *arguments: int) -> int:
        """A call that returns, or a Finding."""
        try:
            return self.board.call(function, *arguments)
        except Ended as ended:
            raise _never_returns(ended, f"{function} and the tick to return") from ended

    def struck(self, function: str, by: str, *arguments: int) -> Iterator[Struck]:
        """Calls of a function by one of main.c's, with a tick before each instruction."""
        try:
            yield from sweep_call(
                self.board, self.board.tick, function, *arguments, by=by, timed=self.timed
            )
        except Ended as ended:
            raise _never_returns(ended, f"{function} and the tick to return") from ended

    def timer(self, which: int) -> int:
        """Address of a timer."""
        return self.timers + SIZE * which

    def init(self, which: int, ms: int) -> None:
        """timer_future_init"""
        self.call("timer_future_init", self.timer(which), ms)

    def poll(self, which: int, for_whom: int | None = None) -> bool:
        """timer_future_poll, with the waker of the same number: whether it is ready."""
        whose = which if for_whom is None else for_whom
        return bool(self.call("poll_timer", which, whose))

    def cancel(self, which: int) -> None:
        """timer_future_cancel"""
        self.call("timer_future_cancel", self.timer(which))

    def tick(self, times: int = 1) -> None:
        """Let milliseconds pass."""
        for _ in range(times):
            self.board.tick()
            self.call("let_interrupts_in")

    def set_clock(self, ms: int) -> None:
        """Have the clock at another time."""
        self.board.poke(address(self.board, "now_ms"), ms)

    def woken(self) -> list[int]:
        """How often each of the three was woken."""
        return words(self.board, "woken", 3)


def _never_returns(ended: Ended, wanted: str) -> Finding:
    if ended.ending not in (Ending.LOOP, Ending.STORM):
        return explain_ending(ended, wanted)
    return Finding(
        Verdict.LOOP,
        wanted,
        ended.detail,
        why="Somebody goes round and round: a list of timers that has become a circle has no end."
        " That happens when a timer is put in twice.",
        hint="What becomes of the list when a timer is polled a second time?",
        diagnosis="listed-twice",
        pc=ended.pc,
    )


def _wrong(
    expected: str, seen: str, why: str, hint: str, diagnosis: str, verdict: Verdict = Verdict.WRONG
) -> Finding:
    return Finding(verdict, expected, seen, why=why, hint=hint, diagnosis=diagnosis)


@check("Ready at the deadline, and woken then", points=20, needs=["host"])
def check_on_time(subject: Subject) -> None:
    """Five milliseconds, and no others; a second one is not polled any more when it is over."""
    test = Timers(subject)
    test.init(0, 5)
    for ms in range(5):
        if test.poll(0):
            raise _too_early(f"POLL_READY after {ms}")
        test.tick()
        if 0 < ms < 4 and any(test.woken()):
            raise _too_early(f"woken after {ms + 1}")
        if ms == 0 and any(test.woken()):
            raise _wrong(
                "nobody to be woken before the deadline",
                f"woken after {ms + 1} ms of 5",
                "The tick wakes who is not due. Each time the task is polled for nothing: with a"
                " thousand ticks a second that is busy polling.",
                "Whom may the tick wake?",
                "wakes-every-tick",
                Verdict.BUSY,
            )
    if test.woken() != [1, 0, 0]:
        raise _wrong(
            "its task to be woken by the tick of the deadline",
            f"woken {test.woken()[0]} times after 5 ms",
            "5 ms have passed, and nobody told the task. It does not look by itself.",
            "Does the tick find the timer, and does it see at the very tick that the time is over?",
            "not-woken",
            Verdict.ASLEEP,
        )
    if not test.poll(0):
        raise _wrong(
            "POLL_READY from the deadline on",
            "POLL_PENDING",
            "The task was woken at its time and did not see that it is over.",
            "How do the tick and poll decide whether a timer is due: in the same way?",
            "not-ready",
            Verdict.ASLEEP,
        )
    test.init(1, 5)
    test.poll(1)
    test.tick(5 + 2)
    if test.woken() != [1, 1, 0]:
        raise _wrong(
            "one wake",
            f"{test.woken()[1]} wakes",
            "Who was due has been woken, and is woken again at every tick: the list still has it.",
            "What becomes of a timer's entry when it was woken?",
            "keeps-the-woken",
            Verdict.BUSY,
        )


def _too_early(seen: str) -> Finding:
    return _wrong(
        "nothing until 5 ms have passed",
        seen,
        "It is ready before its time.",
        "Which time is the deadline, counted from when, and when is it past?",
        "too-early",
    )


@check("A deadline that is past is ready at once", points=10, needs=["on-time"])
def check_past(subject: Subject) -> None:
    """0 ms; and 2 ms that have passed before the first poll."""
    test = Timers(subject)
    test.init(0, 0)
    test.init(1, 2)
    test.tick(3)
    test.init(2, 0)
    for which, what in ((2, "0 ms"), (1, "2 ms, of which 3 have passed"), (0, "0 ms, 3 ms ago")):
        if not test.poll(which):
            raise _wrong(
                f"POLL_READY at the first poll ({what})",
                "POLL_PENDING",
                "The deadline was past before anybody put the timer in. No tick will be the tick of"
                " that deadline any more: the task sleeps until the clock has wrapped, 49 days.",
                "Is it only the tick that looks at the time?",
                "misses-the-past",
                Verdict.ASLEEP,
            )


@check("Several timers, each at its time", points=15, needs=["on-time"])
def check_several(subject: Subject) -> None:
    """Three timers in every order of their deadlines, two of them equal once."""
    for times in ((3, 6, 9), (9, 6, 3), (6, 3, 9), (4, 4, 8), (8, 4, 4)):
        test = Timers(subject)
        for which, ms in enumerate(times):
            test.init(which, ms)
            test.poll(which)
        for now in range(1, 11):
            test.tick()
            wanted = [int(ms <= now) for ms in times]
            if test.woken() != wanted:
                missing = any(a < b for a, b in zip(test.woken(), wanted, strict=True))
                raise _wrong(
                    f"of timers of {', '.join(map(str, times))} ms those of up to {now} ms to be"
                    f" woken after {now}",
                    ", ".join(
                        f"{ms} ms: {counted(n, 'wake')}"
                        for ms, n in zip(times, test.woken(), strict=True)
                    ),
                    "One timer has taken the place of another, or the walk along them ends too"
                    " soon: that one is late, or never comes."
                    if missing
                    else "A timer was woken before its time, together with another one.",
                    "How many timers can wait, and how many of them does one tick look at?",
                    "overwrites-a-timer" if missing else "too-early",
                    Verdict.ASLEEP if missing else Verdict.WRONG,
                )


@check("Also when the clock wraps", points=10, needs=["on-time"])
def check_wraps(subject: Subject) -> None:
    """16 ms before the clock wraps, a timer of 32 ms; and one of 8 ms."""
    test = Timers(subject)
    test.set_clock(0xFFFF_FFF0)
    test.init(0, 32)
    test.init(1, 8)
    why = (
        "The clock has 32 bits and wraps to 0 after 49 days. The deadline is a small number then,"
        " and the time a large one: which of the two is larger says nothing. The difference does."
    )
    hint = "What is (int32_t)(now - deadline), just before and just after the wrap?"
    if test.poll(0) or test.poll(1):
        raise _wrong("POLL_PENDING: 32 ms have not passed", "POLL_READY at once", why, hint, "wrap")
    test.tick(8)
    early = test.woken()
    test.tick(24)
    if early != [0, 1, 0] or test.woken() != [1, 1, 0]:
        raise _wrong(
            "wakes after 8 and 32 ms, across the wrap of the clock",
            f"{early[1]} and {early[0]} after 8 ms, {test.woken()[1]} and {test.woken()[0]} after"
            " 32",
            why,
            hint,
            "wrap",
        )


@check("The waker of the latest poll is woken", points=5, needs=["on-time"])
def check_latest(subject: Subject) -> None:
    """Polled by two tasks, one after the other, and several times."""
    test = Timers(subject)
    test.init(0, 4)
    test.init(1, 4)
    for whom in (0, 0, 1, 1, 2):
        test.poll(0, whom)
    test.poll(1, 1)
    test.tick(4)
    if test.woken() != [0, 1, 1]:
        raise _wrong(
            "the waker of the last poll to be woken",
            f"wakes of the three: {', '.join(map(str, test.woken()))}",
            "A future may be polled by another task than before. The one that polled last waits;"
            " the others have gone on.",
            "What does a second poll change about what the tick knows?",
            "keeps-the-first",
            Verdict.ASLEEP,
        )


@check("A cancelled timer is forgotten", points=10, needs=["several"])
def check_cancel(subject: Subject) -> None:
    """The first, the middle, the last of three; then its memory is used for something else."""
    for which in range(3):
        test = Timers(subject)
        for each in range(3):
            test.init(each, 5)
            test.poll(each)
        test.cancel(which)
        test.cancel(which)
        for at in range(SIZE // 4):
            test.board.poke(test.timer(which) + 4 * at, 0xA5A5_A5A5)
        try:
            test.tick(6)
            woken, seen = test.woken(), ""
        except Finding as finding:
            woken, seen = [], finding.seen
        if woken != [int(each != which) for each in range(3)]:
            raise _wrong(
                "two of three timers to be woken, the third was cancelled and its memory used anew",
                seen or f"wakes of the three: {', '.join(map(str, woken))}",
                "The tick still has the address of a timer that is gone, or has lost the others"
                " with it. What it finds there is somebody else's.",
                "After the cancel: who still leads to this timer, and to whom did it lead?",
                "cancel-leaves",
                Verdict.FAULT if seen else Verdict.WRONG,
            )


@check(
    "A tick before every instruction of poll and cancel", points=10, needs=["cancel"], explores=True
)
def check_singles(subject: Subject) -> None:
    """The tick of the deadline during a poll; and during the cancel of another timer."""
    subject.remark(str(_sweep(subject, MAIN_LEVEL)))


def _sweep(subject: Subject, level: str) -> Tally:
    tally = Tally()
    main = level == MAIN_LEVEL
    test = Timers(subject, level)
    for again in (False, True) if main else (False,):
        for struck in test.struck("timer_future_poll", "try_poll", int(again)):
            tally.count(struck)
            _expect_short(struck.waited, struck.spot.pc, level)
            if not struck.result:
                raise Finding(
                    Verdict.LOST_WAKE,
                    "POLL_READY, or a wake: the tick of the deadline came before the marked"
                    " instruction",
                    "POLL_PENDING, and no wake",
                    why="poll had looked at the time, and the tick did not find the timer yet:"
                    " nobody to wake, and nobody looks again.",
                    hint="What must be one step for the tick: the look, and the entry in the list?",
                    diagnosis="check-then-register",
                    pc=struck.spot.pc,
                )
    return _sweep_cancel(test, level, tally) if main else tally


def _sweep_cancel(test: Timers, level: str, tally: Tally) -> Tally:
    for struck in test.struck("timer_future_cancel", "try_cancel"):
        tally.count(struck)
        test.tick()
        _expect_short(struck.waited, struck.spot.pc, level)
        woken = test.woken()
        if woken != [1, 0, 1]:
            raise Finding(
                Verdict.WRONG,
                "the timers before and after the cancelled one to be woken, once each; the tick"
                " came before the marked instruction",
                f"wakes of the three: {', '.join(map(str, woken))}",
                why="The tick takes timers out of the list while cancel is on its way along it, and"
                " cancel then writes to one that is not in it any more: the cancelled one stays, or"
                " others are lost.",
                hint="Who changes the list, and who must not come in between?",
                diagnosis="list-unprotected",
                pc=struck.spot.pc,
            )
    return tally


def _expect_short(waited: int | None, pc: int, level: str) -> None:
    if level == MAIN_LEVEL and waited is not None and waited > MASKED_AT_MOST:
        raise Finding(
            Verdict.WRONG,
            f"interrupts masked for {MASKED_AT_MOST} instructions at most, with three timers",
            f"the tick had to wait for {waited}",
            why="While interrupts are masked everything waits, the most urgent as well.",
            hint="What need not be protected, and could be done before or after?",
            diagnosis="masked-too-long",
            pc=pc,
        )


class Bouncing:
    """The whole program, and somebody at the button."""

    def __init__(self, subject: Subject, level: str = MAIN_LEVEL) -> None:
        self.board = subject.board(level)
        self.board.trace_no_more()
        self.wait(3)

    def wait(self, ms: int) -> None:
        """Let time pass."""
        try:
            self.board.wait_ms(ms)
        except Ended as ended:
            raise explain_ending(ended, "the program to wait for the button") from ended

    @property
    def lines(self) -> int:
        """Presses that were reported."""
        return self.board.count_lines("Pressed at")

    def edges(self, *gaps: int) -> None:
        """Press, and change the level again and again, after so many milliseconds each."""
        level = 0
        self.board.press("SELECT")
        for gap in gaps:
            self.wait(gap)
            level = 1 - level
            (self.board.release if level else self.board.press)("SELECT")


def _expect_lines(test: Bouncing, wanted: int, expected: str, too_many: Finding) -> None:
    if test.lines == wanted:
        return
    if test.lines > wanted:
        raise too_many
    raise _wrong(
        expected,
        f"{counted(test.lines, 'line')}",
        "A real press got lost: the button is down, has been quiet for long enough, and nobody"
        " says so.",
        "When the time is over, or a press comes while it runs: which of the two futures waits"
        " then, and for what?",
        "press-lost",
        Verdict.ASLEEP,
    )


@check("A press that bounces is one press", points=10, needs=["latest", "wraps", "past"])
def check_bounces(subject: Subject) -> None:
    """Seven edges within some milliseconds; reported once, and not before it is quiet."""
    test = Bouncing(subject)
    for presses in (1, 2):
        test.edges(1, 2, 1, 1, 3, 1)
        test.wait(QUIET_MS - 3)
        _expect_lines(
            test,
            presses - 1,
            "no line yet",
            _wrong(
                f"no line before {QUIET_MS} ms after the last edge",
                f"{counted(test.lines, 'line')}",
                "The time was not started anew by the later edges of the same press, or the first"
                " edge was reported at once. Until the contact is quiet nobody knows what it will"
                " be.",
                "What does an edge mean that comes while the time runs?",
                "not-restarted",
                Verdict.DOUBLE,
            ),
        )
        test.wait(6)
        _expect_lines(
            test,
            presses,
            "one line when the button was quiet",
            _wrong(
                "one line for a press that bounces",
                f"{counted(test.lines, 'line')}",
                "Every edge was counted: a contact that closes is not closed at once.",
                "Which of the edges is the press?",
                "counts-bounces",
                Verdict.DOUBLE,
            ),
        )
        test.board.release("SELECT")
        test.wait(2 * QUIET_MS)


@check("A glitch is none", points=5, needs=["bounces"])
def check_glitch(subject: Subject) -> None:
    """Down for 5 ms; then a real press."""
    test = Bouncing(subject)
    test.edges(5)
    test.wait(3 * QUIET_MS)
    glitch = _wrong(
        "no line: the button was down for 5 ms",
        f"{counted(test.lines, 'line')}",
        "The time was over, and the button up again. That was a disturbance on the line, or a"
        " finger that slipped.",
        "What has to be true of the button when the time is over?",
        "counts-glitches",
        Verdict.DOUBLE,
    )
    _expect_lines(test, 0, "no line", glitch)
    test.edges()
    test.wait(QUIET_MS + 3)
    _expect_lines(test, 1, "one line for the press after the glitch", glitch)


@check("At -O0, -O2 and -Os as well", points=0, needs=["singles", "glitch"], levels=True)
def check_levels(subject: Subject, level: str) -> None:
    """A tick before every instruction of a first poll, and a press that bounces."""
    _sweep(subject, level)
    test = Bouncing(subject, level)
    test.edges(1, 2)
    test.wait(QUIET_MS + 3)
    if test.lines != 1:
        raise Finding(
            Verdict.WRONG,
            f"one line at -{level}, as at -{MAIN_LEVEL}",
            counted(test.lines, "line"),
            why="What the program does depends on how it is optimised.",
            hint="Does the compiler know that the tick changes what you read?",
            diagnosis="one-level",
        )


check_warnings = shared_check(
    build_checks.expect_warnings, "The compiler has no warning", 0, needs=["written"]
)
