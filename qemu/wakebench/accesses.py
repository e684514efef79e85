"""What a program does to devices: every access, in order, as the recorded run shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from wakebench.board import Board, Ended, Unmet
from wakebench.decode import DEVICES, DEVICES_END, SYSTEM, Does, Masks
from wakebench.errors import BenchError
from wakebench.probe import Registers


class DeviceAccess(NamedTuple):
    """One access to a peripheral or to the core's own registers.

    step       number of the instruction in the run, from 0
    pc         of the instruction
    exception  what was being handled, 0 in thread mode
    value      what was written, or read as far as a register then shows it (-1: not known)
    """

    step: int
    pc: int
    exception: int
    address: int
    size: int
    write: bool
    value: int = -1


class Sleep(NamedTuple):
    """A WFI: what held interrupts back at it."""

    step: int
    pc: int
    masks: Masks


class Observed(NamedTuple):
    """A run of so many steps."""

    accesses: tuple[DeviceAccess, ...] = ()
    sleeps: tuple[Sleep, ...] = ()
    steps: int = 0

    def then(self, later: Observed) -> Observed:
        """This run, and the one that went on from it some time later."""
        accesses = (each._replace(step=each.step + self.steps) for each in later.accesses)
        sleeps = (each._replace(step=each.step + self.steps) for each in later.sleeps)
        return Observed(
            (*self.accesses, *accesses), (*self.sleeps, *sleeps), self.steps + later.steps
        )


_LOADS_AND_STORES = frozenset((*range(0x50, 0x90), *range(0xC0, 0xD0), 0xE8, 0xE9, 0xF8, 0xF9))
"""Upper bytes of the first halfword of those that take an address from a register other than SP and
PC (ARM DDI 0403, A5)."""

_WFI, _CPS, _HINTS_AND_MSR = 0xBF30, 0xB6, 0xF3

_FARTHEST = 0x1000
"""Of an access from its base register."""


def _may_matter(here: Registers, first: bytes) -> bool:
    """Whether an instruction may touch a device, sleep, or mask interrupts. To decode one takes
    longer than all else, and few do."""
    halfword = int.from_bytes(first, "little")
    kind = halfword >> 8
    if kind in _LOADS_AND_STORES:
        return any(
            DEVICES - _FARTHEST <= r < DEVICES_END or r >= SYSTEM - _FARTHEST for r in here[:13]
        )
    return halfword == _WFI or kind in (_CPS, _HINTS_AND_MSR)


def observe(board: Board, run: Callable[[], object], limit: int) -> Observed:
    """Have a board run from where it stands, with interrupts not masked, and see what it does to
    devices; the run is over after about `limit` instructions. A run that ends is seen as far as its
    last stop."""
    try:
        with board.recording(limit) as lines:
            run()
    except (Ended, Unmet):
        pass  # what comes of it is for others to tell
    decoder = board.decoder
    accesses: list[DeviceAccess] = []
    sleeps: list[Sleep] = []
    masks = Masks()
    code = board.image.flash_content
    for step, here in enumerate(lines[:-1]):
        if not _may_matter(here, code[here.pc : here.pc + 2]):
            continue
        try:
            instruction = decoder.at(here.pc)
        except BenchError:
            break  # not in flash: nobody knows what it is
        if not instruction.plain:
            for access in instruction.accesses(here):
                if access.device:
                    written = int.from_bytes(access.data, "little") if access.write else -1
                    accesses.append(
                        DeviceAccess(
                            *(step, here.pc, here.exception, access.address, access.size),
                            access.write,
                            written,
                        )
                    )
        if instruction.does is Does.SLEEPS:
            sleeps.append(Sleep(step, here.pc, masks))
        masks = instruction.masks(here, masks)
    return Observed(tuple(accesses), tuple(sleeps), len(lines))
