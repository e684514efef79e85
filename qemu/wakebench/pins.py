"""Scripted pins: any pin of any GPIO port, by name.

The ports are found by type and base address, because their place in QEMU's object tree moves
between versions. All inputs read 0 after QEMU's reset, unlike the real board, whose buttons are
pulled up: so `idle` is to be called after each reset, or the first press would make no edge.
"""

from __future__ import annotations

import re
import struct
from enum import StrEnum
from typing import NamedTuple

from wakebench.errors import BenchError
from wakebench.pin_names import BUTTONS, Pin
from wakebench.probe import Probe
from wakebench.qtest import Qtest

PORTS = {
    "A": 0x40004000,
    "B": 0x40005000,
    "C": 0x40006000,
    "D": 0x40007000,
    "E": 0x40024000,
    "F": 0x40025000,
    "G": 0x40026000,
}
"""Base addresses (LM3S6965 data sheet, memory map)."""

PORT_IRQ = {"A": 0, "B": 1, "C": 2, "D": 3, "E": 4, "F": 30, "G": 31}
"""NVIC lines of the GPIO ports (LM3S6965 data sheet, table "Interrupts")."""

GPIO_DIR = 0x400
GPIO_IS = 0x404
GPIO_IBE = 0x408
GPIO_IEV = 0x40C
GPIO_IM = 0x410
GPIO_RIS = 0x414
GPIO_MIS = 0x418


class Edge(StrEnum):
    """What became of a level that the bench set on a pin."""

    LATCHED = "latched"
    """The port sensed it: the pin's bit in RIS went from 0 to 1."""
    MERGED = "merged"
    """RIS was already set by an earlier edge that the program has not acknowledged."""
    UNSENSED = "unsensed"
    """The port took no notice: the level did not change, or the edge is not the one selected."""


class PortState(NamedTuple):
    """A port's interrupt registers as they are now; for diagnosis."""

    direction: int
    sense: int
    both_edges: int
    event: int
    mask: int
    raw: int


class Pins:
    """The pins of one machine."""

    def __init__(self, probe: Probe, qtest: Qtest) -> None:
        self._qtest = qtest
        self._devices = _find_ports(probe)
        self._levels: dict[Pin, int] = {}

    def idle(self) -> None:
        """Bring every button to its idle level, released (1), without recording an edge."""
        self._levels.clear()
        for button in BUTTONS.values():
            self.drive(button, 1)

    def drive(self, pin: Pin, level: int) -> None:
        """Set the level outside the pin."""
        self._qtest.set_input(self._devices[pin.port], pin.number, level)
        self._levels[pin] = level

    def edge(self, pin: Pin, level: int) -> Edge:
        """Set the level outside the pin, and say what the port made of it."""
        bit = 1 << pin.number
        changed = self._levels.get(pin, 0) != level
        before, after = self._qtest.set_input_seen(
            self._devices[pin.port], pin.number, level, PORTS[pin.port] + GPIO_RIS
        )
        self._levels[pin] = level
        if before & bit:
            return Edge.MERGED if changed and self._senses(pin, level) else Edge.UNSENSED
        return Edge.LATCHED if after & bit else Edge.UNSENSED

    def _senses(self, pin: Pin, level: int) -> bool:
        state = self.port(pin)
        bit = 1 << pin.number
        if state.direction & bit:
            return False
        if state.both_edges & bit and not state.sense & bit:
            return True
        return bool(state.event & bit) == bool(level)

    def read(self, pin: Pin) -> int:
        """The level of the pin as the port's DATA register shows it."""
        bit = 1 << pin.number
        return int(self._qtest.read_word(PORTS[pin.port] + (bit << 2)) != 0)

    def port(self, pin: Pin) -> PortState:
        """The interrupt registers of the pin's port."""
        raw = self._qtest.read_block(PORTS[pin.port] + GPIO_DIR, GPIO_RIS + 4 - GPIO_DIR)
        return PortState(*struct.unpack("<6I", raw))


def _find_ports(probe: Probe) -> dict[str, str]:
    """QOM path of each port, by its letter."""
    by_address = {address: letter for letter, address in PORTS.items()}
    found: dict[str, str] = {}
    listing = probe.monitor("qom-list /machine/unattached")
    for name in re.findall(r"(device\[\d+\]) \(child<pl061_luminary>\)", listing):
        path = f"/machine/unattached/{name}"
        said = probe.monitor(f"qom-get {path}/pl061[0] addr").strip()
        if said.isdigit() and int(said) in by_address:
            found[by_address[int(said)]] = path
    missing = sorted(set(PORTS) - set(found))
    if missing:
        raise BenchError(f"this QEMU shows no GPIO port {', '.join(missing)} on lm3s6965evb")
    return found
