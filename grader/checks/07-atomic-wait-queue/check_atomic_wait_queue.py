"""Lab 07: a wait queue that a task and interrupts share, with a wake before every instruction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from wakebench.board import Ended
from wakelab import build_checks, press_checks, queue_checks
from wakelab.build import MAIN_LEVEL
from wakelab.checking import Finding, check, shared_check
from wakelab.queue_checks import MOST_TOLD, Queue, Told
from wakelab.report import Verdict
from wakelab.strikes import Struck, Tally, sweep_call, words
from wakelab.subject import Subject

PREFIX = "atomic_waker"
REGISTER, WAKE = "atomic_waker_register", "atomic_waker_wake"
MASKED_AT_MOST = 100
ROOM = 20
"""Instructions in which main.c's own wakers mask, and of the mask and the restore."""

check_builds = shared_check(build_checks.expect_builds, "It compiles and links", 0)
check_written = shared_check(
    press_checks.expect_written, "Every step is written", 0, needs=["builds"]
)
check_host = shared_check(
    press_checks.expect_host, "It asks nothing of the host", 5, needs=["written"]
)


def _of_queue(what: Callable[[Subject, str], None]) -> Callable[[Subject], None]:
    def run(subject: Subject) -> None:
        what(subject, PREFIX)

    run.__name__, run.__doc__ = what.__name__, what.__doc__
    return run


check_wakes = shared_check(
    _of_queue(queue_checks.expect_wakes), "Who has registered is woken", 10, needs=["host"]
)
check_forgets = shared_check(
    _of_queue(queue_checks.expect_forgets), "A wake uses the registration up", 5, needs=["wakes"]
)
check_copy = shared_check(
    _of_queue(queue_checks.expect_copy), "It keeps a copy of the waker", 5, needs=["wakes"]
)
check_same = shared_check(
    _of_queue(queue_checks.expect_same), "Registering again wakes nobody", 5, needs=["wakes"]
)
check_evicts = shared_check(
    _of_queue(queue_checks.expect_evicts), "Who loses its place is woken", 5, needs=["forgets"]
)
check_rejoin = shared_check(
    _of_queue(queue_checks.expect_rejoin), "Who is woken may register", 5, needs=["evicts"]
)


@check("Interrupts are left as they were found", points=10, needs=["wakes"])
def check_primask(subject: Subject) -> None:
    """A register by a caller that has masked, and one by a caller that has not."""
    queue = Queue(subject, PREFIX)
    if not queue.board.call("register_while_masked", 0):
        raise Finding(
            Verdict.WRONG,
            "PRIMASK to be 1 after a register by a caller that has masked",
            "0: interrupts are enabled",
            why="The caller had masked interrupts and relies on it; after the register they were"
            " on. Whoever enables, rather than restores, ends somebody else's critical section.",
            hint="What does interrupts_mask() return, and what is it for?",
            diagnosis="enables-for-all",
        )
    for what in (lambda: queue.register(1), queue.wake):
        queue.begin()
        queue.register(2)
        what()
        queue.begin()
        queue.register(2)
        queue.strike()
        queue.board.call("let_interrupts_in")
        if not queue.told():
            raise Finding(
                Verdict.ASLEEP,
                "the handler to run at a press, after a register and a wake",
                "it does not: interrupts are masked",
                why="One of them has masked interrupts and not restored them; the press stays"
                " pending for ever.",
                hint="Does every way out of the function restore what interrupts_mask() returned?",
                diagnosis="left-masked",
            )


@check(
    "A wake before every instruction of register",
    points=25,
    needs=["rejoin", "primask"],
    explores=True,
)
def check_register(subject: Subject) -> None:
    """One waits, two registers, and somebody wakes in between; and the same with nobody there."""
    tally = _sweep_register(subject, MAIN_LEVEL)
    subject.remark(str(tally))


@check("A wake before every instruction of wake", points=15, needs=["register"])
def check_wake(subject: Subject) -> None:
    """A wake is interrupted by another one: at least one of them wakes who waits."""
    tally = _sweep_wake(subject, MAIN_LEVEL)
    subject.remark(str(tally))


@check("At -O0, -O2 and -Os as well", points=5, needs=["wake"], levels=True)
def check_levels(subject: Subject, level: str) -> None:
    """Both sweeps, at another level."""
    try:
        _sweep_register(subject, level)
        _sweep_wake(subject, level)
    except Finding as finding:
        finding.why = f"At -{MAIN_LEVEL} it was right. At -{level}: {finding.why}"
        raise


check_warnings = shared_check(
    build_checks.expect_warnings, "The compiler has no warning", 5, needs=["written"]
)


@dataclass(frozen=True)
class Outcome:
    """What the queue told in a call that was struck; and when main.c used it on (use_on())."""

    struck: Struck
    told: list[Told]
    by_wake: list[Told]
    by_register: list[Told]
    by_last_wake: list[Told]


def _sweep(queue: Queue, function: str, by: str, before: int, level: str) -> Iterator[Outcome]:
    """Call one of the two functions, once for each place at which a press can come, and press
    there; where `before`, from 1, waits, or nobody."""
    try:
        for struck in sweep_call(
            queue.board, queue.strike, function, before, by=by, timed=level == MAIN_LEVEL
        ):
            told = queue.told_of(words(queue.board, "told", 2 * MOST_TOLD))
            then = words(queue.board, "told_then", 4)
            yield Outcome(struck, *(told[a:b] for a, b in pairwise((0, *then))))
    except Ended as ended:
        raise queue.explain(ended) from ended


def _sweep_register(subject: Subject, level: str) -> Tally:
    tally = Tally()
    queue = Queue(subject, PREFIX, level)
    # What an optimiser may change is how one waker takes the place of another.
    for before in (1, 0, 2) if level == MAIN_LEVEL else (1,):
        for outcome in _sweep(queue, REGISTER, "try_register", before, level):
            tally.count(outcome.struck)
            _judge_register(before, outcome, level)
    return tally


def _judge_register(before: int, outcome: Outcome, level: str) -> None:
    pc = outcome.struck.spot.pc
    when = "with a wake before the marked instruction"
    told = outcome.told
    _expect_whole(told, when, pc)
    _expect_short(outcome.struck.waited, pc, level)
    if before and before not in [each.function for each in told]:
        raise Finding(
            Verdict.LOST_WAKE,
            f"{queue_checks.NAMES[before - 1]}, which had waited, to be woken, {when}",
            _said(told),
            why="The wake came while the waker was being stored: it found the queue taken, or"
            " empty for a moment, and nobody did its work. Who comes second must leave word, and"
            " who has the queue must look for it when it is done.",
            hint="What does wake leave behind when it cannot have the queue, and who reads that?",
            diagnosis="wake-dropped",
            pc=pc,
        )
    after = told + outcome.by_wake
    names = [each.function for each in after]
    if 2 not in names:
        raise Finding(
            Verdict.LOST_WAKE,
            f"two to be woken, at the latest by another wake afterwards, {when}",
            _said(after),
            why="two has registered and is in no queue: the wake that came in between has cleared"
            " it away, or the queue is in a state from which nobody gets it out.",
            hint="What does wake write, and what had register written by then?",
            diagnosis="registration-lost",
            pc=pc,
        )
    _expect_alive(outcome, when, pc)


def _expect_alive(outcome: Outcome, when: str, pc: int) -> None:
    if outcome.by_register or outcome.by_last_wake != [Told(1, 1)]:
        raise Finding(
            Verdict.ASLEEP,
            f"the queue to work afterwards, {when}",
            "one registers, and is woken at once"
            if outcome.by_register
            else "one registers, somebody wakes, and one is not woken",
            why="That wake has left the queue in a state of which nobody takes it back: everybody"
            " believes that somebody else is at work.",
            hint="In which states may the queue be when nobody is at work on it?",
            diagnosis="stuck",
            pc=pc,
        )


def _sweep_wake(subject: Subject, level: str) -> Tally:
    queue = Queue(subject, PREFIX, level)
    tally = Tally()
    for outcome in _sweep(queue, WAKE, "try_wake", 1, level):
        tally.count(outcome.struck)
        pc = outcome.struck.spot.pc
        when = "with another wake before the marked instruction"
        _expect_whole(outcome.told, when, pc)
        _expect_short(outcome.struck.waited, pc, level)
        if not outcome.told:
            raise Finding(
                Verdict.LOST_WAKE,
                f"one to be woken, {when}",
                "nobody",
                why="A wake may interrupt a wake. Each of the two left the work to the other one.",
                hint="Which of the two gets the waker, and how does the other one know?",
                diagnosis="wake-dropped",
                pc=pc,
            )
        _expect_alive(outcome, when, pc)
    return tally


def _said(told: list[Told]) -> str:
    return ", then ".join(map(str, told)) or "nobody"


def _expect_whole(told: list[Told], when: str, pc: int) -> None:
    torn = next((each for each in told if not each.whole), None)
    if torn:
        raise Finding(
            Verdict.WRONG,
            f"a waker's function with its own data, {when}",
            str(torn),
            why="The wake came between the two words of the waker. It is a task that nobody has"
            " ever made: half of it is the old one, half the new.",
            hint="What keeps the wake away from the slot while it is written?",
            diagnosis="torn-waker",
            pc=pc,
        )


def _expect_short(waited: int | None, pc: int, level: str) -> None:
    if level == MAIN_LEVEL and waited is not None and waited > MASKED_AT_MOST + ROOM:
        raise Finding(
            Verdict.WRONG,
            f"interrupts masked for {MASKED_AT_MOST} instructions at most",
            f"a press had to wait for {waited}",
            why="While interrupts are masked everything waits, the most urgent as well.",
            hint="Which accesses does a wake make, too? Mask for those alone.",
            diagnosis="masked-too-long",
            pc=pc,
        )
