"""Lab 12: an executor in an interrupt, and what tasks of two priorities may share."""

from __future__ import annotations

from collections.abc import Iterator

from wakebench.board import Ended, Ending
from wakelab import build_checks, press_checks
from wakelab.build import MAIN_LEVEL
from wakelab.checking import Finding, check, counted, shared_check
from wakelab.diagnosis import Mistake, explain_ending
from wakelab.report import Verdict
from wakelab.strikes import Struck, Tally, address, sweep_call, word, words
from wakelab.subject import Subject

CALM = "executor_run"
"""Where main is when it has set up: the checks call from there."""

IRQ, PRIORITY = 6, 4
"""Of the executor: UART1, which is not used, and what main.c asks for."""

NVIC_ISER, NVIC_ISPR, NVIC_IPR = 0xE000_E100, 0xE000_E200, 0xE000_E400
BUTTON_IRQ, BUTTON_PRIORITY = 30, 1

POLLS, EXCEPTION, WAKES_ITSELF, ENDS, SPARE = 3, 4, 5, 6, 7
"""Words of a struct spare, and how many it has."""

MASKED_AT_MOST = 20
ROOM = 6

check_builds = shared_check(build_checks.expect_builds, "It compiles and links", 0)
check_written = shared_check(
    press_checks.expect_written, "Every step is written", 0, needs=["builds"]
)
check_host = shared_check(
    press_checks.expect_host, "It asks nothing of the host", 5, needs=["written"]
)


class Urgent:
    """The urgent tasks of main.c."""

    def __init__(self, subject: Subject, level: str = MAIN_LEVEL) -> None:
        self.board = subject.board(level)
        self.timed = level == MAIN_LEVEL
        try:
            self.board.wait_symbol(CALM)
        except Ended as ended:
            raise _explain(ended) from ended

    def call(self, function: str, *arguments: int) -> int:
        """A call that returns, with the interrupts that it asks for; or a Finding."""
        try:
            result = self.board.call(function, *arguments)
            self.board.call("let_interrupts_in")
        except Ended as ended:
            raise _explain(ended) from ended
        return result

    def struck(self, function: str, by: str, *arguments: int) -> Iterator[Struck]:
        """Calls of a function by one of main.c's, with a press before each instruction."""
        try:
            yield from sweep_call(
                self.board, self.strike, function, *arguments, by=by, timed=self.timed
            )
        except Ended as ended:
            raise _explain(ended) from ended

    def wake(self, *which: int) -> None:
        """Wake up to four tasks, before the executor may run."""
        self.call("wake_spares", *which, *[9] * (4 - len(which)))

    def put(self, which: int, field: int, value: int) -> None:
        """Set a field of a spare."""
        self.board.poke(address(self.board, "spares") + 4 * (SPARE * which + field), value)

    def said(self, which: int, field: int) -> int:
        """What a task has noted."""
        return word(self.board, "spares", SPARE * which + field)

    def polls(self) -> list[int]:
        """How often each of the three was polled."""
        return [self.said(which, POLLS) for which in range(3)]

    def strike(self) -> None:
        """A press, more urgent than the executor: its handler stores a pair, and wakes task 0."""
        self.board.press("SELECT")
        self.board.release("SELECT")


def _explain(ended: Ended) -> Finding:
    if ended.ending in (Ending.LOOP, Ending.STORM, Ending.POLLING):
        return Finding(
            Verdict.LOOP,
            "interrupt_executor_run to return when every woken task was polled",
            ended.detail,
            why="The executor's interrupt does not come to its end, or comes again and again: the"
            " thread gets nothing of the processor any more.",
            hint="Which tasks are polled in one run, and who asks for the next run?",
            diagnosis="never-returns",
            pc=ended.pc,
        )
    return explain_ending(ended, "the urgent tasks to be polled")


def _wrong(
    expected: str, seen: str, why: str, hint: str, diagnosis: str, verdict: Verdict = Verdict.WRONG
) -> Finding:
    return Finding(verdict, expected, seen, why=why, hint=hint, diagnosis=diagnosis)


@check("The interrupt is set up, and no other", points=15, needs=["host"])
def check_start(subject: Subject) -> None:
    """Its priority, its switch; and the button's are as they were."""
    test = Urgent(subject)
    enabled, bits = test.board.read_words(NVIC_ISER, NVIC_IPR + IRQ // 4 * 4)
    priority = bits >> IRQ % 4 * 8 & 0xFF
    if priority != PRIORITY << 5:
        raise _wrong(
            f"priority {PRIORITY} in the NVIC: IPR 0x{PRIORITY << 5:02x}",
            f"IPR 0x{priority:02x}, which is priority {priority >> 5}",
            "Of the eight bits of a priority this chip keeps the top three. Written into the low"
            " ones it is 0, the most urgent of all: the executor would interrupt the handlers that"
            " wake its tasks."
            if not priority >> 5
            else "The priority is another one than main has asked for.",
            "Where in the byte does the priority stand?",
            Mistake.PRIORITY_BITS,
        )
    if not enabled >> IRQ & 1:
        raise _wrong(
            f"interrupt {IRQ} to be enabled in the NVIC",
            "it is not",
            "It can be made pending, and nobody will come: its switch in the NVIC is open.",
            "Which switches does an interrupt have that no peripheral asks for?",
            Mistake.NVIC_OFF,
            Verdict.ASLEEP,
        )
    others = test.board.read_words(NVIC_IPR + BUTTON_IRQ // 4 * 4)[0] >> BUTTON_IRQ % 4 * 8 & 0xFF
    if others != BUTTON_PRIORITY << 5 or not enabled >> BUTTON_IRQ & 1:
        raise _wrong(
            "the button's interrupt to be as it was",
            f"IPR 0x{others:02x}" + ("" if enabled >> BUTTON_IRQ & 1 else ", and disabled"),
            "Four interrupts share a word of priorities, and 32 a word of switches. Somebody has"
            " changed one that is not its own.",
            "How many interrupts does the store change?",
            "others-changed",
        )


@check("Who is woken is polled, at once and in the interrupt", points=20, needs=["start"])
def check_woken(subject: Subject) -> None:
    """Three tasks are spawned from thread context, and woken: one, all, one thrice."""
    test = Urgent(subject)
    for which in (1, 2):
        test.call("spawn_spare", which)
    if max(test.polls()) > 1:
        raise _unwoken("one poll of each of three tasks that were spawned", test.polls())
    if test.polls() != [1, 1, 1]:
        raise _wrong(
            "each of three tasks to be polled once when it was spawned",
            f"{', '.join(map(str, test.polls()))} polls",
            "Whoever is ready has to be polled, and in an interrupt nobody looks by himself: a list"
            " alone wakes no interrupt.",
            "What makes an interrupt pending that no peripheral asks for?",
            "never-pended",
            Verdict.ASLEEP,
        )
    if (where := test.said(1, EXCEPTION)) != 16 + IRQ:
        raise _wrong(
            f"the poll to be made by interrupt {IRQ}",
            "it was made in thread context" if not where else f"it was made by exception {where}",
            "The task was polled by whoever woke it, at that one's priority. It would interrupt"
            " nobody, or the wrong ones, and itself.",
            "What does the waker do, and what does it leave to the executor's interrupt?",
            "polls-in-the-wake",
        )
    for woken in ((1,), (0, 1, 2), (2, 1, 0), (0, 2, 0), (1, 1, 1)):
        before = test.polls()
        test.wake(*woken)
        grown = [now - then for now, then in zip(test.polls(), before, strict=True)]
        wanted = [int(which in woken) for which in range(3)]
        if grown != wanted:
            expected = (
                f"polls of the three, when {' '.join(map(str, woken))} were woken:"
                f" {', '.join(map(str, wanted))}"
            )
            if all(a >= b for a, b in zip(grown, wanted, strict=True)):
                raise _unwoken(expected, grown)
            raise _wrong(
                expected,
                ", ".join(map(str, grown)),
                "A wake got lost on its way through the list.",
                "What happens to the list when a second task is woken, or the same one again?",
                "task-lost",
                Verdict.ASLEEP,
            )


def _unwoken(expected: str, polls: list[int]) -> Finding:
    return _wrong(
        expected,
        f"{', '.join(map(str, polls))} polls",
        "A task was polled although nobody had woken it since its last poll.",
        "What says that a task is ready already, or that it is not?",
        str(Mistake.POLLS_UNWOKEN),
        Verdict.BUSY,
    )


@check("A wake during a poll counts; who is done is not polled", points=10, needs=["woken"])
def check_during(subject: Subject) -> None:
    """A task that wakes itself in its poll; one that is ready."""
    test = Urgent(subject)
    test.put(0, WAKES_ITSELF, 1)
    before = test.polls()[0]
    test.wake(0)
    if test.polls()[0] != before + 2:
        raise _wrong(
            "another poll of a task that was woken while it was polled",
            f"{counted(test.polls()[0] - before, 'poll')}",
            "The executor has forgotten a wake that came during the poll: it takes the task out"
            " when the poll is over.",
            "When is a task not ready any more: before its poll, or after it?",
            Mistake.WAKE_FORGOTTEN,
            Verdict.LOST_WAKE,
        )
    test.put(0, ENDS, 1)
    test.wake(0)
    before = test.polls()[0]
    test.wake(0)
    if test.polls()[0] != before:
        raise _wrong(
            "no poll after POLL_READY",
            "one, when its waker was woken once more",
            "The task was done. Wakers outlive their task: somebody may wake at any time later.",
            "What does the executor keep of a task whose future was ready?",
            "polls-the-finished",
        )


@check("A press before every instruction of a run", points=15, needs=["during"], explores=True)
def check_singles(subject: Subject) -> None:
    """The button's handler, which is more urgent, wakes a task that the executor is polling."""
    subject.remark(str(_sweep_run(subject, MAIN_LEVEL)))


def _sweep_run(subject: Subject, level: str) -> Tally:
    """The run is called from thread context, with its interrupt held back; whether that is pending
    afterwards shows when it is let in."""
    tally = Tally()
    for struck in Urgent(subject, level).struck("interrupt_executor_run", "try_run"):
        tally.count(struck)
        if not struck.result:
            raise Finding(
                Verdict.LOST_WAKE,
                "a poll that begins after the wake, which comes before the marked instruction",
                "none",
                why="The task was woken while the executor was at work, and nobody comes back to"
                " it: it is in the list and the interrupt is not pending, or in neither.",
                hint="Who is woken during the run is polled by whom, and who asks for that?",
                diagnosis=Mistake.WAKE_FORGOTTEN,
                pc=struck.spot.pc,
            )
    return tally


@check("A press before every instruction of a load and a store", points=20, needs=["start"])
def check_pair(subject: Subject) -> None:
    """The handler stores another pair meanwhile."""
    test = Urgent(subject)
    if not test.call("share_while_masked"):
        raise _wrong(
            "PRIMASK to be 1 after a load and a store by a caller that has masked",
            "0: interrupts are enabled",
            "The caller had masked interrupts and relies on it. Whoever enables, rather than"
            " restores, ends somebody else's critical section.",
            "What does interrupts_mask() return, and what is it for?",
            "enables-for-all",
        )
    subject.remark(str(_sweep_pair(subject, MAIN_LEVEL)))


def _sweep_pair(subject: Subject, level: str) -> Tally:
    tally, test = Tally(), Urgent(subject, level)
    test.call("share_while_masked")
    for function, by in (("shared_pair_load", "try_load"), ("shared_pair_store", "try_store")):
        loads = by == "try_load"
        for struck in test.struck(function, by):
            tally.count(struck)
            pc = struck.spot.pc
            _expect_whole_at_press(test, pc)
            first, second = words(test.board, "pair_seen", 2)
            if second != ~first & 0xFFFF_FFFF:
                raise Finding(
                    Verdict.WRONG,
                    "two numbers that were stored together; a press came before the marked"
                    " instruction",
                    f"0x{first:08x} and 0x{second:08x}: each is half of another pair",
                    why=f"{function} was interrupted between the two numbers, by a handler that"
                    " stores. "
                    + (
                        "Who loads gets the first number of one pair and the second of another."
                        if loads
                        else "What is left is half of this pair and half of that one, for good."
                    ),
                    hint="Which of the two functions needs protection, and against whom?",
                    diagnosis="torn-pair",
                    pc=pc,
                )
            if level == MAIN_LEVEL and (struck.waited or 0) > MASKED_AT_MOST + ROOM:
                raise Finding(
                    Verdict.WRONG,
                    f"interrupts masked for {MASKED_AT_MOST} instructions at most",
                    f"a press had to wait for {struck.waited}",
                    why="The most urgent interrupt waits for whatever a task of the least urgent"
                    " executor does while it masks.",
                    hint="What need not be between mask and restore?",
                    diagnosis="masked-too-long",
                    pc=pc,
                )
    return tally


def _expect_whole_at_press(test: Urgent, pc: int) -> None:
    first, second = words(test.board, "pair_at_press", 2)
    if second != ~first & 0xFFFF_FFFF:
        raise Finding(
            Verdict.WRONG,
            "the button's handler to load two numbers that were stored together; the press came"
            " before the marked instruction",
            f"0x{first:08x} and 0x{second:08x}: each is half of another pair",
            why="The store was interrupted between the two numbers, by a handler that loads. It"
            " masks when it loads, and that does not help: the one that it has interrupted was not"
            " done.",
            hint="Which of the two functions needs protection, and against whom?",
            diagnosis="torn-pair",
            pc=pc,
        )


@check("The urgent task does not wait for the slow one", points=10, needs=["woken"])
def check_preempts(subject: Subject) -> None:
    """A press in the middle of the slow task's poll."""
    test = Urgent(subject)
    for _ in range(5):
        test.board.wait_symbol("slow_step")
        test.board.step_instruction()
    before, steps = test.polls()[0], word(test.board, "slow_steps")
    test.strike()
    test.board.wait_symbol("slow_step")
    if test.polls()[0] == before:
        raise _wrong(
            "the urgent task to be polled in the middle of the slow one's poll",
            "it was not",
            "The press came, its handler woke the urgent task, and the slow one went on: nobody has"
            " interrupted it.",
            "In which context is the urgent task polled?",
            "runs-in-thread",
            Verdict.ASLEEP,
        )
    subject.remark(
        f"The press came at step {steps} of the slow task's 200, in one and the same poll; the"
        " urgent task was polled before the next one. That is preemption: the two may share only"
        " what is protected."
    )


@check("At -O0, -O2 and -Os as well", points=0, needs=["singles", "pair"], levels=True)
def check_levels(subject: Subject, level: str) -> None:
    """Both sweeps, at another level."""
    _sweep_run(subject, level)
    _sweep_pair(subject, level)


check_warnings = shared_check(
    build_checks.expect_warnings, "The compiler has no warning", 5, needs=["written"]
)
