"""What an interrupt and the task share without protection, as a student reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from wakebench.footprint import TraceError
from wakebench.sharing import Race, SharedObject, Use
from wakelab.checking import Finding
from wakelab.report import Place, Verdict
from wakelab.subject import Subject

_WHY = {
    Race.COMPUTED: "The interrupt can come after the task has read it and before the task writes"
    " it. What the interrupt wrote is then overwritten.",
    Race.TORN: "The interrupt can come between the steps. The task then has one half of the old"
    " value, and one of the new.",
    Race.PLAIN: "Nothing tells the compiler that an interrupt touches it, too. It may keep the"
    " value in a register or order it otherwise, and at some level it will.",
}
_HINT = "Make it atomic (<stdatomic.h>), or touch it only with interrupts masked (interrupts_mask)."
_HINT_DEVICE = "Change bits of a register that both use with register_modify(), which masks."


def unprotected(subject: Subject, level: str) -> list[SharedObject]:
    """What both touch and nothing protects, at `level`; nothing where the program could not be
    watched. Raises SweepError where the lab's window is not there."""
    try:
        return subject.racy(level)
    except TraceError:
        return []


def finding_of(found: Sequence[SharedObject], subject: Subject, level: str) -> Finding:
    """The first of what was found, in words, and all of it as a list of who touches what."""
    first = found[0]
    return Finding(
        Verdict.WRONG,
        "whatever interrupt and task share is atomic, or masked whenever the task touches it",
        first.sentence(),
        why=_WHY[first.race] if first.race else "",
        hint=_HINT_DEVICE if first.device else _HINT,
        place=_place(first, subject, level),
        story=[line for each in found for line in _who_touches(each, subject)],
        level=level,
    )


def where(uses: Iterable[Use]) -> str:
    """The places in the source, each file once: `button_future.c:34, 37; executor.c:41`."""
    lines: dict[str, list[str]] = {}
    for file, line, function in _by_line(uses):
        found = lines.setdefault(f"{file}:" if line else function, [])
        if line:
            found.append(str(line))
    return "; ".join(file + ", ".join(found) for file, found in lines.items())


def _place(shared: SharedObject, subject: Subject, level: str) -> Place | None:
    """In the student's own files: where the task writes it, else where it reads it."""
    uses = [*sorted(shared.task, key=lambda use: not use.write), *shared.interrupt]
    places = (subject.place(use.pc, level) for use in uses)
    return next((place for place in places if place is not None), None)


def _who_touches(shared: SharedObject, subject: Subject) -> Iterator[str]:
    yield f"{shared.name}: {shared.type or 'of a type that is not known'}"
    for side, uses in (("interrupt", shared.interrupt), ("task", shared.task)):
        for (file, line, function), does in _by_line(uses).items():
            where = f"{file}:{line}" if line else function
            source = subject.source_line(file, line).strip()
            yield f"  {side:<10} {' and '.join(does):<17} {where}  {source}".rstrip()
    yield f"  protected by nothing: {shared.reason}"


def _by_line(uses: Iterable[Use]) -> dict[tuple[str, int, str], list[str]]:
    found: dict[tuple[str, int, str], list[str]] = {}
    for use in sorted(uses, key=lambda use: (use.file, use.line, use.function, use.write)):
        does = found.setdefault((use.file, use.line, use.function), [])
        word = "writes" if use.write else "reads"
        if word not in does:
            does.append(word)
    return found
