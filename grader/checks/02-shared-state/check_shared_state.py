"""Lab 02: what an interrupt and a task share, with the interrupt before every instruction."""

from __future__ import annotations

from wakebench.board import Board
from wakelab import build_checks, press_checks
from wakelab.build import MAIN_LEVEL
from wakelab.checking import Finding, check, counted, shared_check
from wakelab.report import Verdict
from wakelab.strikes import Spot, Tally, address, call_struck, spots, sweep_call, word
from wakelab.subject import Subject

CALM = "wait_for_more"
"""Where the program is when all is done and interrupts are enabled: the checks call from there."""

MASKED_AT_MOST = 30
ROOM = 6
"""Instructions of the calls of interrupts_mask() and interrupts_restore() themselves, at -O0."""

check_builds = shared_check(build_checks.expect_builds, "It compiles and links", 0)
check_written = shared_check(
    press_checks.expect_written, "Every step is written", 0, needs=["builds"]
)
check_host = shared_check(
    press_checks.expect_host, "It asks nothing of the host", 5, needs=["written"]
)


class Presses:
    """Adds presses by the interrupt, takes them by the student's function, and keeps count."""

    def __init__(self, subject: Subject, level: str = MAIN_LEVEL) -> None:
        self.subject = subject
        self.board: Board = subject.board(level)
        self.board.wait_symbol(CALM)
        self.room = address(self.board, "presses_taken")
        self.pressed = 0
        self.taken = 0

    def press(self) -> None:
        """A press; its handler runs as soon as it may."""
        self.board.press("SELECT")
        self.board.release("SELECT")
        self.pressed += 1

    def take(self) -> tuple[int, int]:
        """One take: the two numbers."""
        self.board.call("presses_take", self.room)
        return self.count()

    def count(self) -> tuple[int, int]:
        """What the last take has said; it counts from now on."""
        count, last = word(self.board, "presses_taken"), word(self.board, "presses_taken", 1)
        self.taken += count
        return count, last

    @property
    def made(self) -> int:
        """Presses that the handler has added."""
        return word(self.board, "presses_made")

    def expect_all(self, when: str, pc: int | None = None) -> None:
        """Everything that was added has been taken, once."""
        if self.taken == self.made:
            return
        lost = self.made - self.taken
        if lost > 0:
            raise Finding(
                Verdict.LOST_WAKE,
                f"{counted(self.made, 'press')} taken, {when}",
                f"{self.taken}: {counted(lost, 'press')} lost",
                why="The handler came between an instruction that reads the count and one that"
                " writes it, and what it had added was overwritten. `count = 0` and `count -= n`"
                " are not one step, volatile or not: volatile forces the load and the store, it"
                " does not glue them together.",
                hint="What can keep the handler away from here, for as long as the count is taken"
                " and cleared?",
                diagnosis="lost-count",
                pc=pc,
            )
        raise Finding(
            Verdict.DOUBLE,
            f"{counted(self.made, 'press')} taken, {when}",
            f"{self.taken}",
            why="Presses were taken that had been taken before: the count was handed out, and not"
            " cleared by as much.",
            hint="What has to happen to the count when it has been handed out?",
            diagnosis="taken-twice",
            pc=pc,
        )


@check("What was added is taken, once", points=20, needs=["host"])
def check_alone(subject: Subject) -> None:
    """Takes with 0, 1 and 3 presses before, nobody interrupts."""
    test = Presses(subject)
    for presses in (0, 1, 3, 0):
        for _ in range(presses):
            test.press()
            test.board.call("count_in_thread")  # gives the handler the time to run
        before = test.made
        count, last = test.take()
        if test.made < test.pressed:
            raise _left_masked("after a take")
        if last != before and count == presses:
            raise Finding(
                Verdict.WRONG,
                f"the time of the last press, {before}",
                f"{last}",
                why="`last` is what presses_add was given last, also when this take brings none.",
                hint="Who writes the time, and is it cleared by anybody?",
                diagnosis="wrong-time",
            )
        test.expect_all(f"after {counted(test.pressed, 'press')}")


@check("Interrupts are left as they were found", points=15, needs=["alone"])
def check_primask(subject: Subject) -> None:
    """A take by a caller that has masked, and one by a caller that has not."""
    test = Presses(subject)
    if not test.board.call("take_while_masked", test.room):
        raise Finding(
            Verdict.WRONG,
            "PRIMASK to be 1 after a take by a caller that has masked",
            "0: interrupts are enabled",
            why="The caller had masked interrupts and relies on it; after the take they were on."
            " Whoever enables, rather than restores, ends somebody else's critical section.",
            hint="What does interrupts_mask() return, and what is it for?",
            diagnosis="enables-for-all",
        )
    test.press()
    test.take()
    test.board.call("count_in_thread")
    if test.made < test.pressed:
        raise _left_masked("after a take")


def _left_masked(when: str) -> Finding:
    return Finding(
        Verdict.ASLEEP,
        f"the handler to run at a press {when}",
        "it does not: interrupts are masked",
        why="Somebody has masked interrupts and not restored them; the press stays pending for"
        " ever.",
        hint="Does every way out of the function restore what interrupts_mask() has returned?",
        diagnosis="left-masked",
    )


@check("A press before every instruction of the take", points=35, needs=["primask"])
def check_singles(subject: Subject) -> None:
    """No press is lost, none is taken twice, and the two numbers belong together."""
    tally = _sweep(subject, MAIN_LEVEL)
    subject.remark(str(tally))


def _sweep(subject: Subject, level: str) -> Tally:
    test = Presses(subject, level)
    tally = Tally()
    for struck in sweep_call(test.board, test.press, "presses_take", test.room):
        pc = struck.spot.pc
        where = "with a press before the marked instruction"
        _, last = test.count()
        taken = test.taken
        test.take()
        test.expect_all(where, pc)
        if last != taken:
            raise _torn(last, taken, where, pc)
        _expect_short(struck.waited, pc)
    return tally


def _torn(last: int, taken: int, where: str, pc: int) -> Finding:
    ahead = last > taken
    first, second = ("count", "time") if ahead else ("time", "count")
    whose = "which the next take will bring" if ahead else "an earlier one"
    return Finding(
        Verdict.WRONG,
        f"the time of the last press that was taken, number {taken}, {where}",
        f"that of number {last}, {whose}",
        why=f"The handler came between the two numbers: the {first} is from before it, the {second}"
        " from after. Each of them may be right; together they describe nothing that ever was.",
        hint="How do two words become one step for the handler?",
        diagnosis="torn-pair",
        pc=pc,
    )


def _expect_short(waited: int | None, pc: int) -> None:
    if waited is not None and waited > MASKED_AT_MOST + ROOM:
        raise Finding(
            Verdict.WRONG,
            f"interrupts masked for {MASKED_AT_MOST} instructions at most",
            f"a press had to wait for {waited}",
            why="While interrupts are masked everything waits, the most urgent as well. What need"
            " not be protected has no business between mask and restore.",
            hint="Which accesses does the handler make, too? Mask for those alone.",
            diagnosis="masked-too-long",
            pc=pc,
        )


@check("At -O0, -O2 and -Os as well", points=20, needs=["singles"], levels=True)
def check_levels(subject: Subject, level: str) -> None:
    """The same at another level. The limit of masked instructions is for -Og."""
    test = Presses(subject, level)
    for struck in sweep_call(test.board, test.press, "presses_take", test.room, timed=False):
        _, last = test.count()
        torn = last != test.taken
        test.take()
        if torn or test.taken != test.made:
            raise Finding(
                Verdict.WRONG,
                f"every press taken once, with its time, at -{level}",
                f"{test.taken} of {test.made} taken" if not torn else f"{last}, torn",
                why=f"The same was right at -{MAIN_LEVEL}: what the program does depends on how"
                " it is optimised. The compiler may keep what it has read, and move what it"
                " writes, unless it is told that somebody else looks.",
                hint="Which of your variables does the handler see? What tells the compiler?",
                diagnosis="one-level",
                pc=struck.spot.pc,
            )


check_warnings = shared_check(
    build_checks.expect_warnings, "The compiler has no warning", 5, needs=["written"]
)


@check("And count++, with no protection?", points=0, needs=["singles"])
def check_shown(subject: Subject) -> None:
    """Shows what happens to the lab's own `shared_count++` when the handler has one, too."""
    test = Presses(subject)
    for spot in spots(test.board, "count_in_thread"):
        before = word(test.board, "shared_count")
        call_struck(test.board, spot, test.press, "count_in_thread")
        if word(test.board, "shared_count") == before + 1:
            subject.remark(
                f"main.c has shared_count++ in a handler and in a task. With a press before the"
                f" instruction below it went from {before} to {before + 1}: two added, one lost."
                " One line of C is three instructions: load, add, store.",
                subject.given_place(spot.pc),
                _both(test.board, spot),
            )
            return
    raise Finding(
        Verdict.WRONG, "a count that gets lost", "none", hint="main.c is given: restore it."
    )


def _both(board: Board, spot: Spot) -> tuple[str, ...]:
    way = spots(board, "count_in_thread")
    listing = []
    for each in way:
        code = board.decoder.at(each.pc).text
        mark = " <- the press comes here" if each.pc == spot.pc else ""
        listing.append(f"{each.pc:#8x}  {code}{mark}")
    return tuple(listing)
