"""The two clients of QEMU's sockets, on a stopped machine: registers, memory, steps, stops."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from firmwares import Build

from wakebench import probe
from wakebench.core import SYST_CSR, SYSTICK
from wakebench.errors import BenchError
from wakebench.image import Image
from wakebench.machine import Machine, Qemu
from wakebench.probe import LR, PC, SP, ConnectionLost, Probe, Why
from wakebench.qtest import Qtest

SRAM = 0x2000_0000
GPIOF_IM = 0x4002_5410
PATIENCE_S = 20.0


class Desk:
    """A stopped machine with both clients."""

    def __init__(self, machine: Machine, image: Image) -> None:
        self.machine = machine
        self.image = image
        self.qtest = Qtest(machine.connection("qtest"))
        self.probe = Probe(machine.connection("gdb"), self.qtest.flush)

    def address(self, name: str) -> int:
        """Where a symbol is."""
        symbol = self.image.symbol(name)
        assert symbol is not None
        return symbol.address

    def run_to(self, name: str) -> None:
        """Run to a function, by a breakpoint that is gone afterwards."""
        self.probe.add_breakpoint(self.address(name))
        stop = self.probe.run(PATIENCE_S)
        assert stop is not None
        assert stop.why is Why.BREAK
        self.probe.remove_breakpoint(self.address(name))


@pytest.fixture
def desk(build: Build, qemu: Qemu) -> Iterator[Desk]:
    """The spinner."""
    image = build("spinner")
    with Machine(image.path, qemu) as machine:
        yield Desk(machine, image)


def test_registers_after_reset(desk: Desk) -> None:
    registers = desk.probe.registers()
    assert registers.pc == desk.address("Reset_Handler")
    assert registers.sp == desk.image.vectors[0]
    assert registers.exception == 0
    assert registers.at(0x100).pc == 0x100
    assert registers.at(0x100).sp == registers.sp


@pytest.mark.parametrize("number", [*range(13), SP, LR, PC])
def test_each_register(desk: Desk, number: int) -> None:
    before = desk.probe.registers()
    value = SRAM + 0x1234 if number == SP else 0x1000 + 4 * number
    desk.probe.set_register(number, value)
    after = desk.probe.registers()
    assert after[number] == value
    assert [n for n in range(16) if after[n] != before[n]] == [number]


def test_memory(desk: Desk) -> None:
    assert desk.probe.read(0, 256) == desk.image.flash(0, 256)
    assert desk.probe.read(4, 0) == b""
    assert desk.probe.read(4, 2500) == desk.image.flash(4, 2500), "more than a packet holds"
    desk.qtest.fill(SRAM + 16, 8, 0x5A)
    assert desk.probe.read(SRAM + 15, 10) is not None
    assert desk.probe.read(SRAM + 16, 8) == b"\x5a" * 8
    assert desk.probe.read(SRAM + 64 * 1024 - 4, 4) is not None
    assert desk.probe.read(0xF000_0000, 4) in (None, bytes(4)), "QEMU versions differ"


def test_step(desk: Desk) -> None:
    desk.run_to("main")
    before = desk.probe.registers()
    stop = desk.probe.step()
    after = desk.probe.registers()
    assert stop.why is Why.BREAK
    assert after.pc - before.pc in (2, 4)


def test_breakpoints(desk: Desk) -> None:
    desk.run_to("main")
    assert desk.probe.registers().pc == desk.address("main")
    desk.run_to("button_setup")
    registers = desk.probe.registers()
    assert registers.pc == desk.address("button_setup")
    assert registers[0] == 4, "BUTTON_SELECT"
    assert desk.image.name_at(registers.lr) == "arm"
    at_once = desk.address("button_setup")
    desk.probe.add_breakpoint(at_once)
    stop = desk.probe.run(PATIENCE_S)
    assert stop is not None
    assert desk.probe.registers().pc == at_once, "a breakpoint here stops before the instruction"


def test_watch_of_a_device_stops_before_the_write(build: Build, qemu: Qemu) -> None:
    image = build("ticker")
    with Machine(image.path, qemu) as machine:
        desk = Desk(machine, image)
        desk.probe.add_watch(SYSTICK)
        stop = desk.probe.run(PATIENCE_S)
        assert stop is not None
        assert stop.why is Why.BREAK
        assert "watch" in stop.reply
        assert desk.qtest.read_word(SYST_CSR) == 4, "as after reset"
        desk.probe.remove_watch(SYSTICK)
        desk.probe.step()
        assert desk.qtest.read_word(SYST_CSR) & 7 == 7


@pytest.mark.parametrize("look_s", [probe.LOOK_S, 0])
def test_run_interrupt_and_run_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, look_s: float
) -> None:
    """The spinner's console call is skipped; then it spins. Also on a host that is slow to look."""
    monkeypatch.setattr(probe, "LOOK_S", look_s)
    desk.run_to("semihosting_call")
    desk.probe.set_register(PC, desk.probe.registers().lr & ~1)
    spun = 0
    for _ in range(10):
        assert desk.probe.run(0.02) is None
        assert desk.probe.interrupt().why is Why.INTERRUPTED
        assert desk.image.name_at(desk.probe.registers().pc) == "main"
        assert desk.probe.registers()[4] > spun
        spun = desk.probe.registers()[4]


def test_interrupt_that_comes_too_late(desk: Desk) -> None:
    """A stop that happened meanwhile counts, and the conversation goes on in step."""
    for _ in range(50):
        desk.probe.set_register(PC, desk.address("Reset_Handler"))
        desk.probe.add_breakpoint(desk.address("main"))
        stop = desk.probe.run(0.00005) or desk.probe.interrupt()
        assert stop.why in (Why.BREAK, Why.INTERRUPTED)
        registers = desk.probe.registers()
        assert len(registers) == 17
        assert stop.why is Why.INTERRUPTED or registers.pc == desk.address("main")


def test_several_areas_at_once(desk: Desk) -> None:
    flash = desk.image.flash_content
    areas = [(0, 64), (8, 0), (0, 3000), (0x3000_0000, 4)]
    expected = [flash[:64], b"", flash[:3000], None]
    assert desk.probe.read_each(*areas) == expected, "one of them is long"
    del areas[2], expected[2]
    assert desk.probe.read_each(*areas) == expected, "all are short"


def test_where_memory_ends_nothing_more_is_asked_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stack pointer of a program's may be anywhere, and its stack half of all there is."""
    asked: list[tuple[bytes, ...]] = []
    send = Probe._send

    def counted(probe: Probe, *payload: bytes) -> None:
        asked.append(payload)
        send(probe, *payload)

    monkeypatch.setattr(Probe, "_send", counted)
    end_of_flash = 256 * 1024
    assert desk.probe.read_each((SRAM, 4), (end_of_flash - 2048, SRAM)) == [b"\0" * 4, None]
    assert len(asked) == 4


def test_a_long_patch(desk: Desk) -> None:
    """Longer than a packet."""
    code = bytes(range(256)) * 20
    desk.probe.patch(0x1_0000, code)
    assert desk.probe.read(0x1_0000 - 4, len(code) + 8) == bytes(4) + code + bytes(4)


def test_monitor(desk: Desk) -> None:
    assert "CPU#0" in desk.probe.monitor("info cpus") or "CPU #0" in desk.probe.monitor("info cpus")
    assert "unknown command" in desk.probe.monitor("no_such_command")
    assert desk.probe.monitor("info version")[:1].isdigit()


def test_refused_packets_are_errors(desk: Desk) -> None:
    desk.probe._command(b"Z9,0,0")  # waits
    with pytest.raises(BenchError, match="the gdbstub refused b'Z9"):
        desk.probe.flush()
    assert desk.probe.registers().exception == 0


def test_devices(desk: Desk) -> None:
    assert desk.qtest.read_word(GPIOF_IM) == 0
    desk.qtest.write_word(GPIOF_IM, 0x83)
    assert desk.qtest.read_word(GPIOF_IM) == 0x83


def test_qtest_refusal(desk: Desk) -> None:
    desk.qtest.set_input("/nowhere", 0, 1)  # waits
    with pytest.raises(BenchError, match="qtest refused 'set_irq_in /nowhere"):
        desk.qtest.flush()


def test_end_of_qemu(desk: Desk) -> None:
    assert desk.machine._process is not None
    desk.probe._send(b"c")
    desk.machine._process.kill()
    desk.machine._process.wait()
    assert desk.machine.dead
    stop = desk.probe._stop(PATIENCE_S)
    assert stop is not None
    assert stop.why is Why.GONE
    assert desk.probe.interrupt().why is Why.GONE
    with pytest.raises(ConnectionLost):
        desk.probe.registers()
    with pytest.raises(BenchError, match="qtest"):
        desk.qtest.read_word(GPIOF_IM)
