"""What an interrupt and the task share, and what protects it: C's stand-in for Rust's `Sync`.

The compiler does not ask; so the objects that both sides were seen to touch are looked up here, by
name and type (from the ELF file's DWARF), and each is held against the ways in which sharing can be
right on one core:

    masked    no interrupt can come at any access of the task
    atomic    its type is atomic, and the task reads or writes it in single steps, or by exclusives
    guarded   whenever the task touches it, a handler that came right then would not: an atomic
              state, or the pin's own mask, keeps it off
    volatile  a word that the task reads or writes in single steps; it holds on this core, and says
              nothing of the order of other objects

Everything else is racy. docs/contributors/reduction.md says what this can see and what not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO
from typing import NamedTuple

from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.die import DIE
from elftools.elf.elffile import ELFFile

from wakebench.decode import Access
from wakebench.footprint import Contact, Exploration, Footprint, Step
from wakebench.image import UNSOUND, Image, SourceLine
from wakebench.pins import PORTS

DW_OP_ADDR = 0x03
PORT_SIZE = 0x1000
PORT_REGISTERS = {
    0x400: "DIR",
    0x404: "IS",
    0x408: "IBE",
    0x40C: "IEV",
    0x410: "IM",
    0x414: "RIS",
    0x418: "MIS",
    0x41C: "ICR",
    0x420: "AFSEL",
    0x510: "PUR",
    0x51C: "DEN",
}
"""Offsets (LM3S6965 data sheet, "General-Purpose Input/Outputs"). Below 0x400: DATA."""


class Race(StrEnum):
    """How an object that nothing protects can go wrong."""

    COMPUTED = "the task reads it, then writes it, and the interrupt can come in between"
    TORN = "the task takes more than one step, and the interrupt can come in between"
    PLAIN = "nothing tells the compiler that an interrupt touches it, too"


class Protection(StrEnum):
    """What keeps the two sides apart; see the module."""

    MASKED = "masked"
    ATOMIC = "atomic"
    GUARDED = "guarded"
    VOLATILE = "volatile"
    RACY = "racy"


@dataclass(frozen=True, order=True)
class Use:
    """An instruction that touches an object."""

    write: bool
    file: str
    line: int
    function: str
    pc: int

    @property
    def place(self) -> str:
        """`file:line`, or the function where no line is known."""
        return f"{self.file}:{self.line}" if self.line else self.function


class SharedObject(NamedTuple):
    """An object that an interrupt and the task touch, and one of them writes. `reason`: why it is
    racy, or what protects it. `race`: where nothing does. `device`: it is a device's register."""

    name: str
    type: str
    interrupt: tuple[Use, ...]
    task: tuple[Use, ...]
    protection: Protection
    reason: str
    race: Race | None = None
    device: bool = False

    def sentence(self) -> str:
        """For a student's report."""
        by_interrupt, by_task = _strongest(self.interrupt), _strongest(self.task)
        if by_interrupt.write == by_task.write:
            both = f"the interrupt ({by_interrupt.place}) and the task ({by_task.place})"
            return f"`{self.name}` is written by {both}; {self.reason}"
        sides = [("the interrupt", by_interrupt), ("the task", by_task)]
        (writer, written), (reader, read) = sorted(sides, key=lambda side: not side[1].write)
        said = f"written by {writer} ({written.place}) and read by {reader} ({read.place})"
        return f"`{self.name}` is {said}; {self.reason}"


def _strongest(uses: Sequence[Use]) -> Use:
    """A write rather than a read; of a read-modify-write too."""
    return max(uses, key=lambda use: (use.write, -use.pc))


# -- names and types -----------------------------------------------------------------------------


class Member(NamedTuple):
    """A variable, or the innermost member or element of one, at [start, end)."""

    name: str
    type: str
    start: int
    end: int
    atomic: bool = False
    volatile: bool = False
    device: bool = False


class Variables:
    """The global and static variables of an image, down to their members. To parse all of DWARF
    takes longer than all else here, so only the units are parsed that name an address in question.
    """

    def __init__(self, image: Image) -> None:
        self._image = image
        self._known: dict[tuple[int, int], list[Member]] = {}
        """What an access touches, by its address and size."""
        self._found: dict[int, tuple[str, DIE]] = {}
        self._unparsed: list[tuple[bytes, CompileUnit]] = []
        try:
            elf = ELFFile(BytesIO(image.path.read_bytes()))
            dwarf = elf.get_dwarf_info() if elf.has_dwarf_info() else None
            if dwarf and dwarf.debug_info_sec:
                dwarf.debug_info_sec.stream.seek(0)
                info = dwarf.debug_info_sec.stream.read()
                for unit in dwarf.iter_CUs():
                    own = info[unit.cu_offset : unit.cu_offset + unit.size]
                    self._unparsed.append((own, unit))
        except UNSOUND:
            self._unparsed = []

    def _find(self, address: int) -> tuple[str, DIE] | None:
        """Name and type of the variable there."""
        location = bytes([DW_OP_ADDR]) + address.to_bytes(4, "little")
        for each in [each for each in self._unparsed if location in each[0]]:
            self._unparsed.remove(each)
            with suppress(*UNSOUND):
                self._found.update(_variables(each[1]))
        return self._found.get(address)

    def at(self, access: Access) -> list[Member]:
        """What an access touches: several members if it is wide, nothing on the stack."""
        key = access.address, access.size
        if key not in self._known:
            self._known[key] = self._at(access)
        return self._known[key]

    def _at(self, access: Access) -> list[Member]:
        if access.device:
            return _register(access.address)
        symbol = self._image.symbol_at(access.address)
        if symbol is None or symbol.is_function:
            return []
        end = access.address + access.size
        members, at = [], access.address
        while at < min(end, symbol.address + max(symbol.size, 1)):
            member = self._member(symbol.address, symbol.name, symbol.size, at)
            members.append(member)
            at = max(member.end, at + 1)
        return members

    def touched(self, step: Step) -> Iterator[tuple[Member, Access]]:
        """What each access of an instruction touches."""
        for access in step.accesses:
            for member in self.at(access):
                yield member, access

    def _member(self, start: int, name: str, size: int, at: int) -> Member:
        found = self._find(start)
        if found is None:
            return Member(name, "", start, start + size)
        try:
            return _innermost(found[0], found[1], start, size, at)
        except UNSOUND:
            return Member(name, "", start, start + size)


def _variables(unit: CompileUnit) -> Iterator[tuple[int, tuple[str, DIE]]]:
    """Address to name and type of each variable of a unit, those of functions too."""
    for die in unit.iter_DIEs():
        if die.tag != "DW_TAG_variable" or "DW_AT_location" not in die.attributes:
            continue
        where = die.attributes["DW_AT_location"].value
        if not isinstance(where, list) or len(where) != 5 or where[0] != DW_OP_ADDR:
            continue
        declared = die
        if "DW_AT_specification" in die.attributes:
            declared = die.get_DIE_from_attribute("DW_AT_specification")
        if "DW_AT_name" in declared.attributes and "DW_AT_type" in declared.attributes:
            name = declared.attributes["DW_AT_name"].value.decode(errors="backslashreplace")
            kind = declared.get_DIE_from_attribute("DW_AT_type")
            yield int.from_bytes(bytes(where[1:]), "little"), (name, kind)


_QUALIFIERS = {
    "DW_TAG_atomic_type": "_Atomic",
    "DW_TAG_volatile_type": "volatile",
    "DW_TAG_const_type": "const",
}
_KEYWORDS = {
    "DW_TAG_structure_type": "struct ",
    "DW_TAG_union_type": "union ",
    "DW_TAG_enumeration_type": "enum ",
}


def _innermost(name: str, kind: DIE, start: int, size: int, at: int) -> Member:
    """Go into structures and arrays as far as they go."""
    atomic = volatile = False
    shown = kind
    while True:
        if kind.tag in _QUALIFIERS or kind.tag == "DW_TAG_typedef":
            atomic |= kind.tag == "DW_TAG_atomic_type"
            volatile |= kind.tag == "DW_TAG_volatile_type"
            kind = _target(kind)
        elif kind.tag == "DW_TAG_array_type":
            kind = _target(kind)
            size = _size(kind)
            index = (at - start) // size
            name, start, shown = f"{name}[{index}]", start + index * size, kind
        elif kind.tag == "DW_TAG_structure_type" and (member := _holding(kind, at - start)):
            start += member.attributes["DW_AT_data_member_location"].value
            kind = shown = _target(member)
            size = _size(kind)
            label = member.attributes.get("DW_AT_name")
            name += f".{label.value.decode()}" if label else ""
        else:
            return Member(name, _type_name(shown), start, start + size, atomic, volatile)


def _target(die: DIE) -> DIE:
    return die.get_DIE_from_attribute("DW_AT_type")


def _holding(structure: DIE, offset: int) -> DIE | None:
    """The member at `offset`: the last that begins at or before it."""
    members = [d for d in structure.iter_children() if d.tag == "DW_TAG_member"]
    starts = [(d.attributes["DW_AT_data_member_location"].value, d) for d in members]
    before = [(start, d) for start, d in starts if start <= offset]
    return max(before, key=lambda found: found[0])[1] if before else None


def _size(die: DIE) -> int:
    """Bytes of a type."""
    while "DW_AT_byte_size" not in die.attributes:
        if die.tag == "DW_TAG_array_type":
            bounds = [c for c in die.iter_children() if c.tag == "DW_TAG_subrange_type"]
            count = 1
            for bound in bounds:
                count *= bound.attributes["DW_AT_upper_bound"].value + 1
            return count * _size(_target(die))
        die = _target(die)
    return int(die.attributes["DW_AT_byte_size"].value)


def _type_name(die: DIE) -> str:
    """A type as a person would write it."""
    if "DW_AT_name" in die.attributes:
        name = str(die.attributes["DW_AT_name"].value.decode(errors="backslashreplace"))
        return _KEYWORDS.get(str(die.tag), "") + name
    inner = _type_name(_target(die)) if "DW_AT_type" in die.attributes else "void"
    if die.tag == "DW_TAG_pointer_type":
        return f"{inner} *" if not inner.endswith("*") else f"{inner}*"
    if die.tag == "DW_TAG_atomic_type":
        return f"_Atomic({inner})"
    if die.tag in _QUALIFIERS:
        return f"{_QUALIFIERS[die.tag]} {inner}"
    return "function" if die.tag == "DW_TAG_subroutine_type" else inner


def _register(address: int) -> list[Member]:
    for letter, base in PORTS.items():
        if base <= address < base + PORT_SIZE:
            offset = address - base & ~3
            name = PORT_REGISTERS.get(offset, "DATA" if offset < 0x400 else f"0x{offset:03x}")
            full, start = f"GPIO{letter}.{name}", base + offset
            return [Member(full, "device register", start, start + 4, device=True)]
    return []


# -- the judgement -------------------------------------------------------------------------------


class _Touch(NamedTuple):
    """One access of the task. `before`, `after`: a handler that came just then would touch the
    same."""

    use: Use
    access: Access
    masked: bool
    before: bool = False
    after: bool = False

    @property
    def exposed(self) -> bool:
        """Whether a handler may touch the same at about the same time."""
        return self.before or self.after

    @property
    def torn(self) -> bool:
        """For a part of a read-modify-write: whether a handler may come between the parts."""
        return self.before if self.use.write else self.after


def shared_objects(image: Image, seen: Exploration) -> list[SharedObject]:
    """What both sides touched and one of them wrote, by name."""
    return _Sharing.of(image, seen).objects()


def racy(image: Image, seen: Exploration) -> list[SharedObject]:
    """Those of them that nothing protects."""
    return [each for each in shared_objects(image, seen) if each.protection is Protection.RACY]


class _Sharing(NamedTuple):
    """Who touches what: instructions with the access, on the task's side what a handler would touch
    then, too."""

    image: Image
    interrupt: dict[Member, set[tuple[Step, Access]]]
    task: dict[Member, set[tuple[Contact, Access]]]

    @staticmethod
    def of(image: Image, seen: Exploration) -> _Sharing:
        variables = Variables(image)
        interrupt: defaultdict[Member, set[tuple[Step, Access]]] = defaultdict(set)
        task: defaultdict[Member, set[tuple[Contact, Access]]] = defaultdict(set)
        contacts = list(seen.contacts)
        for step in seen.steps:
            if step.exception:
                for member, access in variables.touched(step):
                    interrupt[member].add((step, access))
            elif step.masked:
                contacts.append(Contact(step, Footprint(), Footprint()))
        # What the task alone touches need not be named.
        both = {at for member in interrupt for at in range(member.start, member.end)}
        for contact in contacts:
            if all(both.isdisjoint(access.bytes()) for access in contact.step.accesses):
                continue
            for member, access in variables.touched(contact.step):
                task[member].add((contact, access))
        return _Sharing(image, interrupt, task)

    def _use(self, step: Step, access: Access) -> Use:
        line = self.image.line(step.pc) or SourceLine("", 0)
        return Use(access.write, line.file, line.line, self.image.name_at(step.pc), step.pc)

    def _touch(self, contact: Contact, access: Access) -> _Touch:
        before, after = contact.before.meets(access), contact.after.meets(access)
        use = self._use(contact.step, access)
        return _Touch(use, access, contact.step.masked, before, after)

    def objects(self) -> list[SharedObject]:
        """The objects, in the order of their addresses."""
        both = sorted(self.interrupt.keys() & self.task.keys(), key=lambda m: (m.start, m.name))
        found = []
        for member in both:
            if not any(access.write for _, access in (*self.interrupt[member], *self.task[member])):
                continue
            interrupt = {self._use(*each) for each in self.interrupt[member]}
            touches = {self._touch(*each) for each in self.task[member]}
            judged, reason = _judge(member, interrupt, touches)
            task = tuple(sorted({touch.use for touch in touches}))
            found.append(
                SharedObject(
                    *(member.name, member.type, tuple(sorted(interrupt)), task),
                    Protection.RACY if isinstance(judged, Race) else judged,
                    reason,
                    judged if isinstance(judged, Race) else None,
                    member.device,
                )
            )
        return found


def _judge(
    member: Member, interrupt: Iterable[Use], touches: set[_Touch]
) -> tuple[Protection | Race, str]:
    """What protects an object, or how it can go wrong, and how one would say so."""
    bare = {touch for touch in touches if not touch.masked}
    if not bare:
        return Protection.MASKED, "interrupts are masked whenever the task touches it"
    exposed = any(touch.exposed and not touch.access.exclusive for touch in bare)
    computed = _computed(touch for touch in bare if not touch.access.exclusive)
    if any(use.write for use in interrupt) and any(touch.torn for touch in computed):
        return Race.COMPUTED, _why_computed(member, computed)
    if member.device and not computed:
        return Protection.ATOMIC, "each access is a single one"
    whole = all(touch.access.size >= member.end - member.start for touch in bare)
    if member.atomic and whole:
        return Protection.ATOMIC, "it is atomic"
    if not exposed or member.device:
        return Protection.GUARDED, "no handler touches it while the task does"
    if not whole:
        return Race.TORN, "the task takes more than one step to read or write it"
    if member.volatile:
        return Protection.VOLATILE, "it is volatile, and each access a single one"
    return Race.PLAIN, "it is not atomic"


def _computed(touches: Iterable[_Touch]) -> set[_Touch]:
    """Loads and stores of one line of source: `count--` is both, and more than one step."""
    by_line: defaultdict[tuple[str, int, str], set[_Touch]] = defaultdict(set)
    for touch in touches:
        by_line[touch.use.file, touch.use.line, touch.use.function].add(touch)
    pairs = (each for each in by_line.values() if len({touch.use.write for touch in each}) == 2)
    return {touch for pair in pairs for touch in pair}


def _why_computed(member: Member, touches: set[_Touch]) -> str:
    if not member.atomic and not member.device and not member.volatile:
        return "it is not atomic"
    place = min(touch.use for touch in touches if touch.use.write).place
    if member.volatile and not member.atomic:
        return f"it is volatile, which is not atomic: {place} reads it, then writes it"
    return f"{place} reads it and then writes it, in two steps"
