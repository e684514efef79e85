"""The core under control: every change to it is journalled, so that any run can be done again.

Why a journal: whether a program "runs for ever" must not depend on how fast the host is. When the
core has shown no sign for a while, or took long to, that is only a suspicion. Mostly the machine's
own count of instructions (wakebench.counter) shows that the host was just slow. If not, the run is
repeated up to its last resume, the board's watchdog is armed as a counter of instructions (with
`-icount`, virtual time is the number of instructions executed), and the core is let go again.
Either it stops within the budget, and the host was just slow, or the watchdog interrupts it after
an exact number of instructions. For that its line is rewired to the NMI, which nothing masks, and
whose handler has a breakpoint: to have QEMU pause the machine instead would let the core run on for
as long as the host takes to do it. The watchdog is armed in no other run, because a running timer
and a breakpoint stop do not mix: QEMU moves the virtual clock to the next deadline at such a stop.
"""

from __future__ import annotations

import re
import struct
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import NamedTuple

from wakebench.display import DARK, Display, Picture
from wakebench.errors import BenchError, Suspected
from wakebench.image import RING_SIZE
from wakebench.leftovers import FOR_EVER, LEFTOVERS, Leftover
from wakebench.machine import Machine
from wakebench.pin_names import Pin
from wakebench.pins import Edge, Pins
from wakebench.probe import (
    NO_REGISTERS,
    PC,
    SP,
    Area,
    ConnectionLost,
    Probe,
    Registers,
    Stop,
    Touch,
    Why,
)
from wakebench.qtest import Qtest
from wakebench.recording import Recorder

OLDEST_QEMU = (7, 2)

SRAM = 0x2000_0000
SRAM_SIZE = 64 * 1024
SRAM_PAINT = 0xA5
"""What memory holds at power on: nothing that looks like a zero or a valid pointer."""

SCRATCH = SRAM + SRAM_SIZE - 4
BX_LR = 0x4770
MRS_R0_PSP = 0x8009_F3EF
MRS_R0_PRIMASK = 0x8010_F3EF

PATIENCE_S = 0.2
"""How long the core may run without a sign before it is suspected. Affects speed, no verdict."""

GLANCE_S = 0.01
"""How often to look whether a limited record is full. Affects speed, no verdict."""

FASTEST_HOST = 1e9
"""Instructions a second that no host emulates (seen: 1e8). A run that cost QEMU so little processor
time that even such a host had not spent the budget needs no second look."""

LAST_RESORT_S = 30.0
"""Protects the host only."""

IDLE = 20
"""So often, PATIENCE_S apart, must the core have executed nothing to be taken for one that sleeps
where the bench cannot see it, if there is no better way to tell."""

RECORDED = 300_000
"""Instructions in a record without a sign after which a run is suspected: 70 MB of QEMU's log."""

# Watchdog timer 0 and system control (LM3S6965 data sheet, "Watchdog Timer" and "System Control").
WDT = 0x4000_0000
WDT_LOAD, WDT_CTL, WDT_ICR, WDT_RIS = WDT, WDT + 0x8, WDT + 0xC, WDT + 0x10
WDT_INTEN = 1
RCC, RCC2 = 0x400F_E060, 0x400F_E070
RCGC1, RCGC1_SSI0 = 0x400F_E104, 1 << 4
RCGC2 = 0x400F_E108

# ARMv7-M system control space (ARM DDI 0403, B3.2).
WATCHDOG_TIMER = Area("the watchdog", WDT_LOAD, 0x1000)
SYST_CSR = 0xE000_E010
SYSTICK = Area("SysTick", SYST_CSR, 4, Touch.WRITES)
ICSR, VTOR = 0xE000_ED04, 0xE000_ED08
NVIC_ICPR = (0xE000_E280, 0xE000_E284)
NMI = 2
ICSR_PENDSTSET, ICSR_PENDSTCLR = 1 << 26, 1 << 25
SYST_ENABLE, SYST_TICKINT = 1, 2


class Budget(NamedTuple):
    """How much a program may do without a sign of progress."""

    instructions: int = 6_000_000
    """FASTEST_HOST takes 6 ms for as many. With less, programs without a fault would be suspected:
    QEMU translates what is executed after each stop, which takes up to 4 ms at -O0."""


class Core:
    """One machine's core, pins and registers. Owns nothing but the protocol clients."""

    def __init__(self, machine: Machine, budget: Budget) -> None:
        self._machine = machine
        self._budget = budget
        self._qtest = Qtest(machine.connection("qtest"))
        try:
            self._probe = Probe(machine.connection("gdb"), self._qtest.flush)
            self.qemu_version = _check_version(self._probe.monitor("info version"))
            self.pins = Pins(self._probe, self._qtest)
        except ConnectionLost as lost:
            raise BenchError(f"QEMU did not start: {machine.last_words()}") from lost
        self._journal: list[Callable[[], None] | _Go] | deque[Callable[[], None] | _Go] = []
        self._own_breakpoints: Counter[int] = Counter()
        """How many have asked for each."""
        self._fixed_breakpoints: set[int] = set()
        self._line: _WatchdogLine | None = None
        self._armed = False
        self._counted_to = 0
        """What the machine's count was when it was last taken down."""
        self._recorder = Recorder(self._probe, machine.record)
        self._display = Display(self._probe, machine.screen)
        self._probe.add_watch(SYSTICK)
        for each in LEFTOVERS:
            self._probe.add_watch(each.area)
        for address, value in FOR_EVER:
            self._qtest.write_word(address, value)
        self._left: list[Leftover] = []
        """Those that the run has touched; they are watched no more."""
        self._bell: Area | None = None
        self._awaited: Area | None = None
        self._rings: frozenset[int] = frozenset()
        self.tick_on = False
        self.ran_out = False

    # -- what does not change the run ------------------------------------------------------------

    def registers(self) -> Registers:
        """The core registers."""
        return self._probe.registers()

    def read(self, address: int, length: int) -> bytes | None:
        """Memory (not devices), or None where there is none."""
        return self._probe.read(address, length)

    def read_each(self, *areas: tuple[int, int]) -> list[bytes | None]:
        """The same of several areas, address and length of each."""
        return self._probe.read_each(*areas)

    def read_word(self, address: int) -> int:
        """A device register, with its side effects if it has any."""
        return self._qtest.read_word(address)

    def read_words(self, *addresses: int) -> list[int]:
        """Several of them, in that order."""
        return self._qtest.read_words(*addresses)

    def picture(self) -> Picture:
        """What the display shows; dark while the bus that it is at has no clock."""
        return self._display.picture() if self.read_word(RCGC1) & RCGC1_SSI0 else DARK

    @property
    def gone(self) -> bool:
        """Whether the machine has ended."""
        return self._machine.dead

    def last_words(self) -> str:
        """What QEMU printed last."""
        return self._machine.last_words()

    def ask_stub(self, packet: bytes) -> bytes:
        """The gdbstub's answer to a packet that changes nothing."""
        return self._probe.ask(packet)

    def change_by_stub(self, packet: bytes) -> bytes:
        """The same, of one that changes registers or memory."""
        self._journal.append(lambda: self._change_again(packet))
        return self._probe.ask(packet)

    def _change_again(self, packet: bytes) -> None:
        self._probe.ask(packet)

    def reprogram(self, flash: bytes) -> Machine:
        """Overwrite the flash from 0 on, and hand the machine over, as it is at power on but for
        that: no breakpoint, no watch. Raises BenchError."""
        self._reset()
        self._probe.patch(0, flash)
        self._probe.remove_breakpoint(*sorted(self._fixed_breakpoints | {*self._own_breakpoints}))
        watched = [SYSTICK, *(each.area for each in LEFTOVERS)]
        for area in [*watched, self._bell] if self._bell is not None else watched:
            self._probe.remove_watch(area)
        self._probe.flush()
        if self._qtest.read_block(0, len(flash)) != flash:
            raise BenchError("the board's flash does not hold what was written there")
        return self._machine

    def hear_bell(self, bell: int, rings: frozenset[int]) -> None:
        """Stop behind each of the instructions `rings` when it writes to the word at `bell`; it is
        not written. QEMU throws its translated code away at a breakpoint, and not at this."""
        self._bell, self._rings = Area("the bell", bell, 4, Touch.WRITES), rings
        self._probe.add_watch(self._bell)

    def _is_rung(self, stop: Stop, at: int) -> bool:
        return self._is_the_bell(stop.watched) and at in self._rings

    def _is_the_bell(self, watched: int | None) -> bool:
        return self._bell is not None and watched == self._bell.start

    @contextmanager
    def guarding(self, areas: Sequence[Area]) -> Iterator[None]:
        """Within, accesses to the areas stop the core."""
        for area in areas:
            self._probe.add_watch(area)
        try:
            yield
        finally:
            with suppress(ConnectionLost):  # QEMU has died, and nothing is guarded any more
                for area in areas:
                    self._probe.remove_watch(area)

    def fix_breakpoints(self, addresses: Iterable[int]) -> None:
        """Set breakpoints that stay over resets."""
        new = set(addresses) - self._fixed_breakpoints
        self._probe.add_breakpoint(*sorted(new - {*self._own_breakpoints}))
        self._fixed_breakpoints |= new

    def unfix_breakpoints(self, addresses: Iterable[int]) -> None:
        """Undo `fix_breakpoints`."""
        gone = set(addresses) & self._fixed_breakpoints
        self._fixed_breakpoints -= gone
        self._probe.remove_breakpoint(*sorted(gone - {*self._own_breakpoints}))

    def process_sp(self) -> int:
        """The process stack pointer. QEMU 7.2's gdbstub does not show it."""
        return self._special_register(MRS_R0_PSP)

    def primask(self) -> bool:
        """Whether PRIMASK is set, which that gdbstub does not show either."""
        return bool(self._special_register(MRS_R0_PRIMASK) & 1)

    def _special_register(self, move_to_r0: int) -> int:
        """The core itself is made to read it; afterwards everything is as it was."""
        before = self._probe.registers()
        self._execute(move_to_r0)
        found = self._probe.registers()[0]
        self._probe.set_register(0, before[0])
        self._probe.set_register(PC, before.pc)
        return found

    def _execute(self, instruction: int) -> None:
        """Have the core execute an instruction that the program does not have."""
        word = self._qtest.read_word(SCRATCH)
        self._qtest.write_word(SCRATCH, instruction)
        self._probe.set_register(PC, SCRATCH)
        self._probe.step()
        self._qtest.write_word(SCRATCH, word)

    @contextmanager
    def recording(self, here: Registers, limit: int = 0) -> Iterator[list[Registers]]:
        """Fills the list, when the block ends, with the registers before each instruction that was
        executed in it; see Recorder. The core stands at `here`. With a `limit` a run is spent when
        it has executed so many instructions, a few less or some more."""
        lines: list[Registers] = []
        self._recorder.start(here, limit)
        try:
            yield lines
        finally:
            with suppress(ConnectionLost):  # QEMU has died; that is said elsewhere
                lines += self._recorder.stop()

    def remember_nothing(self) -> None:
        """Keep no journal: a run may be of any length, and cannot be done again. For machines that
        cannot count, on which a suspicion is raised and never looked into."""
        self._journal = deque(maxlen=0)

    # -- what does -------------------------------------------------------------------------------

    def reset(self) -> None:
        """Power on: flash as loaded, memory painted, devices reset, buttons released."""
        self._journal.clear()
        self._reset()

    def _reset(self) -> None:
        self.ran_out = False
        self._probe.remove_breakpoint(*sorted({*self._own_breakpoints} - self._fixed_breakpoints))
        self._own_breakpoints.clear()
        if self._awaited is not None:
            self._probe.remove_watch(self._awaited)
            self._awaited = None
        if self._armed and self._line is not None:
            self._line.connect(self._line.usual)
            self._armed = False
        self._probe.monitor("system_reset")
        # QEMU does not. What a program finds there must not be what a run before has left.
        self._qtest.write_word(RCGC1, 0)
        self._qtest.write_word(RCGC2, 0)
        self._clean()
        if self._machine.counts:
            self._take_count_down()
        self._qtest.fill(SRAM, SRAM_SIZE, SRAM_PAINT)
        self.pins.idle()
        self.tick_on = False

    def _clean(self) -> None:
        """Put right what QEMU's reset leaves as the run has set it."""
        for left in self._left:
            for address, value in left.writes:
                self._qtest.write_word(address, value)
            self._probe.add_watch(left.area)
        if self._left:  # an interrupt that no device asks for any more is pending all the same
            for register in NVIC_ICPR:
                self._qtest.write_word(register, 0xFFFF_FFFF)
        self._left = []

    def _leftover(self, watched: int | None) -> Leftover | None:
        """What the core is about to touch, if it has stopped for one of them."""
        return next((each for each in LEFTOVERS if each.area.start == watched), None)

    def _let_touch(self, left: Leftover) -> None:
        """The core does not stop for it again in this run."""
        self._left.append(left)
        self._probe.remove_watch(left.area)

    def _do(self, action: Callable[[], None]) -> None:
        self._journal.append(action)
        action()

    def set_register(self, number: int, value: int) -> None:
        """Write a core register."""
        self._do(lambda: self._probe.set_register(number, value))

    def set_pc(self, address: int) -> None:
        """Continue at `address`."""
        self.set_register(PC, address)

    def write_word(self, address: int, value: int) -> None:
        """Write a device register."""
        self._do(lambda: self._qtest.write_word(address, value))

    def fill(self, address: int, length: int, byte: int) -> None:
        """Overwrite memory with one byte."""
        self._do(lambda: self._qtest.fill(address, length, byte))

    def push(self, here: Registers, numbers: Sequence[int], size: int) -> None:
        """Execute a PUSH of these registers, of `size` bytes, in the core's place, which stands
        before it: for the core to do it, and to stop, takes ten times as long."""
        sp = here.sp - 4 * len(numbers)
        data = struct.pack(f"<{len(numbers)}I", *(here[number] for number in numbers))
        self._do(lambda: self._probe.patch(sp, data))
        self.set_register(SP, sp)
        self.set_pc(here.pc + size)

    def edge(self, pin: Pin, level: int) -> Edge:
        """Set the level outside a pin; see Pins.edge."""
        self._journal.append(lambda: self.pins.drive(pin, level))
        return self.pins.edge(pin, level)

    def breakpoint(self, *addresses: int) -> None:
        """Set breakpoints that last until the next reset, or until each who has set one there has
        removed it.
        """

        def add() -> None:
            self._probe.add_breakpoint(*(a for a in addresses if not self.has_breakpoint(a)))
            self._own_breakpoints.update(addresses)

        self._do(add)

    def remove_breakpoint(self, *addresses: int) -> None:
        """Undo `breakpoint`."""

        def remove() -> None:
            self._own_breakpoints.subtract(addresses)
            gone = [a for a in addresses if self._own_breakpoints[a] <= 0]
            for address in gone:
                del self._own_breakpoints[address]
            self._probe.remove_breakpoint(*(a for a in gone if a not in self._fixed_breakpoints))

        self._do(remove)

    @contextmanager
    def awaiting(self, area: Area) -> Iterator[None]:
        """Within, what touches the area is stopped before it does; see `is_awaited`."""

        def add() -> None:
            self._probe.add_watch(area)
            self._awaited = area

        def remove() -> None:
            if self._awaited is not None:
                self._probe.remove_watch(area)
                self._awaited = None

        self._do(add)
        try:
            yield
        finally:
            self._do(remove)

    def is_awaited(self, watched: int) -> bool:
        """Whether a stop there (`Stop.watched`) is what `awaiting` is for."""
        return self._awaited is not None and watched == self._awaited.start

    def step(self) -> Stop:
        """Execute one instruction, interrupts held back; but for a write to SYST_CSR or to what is
        guarded, before which it stops."""
        self._journal.append(self._step_again)
        return self._step()

    def _step_again(self) -> None:
        self._step()

    def _step(self) -> Stop:
        stop = self._probe.step()
        if (left := self._leftover(stop.watched)) is not None:
            self._let_touch(left)
            return self._step()
        if self._bell is None or not self._is_the_bell(stop.watched):
            return stop
        at = self._probe.registers().pc
        if at in self._rings:
            self._probe.set_register(PC, at + RING_SIZE)
            return Stop(Why.BREAK, "")
        self._probe.remove_watch(self._bell)
        stop = self._probe.step()
        self._probe.add_watch(self._bell)
        return stop

    def has_breakpoint(self, address: int) -> bool:
        """Whether there is one of the bench's own breakpoints at `address`."""
        return address in self._fixed_breakpoints or address in self._own_breakpoints

    def let_be_written(self, watched: int) -> None:
        """Carry out the write that the core stopped before."""
        if self._is_the_bell(watched):
            self.step()
        else:
            self._let_systick_be_written()

    def _let_systick_be_written(self) -> None:
        """Carry out a write to SYST_CSR, and keep the timer off.

        The bench owns time: the program's SysTick is "on" in `tick_on` only, and its interrupts
        come from `tick`.
        """

        def write() -> None:
            was_pending = self._qtest.read_word(ICSR) & ICSR_PENDSTSET
            self._probe.remove_watch(SYSTICK)
            self._probe.step()
            control = self._qtest.read_word(SYST_CSR)
            wanted = SYST_ENABLE | SYST_TICKINT
            self.tick_on = control & wanted == wanted
            self._qtest.write_word(SYST_CSR, control & ~SYST_ENABLE)
            self._qtest.write_word(ICSR, was_pending or ICSR_PENDSTCLR)
            self._probe.add_watch(SYSTICK)

        self._do(write)

    def tick(self) -> None:
        """One millisecond of SysTick: its exception becomes pending."""
        self.write_word(ICSR, ICSR_PENDSTSET)

    # -- running ---------------------------------------------------------------------------------

    def go(self) -> tuple[Stop, Registers]:
        """As `_go_on`, and on from stops that concern nobody else."""
        while True:
            stop, registers = self._go_on()
            left = self._leftover(stop.watched)
            if left is None:
                return stop, registers
            self._do(partial(self._let_touch, left))

    def _go_on(self) -> tuple[Stop, Registers]:
        """Run to the next stop; say why, and what the registers hold then.

        `Why.WATCHDOG` means: the budget of instructions was spent. Raises Suspected where that is
        not known, and the machine cannot count.

        After WATCHDOG only `registers`, `read`, `step`, `rewind` and `reset` make sense.
        """
        before = self._machine.cpu_s()
        stop = self._run()
        if stop is None:
            stop = self._interrupt_or_wait()
        if stop.why is Why.INTERRUPTED and self._recorder.is_full():
            stop = Stop(Why.FULL, stop.reply)
        elif stop.why is Why.INTERRUPTED or (
            stop.why is Why.BREAK and self._took_long(before) and not self._is_acquitted()
        ):
            self._recorder.pause()
            stop = self._convict()
        registers = self._registers_after(stop)
        stopped_at = registers.pc
        rung = self._is_rung(stop, stopped_at)
        if rung:
            stop, registers = Stop(Why.BREAK, ""), registers.at(stopped_at + RING_SIZE)
        if stop.why in (Why.BREAK, Why.FULL):
            self._recorder.stopped(registers)
            if self._recorder.is_full():
                stop = Stop(Why.FULL, stop.reply)
        self._journal.append(_Go(stop.why, stopped_at))
        if rung:
            self.set_pc(registers.pc)
        self.ran_out = stop.why is Why.WATCHDOG
        return stop, registers

    def _run(self) -> Stop | None:
        """As long as the host has patience, or until the record is full."""
        if not self._recorder.limit:
            return self._probe.run(PATIENCE_S)
        stop = self._probe.run(GLANCE_S)
        for _ in range(round(PATIENCE_S / GLANCE_S)):
            if stop is not None or self._recorder.is_full():
                break
            stop = self._probe.wait(GLANCE_S)
        return stop

    def _interrupt_or_wait(self) -> Stop:
        """Patience is at its end: stop the core; or let it go on, where it has not executed its
        budget yet and the host is just slow. A record is a count, too."""
        executed, most = 0, RECORDED if self._recorder.on else self._budget.instructions
        while True:
            stop = self._probe.interrupt()
            if stop.why is not Why.INTERRUPTED or self._recorder.is_full():
                return stop
            if not (self._recorder.on or self._machine.can_count):
                raise Suspected
            before = executed
            executed = self._recorder.count() if self._recorder.on else self._executed()
            # One that executes nothing at all sleeps where the bench cannot see it.
            if not before < executed <= most:
                return stop
            after = self._run()
            if after is not None:
                return after

    def _is_acquitted(self) -> bool:
        """Whether the budget is surely not spent; otherwise it may be all the same."""
        if not self._machine.can_count:
            raise Suspected
        try:
            spent = self._executed()
            self._take_count_down()
        except BenchError:  # QEMU is about to end; doing it again shows why
            return False
        return spent <= self._budget.instructions

    def _executed(self) -> int:
        """Instructions since the count was last taken down, which may be some resumes ago."""
        return self._machine.executed() - self._counted_to

    def _take_count_down(self) -> None:
        self._counted_to = self._machine.executed()

    def _took_long(self, before: float) -> bool:
        if self._recorder.on:  # which takes time, and counts
            return self._recorder.count() > self._budget.instructions
        used = self._machine.cpu_s() - before
        return used > self._budget.instructions / FASTEST_HOST

    def _registers_after(self, stop: Stop) -> Registers:
        return NO_REGISTERS if stop.why is Why.GONE else self._probe.registers()

    def _convict(self) -> Stop:
        """Do the run again up to the last resume, and go on with a counter of instructions."""
        self._replay()
        self._arm_watchdog()
        with self.guarding((WATCHDOG_TIMER,)):
            stop = self._run_patiently()
        if stop.watched == WATCHDOG_TIMER.start:  # which it might feed for ever
            return self._convict_by_count()
        if stop.why is Why.BREAK and self._counted_down():
            self._qtest.write_word(WDT_ICR, 1)
            self._execute(BX_LR)  # back to where the NMI came, as if it had not
            return Stop(Why.WATCHDOG, stop.reply)
        if stop.why is Why.BREAK:
            # Innocent: the host was slow. Once more without the watchdog, which would disturb.
            self._replay()
            self._recorder.go_on()
            stop = self._run_patiently()
            if stop.why is Why.BREAK and self._machine.can_count:
                self._take_count_down()
        return stop

    def _convict_by_count(self) -> Stop:
        """The same for who touches the watchdog: the machine's own count tells."""
        if not self._machine.can_count:
            raise Suspected
        self._replay()
        self._recorder.go_on()
        begin = self._machine.executed()
        executed, idle = 0, 0
        stop = self._probe.run(PATIENCE_S)
        while stop is None or stop.why is Why.INTERRUPTED:
            if stop is None:
                stop = self._probe.interrupt()
                continue
            before, executed = executed, self._machine.executed() - begin
            idle = idle + 1 if executed == before else 0
            if executed > self._budget.instructions or idle == IDLE:
                self._recorder.pause()
                return Stop(Why.WATCHDOG, stop.reply)
            stop = self._probe.run(PATIENCE_S)
        if stop.why is Why.BREAK:
            self._take_count_down()
        return stop

    def _run_patiently(self) -> Stop:
        stop = self._probe.run(LAST_RESORT_S)
        if stop is None:
            raise BenchError(f"no answer from the machine within {LAST_RESORT_S:.0f} s")
        return stop

    def rewind(self) -> None:
        """Go back to just before the last resume; the journal then ends there."""
        while self._journal:
            if isinstance(self._journal.pop(), _Go):
                break
        self._replay()

    def _replay(self) -> None:
        self._reset()
        for entry in self._journal:
            if isinstance(entry, _Go):
                stop = self._run_patiently()
                if (stop.why, self._registers_after(stop).pc) != (entry.why, entry.pc):
                    raise BenchError("the same run went another way: the machine is not exact")
            else:
                entry()

    def _arm_watchdog(self) -> None:
        """Have an NMI when the core has executed the budget.

        The watchdog's clock is the system clock, whose period follows from RCC, RCC2 and a 200 MHz
        PLL as QEMU models it. Its time-out flag may be set already, from one of those moves of the
        virtual clock: QEMU's watchdog runs from reset on.
        """
        if self._line is None:
            self._line = _WatchdogLine(self._probe)
        self._line.connect(self._line.nmi)
        self._armed = True
        handler = self._nmi_handler()
        if not self.has_breakpoint(handler):
            self._probe.add_breakpoint(handler)
        self._own_breakpoints[handler] += 1
        rcc, rcc2 = self._qtest.read_word(RCC), self._qtest.read_word(RCC2)
        divisor = (rcc2 >> 23) & 0x3F if rcc2 >> 31 else (rcc >> 23) & 0xF
        period_ns = 5 * (divisor + 1)
        self._qtest.write_word(WDT_LOAD, max(1, self._budget.instructions // period_ns))
        self._qtest.write_word(WDT_ICR, 1)
        self._qtest.write_word(WDT_CTL, WDT_INTEN)

    def _nmi_handler(self) -> int:
        vector = self._probe.read(self._qtest.read_word(VTOR) + 4 * NMI, 4) or bytes(4)
        return int.from_bytes(vector, "little") & ~1

    def _counted_down(self) -> bool:
        """Whether the core has stopped at the NMI that `_arm_watchdog` prepared."""
        registers = self._probe.registers()
        at_handler = registers.exception == NMI and registers.pc == self._nmi_handler()
        return at_handler and bool(self._qtest.read_word(WDT_RIS))


def _check_version(said: str) -> str:
    """The version in the answer to `info version`. Raises BenchError where it is too old."""
    found = re.search(r"(\d+)\.(\d+)(?:\.\d+)?", said)
    if found is None:
        raise BenchError(f"QEMU did not tell its version: {said[:60]!r}")
    if (int(found[1]), int(found[2])) < OLDEST_QEMU:
        oldest = ".".join(map(str, OLDEST_QEMU))
        raise BenchError(
            f"QEMU is version {found[0]}; wakelab needs {oldest} or newer. "
            "`make doctor` says how to get it."
        )
    return found[0]


class _WatchdogLine:
    """The wire from the watchdog to the core, which can be moved from its interrupt to the NMI."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        paths = _paths(probe.monitor("info qom-tree"))
        self._pin = f"{paths['luminary-watchdog']} sysbus-irq[0]"
        self.nmi = f"{paths['armv7m_nvic']}/NMI[0]"
        self.usual = self._connected()

    def _connected(self) -> str:
        return self._probe.monitor(f"qom-get {self._pin}").strip().strip('"')

    def connect(self, line: str) -> None:
        """Connect the watchdog to `line`, the path of an input."""
        self._probe.monitor(f"qom-set {self._pin} {line}")
        if self._connected() != line:
            raise BenchError(f"this QEMU does not connect its watchdog to {line}")


def _paths(tree: str) -> dict[str, str]:
    """Path of the first object of each type, from the monitor's `info qom-tree`."""
    found: dict[str, str] = {}
    above: list[str] = []
    for indent, name, kind in re.findall(r"^( *)/(\S+) \((\S+)\)", tree, re.MULTILINE):
        above = [*above[: len(indent) // 2], name]
        found.setdefault(kind, "/" + "/".join(above))
    return found


class _Go(NamedTuple):
    """A resume in the journal, and how it ended."""

    why: Why
    pc: int
