"""Lab 03: a future that is a state machine, polled by the checks themselves."""

from __future__ import annotations

from wakebench.board import Ended, Ending, Unmet
from wakelab import build_checks, press_checks
from wakelab.build import MAIN_LEVEL
from wakelab.checking import Finding, check, counted, shared_check
from wakelab.diagnosis import Mistake, explain_ending
from wakelab.report import Verdict
from wakelab.strikes import Tally, address, sweep_call
from wakelab.subject import Subject

ASKED = "future_poll"
SIZE = 8
"""Bytes of a struct two_presses: a pointer and a number."""

check_builds = shared_check(build_checks.expect_builds, "It compiles and links", 0)
check_written = shared_check(
    press_checks.expect_written, "Every step is written", 0, needs=["builds"]
)
check_host = shared_check(
    press_checks.expect_host, "It asks nothing of the host", 5, needs=["written"]
)


class Futures:
    """The two spare futures of main.c, initialised and polled by the checks while main is about to
    poll its own."""

    def __init__(self, subject: Subject, level: str = MAIN_LEVEL) -> None:
        self.board = subject.board(level)
        self.board.wait_symbol(ASKED)
        self.context = address(self.board, "no_context")
        self.spare = address(self.board, "spare")
        self.names = ("the first future", "the second future")

    def press(self, times: int = 1) -> None:
        """Press, and let the handler run each time."""
        for _ in range(times):
            self.strike()
            self.board.call("let_interrupts_in")

    def strike(self) -> None:
        """Press here and now."""
        self.board.press("SELECT")
        self.board.release("SELECT")

    def init(self, which: int = 0) -> None:
        """two_presses_init"""
        self.board.call("two_presses_init", self.spare + SIZE * which)

    def poll(self, which: int = 0) -> bool:
        """two_presses_poll: whether it is ready."""
        try:
            return bool(self._polled(self.spare + SIZE * which))
        except Unmet as unmet:
            raise _blocks("the core sleeps inside poll") from unmet
        except Ended as ended:
            if ended.ending in (Ending.LOOP, Ending.STORM):
                raise _blocks(ended.detail, ended.pc) from ended
            raise explain_ending(ended) from ended

    def _polled(self, future: int) -> int:
        return self.board.call("two_presses_poll", future, self.context)

    def expect(self, ready: bool, wrong: Finding, which: int = 0) -> None:
        """Poll, and raise what is `wrong` where the answer is another one."""
        if self.poll(which) != ready:
            raise wrong


def _blocks(seen: str, pc: int | None = None) -> Finding:
    return Finding(
        Verdict.LOOP,
        "poll to return at once, pressed or not",
        seen,
        why="poll waits for the press. A future does not wait: it looks, remembers how far it got,"
        " and says so. Whoever polls has other futures, too.",
        hint="Which loop is left only when somebody presses? What would poll say in its place?",
        diagnosis=Mistake.BLOCKS_IN_POLL,
        pc=pc,
    )


def _wrong(
    verdict: Verdict, expected: str, seen: str, why: str, hint: str, diagnosis: str
) -> Finding:
    return Finding(verdict, expected, seen, why=why, hint=hint, diagnosis=diagnosis)


READY, PENDING = "POLL_READY", "POLL_PENDING"


@check("Ready at the second press, and not before", points=20, needs=["host"])
def check_ready(subject: Subject) -> None:
    """Polled after each of two presses."""
    test = Futures(subject)
    test.init()
    test.expect(
        False,
        _wrong(
            Verdict.DOUBLE,
            f"{PENDING} while nobody has pressed",
            READY,
            "poll says READY without looking whether anybody has pressed.",
            "How does poll learn of a press?",
            Mistake.READY_UNCHECKED,
        ),
    )
    test.press()
    test.expect(
        False,
        _wrong(
            Verdict.DOUBLE,
            f"{PENDING} after one press",
            READY,
            "One press was enough for it. It should count: the first press takes it from one state"
            " to the next, the second one to the end.",
            "Which state is the future in after the first press, and where is that written down?",
            "ready-too-soon",
        ),
    )
    test.press()
    test.expect(
        True,
        _wrong(
            Verdict.ASLEEP,
            f"{READY} after the second press",
            PENDING,
            "Both presses were there to be taken, one at each poll, and the future does not see"
            " that it is done. What a poll has learned is gone when it returns, unless it is kept.",
            "Where does the first press's poll leave what it knows for the second one's?",
            "forgets-between-polls",
        ),
    )


@check("Polls for no reason do no harm", points=15, needs=["ready"])
def check_spurious(subject: Subject) -> None:
    """Five polls before the first press, and five before the second."""
    test = Futures(subject)
    test.init()
    counts = _wrong(
        Verdict.DOUBLE,
        f"{PENDING}: too few presses",
        f"{READY} after some polls for no reason",
        "It counts polls and not presses. A poll is a question, not the news: anybody may ask, as"
        " often as they like.",
        "What changes the state: that poll was called, or what poll has found?",
        "counts-polls",
    )
    for _ in range(5):
        test.expect(False, counts)
    test.press()
    for _ in range(5):
        test.expect(False, counts)
    test.press()
    test.expect(True, counts)


@check("It gets as far as it can", points=15, needs=["ready"])
def check_both_at_once(subject: Subject) -> None:
    """Both presses are there before the first poll; and one from before init."""
    test = Futures(subject)
    test.press()
    test.init()
    test.press()
    if test.poll():
        return
    if test.poll():
        raise _wrong(
            Verdict.ASLEEP,
            f"{READY} at the first poll: both presses were there",
            f"{PENDING}, and {READY} at another poll",
            "It takes one press a poll. Under an executor that polls only who was woken, that other"
            " poll may never come: no press is left to wake it.",
            "After the first press was taken: why return, before you know that there is no other?",
            "one-step-a-poll",
        )
    raise _wrong(
        Verdict.ASLEEP,
        f"{READY}: one press before init and one after it, nobody has taken either",
        PENDING,
        "A press from before init got lost: init took it, or has poll wait for others.",
        "What has init to do with presses? It is about the future.",
        "init-takes",
    )


@check("Done is done, and can begin anew", points=15, needs=["ready"])
def check_afterwards(subject: Subject) -> None:
    """Polled after READY; then a new init."""
    test = Futures(subject)
    test.init()
    test.press(3)
    test.poll()
    if not test.board.call("press_take"):
        raise _wrong(
            Verdict.LOST_WAKE,
            "one of three presses to be left for others",
            "none is",
            "It took more presses than it needs. Whoever waits for the next one waits in vain.",
            "When does the loop that takes presses end?",
            "takes-too-many",
        )
    test.press(2)
    test.expect(
        False,
        _wrong(
            Verdict.DOUBLE,
            f"{PENDING} at a poll after {READY}",
            READY,
            "Ready is said once. Polled again without an init it said so once more.",
            "Which state is the future in when it is done?",
            "ready-again",
        ),
    )
    if not (test.board.call("press_take") and test.board.call("press_take")):
        raise _wrong(
            Verdict.LOST_WAKE,
            f"nothing to be taken at a poll after {READY}",
            "a press is gone",
            "The future was done, and took presses all the same: they belong to somebody else now.",
            "What does poll look at first?",
            "takes-when-done",
        )
    test.init()
    test.press()
    test.expect(
        False,
        _wrong(
            Verdict.DOUBLE,
            f"{PENDING} after init and one press",
            READY,
            "init began in the middle: what the future had counted before was still there.",
            "Memory that was used before is not zero. What does init set?",
            "init-keeps",
        ),
    )
    test.press()
    test.expect(
        True,
        _wrong(
            Verdict.ASLEEP,
            f"{READY} after init and two presses",
            PENDING,
            "After its first time the future does not get ready any more.",
            "What has init to put back?",
            "init-keeps",
        ),
    )


@check("Two futures, each with its own state", points=15, needs=["ready"])
def check_two(subject: Subject) -> None:
    """The first one takes a press, the second one the next."""
    test = Futures(subject)
    test.init(0)
    test.init(1)
    test.press()
    test.poll(0)
    test.press()
    shared = _wrong(
        Verdict.DOUBLE,
        f"{PENDING} from both of two futures that have taken one press each",
        READY,
        "Two futures share what one of them has counted: it is in a static variable, and there is"
        " one of it, however many futures there are.",
        "What belongs to one future, and where is there one of for each?",
        "shared-state",
    )
    test.expect(False, shared, which=1)
    test.expect(False, shared, which=0)
    test.press()
    test.expect(True, shared, which=0)
    test.expect(False, shared, which=1)


@check("A press before every instruction of poll", points=5, needs=["both-at-once", "two"])
def check_singles(subject: Subject) -> None:
    """One press before, one struck: ready at this poll, or at the next."""
    test = Futures(subject)
    tally = Tally()

    def prepare() -> None:
        while test.board.call("press_take"):
            pass
        test.init()

    for struck in sweep_call(
        *(test.board, test.strike, "two_presses_poll", test.spare, test.context), prepare=prepare
    ):
        ready = struck.result
        test.press()
        if not ready and not test.poll():
            raise Finding(
                Verdict.LOST_WAKE,
                f"{READY} at this poll or the next",
                f"{PENDING} twice; a press came before the marked instruction",
                why="A press got lost between two looks of the same poll.",
                hint="How many times does one poll look, and what does it do with what it saw?",
                diagnosis="lost-in-poll",
                pc=struck.spot.pc,
            )
        tally.count(struck)
    subject.remark(str(tally))


@check("At -O0, -O2 and -Os as well", points=5, needs=["ready"], levels=True)
def check_levels(subject: Subject, level: str) -> None:
    """Two presses, one future after the other."""
    test = Futures(subject, level)
    for _ in range(2):
        test.init()
        for wanted in (False, False, True):
            if test.poll() != wanted:
                raise Finding(
                    Verdict.WRONG,
                    f"the same answers at -{level} as at -{MAIN_LEVEL}",
                    "others",
                    why="What poll answers depends on how it is optimised.",
                    hint="Is something read before it was written?",
                    diagnosis=Mistake.ONE_LEVEL,
                )
            test.press()
        while test.board.call("press_take"):
            pass


check_warnings = shared_check(
    build_checks.expect_warnings, "The compiler has no warning", 5, needs=["written"]
)


@check("And what does the processor do meanwhile?", points=0, needs=["ready"])
def check_shown(subject: Subject) -> None:
    """Shows how main waits."""
    board = subject.board()
    try:
        board.wait_asleep()
    except Ended as ended:
        if ended.ending is Ending.POLLING:
            subject.remark(
                f"Nobody pressed, and main went on asking: {ended.detail}. The processor is at"
                " 100 %, and asks some million times for one press. How could the future get"
                " notified? That is lab 04."
            )
            return
    raise Finding(
        Verdict.WRONG,
        "main to ask all the time",
        f"{counted(0, 'poll')}",
        hint="main.c is given: restore it.",
    )
