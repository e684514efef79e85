"""The board's words: what is written down, in which order, and how a run ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from firmwares import Bench, Build

from wakebench.board import Board, Ended, Ending, Points, Unmet
from wakebench.core import SRAM_PAINT, Core
from wakebench.errors import BenchError
from wakebench.machine import Machine, Qemu
from wakebench.pins import Edge
from wakebench.probe import Probe
from wakebench.trace import Kind
from wakebench.when import When

ISB = bytes.fromhex("bff36f8f")
TASK = Points({"poll": "task_poll", "register": "keep"})


def press(board: Board) -> None:
    """Press SELECT during the sleep, and let the program settle."""
    board.wait_asleep()
    board.press("SELECT")
    board.wait_asleep()


def told(board: Board, start: int = 0) -> list[str]:
    """The trace in short: kind, name or text, value where it means something."""
    lines = []
    for e in board.trace.since(start):
        name = f" {e.name}" if e.name else ""
        lines.append(f"{e.kind}{name}")
    return lines


def ends(board: Board, run: Callable[[Board], None] = press) -> Ended:
    """How a run ends."""
    with pytest.raises(Ended) as ended:
        run(board)
    assert board.trace[-1].kind is Kind.END
    assert board.trace[-1].name == ended.value.ending
    return ended.value


# -- one machine, several programs ---------------------------------------------------------------


def test_another_program_on_the_same_machine(build: Build, qemu: Qemu) -> None:
    """It does what it does on a machine of its own; longer or shorter, and whatever became of the
    one before."""

    def run(board: Board) -> str:
        board.reset()
        try:
            press(board)
        except Ended as ended:
            return f"{ended} {board.trace.digest()}"
        return board.trace.digest()

    images = [build(name) for name in ("sleeper", "line", "spinner", "ticker")]
    alone = []
    for image in images:
        with Machine(image.path, qemu) as machine:
            alone.append(run(Board(machine, image, TASK)))
    order = [0, 1, 2, 0, 3, 2, 1]
    with Machine(images[0].path, qemu) as machine:
        board = Board(machine, images[0], TASK)
        found = [run(board)]
        for which in order[1:]:
            board = board.reprogrammed(images[which])
            found.append(run(board))
    assert found == [alone[which] for which in order]
    assert len(set(found)) == len(images)


def test_a_flash_that_does_not_take_the_program(
    build: Build, qemu: Qemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Machine(build("led").path, qemu) as machine:
        board = Board(machine, build("led"), TASK)
        monkeypatch.setattr(Probe, "patch", lambda *_: None)
        with pytest.raises(BenchError, match="flash does not hold"):
            board.reprogrammed(build("sleeper"))


# -- one press, in full --------------------------------------------------------------------------


def test_one_press(bench: Bench) -> None:
    """Every event, with everything that it says."""
    board = bench("sleeper")
    press(board)

    def place(name: str) -> int:
        symbol = board.image.symbol(name)
        assert symbol is not None
        return symbol.address

    wfi = next(at for at in board.image.sites if board.image.name_at(at) == "main")
    call = next(at for at in board.image.sites if board.image.name_at(at) == "semihosting_call")
    events = list(board.trace)
    assert [(e.kind, e.name, e.value, e.note, e.exception) for e in events] == [
        (Kind.RESET, "", 0, "", 0),
        (Kind.SLEEP, "", 0, "", 0),
        (Kind.EDGE, "SELECT", 0, Edge.LATCHED, 0),
        (Kind.WAKE_UP, "", 0, "", 0),
        (Kind.ENTER, "GPIOF_IRQHandler", 46, "", 46),
        (Kind.EXIT, "GPIOF_IRQHandler", 46, "", 0),
        (Kind.LINE, "press 1", 0, "", 0),
        (Kind.SLEEP, "", 0, "", 0),
    ]
    assert {e.ms for e in events} == {0}
    at = [e.pc for e in events]
    assert at[0] == place("Reset_Handler")
    assert [at[n] for n in (1, 2, 3, 7)] == [wfi] * 4
    assert board.image.name_at(at[4]) == "main", "what the handler interrupted"
    assert board.image.flash(at[4], 4) == ISB, "right where interrupts are enabled again"
    assert [at[n] for n in (5, 6)] == [call] * 2, "the first place seen outside of the handler"


def test_a_second_run_is_like_the_first(bench: Bench) -> None:
    board = bench("sleeper")
    press(board)
    first = board.trace.digest()
    for _ in range(3):
        board.reset()
        assert len(board.trace) == 1
        press(board)
        assert board.trace.digest() == first


# -- just before the sleep, and during it --------------------------------------------------------


@pytest.mark.parametrize("when", When)
def test_masked_sleep_loses_no_press(bench: Bench, when: When) -> None:
    board = bench("sleeper")
    board.wait_before_sleep()
    for count in range(1, 4):
        assert board.press("SELECT", when) is Edge.LATCHED
        board.wait_line(f"press {count}")
        board.release("SELECT")
    board.wait_asleep()
    assert board.count_lines("press") == 3


def test_unmasked_sleep_loses_the_press_before_it(bench: Bench) -> None:
    """The handler runs, and then the WFI sleeps on its work."""
    board = bench("sleeper_unmasked")
    board.press("SELECT", When.BEFORE_SLEEP)
    board.wait_asleep()
    assert board.presses() == 1
    board.forbid_line("press")
    with pytest.raises(Unmet, match="a line with 'press 1'.*nothing will wake it"):
        board.wait_line("press 1")
    assert told(board) == [
        *("reset", "edge SELECT", "enter GPIOF_IRQHandler", "exit GPIOF_IRQHandler", "sleep")
    ]
    board.release("SELECT")
    board.press("SELECT", When.ASLEEP)
    board.wait_asleep()
    assert board.trace.lines() == ["press 1", "press 2"]


def test_unmasked_sleep_wakes_at_the_press_during_it(bench: Bench) -> None:
    board = bench("sleeper_unmasked")
    board.press("SELECT", When.ASLEEP)
    board.wait_asleep()
    assert board.trace.lines() == ["press 1"]


def test_the_two_moments_differ_in_the_trace(bench: Bench) -> None:
    """In the masked sleeper, too: a press before the sleep makes the WFI return at once."""
    board = bench("sleeper")
    board.press("SELECT", When.BEFORE_SLEEP)
    board.wait_asleep()
    before = told(board)
    board.reset()
    board.press("SELECT", When.ASLEEP)
    board.wait_asleep()
    assert before == [
        *("reset", "edge SELECT", "enter GPIOF_IRQHandler", "exit GPIOF_IRQHandler"),
        *("line press 1", "sleep"),
    ]
    assert told(board) == ["reset", "sleep", "edge SELECT", "wake-up", *before[2:]]


def test_before_sleep_after_a_press_asleep(bench: Bench) -> None:
    """The program is on its way to the next sleep as soon as something wakes it."""
    board = bench("sleeper")
    board.press("SELECT", When.ASLEEP)
    board.release("SELECT", When.BEFORE_SLEEP)
    assert board.trace.lines() == ["press 1"]
    board.press("SELECT")
    board.wait_asleep()
    assert board.trace.lines() == ["press 1", "press 2"]


def test_before_sleep_in_a_sleep(bench: Bench) -> None:
    board = bench("sleeper")
    board.wait_asleep()
    with pytest.raises(Unmet, match="on its way to a sleep; seen: it sleeps already"):
        board.wait_before_sleep()


def test_a_press_before_the_program_is_ready(bench: Bench) -> None:
    """Unmasked too early: the port senses the edge, the program's own set-up takes it back."""
    board = bench("sleeper")
    board.press("SELECT")
    board.wait_asleep()
    board.forbid_line("press")


# -- handlers ------------------------------------------------------------------------------------


def two_ports(board: Board) -> list[str]:
    """F's handler has started when E's interrupt comes."""
    board.wait_asleep()
    start = len(board.trace)
    board.press("SELECT")
    board.wait_handler(46)
    board.press("UP")
    board.wait_asleep()
    return [line.replace("_IRQHandler", "") for line in told(board, start)]


def test_nested(bench: Bench) -> None:
    assert two_ports(bench("two_ports", E_PRIORITY=1, F_PRIORITY=2)) == [
        *("edge SELECT", "wake-up", "enter GPIOF", "edge UP", "enter GPIOE"),
        *("exit GPIOE", "exit GPIOF", "sleep"),
    ]


def test_tail_chained(bench: Bench) -> None:
    board = bench("two_ports", E_PRIORITY=2, F_PRIORITY=2)
    assert two_ports(board) == [
        *("edge SELECT", "wake-up", "enter GPIOF", "edge UP", "exit GPIOF", "enter GPIOE"),
        *("exit GPIOE", "sleep"),
    ]
    enters = board.trace.of(Kind.ENTER)
    assert enters[0].pc == enters[1].pc, "both interrupted the same instruction"


def test_tail_chained_while_nested(bench: Bench) -> None:
    """E preempts F; A comes after E, not on top of it."""
    assert two_ports(bench("two_ports", E_PRIORITY=1, F_PRIORITY=2, CHAIN=1)) == [
        *("edge SELECT", "wake-up", "enter GPIOF", "edge UP", "enter GPIOE", "exit GPIOE"),
        *("enter GPIOA", "exit GPIOA", "exit GPIOF", "sleep"),
    ]


def test_both_at_once(bench: Bench) -> None:
    """The more urgent first, whichever edge came first."""
    board = bench("two_ports", E_PRIORITY=1, F_PRIORITY=2)
    board.wait_asleep()
    board.press("SELECT")
    board.press("UP")
    board.wait_asleep()
    assert [e.name for e in board.trace.of(Kind.ENTER)] == ["GPIOE_IRQHandler", "GPIOF_IRQHandler"]


def test_process_stack(bench: Bench) -> None:
    """Handler frames are found there, and nothing below it is touched."""
    board = bench("psp")
    press(board)
    assert board.trace.lines() == ["press 1, damaged 0"]
    [enter] = board.trace.of(Kind.ENTER)
    assert board.image.name_at(enter.pc) == "on_process_stack"


def test_fault_on_the_process_stack(bench: Bench) -> None:
    ended = ends(bench("psp", FAULTS=1))
    assert ended.ending is Ending.FAULT
    assert ended.detail == f"UsageFault at 0x{ended.pc:08x} in on_process_stack"


# -- pins that the program drives ----------------------------------------------------------------


def test_led(bench: Bench) -> None:
    board = bench("led")
    board.wait_asleep()
    board.expect_pin("LED", 0)
    board.forbid_pin("LED", 1)
    board.press("SELECT")
    board.wait_pin("LED", 1)
    board.expect_pin("PF0", 1)
    board.wait_asleep()
    with pytest.raises(Unmet, match="pin LED at 0; seen: it stays at 1; the program sleeps"):
        board.wait_pin("LED", 0)
    with pytest.raises(Unmet, match="pin LED at 0; seen: it is at 1"):
        board.expect_pin("LED", 0)
    with pytest.raises(Unmet, match="pin LED not at 1; seen: it is at 1"):
        board.forbid_pin("PF0", 1)
    board.release("SELECT")
    press(board)
    board.expect_pin("LED", 0)


# -- functions -----------------------------------------------------------------------------------


def test_calls(bench: Bench) -> None:
    """The functions of the points, with first argument, result, and the place of the call."""
    board = bench("task", TASK)
    board.wait_asleep()
    start = len(board.trace)
    press(board)
    calls = [e for e in board.trace.since(start) if e.kind in (Kind.CALL, Kind.RETURN)]
    assert [(e.kind, e.name, e.note) for e in calls] == [
        (Kind.CALL, "task_poll", "poll"),
        (Kind.CALL, "keep", "register"),
        (Kind.RETURN, "keep", "register"),
        (Kind.RETURN, "task_poll", "poll"),
        (Kind.CALL, "task_poll", "poll"),
        (Kind.CALL, "keep", "register"),
        (Kind.RETURN, "keep", "register"),
        (Kind.RETURN, "task_poll", "poll"),
    ]
    assert [calls[3].value, calls[7].value] == [1, 0], "READY, then PENDING"
    assert board.image.name_at(calls[0].pc) == "poll_once"
    assert board.image.name_at(calls[1].pc) == "task_poll"
    assert board.open_roles == ()


@pytest.mark.parametrize("but_handlers", [False, True])
def test_what_is_traced_no_more_is_traced_again_after_a_reset(
    bench: Bench, but_handlers: bool
) -> None:
    board = bench("task", TASK)

    def seen() -> set[Kind]:
        start = len(board.trace)
        press(board)
        board.release("SELECT")
        return {e.kind for e in board.trace.since(start)} & {Kind.CALL, Kind.ENTER}

    board.wait_asleep()
    assert seen() == {Kind.CALL, Kind.ENTER}
    board.trace_no_more(but_handlers=not but_handlers)
    board.trace_no_more(but_handlers=but_handlers)
    assert seen() == ({Kind.ENTER} if but_handlers else set())
    board.reset()
    board.wait_asleep()
    assert seen() == {Kind.CALL, Kind.ENTER}


def test_absent_functions_are_not_traced(bench: Bench) -> None:
    board = bench("sleeper", Points({"poll": "no_such_function", "wake": "presses"}))
    press(board)
    assert board.trace.of(Kind.CALL) == []


def test_open_roles(bench: Bench) -> None:
    board = bench("task", TASK)
    board.wait_symbol("keep")
    assert board.open_roles == ("poll", "register")


@pytest.mark.parametrize("name", ["task_poll", "keep", "task_wake", "GPIOF_IRQHandler"])
def test_wait_for_a_traced_function(bench: Bench, name: str) -> None:
    """Being waited for, it is told neither twice nor not at all."""
    board = bench("task", TASK)

    def run(wait: bool) -> str:
        board.reset()
        board.wait_asleep()
        board.press("SELECT")
        if wait and name != "task_wake":
            board.wait_symbol(name)
        board.wait_asleep()
        board.spurious_wake()
        if wait and name != "GPIOF_IRQHandler":
            with pytest.raises(Unmet):
                for _ in range(10):
                    board.wait_symbol(name)
        board.wait_asleep()
        board.spurious_wake()
        board.wait_asleep()
        return board.trace.digest()

    assert run(wait=True) == run(wait=False)


def test_wait_symbol(bench: Bench) -> None:
    board = bench("led")
    board.wait_symbol("led_set")
    board.wait_asleep()
    board.press("SELECT")
    board.wait_symbol("shine")
    board.expect_pin("LED", 0)
    board.wait_symbol("led_set")
    board.wait_asleep()
    board.expect_pin("LED", 1)
    with pytest.raises(Unmet, match="the program to reach shine; seen: it never did"):
        board.wait_symbol("shine")
    for name in ("no_such_function", "presses"):
        with pytest.raises(Unmet, match=f"a function {name} in the program; seen: there is none"):
            board.wait_symbol(name)
    board.release("SELECT")
    board.press("SELECT")
    board.wait_symbol("shine")


def test_wait_symbol_of_a_handler(bench: Bench) -> None:
    board = bench("sleeper")
    board.wait_asleep()
    board.press("SELECT")
    board.wait_symbol("GPIOF_IRQHandler")
    board.wait_asleep()
    assert told(board).count("enter GPIOF_IRQHandler") == 1
    assert board.count_lines("press") == 1


def test_wait_symbol_again_in_a_loop(bench: Bench) -> None:
    """Each wait is for the next time."""
    board = bench("floods")
    for count in range(4):
        board.wait_symbol("info")
        assert len(board.trace.lines()) == count


def test_a_press_comes_before_the_instruction(bench: Bench) -> None:
    """The core stands before an instruction; a press now interrupts it there, not one later."""
    board = bench("led")
    board.wait_asleep()
    board.press("SELECT")
    for name in ("shine", "led_set"):
        board.wait_symbol(name)
        board.release("SELECT")
        board.press("SELECT")
        board.wait_handler(46)
        symbol = board.image.symbol(name)
        assert symbol is not None
        assert board.trace[-1].pc == symbol.address


def test_wait_symbol_after_a_press_there(bench: Bench) -> None:
    """The handler comes in between, and the place is left with no breakpoint on it. The next visit
    with the same stack is another one all the same."""
    board = bench("sleeper")
    board.wait_asleep()
    board.press("SELECT")
    board.wait_symbol("info")
    board.release("SELECT")
    board.press("SELECT")
    for count in (1, 2):
        board.wait_symbol("info")
        assert len(board.trace.lines()) == count
        board.wait_line(f"press {count + 1}")
        board.release("SELECT")
        board.press("SELECT")


def test_a_function_that_begins_with_a_sleep(bench: Bench) -> None:
    """The bench does not step over a WFI, which would not come back."""
    board = bench("sleep_first")
    board.wait_symbol("nap")
    with pytest.raises(Unmet, match="the program to reach nap; seen: it never did"):
        board.wait_symbol("nap")
    board.press("SELECT")
    board.wait_symbol("wide_nap")
    assert board.trace.lines() == ["narrow"]
    board.wait_asleep()
    board.release("SELECT")
    board.press("SELECT")
    board.wait_symbol("nap")
    assert board.trace.lines() == ["narrow", "wide"]


def test_spurious_wake(bench: Bench) -> None:
    """Through the waker that the task itself gave, and for no reason."""
    board = bench("task", TASK)
    assert not board.spurious_wake(), "no poll yet"
    board.wait_asleep()
    start = len(board.trace)
    assert board.spurious_wake()
    board.wait_asleep()
    assert told(board, start) == [
        *("wake-up", "call task_wake", "call task_poll", "call keep"),
        *("return keep", "return task_poll", "sleep"),
    ]
    assert board.trace.lines() == []


def test_wait_symbol_of_the_waker(bench: Bench) -> None:
    """The bench's own breakpoint there stays, and the next wake is told, too."""
    board = bench("task", TASK)
    board.wait_asleep()
    with pytest.raises(Unmet):
        board.wait_symbol("task_wake")
    board.spurious_wake()
    board.wait_asleep()
    board.spurious_wake()
    assert [e.name for e in board.trace.of(Kind.CALL)].count("task_wake") == 2


def test_leave_sleep(bench: Bench) -> None:
    """A WFI may return for no reason; the program must look again."""
    board = bench("sleeper")
    board.leave_sleep()
    board.wait_asleep()
    assert told(board) == ["reset", "sleep", "wake-up", "sleep"]


def test_call(bench: Bench) -> None:
    board = bench("task", TASK)
    press(board)
    polls = len(board.trace.of(Kind.CALL))
    assert board.call("add", 2, 3) == 5
    assert board.trace.lines()[-1] == "2 and 3"
    board.wait_asleep()
    assert len(board.trace.of(Kind.CALL)) == polls
    board.release("SELECT")
    press(board)
    assert board.trace.lines()[-1] == "press 2", "the program goes on as before"
    with pytest.raises(Unmet, match="a function nothing in the program"):
        board.call("nothing")


def test_a_return_waited_for_and_traced_is_seen_by_both(bench: Bench) -> None:
    """The breakpoint at the place of return stays when one of the two needs it no more."""
    board = bench("task", TASK)
    board.wait_symbol("task_poll")
    back = board.registers.lr & ~1
    board.reset()
    keep = board.image.symbol("keep")
    assert keep is not None
    board.wait_any({back, keep.address}, "keep, in the open poll")
    assert board.open_roles == ("poll", "register")
    board.wait_asleep()
    assert [e.name for e in board.trace.of(Kind.RETURN)] == ["keep", "task_poll"]


def test_call_leaves_no_breakpoint(bench: Bench) -> None:
    board = bench("task", TASK)
    board.wait_asleep()
    before = set(board._core._own_breakpoints)
    board.call("add", 1, 1)
    assert set(board._core._own_breakpoints) == before


def test_call_at_the_start_of_a_function(bench: Bench) -> None:
    """As often as one likes: it is there again each time, as it was; and goes on then."""
    board = bench("task")
    board.wait_symbol("main")
    before = board.registers
    for number in range(3):
        assert board.call("add", number, 40) == number + 40
        assert board.registers == before
    board.wait_asleep()


def test_call_in_the_middle_of_a_function(bench: Bench) -> None:
    board = bench("task")
    board.wait_symbol("main")
    board.step_instruction()
    with pytest.raises(Unmet, match="at the start of a function; seen: it runs"):
        board.call("add", 1, 1)


def test_a_call_that_is_open_can_be_looked_at(bench: Bench) -> None:
    board = bench("task")
    board.wait_asleep()
    call = board.begin_call("add", 1, 2)
    assert not board.has_returned(call)
    assert board.registers[:2] == (1, 2)
    assert board.end_call(call) == 3
    assert board.has_returned(call)


def test_a_call_that_sleeps_for_good_is_noticed(bench: Bench) -> None:
    board = bench("sleeper")
    board.wait_asleep()
    with pytest.raises(Unmet, match="the core sleeps in it, for good"):
        board.call("main")


def test_poke(bench: Bench) -> None:
    board = bench("task")
    board.wait_asleep()
    board.poke(0x2000_0000, 0x1234_5678)
    assert board.read_memory(0x2000_0000, 4) == bytes.fromhex("78563412")


def test_wait_events(bench: Bench) -> None:
    board = bench("sleeper")
    press(board)
    whole = list(board.trace)
    for count in range(2, len(whole) - 3):
        board.reset()
        board.wait_asleep()
        board.press("SELECT")
        board.wait_events(count)
        assert list(board.trace)[:count] == whole[:count]
    with pytest.raises(Unmet, match="1000 events"):
        board.wait_events(1000)


# -- memory --------------------------------------------------------------------------------------


def test_memory_is_garbage_at_power_on(bench: Bench) -> None:
    board = bench("sleeper")
    for _ in range(2):
        assert board.read_memory(0x2000_0000, 64 * 1024) == bytes([SRAM_PAINT]) * 64 * 1024
        press(board)
        board.reset()


def test_dead_stack_is_overwritten_at_each_sleep(bench: Bench) -> None:
    board = bench("sleeper")
    press(board)
    sp = board._here.sp
    assert board.read_memory(sp - 512, 512) == bytes([SRAM_PAINT]) * 512
    living = board.read_memory(sp, board.image.vectors[0] - sp)
    assert living is not None
    assert set(living) != {SRAM_PAINT}


# -- endings -------------------------------------------------------------------------------------

FAULTS = {
    "NULL_JUMP": ("UsageFault", 17, None),
    "NOWHERE": ("MemManage", 1, 0x1FFF_0000),
    "UNDEFINED": ("UsageFault", 16, None),
}


@pytest.mark.parametrize("how", FAULTS)
def test_faults(bench: Bench, how: str) -> None:
    """By name, with the status register's bit, the place, and the address where there is one."""
    name, bit, address = FAULTS[how]
    ended = ends(bench("faults", HOW=how))
    assert ended.ending is Ending.FAULT
    assert ended.fault is not None
    assert ended.fault.name == name
    assert ended.fault.cfsr >> bit & 1
    assert ended.fault.address == address
    assert ended.pc == ended.fault.pc
    if how == "NULL_JUMP":
        assert ended.pc == 0
        assert ended.detail.startswith("UsageFault at 0x00000000")
    else:
        assert ended.detail == f"{name} at 0x{ended.pc:08x} in broken"


def test_stack_overflow(bench: Bench) -> None:
    """There is no frame then, and none is made up."""
    ended = ends(bench("faults", HOW="OVERFLOW"))
    assert ended.ending is Ending.FAULT
    assert ended.detail == "MemManage: no room on the stack"
    assert ended.fault is not None
    assert ended.fault.cfsr & 1 << 4


def test_unhandled(bench: Bench) -> None:
    ended = ends(bench("faults", HOW="UNHANDLED"))
    assert ended.ending is Ending.UNHANDLED
    assert ended.detail == "IRQ 0 has no handler"


def test_lockup(bench: Bench) -> None:
    """QEMU itself gives up, and its own words say why."""
    ended = ends(bench("faults", HOW="LOCKUP"))
    assert ended.ending is Ending.DIED
    assert "Lockup: can't escalate 3 to HardFault" in ended.detail


@pytest.mark.parametrize("defines", [{}, {"BY_JUMP": 1}], ids=["reset line", "jump"])
def test_restart(bench: Bench, defines: dict[str, int]) -> None:
    """Seen at once: `hello` is printed once, and not for ever."""
    board = bench("resets", **defines)
    assert ends(board).ending is Ending.RESTART
    assert board.trace.lines() == ["hello"]
    board.reset()
    board.wait_asleep()


def test_after_the_end(bench: Bench) -> None:
    """Every word repeats how it ended, looking at what there was is possible, reset starts anew."""
    board = bench("exits")
    with pytest.raises(Ended):
        board.wait_asleep()
    words: list[Callable[[], object]] = [
        board.wait_asleep,
        board.wait_before_sleep,
        lambda: board.wait_ms(1),
        lambda: board.press("SELECT"),
        lambda: board.wait_line("x"),
        lambda: board.wait_symbol("main"),
        board.leave_sleep,
    ]
    for word in words:
        with pytest.raises(Ended, match="exit"):
            word()
    assert len(board.trace.of(Kind.END)) == 1
    board.expect_line("PASS")
    board.reset()
    with pytest.raises(Ended):
        board.wait_asleep()


# -- looking -------------------------------------------------------------------------------------


def test_lines(bench: Bench) -> None:
    board = bench("sleeper")
    with pytest.raises(Unmet, match="a line with 'press' so far; seen: no line at all"):
        board.expect_line("press")
    for _ in range(6):
        press(board)
        board.release("SELECT")
    board.expect_line("press")
    board.expect_line("press", 6)
    board.expect_line("press 3", 1)
    board.expect_line("nothing", 0)
    with pytest.raises(Unmet, match="5 lines with 'press' so far; seen: 6 lines, the last: "):
        board.expect_line("press", 5)
    with pytest.raises(Unmet, match="no line with 'press 6'"):
        board.forbid_line("press 6")


def test_wait_line_is_for_the_next_one(bench: Bench) -> None:
    board = bench("sleeper")
    press(board)
    board.wait_line("press")
    with pytest.raises(Unmet):
        board.wait_line("press")
    board.release("SELECT")
    board.press("SELECT")
    board.wait_line("press")
    assert board.trace.lines() == ["press 1", "press 2"]


def test_presses(bench: Bench) -> None:
    board = bench("sleeper")
    board.wait_asleep()
    board.expect_presses(0)
    board.press("SELECT")
    board.expect_presses(0)
    board.forbid_presses(1)
    board.wait_asleep()
    board.expect_presses(1)
    with pytest.raises(Unmet, match="2 presses taken; seen: 1"):
        board.expect_presses(2)
    with pytest.raises(Unmet, match="other than 1 presses taken; seen: 1"):
        board.forbid_presses(1)


def test_pulse_and_bounce(bench: Bench) -> None:
    board = bench("sleeper")
    board.wait_asleep()
    board.pulse("SELECT", 50)
    assert board.ms == 50
    board.expect_pin("SELECT", 1)
    board.wait_asleep()
    board.bounce("SELECT", 7, 2)
    assert board.ms == 62
    board.expect_pin("SELECT", 0)
    board.wait_asleep()
    board.expect_presses(8)
    edges = [(e.ms, e.value) for e in board.trace.of(Kind.EDGE)]
    bounces = [each for n in range(6) for each in ((50 + 2 * n, 1), (52 + 2 * n, 0))]
    assert edges == [(0, 0), (50, 1), (50, 0), *bounces]


PUSHES = {"push_some": 4, "push_lr": 2, "push_all": 9, "push_wide": 9}
TRACED = Points({name: name for name in (*PUSHES, "push_nothing")})


def test_a_push_by_the_bench_is_one_by_the_core(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registers after it, and all of the stack; and the core does not stop for it."""
    stepped, passed = bench("pushes", TRACED), bench("pushes", TRACED)
    stack_end = stepped.image.value("__stack_end__")
    for name, count in PUSHES.items():
        for board in (stepped, passed):
            board.wait_symbol(name)
        before = passed.registers
        expected = stepped.step_instruction()
        with monkeypatch.context() as patch:
            patch.delattr(Core, "step")
            passed.wait_address(expected.pc)
        assert passed.registers == expected
        assert expected.sp == before.sp - 4 * count
        stacks = [b.read_memory(expected.sp, stack_end - expected.sp) for b in (stepped, passed)]
        assert stacks[0] == stacks[1] is not None


def test_another_instruction_at_a_breakpoint_is_the_cores(bench: Bench) -> None:
    board = bench("pushes", TRACED)
    board.wait_symbol("push_nothing")
    board.wait_address(board.pc + 2)
    assert board.registers[0] == 1


def test_a_push_beyond_the_stack_is_a_fault_all_the_same(bench: Bench) -> None:
    ended = ends(bench("pushes", TRACED, NEAR=8))
    assert ended.ending is Ending.FAULT
    assert ended.detail == "MemManage: no room on the stack"
