"""Lab 06: a wait queue, in thread context; and what becomes of it when an interrupt has it, too."""

from __future__ import annotations

from collections.abc import Callable

from wakelab import build_checks, press_checks, queue_checks
from wakelab.build import MAIN_LEVEL
from wakelab.checking import Finding, check, shared_check
from wakelab.queue_checks import Queue, Told
from wakelab.report import Verdict
from wakelab.strikes import Spot, address, call_struck, spots
from wakelab.subject import Subject

PREFIX = "waker_registration"
GIVEN, BROKEN = "plain_queue.c", "plain_queue_register"
SCHEDULE = "schedule.txt"

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
    _of_queue(queue_checks.expect_wakes), "Who has registered is woken", 15, needs=["host"]
)
check_forgets = shared_check(
    _of_queue(queue_checks.expect_forgets), "A wake uses the registration up", 10, needs=["wakes"]
)
check_copy = shared_check(
    _of_queue(queue_checks.expect_copy), "It keeps a copy of the waker", 10, needs=["wakes"]
)
check_same = shared_check(
    _of_queue(queue_checks.expect_same), "Registering again wakes nobody", 10, needs=["wakes"]
)
check_evicts = shared_check(
    _of_queue(queue_checks.expect_evicts), "Who loses its place is woken", 10, needs=["forgets"]
)
check_rejoin = shared_check(
    _of_queue(queue_checks.expect_rejoin), "Who is woken may register", 10, needs=["evicts"]
)


@check("At -O0, -O2 and -Os as well", points=5, needs=["rejoin"], levels=True)
def check_levels(subject: Subject, level: str) -> None:
    """Register, evict, wake."""
    queue = Queue(subject, PREFIX, level)
    queue.register_from_stack(1)
    queue.register_from_stack(2)
    queue.wake()
    if queue.told() != [Told(1, 1), Told(2, 2)]:
        raise Finding(
            Verdict.WRONG,
            f"one and two to be woken at -{level}, as at -{MAIN_LEVEL}",
            ", ".join(map(str, queue.told())) or "nobody",
            why="What the queue does depends on how it is optimised.",
            hint="Is something read before it was written?",
            diagnosis="one-level",
        )


check_warnings = shared_check(
    build_checks.expect_warnings, "The compiler has no warning", 5, needs=["written"]
)


@check("And if an interrupt wakes?", points=0, needs=["evicts"])
def check_shown(subject: Subject) -> None:
    """Shares the student's own queue with an interrupt, which its header forbids."""
    queue = Queue(subject, PREFIX)
    register = f"{PREFIX}_register"
    queue.register(1)
    way = spots(queue.board, register, queue.queue, queue.waker(2))
    for spot in way:
        if subject.place(spot.pc) is None:
            continue  # in what it calls
        queue.begin()
        queue.register(1)
        call_struck(queue.board, spot, queue.strike, register, queue.queue, queue.waker(2))
        torn = next((each for each in queue.told() if not each.whole), None)
        if torn:
            subject.remark(
                f"Your queue is right, and shared with an interrupt it tears: with a wake before"
                f" the marked instruction the interrupt called {torn}. One waker is two words, and"
                " the interrupt came between them. Lab 07 is about that.",
                subject.given_place(spot.pc),
                _listing(queue, way, spot, str(torn)),
            )
            return
    subject.remark(
        f"Shared with an interrupt your queue was not torn at any of {len(way)} places. Whoever"
        " relies on that reads its header: it promises nothing of the kind."
    )


def _listing(queue: Queue, way: list[Spot], here: Spot, came: str) -> tuple[str, ...]:
    """The decisions: before each instruction, does the thread go on, or does the interrupt come?"""
    whole = [each for each in way if not each.half]
    at = next(n for n, each in enumerate(whole) if (each.pc, each.visit) == (here.pc, here.visit))
    found = []
    for number, each in enumerate(whole, 1):
        if abs(number - 1 - at) > 9:
            continue
        line = queue.board.image.line(each.pc)
        where = f"{line.file.rpartition('/')[2]}:{line.line}" if line else ""
        code = f"{number:>4}  {queue.board.decoder.at(each.pc).text:<28} {where}"
        came_here = number - 1 == at
        if came_here and here.half:
            found.append(f"{code}  has stored the first word,")
        if came_here:
            found.append(f"      interrupt: it wakes {came}")
        if came_here and here.half:
            found.append("      and begins this instruction again")
        else:
            found.append(code)
    return tuple(found)


@check("Your schedule breaks plain_queue.c", points=20, needs=["builds"])
def check_schedule(subject: Subject) -> None:
    """Plays the student's schedule.txt on the given queue."""
    kind, number = _schedule(subject)
    queue = Queue(subject, PREFIX)
    plain = address(queue.board, "plain")
    queue.board.call(BROKEN, plain, queue.waker(1))
    way = [each for each in spots(queue.board, BROKEN, plain, queue.waker(2)) if not each.half]
    spot = _spot(queue, way, kind, number)
    queue.begin()
    queue.board.call("plain_queue_wake", plain)
    queue.board.call(BROKEN, plain, queue.waker(1))
    queue.begin()
    call_struck(queue.board, spot, queue.strike, BROKEN, plain, queue.waker(2))
    told = queue.told()
    came = ", ".join(map(str, told)) or "nobody"
    listing = _listing(queue, way, spot, came)
    if any(not each.whole for each in told):
        subject.remark(f"The interrupt called {came}.", subject.given_place(spot.pc), listing)
        return
    early = told == [Told(1, 1)]
    raise Finding(
        Verdict.WRONG,
        "the interrupt to call one's function with two's data, or the other way round",
        f"it wakes {came}, function and data",
        why="At that moment the queue holds a whole waker: "
        + ("the old one, of which nothing has been overwritten." if early else "the new one."),
        hint="Which two stores make a waker, and what is true between them?",
        diagnosis="harmless-place",
        place=subject.given_place(spot.pc),
        story=listing,
    )


def _schedule(subject: Subject) -> tuple[str, int]:
    """What schedule.txt says. Raises a Finding."""
    data = next(each.data for each in subject.submission.files if each.name == SCHEDULE)
    lines = data.decode("utf-8", "replace").lstrip("\ufeff").splitlines()
    said = [line.split("#")[0].split() for line in lines]
    steps = [words for words in said if words]
    how = "write: line N, or: instruction N, and nothing else"
    if not steps:
        raise Finding(
            Verdict.TODO,
            f"a place in {SCHEDULE}",
            "none yet",
            hint=f"Read {GIVEN}, choose a place, and {how}.",
            story=(),
        )
    kind, *number = steps[0]
    fits = kind in ("line", "instruction") and len(number) == 1 and number[0].isdecimal()
    if len(steps) > 1 or not fits or len(number[0]) > 6:
        raise Finding(
            Verdict.WRONG,
            f"one place in {SCHEDULE}",
            f"{' / '.join(' '.join(words) for words in steps)[:80]!r}",
            why="A schedule says where the one interrupt comes.",
            hint=how[0].upper() + how[1:] + ".",
            diagnosis="no-schedule",
            story=(),
        )
    return kind, int(number[0])


def _spot(queue: Queue, way: list[Spot], kind: str, number: int) -> Spot:
    """Where that is. Raises a Finding."""
    if kind == "instruction":
        if 1 <= number <= len(way):
            return way[number - 1]
        there = f"{BROKEN} has instructions 1 to {len(way)}"
    else:
        lines = {spot: queue.board.image.line(spot.pc) for spot in way}
        for spot, line in lines.items():
            if line and line.file.endswith(GIVEN) and line.line == number:
                return spot
        numbers = sorted({line.line for line in lines.values() if line})
        there = f"{BROKEN} has code on lines {', '.join(map(str, numbers))}"
    raise Finding(
        Verdict.WRONG,
        f"a place that {BROKEN} comes to",
        f"{kind} {number}: it does not come there",
        why=f"{there}.",
        hint="Count again; the first instruction and the lines are those of the file as given.",
        diagnosis="no-such-place",
        story=(),
    )
