"""What a wait queue with one entry has to do, for the labs that build one (06, 07).

Both have the same main.c, but for the queue: three wakers, and a record of who was woken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wakebench.board import Ended, Ending
from wakelab.build import MAIN_LEVEL
from wakelab.checking import Finding
from wakelab.diagnosis import explain_ending
from wakelab.press import stale_waker
from wakelab.report import Verdict
from wakelab.strikes import address, word, words
from wakelab.subject import Subject

CALM = "sleep_until_interrupt"
"""Where main.c is when all is done, with interrupts enabled: the checks call from there."""

MOST_TOLD, COUNT = 16, "told_count"
"""How much main.c records; and how much it has."""

NAMES = ("one", "two", "three")


@dataclass(frozen=True)
class Told:
    """One wake: whose function was called, and with whose data (0: nobody's), from 1."""

    function: int
    data: int

    @property
    def whole(self) -> bool:
        """Whether the two are of the same waker."""
        return self.function == self.data

    def __str__(self) -> str:
        whose = NAMES[self.data - 1] if self.data else "nobody"
        if self.whole:
            return whose
        return f"{NAMES[self.function - 1]}'s function with {whose}'s data"


class Queue:
    """A board with the queue on it."""

    def __init__(self, subject: Subject, prefix: str, level: str = MAIN_LEVEL) -> None:
        """prefix: of the functions, `atomic_waker` for atomic_waker_wake()."""
        self.board = subject.board(level)
        self.prefix = prefix
        try:
            self.board.wait_symbol(CALM)
        except Ended as ended:
            raise self.explain(ended) from ended
        self.queue = address(self.board, "queue")
        self._wakers = address(self.board, "wakers")
        self._tasks = address(self.board, "tasks")

    def explain(self, ended: Ended) -> Finding:
        """A call that does not come to its end."""
        if ended.ending in (Ending.LOOP, Ending.STORM):
            return Finding(
                Verdict.LOOP,
                f"{self.prefix}_register and {self.prefix}_wake to return",
                ended.detail,
                why="One of them waits in a loop. An interrupt cannot wait for the code that it has"
                " interrupted: that goes on when the interrupt has returned, and not before.",
                hint="Who waits there, and who would have to do something meanwhile?",
                diagnosis="waits-for-the-other",
                pc=ended.pc,
            )
        return explain_ending(ended, f"{self.prefix}_register and {self.prefix}_wake to return")

    def _call(self, function: str, *arguments: int) -> int:
        try:
            return self.board.call(function, *arguments)
        except Ended as ended:
            raise self.explain(ended) from ended

    def waker(self, who: int) -> int:
        """Address of a waker, from 1."""
        return self._wakers + 8 * (who - 1)

    def register(self, who: int) -> None:
        """Have one of the three wait, from 1."""
        self._call(f"{self.prefix}_register", self.queue, self.waker(who))

    def register_from_stack(self, who: int) -> None:
        """The same; the waker is gone afterwards, and overwritten."""
        self._call("register_from_stack", who - 1)

    def wake(self) -> None:
        """Wake who waits."""
        self._call(f"{self.prefix}_wake", self.queue)

    def begin(self) -> None:
        """Nobody waits, nobody was told."""
        self.board.call("begin_anew")

    def told(self) -> list[Told]:
        """Who was woken since `begin`, in order."""
        return self.told_of(words(self.board, "told", 2 * MOST_TOLD))[: word(self.board, COUNT)]

    def told_of(self, pairs: Sequence[int]) -> list[Told]:
        """Words of main.c's record, as what they say."""
        owners = {self._tasks + 4 * at: at + 1 for at in range(3)}
        return [Told(pairs[at], owners.get(pairs[at + 1], 0)) for at in range(0, len(pairs), 2)]

    def strike(self) -> None:
        """A press here and now; the handler wakes who waits."""
        self.board.press("SELECT")
        self.board.release("SELECT")


def _said(told: list[Told]) -> str:
    return ", then ".join(map(str, told)) or "nobody"


def _expect(
    queue: Queue,
    wanted: list[int],
    when: str,
    why: str,
    hint: str,
    diagnosis: str,
    verdict: Verdict = Verdict.WRONG,
) -> None:
    told = queue.told()
    if [each.function for each in told] == wanted and all(each.whole for each in told):
        return
    raise Finding(
        verdict,
        f"{_said([Told(who, who) for who in wanted])} to be woken, {when}",
        _said(told),
        why=why,
        hint=hint,
        diagnosis=diagnosis,
    )


Check = Callable[[Subject], None]


def expect_wakes(subject: Subject, prefix: str) -> None:
    """Register and wake; the waker was on a stack. With nobody waiting, nothing."""
    queue = Queue(subject, prefix)
    try:
        queue.wake()
    except Finding as finding:
        raise Finding(
            finding.verdict,
            "nothing to happen when nobody waits",
            finding.seen,
            why="The queue is empty, which is how it begins, and there is no vtable to look into.",
            hint="What does an empty queue hold, and what does waker_wake do with that?",
            diagnosis="wakes-the-empty",
            pc=finding.pc,
        ) from finding
    queue.register(1)
    _expect(
        queue,
        [],
        "when one has registered and nobody has woken it",
        "To register is to say: wake me later. Nobody has any news yet.",
        "Which of the two functions has news?",
        "wakes-at-once",
    )
    queue.wake()
    _expect(
        queue,
        [1],
        "when one had registered and somebody wakes",
        "Who had registered is not woken, or not once: the queue does not hold what it was given.",
        "What does register leave in the queue, and what does wake do with it?",
        "nobody-woken",
        Verdict.ASLEEP,
    )


def expect_copy(subject: Subject, prefix: str) -> None:
    """The waker is on the stack of whoever registers, and gone later."""
    queue = Queue(subject, prefix)
    queue.register_from_stack(1)
    why, hint, diagnosis = stale_waker()
    try:
        # Over what the register had on its stack, and a little more.
        queue.board.wait_asleep()
        queue.wake()
        told = queue.told()
        right = told == [Told(1, 1)]
    except Finding as finding:
        told, right, seen = [], False, finding.seen
    else:
        seen = _said(told)
    if not right:
        raise Finding(
            Verdict.FAULT,
            "one to be woken, whose waker was on a stack that is gone",
            seen,
            why=why.replace("The handler", "wake"),
            hint=hint,
            diagnosis=str(diagnosis),
        )


def expect_forgets(subject: Subject, prefix: str) -> None:
    """A second wake finds nobody."""
    queue = Queue(subject, prefix)
    queue.register(1)
    queue.wake()
    queue.wake()
    _expect(
        queue,
        [1],
        "for one register and two wakes",
        "A wake uses the registration up, as the header says: who waits on registers again, in"
        " every poll. Kept, it would be woken for news that somebody else waits for.",
        "What is in the queue when wake has returned?",
        "keeps-the-woken",
        Verdict.BUSY,
    )


def expect_same(subject: Subject, prefix: str) -> None:
    """The same task registers twice."""
    queue = Queue(subject, prefix)
    queue.register(1)
    queue.register_from_stack(1)
    _expect(
        queue,
        [],
        "when one registers a second time",
        "A task that registers again, as it does in every poll, is woken by that: it will be polled"
        " again, register again, and never come to rest.",
        "Is the one that was registered before always another one? waker_will_wake() knows.",
        "wakes-the-same",
        Verdict.BUSY,
    )
    queue.wake()
    _expect(
        queue,
        [1],
        "when one had registered twice and somebody wakes",
        "One task waits, however often it has said so.",
        "How many entries does the queue have?",
        "nobody-woken",
        Verdict.ASLEEP,
    )


def expect_evicts(subject: Subject, prefix: str) -> None:
    """Another task takes the place."""
    queue = Queue(subject, prefix)
    queue.register(1)
    queue.register(2)
    _expect(
        queue,
        [1],
        "when two registers where one had been waiting",
        "There is one place, and one has lost it. If nobody tells it, it sleeps for ever: it"
        " believes to be registered.",
        "Who still knows of the old waker when the new one has taken its place?",
        "evicted-asleep",
        Verdict.ASLEEP,
    )
    queue.wake()
    _expect(
        queue,
        [1, 2],
        "when one had registered, then two, and somebody wakes",
        "The waker of the latest poll counts. Who came first has been told that it lost its place.",
        "Which of the two wakers is in the queue after the second register?",
        "keeps-the-first",
        Verdict.LOST_WAKE,
    )


def expect_rejoin(subject: Subject, prefix: str) -> None:
    """Who is woken registers at once."""
    queue = Queue(subject, prefix)
    queue.register(3)
    queue.wake()
    queue.wake()
    _expect(
        queue,
        [3, 3],
        "by two wakes, when three registers again as soon as it is woken",
        "The waker was called first and the queue cleared then; with it went the registration that"
        " was made during the call.",
        "What must be true of the queue when you call somebody who may use it?",
        "clears-after-waking",
        Verdict.LOST_WAKE,
    )
    queue.begin()
    queue.register(3)
    queue.register(2)
    told = [each.function for each in queue.told()]
    if told != [3, 2]:
        raise Finding(
            Verdict.LOST_WAKE,
            "three to be woken, which registers at once and evicts two",
            _said(queue.told()),
            why="The one that lost its place was woken before the new one was in it. It registered"
            " at once, and was overwritten.",
            hint="In register: what comes first, to store the new one or to wake the old one?",
            diagnosis="wakes-before-storing",
        )
