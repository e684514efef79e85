"""What a program touches between two sleeps, and what follows: which boundaries stand for all, and
whether the sweep missed one.

The sweep (wakebench.sweep) presses at every instruction boundary from inside the guest. Its witness
and its economist is `wakebench.explore`, on a plain machine without the harness; here is what that
one finds. docs/contributors/reduction.md says on what it rests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from wakebench.decode import Access
from wakebench.line import wire_of
from wakebench.sweep import Moment, Place, Placement


class TraceError(Exception):
    """The window cannot be traced; the sentence says why. The rest of a report still stands."""


class Step(NamedTuple):
    """One instruction as it was executed. `masked`: the button's interrupt would have had to wait
    before it; `closed`: any interrupt, also the sweep's own, which only PRIMASK and FAULTMASK hold.
    `accesses`: what it read and wrote, flash and a handler's own stack left out. `exception`: 0 in
    thread mode. `always`: it is dependent whatever it touches (it changes masks, sleeps, or is
    exclusive)."""

    pc: int
    masked: bool
    accesses: tuple[Access, ...]
    exception: int
    always: bool
    closed: bool


class WindowTrace(NamedTuple):
    """A run from the start of a window to the sleep, without a press. `wfi`: the instruction that
    begins the sleep; interrupts are masked there, as they should be."""

    steps: tuple[Step, ...]
    wfi: Step
    button: str

    @property
    def sleep(self) -> int:
        """Address of the WFI."""
        return self.wfi.pc

    def unmasked(self) -> list[tuple[Place, Step]]:
        """Instructions before which a press would be served at once, in order; the WFI is one if it
        is not masked. With places that count every time that the core comes there."""
        return [each for each in _placed((*self.steps, self.wfi)) if not each[1].masked]

    def open_steps(self) -> list[tuple[Place, Step]]:
        """Instructions before which the sweep can strike. With places that count those only, as the
        sweep counts."""
        return list(_placed(step for step in (*self.steps, self.wfi) if not step.closed))

    def boundaries(self) -> list[Place]:
        """Those places."""
        return [place for place, _ in self.open_steps()]

    def moments(self) -> list[Place]:
        """Those, and the two at the sleep."""
        sleeps = (Moment.BEFORE_SLEEP, Moment.ASLEEP)
        return [*self.boundaries(), *(Place(self.sleep, moment, 1) for moment in sleeps)]


def _placed(steps: Iterable[Step]) -> Iterator[tuple[Place, Step]]:
    """Each step with its place. An instruction that follows itself is one boundary, as for the
    sweep, which cannot tell it from a timer that struck twice."""
    seen: Counter[int] = Counter()
    previous = None
    for step in steps:
        if step.pc != previous or step.closed:
            seen[step.pc] += 1
            yield Place(step.pc, Moment.BOUNDARY, seen[step.pc]), step
        previous = step.pc


# -- footprints ----------------------------------------------------------------------------------


class Footprint(NamedTuple):
    """Bytes, of memory and of devices, that handlers read and write."""

    reads: frozenset[int] = frozenset()
    writes: frozenset[int] = frozenset()

    def meets(self, access: Access) -> bool:
        """Whether the two touch the same byte, and one of them writes it."""
        if not access.write:
            return not self.writes.isdisjoint(access.bytes())
        touched = access.bytes()
        return not (self.writes.isdisjoint(touched) and self.reads.isdisjoint(touched))

    def with_steps(self, steps: Iterable[Step]) -> Footprint:
        """This, and what `steps` touch, devices too."""
        accesses = [a for step in steps for a in step.accesses]
        reads = {b for a in accesses if not a.write for b in a.bytes()}
        writes = {b for a in accesses if a.write for b in a.bytes()}
        return Footprint(self.reads | reads, self.writes | writes)


def is_dependent(step: Step, footprint: Footprint) -> bool:
    """Whether it matters if a press comes before or after this instruction."""
    if step.always:
        return True
    return any(a.device or a.exclusive or footprint.meets(a) for a in step.accesses)


class Reduction(NamedTuple):
    """Which boundaries of a window stand for all.

    boundaries   of the window's first run, with the two moments at the sleep
    classes      of placements that are equivalent; each ends before a dependent instruction
    dependent    addresses of the dependent instructions in both windows and in the handlers
    gaps         what could not be followed: then the reduction is not to be relied on
    """

    boundaries: int
    classes: int
    dependent: frozenset[int]
    gaps: tuple[str, ...] = ()

    def statement(self) -> str:
        """The reduction in one line."""
        said = f"{self.boundaries} boundaries, {self.classes} classes, all explored"
        return f"{said}, except: {'; '.join(self.gaps)}" if self.gaps else said


class Contact(NamedTuple):
    """A step of the task that touches memory or a device, and what a press just before it and just
    after it would make its handler touch: nothing where no handler would start at once."""

    step: Step
    before: Footprint
    after: Footprint


@dataclass(frozen=True)
class Settings:
    """What the program has set where it sleeps after its first press: the priorities of the
    exceptions that may come, by number, and whether its clock runs."""

    priorities: Mapping[int, int] = field(default_factory=dict)
    clock_runs: bool = False


class Exploration(NamedTuple):
    """Everything that was seen: the first window, every step of thread and handlers (each kind of
    step once), the meetings of the two, and what the handlers touch.

    presses  how many were followed: with 1 nothing is known of the window that a press opens
    told     addresses that the handler executes after it has told the task of a press in the sleep,
             and only then
    failing  where presses came that did not get a line each, or too many
    gaps     what could not be followed
    first_asleep  of two presses the first came in the sleep; nothing is known of other windows that
             a press opens
    """

    window: WindowTrace
    steps: frozenset[Step]
    contacts: tuple[Contact, ...]
    footprint: Footprint
    runs: int
    gaps: tuple[str, ...] = ()
    presses: int = 2
    told: tuple[int, ...] = ()
    failing: tuple[tuple[Place, ...], ...] = ()
    settings: Settings = Settings()
    first_asleep: bool = False

    def suffices(self, presses: int, first_asleep: bool) -> bool:
        """Whether it tells what one with these would."""
        everywhere = self.presses > 1 and not self.first_asleep
        return everywhere or presses == 1 or (first_asleep and self.first_asleep)

    @property
    def reduction(self) -> Reduction:
        """Which placements stand for all."""
        open_steps = [step for _, step in self.window.open_steps()]
        dependent = frozenset(s.pc for s in self.steps if is_dependent(s, self.footprint))
        classes = sum(step.pc in dependent or step.always for step in open_steps)
        return Reduction(len(open_steps) + 2, classes + 2, dependent, self.gaps)

    def masked_device_places(self) -> list[int]:
        """Addresses, in any window, of masked accesses to the button's port."""
        port = wire_of(self.window.button).registers
        return sorted({s.pc for s in self.steps if s.masked and _touches(s, port)})


def masked_device_places(trace: WindowTrace) -> list[Place]:
    """The masked boundaries before an access to the button's port. An edge there waits, as at every
    masked boundary, but the access may see it; and no timer in the guest can strike there."""
    port = wire_of(trace.button).registers
    return [p for p, step in _placed(trace.steps) if step.masked and _touches(step, port)]


def _touches(step: Step, addresses: range) -> bool:
    return any(access.address in addresses for access in step.accesses)


# -- coverage ------------------------------------------------------------------------------------


class Coverage(NamedTuple):
    """The sweep's placements against the independent trace."""

    wanted: int
    missing: tuple[Place, ...]
    extra: tuple[Place, ...]
    masked: int
    """Boundaries at which an interrupt has to wait, which no timer can strike."""
    in_order: bool

    @property
    def percent(self) -> float:
        """Share of the boundaries that were struck."""
        return 100.0 * (self.wanted - len(self.missing)) / self.wanted if self.wanted else 100.0

    @property
    def complete(self) -> bool:
        """Whether the sweep struck at every boundary, in the program's order, and nowhere else."""
        return not self.missing and not self.extra and self.in_order


def coverage(trace: WindowTrace, placements: Sequence[Placement]) -> Coverage:
    """Compare where a sweep of single presses struck with where it should have."""
    wanted, struck = trace.moments(), [placement.place for placement in placements]
    wanted_set, struck_set = set(wanted), set(struck)
    common = [place for place in struck if place in wanted_set]
    return Coverage(
        len(wanted),
        tuple(place for place in wanted if place not in struck_set),
        tuple(place for place in struck if place not in wanted_set),
        sum(step.closed for step in trace.steps),
        common == [place for place in wanted if place in struck_set],
    )


def chosen(placements: Sequence[Placement], dependent: Collection[int]) -> list[Placement]:
    """The placements that stand for all: those before a dependent instruction, and at a sleep."""
    return [
        p for p in placements if p.place.moment is not Moment.BOUNDARY or p.place.pc in dependent
    ]
