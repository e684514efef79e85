"""A button's line to the core: pin, port, interrupt controller, and what the program's writes make
of it.

A run that is recorded at full speed shows registers, but no devices in between. Those of the line
are few and simple, so they are computed from what the program writes (PL061 and NVIC as QEMU models
them), and held against the machine's own at each sleep.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from wakebench.board import Board
from wakebench.decode import Access
from wakebench.exceptions import FIRST_IRQ
from wakebench.pin_names import BUTTONS
from wakebench.pins import (
    GPIO_DIR,
    GPIO_IBE,
    GPIO_IEV,
    GPIO_IM,
    GPIO_IS,
    GPIO_RIS,
    PORT_IRQ,
    PORTS,
    PortState,
)

PORT_SIZE = 0x1000
DATA_END, DATA = 0x400, 0x3FC
GPIO_ICR = 0x41C
_PLAIN = {
    GPIO_DIR: "direction",
    GPIO_IS: "sense",
    GPIO_IBE: "both_edges",
    GPIO_IEV: "event",
    GPIO_IM: "mask",
}
"""Registers that hold what is written to them, in the order of PortState."""

# ARMv7-M, ARM DDI 0403, B3.4: registers with a bit, or a byte, for each line.
ISER, ICER, ISPR, ICPR, IPR = 0xE000_E100, 0xE000_E180, 0xE000_E200, 0xE000_E280, 0xE000_E400
STIR = 0xE000_EF00
BIT_BAND = 0x4200_0000
"""From here on each word stands for one bit of a device (ARM DDI 0337, "Bit-banding")."""
BANK = 0x80
"""Bytes from one of the first four to the next."""


class Wire(NamedTuple):
    """Which line it is."""

    button: str
    base: int
    """Of the port."""
    bit: int
    """Of the pin, in the port's registers."""
    irq: int
    """Of the port, in the NVIC."""

    @property
    def exception(self) -> int:
        """Number of the port's exception."""
        return self.irq + FIRST_IRQ

    @property
    def registers(self) -> range:
        """The port's addresses."""
        return range(self.base, self.base + PORT_SIZE)

    def decides(self, accesses: Iterable[Access]) -> bool:
        """Whether one of these may notice that the pin has moved, or decide what comes of it."""
        return any(map(self._decides, accesses))

    def _decides(self, access: Access) -> bool:
        if not access.device:
            return False
        if PORTS["A"] <= access.address < BIT_BAND and access.address not in self.registers:
            return False  # another device
        offset = access.address - self.base
        silent = access.address in self.registers and offset in _PLAIN
        return access.write or not silent


def wire_of(button: str) -> Wire:
    """The line of a button."""
    pin = BUTTONS[button]
    return Wire(button, PORTS[pin.port], 1 << pin.number, PORT_IRQ[pin.port])


class Line(NamedTuple):
    """The state of a line.

    levels   of the port's pins, as its DATA register has them
    enabled, pending, priority   of the port's interrupt in the NVIC
    active   its handler runs
    """

    wire: Wire
    port: PortState
    levels: int
    enabled: bool
    pending: bool
    priority: int
    active: bool = False

    @property
    def asked(self) -> bool:
        """Whether the port asks for an interrupt."""
        return bool(self.port.raw & self.port.mask)

    @property
    def calls(self) -> bool:
        """Whether a handler is to come, as soon as nothing is masked in the core."""
        return self.enabled and self.pending

    @property
    def set_up(self) -> bool:
        """Whether the pin or the line has been switched on: before that an edge is no press."""
        return self.enabled or bool(self.port.mask & self.wire.bit)

    # -- what comes from outside -----------------------------------------------------------------

    def pressed(self) -> Line:
        """After the button has come up, and has been pressed."""
        return self._moved(self.levels | self.wire.bit)._moved(self.levels & ~self.wire.bit)

    def _moved(self, levels: int) -> Line:
        """The pins have got these levels from outside; an output has the one that it drives."""
        out = self.port.direction
        return self._sensed(levels & ~out | self.levels & out)

    def _sensed(self, levels: int, port: PortState | None = None) -> Line:
        """With these levels, and the port's registers as given: the port looks at its pins. Where
        it begins to ask, the interrupt becomes pending."""
        port = port or self.port
        changed = (levels ^ self.levels) & ~port.direction & 0xFF
        as_selected = ~(levels ^ port.event) & 0xFF
        edges = changed & ~port.sense & (port.both_edges | as_selected)
        port = port._replace(raw=port.raw | edges | as_selected & port.sense)
        after = self._replace(levels=levels, port=port)
        return after._replace(pending=True) if after.asked and not self.asked else after

    # -- what comes from the core ----------------------------------------------------------------

    def entered(self) -> Line:
        """The handler begins."""
        return self._replace(pending=False, active=True)

    def left(self) -> Line:
        """The handler has returned; a port that still asks is heard again."""
        return self._replace(pending=self.pending or self.asked, active=False)

    def after(self, access: Access) -> Line:
        """After a write of the program's. Other accesses change nothing."""
        if not access.write:
            return self
        if access.address in self.wire.registers:
            return self._port_written(access.address - self.wire.base, _value(access))
        if ISER <= access.address < ISER + 4 * BANK or IPR <= access.address <= STIR:
            return self._nvic_written(access)
        return self

    def _port_written(self, offset: int, value: int) -> Line:
        port, byte = self.port, value & 0xFF
        if offset < DATA_END:
            driven = offset >> 2 & port.direction
            return self._sensed(self.levels & ~driven | byte & driven)
        if offset == GPIO_ICR:
            port = port._replace(raw=port.raw & ~byte)
        elif offset in _PLAIN:
            port = port._replace(**{_PLAIN[offset]: byte})
        else:
            return self
        return self._sensed(self.levels, port)

    def _nvic_written(self, access: Access) -> Line:
        irq = self.wire.irq
        if access.address == STIR:
            return self._replace(pending=True) if _value(access) & 0x1FF == irq else self
        if IPR + irq in access.bytes():
            byte = access.data[IPR + irq - access.address] if access.data else 0
            return self._replace(priority=byte)
        bank = ISER + (access.address - ISER) // BANK * BANK
        first = 8 * (access.address - bank)
        if not _value(access) << first >> irq & 1:
            return self
        held = self.asked and not self.active
        if bank in (ISER, ICER):
            return self._replace(enabled=bank == ISER)
        if bank in (ISPR, ICPR):
            return self._replace(pending=bank == ISPR or (self.pending and held))
        return self


def _value(access: Access) -> int:
    return int.from_bytes(access.data, "little")


def line_of(board: Board, wire: Wire) -> Line:
    """A line as the machine has it now; in thread mode."""
    word, bit = wire.irq // 32 * 4, 1 << wire.irq % 32
    registers = (*(wire.base + offset for offset in (*_PLAIN, GPIO_RIS, DATA)),)
    nvic = (ISER + word, ISPR + word, IPR + wire.irq & ~3)
    *port, levels, enabled, pending, priorities = board.read_words(*registers, *nvic)
    return Line(
        wire,
        PortState(*port),
        levels,
        bool(enabled & bit),
        bool(pending & bit),
        priorities >> 8 * (wire.irq % 4) & 0xFF,
    )
