"""Lab 11: a channel from an interrupt to a task, and an async function that awaits it."""

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

SIZE = 4
ITEM, SUM = 2, 13
"""Words of a struct receive and of a struct adder."""
CHANNEL_WORDS, ADDER_WORDS = 9, 14

check_builds = shared_check(build_checks.expect_builds, "It compiles and links", 0)
check_written = shared_check(
    press_checks.expect_written, "Every step is written", 0, needs=["builds"]
)
check_host = shared_check(
    press_checks.expect_host, "It asks nothing of the host", 5, needs=["written"]
)


class Lab:
    """The spare channels, receive and adders of main.c."""

    def __init__(self, subject: Subject, level: str = MAIN_LEVEL) -> None:
        self.board = subject.board(level)
        self.timed = level == MAIN_LEVEL
        try:
            self.board.wait_symbol(CALM)
        except Ended as ended:
            raise self._explain(ended, "main") from ended
        self.context = address(self.board, "context")
        self.receive = address(self.board, "spare_receive")
        self.call("begin_anew")

    def _explain(self, ended: Ended, function: str) -> Finding:
        if ended.ending in (Ending.LOOP, Ending.POLLING):
            return Finding(
                Verdict.LOOP,
                f"{function} to return",
                ended.detail,
                why="It waits in a loop for somebody who cannot come: a poll returns POLL_PENDING,"
                " and the executor does the waiting.",
                hint="What does poll do when the awaited future is pending?",
                diagnosis=Mistake.BLOCKS_IN_POLL,
                pc=ended.pc,
            )
        return explain_ending(ended, f"{function} to return")

    def call(self, function: str, *arguments: int) -> int:
        """A call that returns, or a Finding."""
        try:
            return self.board.call(function, *arguments)
        except Ended as ended:
            raise self._explain(ended, function) from ended

    def struck(self, function: str, by: str, *arguments: int) -> Iterator[Struck]:
        """Calls of a function by one of main.c's, with a press before each instruction."""
        try:
            yield from sweep_call(
                self.board, self.strike, function, *arguments, by=by, timed=self.timed
            )
        except Ended as ended:
            raise self._explain(ended, function) from ended

    def channel(self, which: int = 0) -> int:
        """Address of a spare channel."""
        return address(self.board, "spare_channels") + 4 * CHANNEL_WORDS * which

    def send(self, item: int, which: int = 0) -> bool:
        """channel_send"""
        return bool(self.call("channel_send", self.channel(which), item) & 0xFF)

    def init(self, channel: int | None = None) -> None:
        """receive_init"""
        self.call("receive_init", self.receive, self.channel() if channel is None else channel)

    def poll(self) -> bool:
        """receive_poll: whether it is ready."""
        return bool(self.call("receive_poll", self.receive, self.context))

    @property
    def item(self) -> int:
        """What was received."""
        return word(self.board, "spare_receive", ITEM)

    def take(self) -> int | None:
        """The next item, or None."""
        self.init()
        return self.item if self.poll() else None

    @property
    def woken(self) -> int:
        """How often the waker of the context was woken."""
        return word(self.board, "woken")

    def strike(self) -> None:
        """A press: its handler sends the number of the press."""
        self.board.press("SELECT")
        self.board.release("SELECT")

    def tick(self, times: int) -> None:
        """Let milliseconds pass."""
        for _ in range(times):
            self.board.tick()
            self.call("let_interrupts_in")

    # The adders.

    def adder(self, which: int) -> int:
        """Address of a spare adder."""
        return address(self.board, "spare_adders") + 4 * ADDER_WORDS * which

    def adder_init(self, which: int = 0) -> None:
        """adder_init, on the channel of the same number"""
        self.call("adder_init", self.adder(which), self.channel(which))

    def adder_poll(self, which: int = 0) -> bool:
        """adder_poll: whether it is ready."""
        return bool(self.call("adder_poll", self.adder(which), self.context))

    def sum(self, which: int = 0) -> int:
        """What it has added."""
        return word(self.board, "spare_adders", ADDER_WORDS * which + SUM)


def _wrong(
    expected: str, seen: str, why: str, hint: str, diagnosis: str, verdict: Verdict = Verdict.WRONG
) -> Finding:
    return Finding(verdict, expected, seen, why=why, hint=hint, diagnosis=diagnosis)


@check("The channel: what goes in comes out, in order", points=15, needs=["host"])
def check_channel(subject: Subject) -> None:
    """Three items; four and a fifth; and many, one after the other."""
    lab = Lab(subject)
    if (item := lab.take()) is not None:
        raise _wrong(
            "POLL_PENDING from an empty channel",
            f"POLL_READY with {item}",
            "Nothing was sent, and something was received.",
            "When is a channel empty, by its counters?",
            "ready-unchecked",
            Verdict.DOUBLE,
        )
    for item in (7, 8, 9):
        lab.send(item)
    got = [lab.take() for _ in range(4)]
    if got != [7, 8, 9, None]:
        raise _wrong(
            "7, 8, 9, then nothing",
            ", ".join("nothing" if each is None else str(each) for each in got),
            "What was sent first is to be received first, each item once.",
            "Which place does the next item go to, and which is read next?",
            "order",
        )
    answers = [lab.send(item) for item in range(1, SIZE + 2)]
    if answers != [True] * SIZE + [False]:
        full = answers.index(False) if False in answers else len(answers)
        raise _wrong(
            f"room for {SIZE} items, and false for the next one",
            f"{counted(full, 'item')} taken",
            "Full and empty have to be told apart: with both counters within the ring, equal means"
            " one of the two. Counters that only grow tell them apart by their difference.",
            "What is the difference of the counters when the channel is full?",
            "capacity",
        )
    got = [lab.take() for _ in range(SIZE + 1)]
    if got != [*range(1, SIZE + 1), None]:
        raise _wrong(
            f"1 to {SIZE}, then nothing, from a channel that was full",
            ", ".join("nothing" if each is None else str(each) for each in got),
            "The item for which there was no room has overwritten another one, or moved a counter.",
            "What may a send that says false have changed?",
            "overwrites",
            Verdict.LOST_WAKE,
        )
    for item in range(100, 120):
        lab.send(item)
        if (seen := lab.take()) != item:
            raise _wrong(
                f"{item}, many items later",
                str(seen),
                "It works once around the ring, and not the second time.",
                "What becomes of the counters at the end of the ring?",
                "order",
            )


@check("Who waits for an item is woken, and takes one", points=15, needs=["channel"])
def check_receive(subject: Subject) -> None:
    """Pending, then sent; and polled once more."""
    lab = Lab(subject)
    lab.init()
    lab.poll()
    lab.send(5)
    if not lab.woken:
        raise _wrong(
            "the receiver to be woken when an item is sent",
            "nobody was",
            "The item is in the channel, and the task that waits for it sleeps: it has not left its"
            " waker there, or send did not use it.",
            "Who registers with the channel's waker, and who wakes it?",
            Mistake.NEVER_WAKES,
            Verdict.ASLEEP,
        )
    lab.poll()
    lab.send(6)
    if lab.poll() or lab.take() != 6:
        raise _wrong(
            "POLL_PENDING after POLL_READY, and the next item left for the next receive",
            "POLL_READY again, or the item is gone",
            "The receive was done: what comes now is for the next one.",
            "What does poll look at first?",
            "polled-after-ready",
            Verdict.DOUBLE,
        )


@check("A send before every instruction of receive", points=20, needs=["receive"], explores=True)
def check_singles(subject: Subject) -> None:
    """Into an empty channel, into one with an item, and into a full one."""
    subject.remark(str(_sweep(subject, MAIN_LEVEL)))


def _sweep(subject: Subject, level: str) -> Tally:
    tally, lab = Tally(), Lab(subject, level)
    # What an optimiser may change is the order of the look and the registration.
    for there in (0, 1, SIZE) if level == MAIN_LEVEL else (0,):
        for struck in lab.struck("receive_poll", "try_receive", there):
            tally.count(struck)
            _judge(*words(lab.board, "tried", 4 + SIZE + 2), pc=struck.spot.pc)
    return tally


def _judge(ready: int, woken: int, count: int, *received: int, pc: int) -> None:
    """What main.c's `tried` says. The last word: how many were sent."""
    *items, sent = received
    if not ready and not woken:
        raise Finding(
            Verdict.LOST_WAKE,
            "POLL_READY, or a wake: an item was sent before the marked instruction",
            "POLL_PENDING, and no wake",
            why="poll had looked already, and the waker was not registered yet: nobody to wake, and"
            " nobody looks again.",
            hint="Two steps of poll are in the wrong order. Which?",
            diagnosis=Mistake.CHECK_THEN_REGISTER,
            pc=pc,
        )
    got = items[:count]
    if got[:1] != [1]:
        raise Finding(
            Verdict.WRONG,
            "1, the oldest item, to be received",
            str(got[0]) if got else "nothing",
            why="The place was let go before the item in it was read, and the sender used it at"
            " once.",
            hint="In which order: read the item, move the counter?",
            diagnosis="frees-before-reading",
            pc=pc,
        )
    wanted = list(range(2, sent + 1))
    if got[1:] != wanted:
        raise Finding(
            Verdict.LOST_WAKE,
            f"{', '.join(map(str, wanted)) or 'nothing'} to be left in the channel",
            ", ".join(map(str, got[1:])) or "nothing",
            why="The sender came in the middle of the receive, and one of the two undid what the"
            " other one had done: both write the same counter.",
            hint="How many writers does each counter have?",
            diagnosis="counter-unprotected",
            pc=pc,
        )


@check("The async function, step by step", points=25, needs=["receive"])
def check_adder(subject: Subject) -> None:
    """3, 10 ms, 4; polled for no reason at every step."""
    lab = Lab(subject)
    lab.adder_init()
    _expect_pending(lab, "nothing was sent")
    lab.send(3)
    _expect_pending(lab, "the first item is there, and 10 ms have not passed")
    lab.send(4)
    _expect_pending(lab, "both items are there, and 10 ms have not passed")
    lab.tick(9)
    _expect_pending(lab, "9 of 10 ms have passed")
    lab.tick(1)
    if not (ready := lab.adder_poll()) and lab.adder_poll():
        raise _one_step()
    if not ready or lab.sum() != 7:
        raise _wrong(
            "POLL_READY with 7, from 3 and 4, 10 ms apart",
            f"POLL_READY with {lab.sum()}" if ready else "POLL_PENDING",
            "What came before an await is gone after it: a local variable, or the item of a future"
            " that was used again."
            if ready
            else "It does not go on where it stood: it has begun anew, or waits for what is over.",
            "What has to live across an await, and where?"
            if ready
            else "Where does it go on when it is polled again, and what is polled there?",
            "locals-lost" if ready else "starts-over",
            Verdict.WRONG if ready else Verdict.ASLEEP,
        )
    lab.send(5)
    lab.send(6)
    if lab.adder_poll() or lab.take() != 5:
        raise _wrong(
            "POLL_PENDING after the end, and nothing taken",
            "POLL_READY again, or an item is gone",
            "The function has come to its end, and was run again when somebody polled.",
            "Where does it stand when it has ended?",
            "runs-again",
            Verdict.DOUBLE,
        )


def _expect_pending(lab: Lab, when: str) -> None:
    for polls in (1, 2):
        if lab.adder_poll():
            raise _wrong(
                f"POLL_PENDING: {when}",
                f"POLL_READY with {lab.sum()}"
                + (", at a poll for no reason" if polls == 2 else ""),
                "It went on past an await whose future was pending. That it is polled does not say"
                " that what it waits for is there.",
                "What does AWAIT do each time the function comes back to it?",
                "runs-on",
                Verdict.DOUBLE,
            )


def _one_step() -> Finding:
    return _wrong(
        "POLL_READY at the poll after 10 ms: all was there",
        "POLL_PENDING",
        "It returned although what it awaits was ready. Nobody will wake it for news that it has"
        " had.",
        "When may AWAIT return from the function?",
        "one-step-a-poll",
        Verdict.ASLEEP,
    )


@check("As far as it gets, and several at a time", points=15, needs=["adder"])
def check_several(subject: Subject) -> None:
    """All is there at once; and two adders, each with a channel of its own."""
    lab = Lab(subject)
    for item in (1, 2):
        lab.send(item)
    lab.adder_init()
    lab.adder_poll()
    lab.tick(10)
    if not lab.adder_poll():
        raise _one_step()
    lab.call("begin_anew")
    for which in (0, 1):
        lab.adder_init(which)
    lab.send(10, 0)
    lab.adder_poll(0)
    lab.adder_poll(1)
    lab.send(20, 1)
    lab.adder_poll(1)
    lab.tick(10)
    lab.send(1, 0)
    lab.send(2, 1)
    ready = [lab.adder_poll(which) for which in (0, 1)]
    sums = [lab.sum(which) for which in (0, 1)]
    if ready != [True, True] or sums != [11, 22]:
        raise _wrong(
            "11 and 22 from two adders that take turns",
            " and ".join(str(s) if r else "nothing" for s, r in zip(sums, ready, strict=True)),
            "The two share something: where they stand, or what they have received so far. There is"
            " one static variable for all of them.",
            "Where is there one of it for each?",
            "shared-state",
        )


@check("At -O0, -O2 and -Os as well", points=0, needs=["singles", "adder"], levels=True)
def check_levels(subject: Subject, level: str) -> None:
    """A send into an empty channel before every instruction, and a sum, at another level."""
    _sweep(subject, level)
    lab = Lab(subject, level)
    lab.adder_init()
    lab.send(3)
    lab.adder_poll()
    lab.tick(10)
    lab.send(4)
    if not lab.adder_poll() or lab.sum() != 7:
        raise _wrong(
            f"7 at -{level}, as at -{MAIN_LEVEL}",
            str(lab.sum()),
            "What the function does depends on how it is optimised.",
            "Is there a variable that is read after an await and written before it?",
            Mistake.ONE_LEVEL,
        )


check_warnings = shared_check(
    build_checks.expect_warnings, "The compiler has no warning", 5, needs=["written"]
)
