"""Measure 3: instructions from the button's interrupt to the task, counted one by one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wakebench.core import Budget, Core
from wakebench.errors import BenchError
from wakebench.image import Image, Symbol
from wakebench.machine import Machine, Qemu
from wakebench.pin_names import BUTTONS
from wakebench.probe import Registers
from wakelab.benchmarks.reference import Reference
from wakelab.benchmarks.row import Row, Step, part

TARGET = 80
TARGET_LEVEL = "Os"
LONGEST = 5000
"""Instructions; beyond, the task was not woken."""

HANDLER = "GPIOF_IRQHandler"
SPAWN = "executor_spawn"


@dataclass(frozen=True)
class Way:
    """Instructions executed from the first of the handler, which counts, to the first of a poll,
    which does not.

    task_poll  the function that polls the task's own future, the one given to executor_spawn
    to_task    to its first instruction
    to_button  to the first instruction of the button's future's poll
    """

    task_poll: str
    to_task: int
    to_button: int


def measure_way(elf: Path, qemu: Qemu, button: str, button_poll: str) -> Way:
    """Press during the first sleep, and step. Raises BenchError where the way is not found."""
    image = Image(elf)
    with Machine(elf, qemu) as machine:
        core = Core(machine, Budget())
        core.fix_breakpoints(image.sites)
        core.reset()
        task_poll = _spawned(core, image)
        asleep = _run_to(core, image, *image.sites)
        core.edge(BUTTONS[button], 0)
        core.set_pc(asleep.pc + (4 if image.sites[asleep.pc] == "wfi.w" else 2))
        _run_to(core, image, _function(image, HANDLER).address)
        ends = (task_poll.address, _function(image, button_poll).address)
        to_task, to_button = _count_to(core, *ends)
    return Way(task_poll.name, to_task, to_button)


def _spawned(core: Core, image: Image) -> Symbol:
    """The poll function of the future that the program makes a task of."""
    at_spawn = _run_to(core, image, _function(image, SPAWN).address)
    poll = core.read(at_spawn[2], 4)
    found = image.symbol_at(int.from_bytes(poll, "little")) if poll else None
    if found is None:
        raise BenchError(f"{SPAWN} is not called with a future")
    return found


def _function(image: Image, name: str) -> Symbol:
    symbol = image.symbol(name)
    if symbol is None or not symbol.is_function:
        raise BenchError(f"the reference has no function {name}: what to count is not known")
    return symbol


def _run_to(core: Core, image: Image, *addresses: int) -> Registers:
    """Run until the core is at one of them."""
    for address in addresses:
        core.breakpoint(address)
    _, registers = core.go()
    if registers.pc not in addresses:
        wanted = image.name_at(addresses[0])
        raise BenchError(f"the reference stopped in {image.name_at(registers.pc)}, not at {wanted}")
    for address in addresses:
        core.remove_breakpoint(address)
    return registers


def _count_to(core: Core, *ends: int) -> list[int]:
    """Steps from here to the first time at each of the ends."""
    found: dict[int, int] = {}
    for count in range(LONGEST):
        pc = core.registers().pc
        if pc in ends:
            found.setdefault(pc, count)
            if len(found) == len(set(ends)):
                return [found[end] for end in ends]
        core.step()
    raise BenchError(f"the task was not polled within {LONGEST} instructions of the interrupt")


def measure_ways(reference: Reference, step: Step) -> dict[str, Way]:
    """At every level, by level."""
    ways = {}
    for level in reference.levels:
        elf, poll = reference.elf(level), reference.lab.trace["poll"]
        ways[level] = measure_way(elf, reference.qemu, reference.button, poll)
        step()
    return ways


def way_rows(ways: dict[str, Way], button_poll: str) -> list[Row]:
    """For the table."""
    best = ways[TARGET_LEVEL]
    rows = [
        Row(
            f"handler to {best.task_poll}, -{TARGET_LEVEL}",
            f"{best.to_task} instr.",
            best.to_task,
            TARGET,
        ),
        part(f"to {button_poll}", f"{best.to_button} instr."),
    ]
    for level, way in ways.items():
        if level != TARGET_LEVEL:
            rows.append(part(f"the same two at -{level}", f"{way.to_task}; {way.to_button} instr."))
    return rows
