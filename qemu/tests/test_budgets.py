"""Verdicts are counted in instructions and events: the same on a slow host and on a fast one.

The heart of it is suspicion. When the core has run for PATIENCE_S without a sign, the run is done
again with an exact counter. So here patience is taken away, until nearly every resume of the core
is suspected and done again: not a byte of any trace may change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from firmwares import Bench, Build, qemus

from wakebench import core
from wakebench.board import Board, Ended, Ending, Limits, Points, Unmet
from wakebench.core import Budget, Core, _Go
from wakebench.errors import BenchError
from wakebench.machine import Machine, find_qemu
from wakebench.probe import Probe, Stop, Why
from wakebench.trace import Kind
from wakebench.when import When

TASK = Points({"poll": "task_poll", "register": "keep"})
SLOW = 1_500_000
"""Instructions in slow.c's loop."""

STEP = 80
"""The watchdog counts in steps of so many instructions: its clock after reset has 80 ns."""


class Suspicion:
    """How often the core was suspected."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._monkeypatch = monkeypatch
        convict = Core._convict

        def counted(of: Core) -> Stop:
            self.count += 1
            return convict(of)

        monkeypatch.setattr(Core, "_convict", counted)
        # The count of instructions would acquit most; here each is done again.
        monkeypatch.setattr(Core, "_is_acquitted", lambda of: False)
        monkeypatch.setattr(Core, "_interrupt_or_wait", lambda of: of._probe.interrupt())

    def patience(self, seconds: float) -> None:
        """Change the host's patience."""
        self._monkeypatch.setattr(core, "PATIENCE_S", seconds)

    def always(self) -> None:
        """Suspect every resume, also one that has ended."""
        self._monkeypatch.setattr(core, "FASTEST_HOST", 1e15)


@pytest.fixture
def suspicion(monkeypatch: pytest.MonkeyPatch) -> Suspicion:
    """Counts, and can be raised."""
    return Suspicion(monkeypatch)


def press(board: Board) -> None:
    board.wait_asleep()
    board.press("SELECT")
    board.wait_asleep()


def outcome(board: Board, run: Callable[[Board], None] = press) -> tuple[str, str, int, str]:
    """How a fresh run ends: ending, detail, place, and the digest of its trace."""
    board.reset()
    try:
        run(board)
    except Ended as ended:
        return ended.ending, ended.detail, ended.pc, board.trace.digest()
    return "", "", 0, board.trace.digest()


# -- verdicts ------------------------------------------------------------------------------------

SMALL = Limits(Budget(200_000), polls=2, storm=8, stops=15)
ENDINGS: list[tuple[str, dict[str, str | int], Points, Ending | None]] = [
    ("sleeper", {}, Points(), None),
    ("sleeper_unmasked", {}, Points(), None),
    ("led", {}, Points(), None),
    ("task", {}, TASK, None),
    ("psp", {}, Points(), None),
    ("spinner", {}, Points(), Ending.LOOP),
    ("slow", {}, Points(), Ending.LOOP),
    ("clock_writer", {}, Points(), Ending.LOOP),
    ("wfi_in_ram", {}, Points(), Ending.HIDDEN_SLEEP),
    ("storm", {}, Points(), Ending.STORM),
    ("masked", {}, Points(), Ending.MASKED),
    ("task", {"BUSY": 1}, TASK, Ending.POLLING),
    ("floods", {}, Points(), Ending.LOOP),
    ("exits", {}, Points(), Ending.EXIT),
    ("resets", {}, Points(), Ending.RESTART),
    ("asks", {"WAY": "RAM", "OPERATION": 1}, Points(), Ending.FORBIDDEN),
    ("faults", {"HOW": "NULL_JUMP"}, Points(), Ending.FAULT),
    ("faults", {"HOW": "OVERFLOW"}, Points(), Ending.FAULT),
    ("faults", {"HOW": "UNHANDLED"}, Points(), Ending.UNHANDLED),
]


@pytest.mark.parametrize(
    ("firmware", "defines", "points", "ending"),
    ENDINGS,
    ids=["-".join([name, *map(str, defines.values())]) for name, defines, _, _ in ENDINGS],
)
def test_one_verdict(
    build: Build,
    suspicion: Suspicion,
    firmware: str,
    defines: dict[str, str | int],
    points: Points,
    ending: Ending | None,
) -> None:
    """Ten runs: on every QEMU, patiently, without patience, and with every resume suspected."""
    image = build(firmware, **defines)
    outcomes = []
    for command in qemus():
        with Machine(image.path, find_qemu(command)) as machine:
            board = Board(machine, image, points, SMALL)
            for patience in (0.2, 0.001, 0.0001, 0.0001):
                suspicion.patience(patience)
                outcomes.append(outcome(board))
    with Machine(image.path, find_qemu(qemus()[-1])) as machine, pytest.MonkeyPatch.context() as m:
        board = Board(machine, image, points, SMALL)
        m.setattr(core, "FASTEST_HOST", 1e15)
        before = suspicion.count
        outcomes += [outcome(board), outcome(board)]
        assert suspicion.count > before
    assert {each[0] for each in outcomes} == {str(ending or "")}
    assert len(set(outcomes)) == 1


def test_a_watchpoint_is_hit_while_the_core_is_interrupted(
    build: Build, suspicion: Suspicion
) -> None:
    """Each stop of this program is at a watchpoint, and each may come with the bench's patience at
    its end: QEMU forgets the one half and notes the other (Probe.interrupt)."""
    image = build("clock_writer")
    for command in qemus():
        with Machine(image.path, find_qemu(command)) as machine:
            board = Board(machine, image, Points(), SMALL)
            outcomes = [outcome(board)]
            for patience in (0, 0.00003, 0.00006):
                suspicion.patience(patience)
                outcomes.append(outcome(board))
        assert outcomes[0][0] == Ending.LOOP
        assert len(set(outcomes)) == 1


@pytest.mark.parametrize("patience", [0.001, 0.0001])
def test_lockup(bench: Bench, suspicion: Suspicion, patience: float) -> None:
    """A machine dies of it, so each run needs a new one."""
    suspicion.patience(patience)
    for _ in range(3):
        assert outcome(bench("faults", HOW="LOCKUP"))[0] == Ending.DIED


# -- the machine's own count acquits ---------------------------------------------------------------


@pytest.fixture
def convictions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One for each run that is done again, with the count at work."""
    found: list[str] = []
    convict = Core._convict

    def noted(of: Core) -> Stop:
        found.append("again")
        return convict(of)

    monkeypatch.setattr(Core, "_convict", noted)
    return found


def test_the_count_acquits_what_took_long(
    bench: Bench, convictions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "PATIENCE_S", 20.0)
    monkeypatch.setattr(core, "FASTEST_HOST", 1e15)
    board = in_loop(bench, 2_000_000)
    for _ in range(3):
        board.reset()
        board.wait_line("end")
    assert not convictions
    assert board._core._machine.counts


@pytest.mark.parametrize(
    ("counts", "last"),
    [
        ([10, 20, 30], Why.BREAK),  # slow, and then it stops by itself
        ([10, 10], Why.INTERRUPTED),  # nothing is executed: it may sleep
        ([10, 20, 1_000_001], Why.INTERRUPTED),  # more than the budget
    ],
)
def test_what_has_not_stopped_yet_may_go_on_while_it_executes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, counts: list[int], last: Why
) -> None:
    board = in_loop(bench, 1_000_000)
    board.reset()
    told = iter(counts)
    resumed: list[str] = []

    def run(of: Probe, patience_s: float) -> Stop | None:
        resumed.append("on")
        return Stop(Why.BREAK, "") if len(resumed) == 3 else None

    monkeypatch.setattr(Core, "_executed", lambda of: next(told))
    monkeypatch.setattr(Probe, "interrupt", lambda of: Stop(Why.INTERRUPTED, ""))
    monkeypatch.setattr(Probe, "run", run)
    assert board._core._interrupt_or_wait().why is last
    assert next(told, None) is None, "it was asked each time"


@pytest.mark.parametrize("patience", [0.2, 0.001])
def test_the_count_acquits_nobody_who_is_guilty(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    monkeypatch.setattr(core, "PATIENCE_S", patience)
    monkeypatch.setattr(core, "FASTEST_HOST", 1e15)
    board = in_loop(bench, 1_000_000)
    for _ in range(3):
        ending, detail, _, _ = outcome(board)
        assert (ending, detail) == ("loop", "1000000 instructions in main")


def test_the_count_is_of_instructions(bench: Bench) -> None:
    board = bench("slow")
    machine = board._core._machine
    before = machine.executed()
    for _ in range(50):
        board.step_instruction()
    assert machine.executed() == before + 50
    board.reset()
    assert machine.executed() == before + 50, "a reset does not turn it back"


# -- the budget is exact, in both directions -----------------------------------------------------


def in_loop(bench: Bench, budget: int) -> Board:
    return bench("slow", limits=Limits(Budget(budget)))


@pytest.mark.parametrize("patience", [0.2, 0.001, 0.0001])
def test_slow_is_no_loop(bench: Bench, suspicion: Suspicion, patience: float) -> None:
    suspicion.patience(patience)
    board = in_loop(bench, 2_000_000)
    for _ in range(3):
        board.reset()
        board.wait_line("end")


@pytest.mark.parametrize("patience", [20, 0.2, 0.001, 0.0001])
def test_slow_is_too_slow(bench: Bench, suspicion: Suspicion, patience: float) -> None:
    """Also where the host is patient, and so fast that the loop is over at once."""
    suspicion.patience(patience)
    board = in_loop(bench, 1_000_000)
    for _ in range(3):
        ending, detail, _, _ = outcome(board)
        assert (ending, detail) == ("loop", "1000000 instructions in main")


def test_budget_to_the_instruction(bench: Bench) -> None:
    """The instructions are counted by single steps, the long loop shortened. What they are is
    acquitted by the next budget that the watchdog can count, and convicted by the one below."""
    board = in_loop(bench, 2_000_000)
    board.wait_line("begin")
    loop = _loop(board)
    steps, pc = 0, 0
    while pc not in board.image.sites:
        board._core.step()
        steps += 1
        pc = board._core.registers().pc
        if pc == loop:
            board._core.set_register(4, 1)
    assert 10 < steps < 5000
    needed = steps + SLOW - 2
    enough = -(-needed // STEP) * STEP
    for budget, ending in ((enough, ""), (enough - STEP, "loop")):
        board = in_loop(bench, budget)
        assert {outcome(board)[0] for _ in range(3)} == {ending}, (budget, needed)


def _loop(board: Board) -> int:
    """Address of the `subs` in slow.c's loop."""
    main = board.image.symbol("main")
    assert main is not None
    code = board.image.flash(main.address, main.size) or b""
    return main.address + code.index(b"\x01\x3c")


@pytest.mark.parametrize("how", ["PRIMASK_SET", "FAULTMASK_SET", "IN_HANDLER", "NO_STACK"])
def test_nothing_hides_a_loop(bench: Bench, how: str) -> None:
    """Not a mask, not a handler, not even a stack that cannot be used."""
    board = bench("spinner", limits=Limits(Budget(200_000)), HOW=how)
    outcomes = {outcome(board) for _ in range(3)}
    assert len(outcomes) == 1
    [(ending, detail, pc, _)] = outcomes
    assert ending == Ending.LOOP
    if how == "IN_HANDLER":
        assert detail == "SVC_Handler begins with a loop without an end"
        assert board.image.name_at(pc) == "SVC_Handler"
    elif how != "NO_STACK":
        assert detail == "200000 instructions in main"
        assert board.image.name_at(pc) == "main"


def test_a_spinner_spins_exactly_so_often(build: Build, suspicion: Suspicion) -> None:
    """Where the watchdog stopped it, to the instruction, whatever the host and the QEMU."""
    image = build("spinner")
    seen = []
    for command in qemus():
        with Machine(image.path, find_qemu(command)) as machine:
            board = Board(machine, image, Points(), Limits(Budget(160_000)))
            for patience in (0.05, 0.01, 0.001, 0.001, 0.0001):
                suspicion.patience(patience)
                board.reset()
                with pytest.raises(Ended):
                    board.wait_asleep()
                seen.append((board._here.pc, board._here[4]))
    assert len(set(seen)) == 1
    assert abs(seen[0][1] - 160_000 // 4) < 10, "four instructions a turn"


@pytest.mark.load
@pytest.mark.usefixtures("load")
def test_under_load(build: Build, suspicion: Suspicion) -> None:
    """All cores busy, no patience, a budget that is nearly spent: acquitted and convicted right."""
    image = build("slow")
    for command in qemus():
        for budget, ending in ((1_520_000, ""), (1_490_000, "loop")):
            with Machine(image.path, find_qemu(command)) as machine:
                board = Board(machine, image, Points(), Limits(Budget(budget)))
                for patience in (0.2, 0.001, 0.0001):
                    suspicion.patience(patience)
                    outcomes = {outcome(board)[0] for _ in range(3)}
                    assert outcomes == {ending}


def test_a_conviction_just_before_a_sleep(bench: Bench, suspicion: Suspicion) -> None:
    """Looking where it goes round, the bench does not step into a WFI, which would not return."""
    suspicion.always()
    board = bench("sleeper")
    endings = []
    for budget in range(STEP, 400 * STEP, STEP):
        board._core._budget = Budget(budget)
        endings.append(outcome(board, Board.wait_asleep)[0])
        if not endings[-1]:
            break
    assert endings == ["loop"] * (len(endings) - 1) + [""]
    assert len(endings) > 1


# -- patience changes no trace -------------------------------------------------------------------


def ticks(board: Board) -> None:
    """Ticks, presses in between, at every moment."""
    board.wait_ms(2)
    board.press("SELECT")
    board.wait_ms(1)
    board.release("SELECT")
    board.leave_sleep()
    board.press("SELECT", When.BEFORE_SLEEP)
    board.wait_ms(1)


def spurious(board: Board) -> None:
    """Wakes and calls for no reason."""
    press(board)
    board.spurious_wake()
    board.release("SELECT", When.BEFORE_SLEEP)
    board.call("add", 1, 2)
    board.press("SELECT", When.ASLEEP)
    board.wait_symbol("keep")
    board.wait_asleep()


def nested(board: Board) -> None:
    """A handler within a handler."""
    board.press("SELECT", When.ASLEEP)
    board.wait_handler(46)
    board.press("UP")
    board.wait_asleep()


SCENARIOS = {
    "ticks": ("ticker", {}, Points(), ticks),
    "spurious": ("task", {}, TASK, spurious),
    "nested": ("two_ports", {"E_PRIORITY": 1, "F_PRIORITY": 2, "CHAIN": 1}, Points(), nested),
    "process stack": ("psp", {"FAULTS": 1}, Points(), press),
}


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("command", qemus(), ids=("qemu", "qemu-10")[: len(qemus())])
def test_suspicion_leaves_no_trace(
    build: Build, suspicion: Suspicion, command: str, name: str
) -> None:
    """Every single resume done again, up to hundreds of times: the same trace, to the byte."""
    firmware, defines, points, run = SCENARIOS[name]
    image = build(firmware, **defines)
    limits = Limits(Budget(2_000_000))
    with Machine(image.path, find_qemu(command)) as machine:
        board = Board(machine, image, points, limits)
        expected = outcome(board, run)
        for patience in (0.001, 0.0001, 0.00005):
            suspicion.patience(patience)
            assert outcome(board, run) == expected
        suspicion.patience(0.2)
        suspicion.always()
        suspicion.count = 0
        assert outcome(board, run) == expected
        resumes = sum(isinstance(entry, core._Go) for entry in board._core._journal)
        assert suspicion.count == resumes > 3


# -- after a conviction --------------------------------------------------------------------------


@pytest.fixture
def spinning(bench: Bench) -> Iterator[Board]:
    """A spinner that has been convicted."""
    board = bench("spinner", limits=Limits(Budget(200_000)))
    with pytest.raises(Ended, match="200000 instructions in main"):
        board.wait_asleep()
    yield board


def test_revive_after_a_loop(spinning: Board) -> None:
    """Back at the last thing that it did; a press then frees it, and the END is taken back."""
    spinning.revive()
    assert [e.kind for e in spinning.trace] == [Kind.RESET, Kind.LINE]
    spinning.press("SELECT")
    spinning.wait_asleep()
    assert spinning.trace.lines() == ["spinning", "freed"]
    assert spinning.presses() == 1


def test_revive_without_a_change(spinning: Board) -> None:
    """It goes round again, and is convicted again, in the same way."""
    first = spinning.trace.digest()
    for _ in range(3):
        spinning.revive()
        with pytest.raises(Ended, match="200000 instructions in main"):
            spinning.wait_asleep()
        assert spinning.trace.digest() == first


def test_revive_under_suspicion(spinning: Board, suspicion: Suspicion) -> None:
    suspicion.always()
    spinning.revive()
    spinning.press("SELECT")
    spinning.wait_asleep()
    assert spinning.trace.lines() == ["spinning", "freed"]


def test_revive_after_polling(bench: Bench) -> None:
    board = bench("task", TASK, BUSY=1)
    with pytest.raises(Ended, match="65 polls without a sleep"):
        board.wait_asleep()
    polls = len(board.trace.of(Kind.CALL))
    board.revive()
    assert board.trace.of(Kind.END) == []
    assert len(board.trace.of(Kind.CALL)) == polls
    board.press("SELECT")
    with pytest.raises(Ended, match="65 polls without a sleep"):
        board.wait_asleep()
    assert board.trace.lines() == ["press 1"]


def test_revive_of_a_run_that_goes_on(bench: Bench) -> None:
    board = bench("sleeper")
    with pytest.raises(Unmet, match="a run that ended in a loop; seen: it goes on"):
        board.revive()
    board = bench("exits")
    with pytest.raises(Ended):
        board.wait_asleep()
    with pytest.raises(Unmet, match="a run that ended in a loop; seen: exit"):
        board.revive()


def test_reset_after_a_conviction(spinning: Board) -> None:
    """The watchdog is off again, and connected to its own interrupt."""
    first = spinning.trace.digest()
    spinning.reset()
    line = spinning._core._line
    assert line is not None
    assert line._connected() == line.usual != line.nmi
    assert spinning.read_word(core.WDT_CTL) == 0
    with pytest.raises(Ended):
        spinning.wait_asleep()
    assert spinning.trace.digest() == first


# -- the other limits ----------------------------------------------------------------------------


def test_polls(bench: Bench) -> None:
    board = bench("task", TASK, Limits(polls=10), BUSY=1)
    with pytest.raises(Ended) as ended:
        board.wait_asleep()
    assert ended.value.detail == "11 polls without a sleep"


def test_storm(bench: Bench) -> None:
    board = bench("storm", limits=Limits(storm=5))
    ending, detail, _, _ = outcome(board)
    assert (ending, detail) == ("storm", "GPIOF_IRQHandler entered 6 times in a row")
    assert len(board.trace.of(Kind.ENTER)) == 6


def test_presses_are_no_storm(bench: Bench) -> None:
    """Many presses at one and the same place of the program, each of them taken."""
    board = bench("sleeper_unmasked", limits=Limits(storm=5))
    board.wait_asleep()
    for _ in range(20):
        board.press("SELECT")
        board.wait_asleep()
        board.release("SELECT")
    assert board.count_lines("press") == 20


def test_ticks_are_no_storm(bench: Bench) -> None:
    board = bench("ticker", limits=Limits(storm=5))
    board.wait_ms(50)


def test_masked(bench: Bench) -> None:
    board = bench("masked", limits=Limits(storm=5))
    assert outcome(board)[:2] == ("masked", "WFI returned at once 6 times")


def test_lines(bench: Bench) -> None:
    board = bench("floods", limits=Limits(lines=20))
    assert outcome(board)[:2] == ("flood", "more than 20 lines without a sleep")
    board = bench("floods", limits=Limits(stops=20))
    assert outcome(board)[:2] == ("loop", "21 events without a sleep")


def test_a_machine_that_is_not_exact(bench: Bench, suspicion: Suspicion) -> None:
    """If a run ever went another way the second time, that would be said, not judged."""
    board = bench("sleeper")
    board.wait_asleep()
    journal = board._core._journal
    first_run = next(at for at, entry in enumerate(journal) if isinstance(entry, _Go))
    journal.insert(first_run, lambda: board._core._probe.set_register(15, 0x100))
    suspicion.always()
    board.press("SELECT")
    with pytest.raises(BenchError, match="the same run went another way"):
        board.wait_asleep()
