"""What QEMU forgives and the chip does not: each rule, and its nearest neighbour that is right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from test_byhand import LAB, opened, wrong

from wakebench.accesses import DeviceAccess, Observed, Sleep
from wakebench.decode import Masks
from wakelab.diagnosis import Mistake
from wakelab.silicon import faults, faults_of

RCGC2, PORT_F, UART0, RCGC1 = 0x400F_E108, 0x4002_5000, 0x4000_C000, 0x400F_E104
DATA, ICR, IM, DEN, PUR = (PORT_F + each for each in (0x8, 0x41C, 0x410, 0x51C, 0x510))
ICER, ICPR, IPR = 0xE000_E180, 0xE000_E280, 0xE000_E400
SELECT = 2

Act = tuple[int, int, int | None]
"""Step, address, what is written (None: it is read)."""


def said(acts: Sequence[Act], *sleeps: Sleep, size: int = 4) -> list[Mistake]:
    accesses = tuple(
        DeviceAccess(step, 0x100 + 2 * step, 0, address, size, value is not None, value or 0)
        for step, address, value in acts
    )
    return [f.mistake for f in faults_of(Observed(accesses, sleeps, 100), "SELECT")]


ON: Act = (0, RCGC2, 1 << 5)
SET_UP: list[Act] = [ON, (4, PUR, SELECT), (5, DEN, SELECT)]


@pytest.mark.parametrize(
    ("acts", "expected"),
    [
        ([*SET_UP, (6, IM, SELECT), (7, DATA, None)], []),
        # Clocks.
        ([(4, DATA, None)], [Mistake.NO_CLOCK]),
        ([(0, RCGC2, 1 << 4), (9, DATA, None)], [Mistake.NO_CLOCK]),
        ([ON, (2, DATA, None)], [Mistake.CLOCK_TOO_SOON]),
        ([ON, (3, DATA, None)], []),
        ([ON, (9, RCGC2, 1 << 5 | 1 << 4), (10, DATA, None)], []),
        ([(0, RCGC1, 1), (4, UART0, 65)], []),
        ([(0, RCGC1, 2), (4, UART0, 65)], [Mistake.NO_CLOCK]),
        # Pins.
        ([ON, (4, PUR, SELECT), (6, IM, SELECT)], [Mistake.NOT_DIGITAL]),
        ([ON, (4, DEN, SELECT), (6, IM, SELECT)], [Mistake.NO_PULL_UP]),
        ([ON, (4, DEN, SELECT), (6, IM, SELECT), (9, PUR, SELECT)], []),
        ([ON, (4, DEN, 8), (6, IM, 8)], []),  # PF3 is no button
        ([*SET_UP, (6, IM, SELECT), (9, IM, 0), (10, DEN, 0)], [Mistake.NOT_DIGITAL]),
        # Addresses and registers.
        ([(0, 0x4001_0000, None)], [Mistake.UNMAPPED]),
        ([(0, 0x4000_1FFC, 1)], [Mistake.UNMAPPED]),
        ([(0, 0x400F_E060, None), (1, 0x400F_D000, None), (2, 0xE000_ED00, None)], []),
        ([(0, 0x4240_0000, None)], []),
        ([*SET_UP, (6, PORT_F + 0x424, None)], [Mistake.RESERVED_REGISTER]),
        ([*SET_UP, (6, PORT_F + 0x420, None), (7, PORT_F + 0xFE0, None)], []),
        # Ones that clear.
        ([*SET_UP, (6, ICR, None), (8, ICR, SELECT)], [Mistake.READ_MODIFY_CLEAR]),
        ([*SET_UP, (6, ICR, None), (60, ICR, SELECT)], []),
        ([*SET_UP, (8, ICR, SELECT), (9, ICR, SELECT)], []),
        ([(6, ICER, None), (8, ICER, 1)], [Mistake.READ_MODIFY_CLEAR]),
        ([(6, ICPR + 4, None), (8, ICPR + 4, 1)], [Mistake.READ_MODIFY_CLEAR]),
        ([(6, ICPR, None), (8, ICPR + 4, 1)], []),
        # Priorities.
        ([(6, IPR + 28, 0xE0_20_00_00)], []),
        ([(6, IPR + 28, 0x00_05_00_00)], [Mistake.PRIORITY_BITS]),
    ],
)
def test_a_rule_and_its_neighbours(acts: list[Act], expected: list[Mistake]) -> None:
    assert said(acts) == expected


@pytest.mark.parametrize(
    ("basepri", "priority", "bad"),
    [(0, 0xA0, False), (0x80, 0xA0, True), (0x80, 0x80, True), (0x80, 0x40, False)],
)
def test_basepri_at_the_sleep(basepri: int, priority: int, bad: bool) -> None:
    sleep = Sleep(20, 0x200, Masks(primask=True, basepri=basepri))
    for acts, size in ([(1, IPR + 30, priority)], 1), ([(1, IPR + 28, priority << 16)], 4):
        assert said(acts, sleep, size=size) == [Mistake.BASEPRI_SLEEP] * bad


def test_each_place_is_told_once() -> None:
    many = [(4 + n, DATA, None) for n in range(5)]
    assert said(many) == [Mistake.NO_CLOCK] * 5
    accesses = tuple(DeviceAccess(n, 0x100, 0, DATA, 4, False) for n in range(5))
    assert len(list(faults_of(Observed(accesses, (), 5), "SELECT"))) == 1


def test_what_went_on_later_is_one_run() -> None:
    first = Observed((DeviceAccess(0, 0x100, 0, RCGC2, 4, True, 1 << 5),), (), 10)
    later = Observed((DeviceAccess(0, 0x200, 0, DATA, 4, False),), (Sleep(1, 0, Masks()),), 5)
    whole = first.then(later)
    assert [each.step for each in whole.accesses] == [0, 10]
    assert (whole.sleeps[0].step, whole.steps) == (11, 15)
    assert list(faults_of(whole, "SELECT")) == []


def test_where_it_is_in_the_program(tmp_path: Path) -> None:
    """The very line, from a real run; and the board's own code is without a fault."""
    folder = wrong("or-into-icr", tmp_path)
    lines = (folder / "button_future.c").read_text().splitlines()
    with opened(folder) as subject:
        (fault,) = faults(subject)
        place = subject.place(fault.pc, "Og")
        assert place is not None and "ICR |=" in lines[place.line - 1]
    with opened(LAB.reference) as subject:
        assert faults(subject) == []
