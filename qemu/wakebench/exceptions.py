"""The core's exceptions by number (ARM DDI 0403, B1.5.2)."""

from __future__ import annotations

FIRST_IRQ = 16

CORE_EXCEPTIONS = {
    1: "Reset",
    2: "NMI",
    3: "HardFault",
    4: "MemManage",
    5: "BusFault",
    6: "UsageFault",
    11: "SVCall",
    12: "DebugMonitor",
    14: "PendSV",
    15: "SysTick",
}
FAULTS = frozenset({3, 4, 5, 6})


def exception_name(number: int) -> str:
    """`SysTick`, `IRQ 30`, ...: what the field calls exception `number`."""
    if number >= FIRST_IRQ:
        return f"IRQ {number - FIRST_IRQ}"
    return CORE_EXCEPTIONS.get(number, f"exception {number}")
