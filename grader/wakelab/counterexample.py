"""A confirmed schedule as a student reads it: where each press came, in C and in instructions."""

from __future__ import annotations

from contextlib import suppress

from wakebench.disassembler import cortex_m3
from wakebench.image import Image
from wakebench.sweep import Moment, Place, SweepError
from wakelab.checking import Finding
from wakelab.schedule import Schedule, tell_interrupt
from wakelab.shared import unprotected
from wakelab.subject import Subject

_SAID = {
    Moment.BOUNDARY: "before",
    Moment.BEFORE_SLEEP: "just before the sleep, at",
    Moment.ASLEEP: "during the sleep, at",
}
_TIMES = {1: "", 2: ", the second time", 3: ", the third time"}


def explain(schedule: Schedule, finding: Finding, subject: Subject) -> Finding:
    """The finding of a confirmed schedule, with its places on top of its story and its id."""
    places = []
    for number, place in enumerate(schedule.places, 1):
        places += _place(subject, schedule.level, place, number)
    finding.story = (*places, *(finding.story or subject.story()))
    finding.why = " ".join([finding.why, *_unprotected(subject, schedule.level)])
    finding.level = schedule.level
    finding.seen += f" (make replay ID={schedule.id})"
    if finding.place is None:
        last = subject.place(schedule.places[-1].pc, schedule.level)
        finding.place = last or subject.place(schedule.places[0].pc, schedule.level)
    return finding


def _unprotected(subject: Subject, level: str) -> list[str]:
    """What the task and the interrupt share without protection, a sentence for each."""
    with suppress(SweepError):
        return [each.sentence() + "." for each in unprotected(subject, level)[:2]]
    return []


def _place(subject: Subject, level: str, place: Place, number: int) -> list[str]:
    """The instruction before which press `number` came, and the one before that."""
    image = subject.image(level)
    name = image.name_at(place.pc)
    line = image.line(place.pc)
    where = f"{line.file}:{line.line}" if line else name
    times = _TIMES.get(place.nth, f", time {place.nth}")
    what = tell_interrupt(place.interrupt, subject.button).removeprefix("a ")
    what = f"{what} {number}" if what == "press" else f"{what} ({number})"
    when = f"{_SAID[place.moment]} {place.pc:x} in {name} ({where}){times}"
    told = [f"{what} comes {when}:"]
    before, at = instructions_around(image, place.pc)
    if before:
        told.append(f"      {before}")
    told.append(f"  >>  {at}")
    return told


def instructions_around(image: Image, address: int) -> tuple[str, str]:
    """The instruction before `address` in its function, or nothing, and the one at `address`."""
    symbol = image.symbol_at(address)
    start = symbol.address if symbol else address
    code = image.flash(start, address + 4 - start) or b""
    before = at = ""
    for one in cortex_m3().disasm(code, start):
        text = f"{one.address:x}: {one.mnemonic} {one.op_str}".strip()
        if one.address == address:
            at = text
            break
        before = text
    return (before, at) if at else ("", f"{address:x}")
