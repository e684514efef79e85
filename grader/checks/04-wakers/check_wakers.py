"""Lab 04: wakers as values, and the smallest task that has one."""

from __future__ import annotations

from wakebench.board import Ended
from wakelab import build_checks, press_checks
from wakelab.build import MAIN_LEVEL
from wakelab.checking import Finding, check, shared_check
from wakelab.diagnosis import Mistake, explain_ending
from wakelab.report import Verdict
from wakelab.strikes import Tally, address, sweep_call, word, words
from wakelab.subject import Subject

CALM = "sleep_until_interrupt"
POLLS, WAKES_ITSELF, ENDS, LISTENER = 3, 4, 5, 6
"""Words of a struct listener, and how many it has."""

check_builds = shared_check(build_checks.expect_builds, "It compiles and links", 0)
check_written = shared_check(
    press_checks.expect_written, "Every step is written", 0, needs=["builds"]
)
check_host = shared_check(
    press_checks.expect_host, "It asks nothing of the host", 5, needs=["written"]
)


class Wakers:
    """The objects of main.c, and the student's functions called on them."""

    def __init__(self, subject: Subject, level: str = MAIN_LEVEL) -> None:
        self.board = subject.board(level)
        try:
            self.board.wait_symbol(CALM)
        except Ended as ended:
            raise explain_ending(ended, "the two tasks to be started and polled") from ended
        self.samples = address(self.board, "samples")
        self.tasks = address(self.board, "tasks")
        self.listeners = address(self.board, "listeners")

    def call(self, function: str, *arguments: int) -> int:
        """A call that returns, or a Finding."""
        try:
            return self.board.call(function, *arguments)
        except Ended as ended:
            raise explain_ending(ended, f"{function} to return") from ended

    def sample(self, which: int) -> int:
        """Address of one of main.c's wakers."""
        return self.samples + 8 * which

    def task(self, which: int) -> int:
        """Address of one of the two tasks."""
        return self.tasks + 8 * which

    def run(self, which: int = 0) -> bool:
        """flag_task_run: whether it says that it polled."""
        return bool(self.call("flag_task_run", self.task(which)) & 0xFF)

    def polls(self, which: int = 0) -> int:
        """Polls of a listener so far."""
        return word(self.board, "listeners", LISTENER * which + POLLS)

    def wake(self, which: int = 0) -> None:
        """Wake a task by the waker that its last poll was given."""
        self.call("waker_wake", self.listeners + 4 * (LISTENER * which + 1))

    def press(self) -> None:
        """Strike: the handler wakes task 0."""
        self.board.press("SELECT")
        self.board.release("SELECT")


def _wrong(
    expected: str,
    seen: str,
    why: str,
    hint: str,
    diagnosis: str,
    verdict: Verdict = Verdict.WRONG,
) -> Finding:
    return Finding(verdict, expected, seen, why=why, hint=hint, diagnosis=diagnosis)


@check("To wake is to call the function with its data", points=15, needs=["host"])
def check_wake(subject: Subject) -> None:
    """One of main.c's wakers, and the empty one."""
    test = Wakers(subject)
    test.call("waker_wake", test.sample(2))
    calls, data, other, _ = words(test.board, "seen", 4)
    wanted = words(test.board, "samples", 2, 4)[1]
    if calls != 1 or other:
        raise _wrong(
            "the vtable's function to be called once",
            f"{calls} times",
            "waker_wake has one thing to do: to call the function that the vtable names.",
            "Where in a struct waker is the function?",
            "wake-not-called",
        )
    if data != wanted:
        raise _wrong(
            f"it to be called with the waker's data, 0x{wanted:08x}",
            f"with 0x{data:08x}",
            "The function knows its task by the data, and by nothing else. What it was given is"
            " something else: the address of the waker is not what the waker refers to.",
            "What does the vtable's function expect: a waker, or what is in it?",
            "wrong-data",
        )
    try:
        test.board.call("waker_wake", test.sample(4))
    except Ended as ended:
        raise _wrong(
            "nothing to happen when the empty waker is woken",
            f"{ended.ending}: {ended.detail}",
            "The empty waker has no vtable, and waker_wake looks into it all the same. A queue"
            " where nobody waits holds the empty waker: it is woken often.",
            "How do you recognise the empty waker (waker.h)?",
            "wakes-the-empty",
            Verdict.FAULT,
        ) from ended


SAME = "Two wakers wake the same task if both words are the same: the function, and the data. "


@check("Wakers are compared as values", points=15, needs=["wake"])
def check_will_wake(subject: Subject) -> None:
    """Equal, other data, other function, empty; each with each."""
    test = Wakers(subject)
    asked = {
        (0, 1): (
            True,
            SAME + "Here they are, in two copies. Copies of a waker are as good as it"
            " is; their addresses say nothing.",
            "compares-addresses",
        ),
        (0, 2): (
            False,
            SAME + "Here the data differs: two tasks of one executor have the same function.",
            "compares-functions",
        ),
        (0, 3): (
            False,
            SAME + "Here the function differs: two executors may use the same data,"
            " each for its own purpose.",
            "compares-data",
        ),
        (4, 5): (True, "Two empty wakers are the same: neither wakes anybody.", "empty-differs"),
        (0, 4): (False, SAME + "One of these is empty, the other is not.", "compares-nothing"),
    }
    for (one, two), (wanted, why, diagnosis) in asked.items():
        try:
            same = test.board.call("waker_will_wake", test.sample(one), test.sample(two)) & 0xFF
        except Ended as ended:
            raise explain_ending(ended, "waker_will_wake to return") from ended
        if bool(same) != wanted:
            raise _wrong(
                f"waker_will_wake to say {str(wanted).lower()}",
                str(bool(same)).lower(),
                why,
                "Which words make a waker what it is?",
                diagnosis,
            )


@check("A started task is polled once, with its own waker", points=15, needs=["will-wake"])
def check_start(subject: Subject) -> None:
    """What main has done so far, and what the waker in the context is."""
    test = Wakers(subject)
    for which in (0, 1):
        if test.polls(which) != 1:
            raise _wrong(
                "a task to be polled once after it was started",
                f"{test.polls(which)} times",
                "A future begins to work at its first poll. The executor that this task will have"
                " polls who was woken, and to be started counts as that.",
                "What does the flag say right after the start?",
                "never-started" if not test.polls(which) else "polled-unwoken",
                Verdict.ASLEEP if not test.polls(which) else Verdict.BUSY,
            )
    for which in (0, 1):
        test.call("flag_task_waker", address(test.board, "found"), test.task(which))
        given = words(test.board, "listeners", 2, LISTENER * which + 1)
        if words(test.board, "found", 2) != given:
            raise _wrong(
                "the context to carry the waker of the task that is polled",
                "another one",
                "The context says: this task. A future that is polled by one task and wakes another"
                " one waits for ever.",
                "Whose waker does flag_task_run put into the context?",
                "foreign-context",
            )


@check("A wake has its task polled, once", points=20, needs=["start"])
def check_woken(subject: Subject) -> None:
    """No wake, one, three; and of the other task."""
    test = Wakers(subject)
    if test.run() or test.polls() != 1:
        raise _wrong(
            "no poll: nobody has woken the task",
            f"{test.polls()} polls, and flag_task_run says that it polled",
            "The task is polled whether woken or not: busy polling, and the waker is for nothing.",
            "What has flag_task_run to look at first?",
            "polled-unwoken",
            Verdict.BUSY,
        )
    test.wake()
    if test.polls() != 1:
        raise _wrong(
            "the wake to be noted, and no more",
            "the future was polled at once",
            "The wake has polled the future. It may come from an interrupt, in the middle of that"
            " very poll; it leaves a note, and the polling to the thread.",
            "What is the least that a wake has to do?",
            "wake-polls",
        )
    ran = test.run()
    if test.polls() != 2:
        raise _wrong(
            "a poll after a wake",
            "none; flag_task_run says " + ("that it polled" if ran else "that it did not"),
            "The task was woken by the waker that it was polled with, and the flag does not say so"
            " when flag_task_run looks.",
            "Which task does the waker's data name, and which flag does the function set?",
            "wake-lost",
            Verdict.ASLEEP,
        )
    if not ran:
        raise _wrong(
            "flag_task_run to say that it polled",
            "it says that it did not",
            "Who runs the tasks sleeps if none of them was polled, and this one was.",
            "What is the answer when the future is pending?",
            "polled-and-denied",
        )
    for _ in range(3):
        test.wake()
    for _ in range(3):
        test.run()
    if test.polls() != 3:
        raise _wrong(
            "one poll for three wakes",
            f"{test.polls() - 2}",
            "Wakes do not add up. One poll sees everything that has happened until then; the others"
            " find nothing.",
            "Does it matter how often a task was woken, or whether it was?",
            "counts-wakes",
            Verdict.BUSY,
        )
    test.wake(1)
    if test.run(0) or not test.run(1):
        raise _wrong(
            "task 1 to be polled: its waker was woken",
            "task 0 was, or none",
            "The waker of one task has woken another one.",
            "What is in the waker's data?",
            "wakes-another",
        )


@check("A wake during the poll is for the next one", points=10, needs=["woken"])
def check_during(subject: Subject) -> None:
    """The future wakes its own task in its poll."""
    test = Wakers(subject)
    _poke(test, WAKES_ITSELF)
    test.wake()
    test.run()
    if not test.run():
        raise _wrong(
            "another poll: the task was woken while it was polled",
            "none",
            "The flag was cleared after the poll, and with it a wake that had come meanwhile. What"
            " that wake was about, this poll may have looked at too early.",
            "Clear before or after: which of the two can only cost one poll too many?",
            Mistake.WAKE_FORGOTTEN,
            Verdict.LOST_WAKE,
        )


@check("Who is done is not polled", points=5, needs=["woken"])
def check_done(subject: Subject) -> None:
    """READY, then woken."""
    test = Wakers(subject)
    _poke(test, ENDS)
    test.wake()
    test.run()
    before = test.polls()
    test.wake()
    test.run()
    if test.polls() != before:
        raise _wrong(
            "no poll after POLL_READY",
            "one, when the waker was woken once more",
            "The future was done. Wakers outlive their task: somebody may wake at any time later.",
            "What does flag_task_run keep when poll says READY?",
            "polls-the-finished",
        )


def _poke(test: Wakers, field: int) -> None:
    test.call("set_flag", test.listeners + 4 * field)


@check("A wake before every instruction of a run", points=5, needs=["during"], explores=True)
def check_singles(subject: Subject) -> None:
    """The handler wakes the task that is run; a poll that begins later must follow."""
    _sweep(subject, MAIN_LEVEL)


def _sweep(subject: Subject, level: str) -> None:
    test = Wakers(subject, level)
    tally, polls = Tally(), 0

    def strike() -> None:
        nonlocal polls
        polls = test.polls()
        test.press()

    for struck in sweep_call(test.board, strike, "flag_task_run", test.task(0), prepare=test.wake):
        tally.count(struck)
        while test.run():
            pass
        if test.polls() <= polls:
            raise Finding(
                Verdict.LOST_WAKE,
                "a poll that begins after the wake, which comes before the marked instruction",
                "none: the task sleeps",
                why="The flag was looked at and cleared in two steps, or cleared too late. The"
                " handler set it in between, and that was erased.",
                hint="When must the flag be cleared, and can looking and clearing be one step?",
                diagnosis=Mistake.WAKE_FORGOTTEN,
                pc=struck.spot.pc,
            )
    if level == MAIN_LEVEL:
        subject.remark(
            f"{tally} main sleeps after it has asked both tasks: and if"
            " the interrupt comes now, between the question and the sleep? That is lab 05."
        )


@check("At -O0, -O2 and -Os as well", points=5, needs=["singles"], levels=True)
def check_levels(subject: Subject, level: str) -> None:
    """A wake before every instruction, at another level."""
    _sweep(subject, level)


check_warnings = shared_check(
    build_checks.expect_warnings, "The compiler has no warning", 5, needs=["written"]
)
