"""Lab 05: an executor that polls who was woken, and sleeps."""

from __future__ import annotations

from wakebench.board import Board, Ended, Ending
from wakelab import build_checks, press_checks, sweep_checks
from wakelab.checking import Finding, check, shared_check
from wakelab.diagnosis import Mistake, explain_ending
from wakelab.report import Verdict
from wakelab.silicon import expect_silicon
from wakelab.strikes import address, word, words
from wakelab.subject import Subject

POLLS, WAKES_ITSELF, ENDS, MASKED, SPARE = 3, 4, 5, 6, 7
"""Words of a struct spare, and how many it has."""

check_builds = shared_check(build_checks.expect_builds, "It compiles and links", 0)
check_written = shared_check(
    press_checks.expect_written, "Every step is written", 0, needs=["builds"]
)
check_host = shared_check(
    press_checks.expect_host, "It asks nothing of the host", 5, needs=["written"]
)
check_sleeps = shared_check(
    press_checks.expect_sleeps, "It sleeps, and polls only when woken", 15, needs=["host"]
)


class Spares:
    """The three spare tasks of main.c, spawned and woken by the checks, in the executor's sleep."""

    def __init__(self, subject: Subject) -> None:
        self.board: Board = subject.board()
        self.rest()
        self.spares = address(self.board, "spares")

    def rest(self) -> None:
        """Until the executor sleeps."""
        try:
            self.board.wait_asleep()
        except Ended as ended:
            if ended.ending in (Ending.POLLING, Ending.LOOP):
                raise _never_rests(ended) from ended
            raise explain_ending(ended, "the executor to sleep") from ended

    def spawn(self, which: int) -> None:
        """Make a spare a task, and see what comes of it."""
        self.board.call("spawn_spare", which)
        self.rest()

    def wake(self, *which: int) -> None:
        """Wake up to four tasks, one after the other, by the wakers that they were polled with."""
        self.board.call("wake_spares", *which, *[9] * (4 - len(which)))
        self.rest()

    def put(self, which: int, field: int, value: int) -> None:
        """Set a field of a spare."""
        self.board.call("set_word", self.spares + 4 * (SPARE * which + field), value)
        self.rest()

    def polls(self, which: int) -> int:
        """Its polls so far."""
        return word(self.board, "spares", SPARE * which + POLLS)

    def order(self) -> list[int]:
        """Who was polled, one after the other."""
        return words(self.board, "polled", min(32, word(self.board, "polled_count")))


def _never_rests(ended: Ended) -> Finding:
    return Finding(
        Verdict.BUSY,
        "the executor to sleep when every woken task was polled",
        ended.detail,
        why="It goes round although nobody is woken any more.",
        hint="After which poll is a task not ready any more?",
        diagnosis=Mistake.BUSY_POLLING,
        pc=ended.pc,
    )


def _wrong(
    expected: str, seen: str, why: str, hint: str, diagnosis: str, verdict: Verdict
) -> Finding:
    return Finding(verdict, expected, seen, why=why, hint=hint, diagnosis=diagnosis)


@check("Every woken task is polled, once", points=15, needs=["sleeps"])
def check_woken(subject: Subject) -> None:
    """Three more tasks, spawned while the executor sleeps, then woken: one, all, one thrice."""
    test = Spares(subject)
    for which in (0, 1, 2):
        test.spawn(which)
        if test.polls(which) != 1:
            raise _wrong(
                "a task to be polled once when it has been spawned",
                f"{test.polls(which)} polls",
                "A task starts with its first poll: only there can it leave its waker with"
                " somebody. Nobody else will wake it before.",
                "What does executor_spawn have in common with a wake?",
                "never-started",
                Verdict.ASLEEP,
            )
    for woken in ((1,), (0, 1, 2), (2, 1, 0), (0, 2, 0), (1, 1, 1)):
        before = [test.polls(which) for which in range(3)]
        test.wake(*woken)
        for which in range(3):
            polls = test.polls(which) - before[which]
            if polls > (which in woken):
                raise _wrong(
                    f"{'one poll' if which in woken else 'no poll'} of task {which} when"
                    f" {' '.join(map(str, woken))} were woken",
                    f"{polls}",
                    "A task was polled although nobody had woken it since its last poll. Two wakes"
                    " before a poll are one poll's worth, and other tasks' wakes are none of its"
                    " business.",
                    "What says that a task is ready already, or that it is not?",
                    Mistake.POLLS_UNWOKEN,
                    Verdict.BUSY,
                )
            if polls < (which in woken):
                raise _wrong(
                    f"one poll of task {which} when {' '.join(map(str, woken))} were woken",
                    "none",
                    "A wake got lost on its way through the executor's list, or the task is in it"
                    " where nobody finds it.",
                    "What happens to the list when a second task is woken, or the same one again?",
                    "task-lost",
                    Verdict.ASLEEP,
                )
    if any(word(test.board, "spares", SPARE * which + MASKED) for which in range(3)):
        raise _wrong(
            "interrupts to be enabled while a task is polled",
            "they are masked",
            "Tasks take their time, and with interrupts masked every handler waits for them.",
            "From where to where do interrupts have to be masked?",
            "polls-masked",
            Verdict.WRONG,
        )


@check("A wake during a poll counts", points=10, needs=["woken"])
def check_during(subject: Subject) -> None:
    """A task that wakes itself once in its poll."""
    test = Spares(subject)
    test.spawn(0)
    before = test.polls(0)
    test.put(0, WAKES_ITSELF, 1)
    test.wake(0)
    if test.polls(0) != before + 2:
        raise _wrong(
            "another poll of a task that was woken while it was polled",
            f"{test.polls(0) - before} polls",
            "The executor has forgotten a wake that came during the poll: it takes the task out"
            " when the poll is over. What the wake was about may have come too late for that poll.",
            "When is a task not ready any more: before its poll, or after it?",
            Mistake.WAKE_FORGOTTEN,
            Verdict.LOST_WAKE,
        )


@check("Nobody starves", points=5, needs=["during"])
def check_fair(subject: Subject) -> None:
    """A task that wakes itself in ten polls, and another one that was woken with it."""
    for one, other, first in ((0, 1, 0), (0, 1, 1)):
        test = Spares(subject)
        test.spawn(0)
        test.spawn(1)
        start = word(test.board, "polled_count")
        test.put(one, WAKES_ITSELF, 10)
        test.wake(first, 1 - first)
        order = test.order()[start:]
        if order[:3].count(one) > 2 or other not in order[:3]:
            raise _wrong(
                "the other woken task to be polled before this one's third poll",
                f"tasks {', '.join(map(str, order))}",
                "A task that wakes itself keeps the executor to itself: it comes to the front again"
                " and again. Each should be polled once before anybody is polled anew.",
                "Where in the list does a task go that is woken while it is polled?",
                "starves",
                Verdict.WRONG,
            )


@check("Who is done is not polled", points=5, needs=["during"])
def check_done(subject: Subject) -> None:
    """READY, then woken."""
    test = Spares(subject)
    test.spawn(0)
    test.put(0, ENDS, 1)
    test.wake(0)
    before = test.polls(0)
    test.wake(0)
    if test.polls(0) != before:
        raise _wrong(
            "no poll after POLL_READY",
            "one, when its waker was woken once more",
            "The task was done. Wakers outlive their task: somebody may wake at any time later.",
            "What does the executor keep of a task whose future was ready?",
            "polls-the-finished",
            Verdict.WRONG,
        )


check_one_line = shared_check(
    press_checks.expect_one_line, "One press, one line, at every spacing", 10, needs=["sleeps"]
)
check_spurious = shared_check(
    press_checks.expect_spurious, "Spurious wakes do no harm", 5, needs=["one-line"]
)
check_sleep_moments = shared_check(
    press_checks.expect_sleep_moments,
    "A press just before the sleep, and during it",
    10,
    needs=["one-line"],
)
check_two_quick = shared_check(
    press_checks.expect_two_quick,
    "Two quick presses, two lines",
    5,
    needs=["sleep-moments"],
    explores=True,
)
check_singles = shared_check(
    sweep_checks.expect_singles,
    "A press before every instruction, from the poll to the sleep",
    5,
    needs=["two-quick"],
    mode="singles",
    explores=True,
)
check_levels = shared_check(
    press_checks.expect_levels,
    "It works at -O0, -O2 and -Os as well",
    5,
    needs=["one-line"],
    levels=True,
)
check_warnings = shared_check(
    build_checks.expect_warnings, "The compiler has no warning", 5, needs=["written"]
)
check_silicon = shared_check(
    expect_silicon, "It would work on the real chip, too", 0, needs=["one-line"]
)
