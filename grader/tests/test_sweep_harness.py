"""The sweep's harness against what is seen from outside, and against broken copies of itself.

`complaints` holds a harness against facts that it has no part in: a trace made in single steps on a
machine without it, presses made from outside, and programs with a known mistake. The harness that
is shipped gets none; each of its mutants gets one.
"""

from __future__ import annotations

import shutil
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import campaign
import pytest

import wakebench.sweep
from wakebench.errors import BenchError
from wakebench.explore import explore
from wakebench.image import Image
from wakebench.machine import find_qemu
from wakebench.sweep import (
    OUTCOMES,
    RECORDS,
    RESULT_WORDS,
    Moment,
    Outcome,
    Place,
    Placement,
    Sweep,
    SweepError,
    Window,
    build_harness,
)
from wakelab.schedule import Schedule, play
from wakelab.sweeping import Search

LEVEL = "Og"
MAIN = "solution/08-button-future/main.c"
WITNESS = """
#include "semihosting.h"

/* Looks at what a run before this one may have left behind: it says so with one line too many. */
__attribute__((noinline)) static void look(void)
{
    const uint32_t bit = 1u << (UART2_IRQn - 32);
    static bool looked;
    const bool low = GPIOE->DATA[1] == 0, edge = (GPIOE->RIS & 1) != 0;
    const bool pended = (NVIC->ISPR[1] & bit) != 0;
    info(!looked && (low || pended) ? "Interrupt fired!" : "Interrupt!");
    info(!looked && edge ? "Interrupt fired!" : "Interrupt!");
    looked = true;
    NVIC->ISPR[1] = bit; /* and nobody has enabled it */
    (void)semihosting_call(SEMIHOSTING_WRITE0, (uintptr_t)"one call,\\n");
    (void)semihosting_call(SEMIHOSTING_WRITE0, (uintptr_t)"and another behind it\\n");
}

static poll_t press_logger_poll("""
POWERED_ON = """
    /* As after power on, or it never gets anywhere. */
    while (GPIOF->IM != 0 || GPIOF->RIS != 0 || GPIOF->DATA[2] == 0 ||
           (NVIC->ISPR[0] & (1u << GPIOF_IRQn)) != 0 || (NVIC->ISER[0] & (1u << GPIOF_IRQn)) != 0 ||
           (SYSTICK->CTRL & SYSTICK_CTRL_ENABLE) != 0) {
    }
    GPIOE->IEV = 1; /* UP: a release is an edge, a press is none */
    executor_spawn(&executor"""


@dataclass(frozen=True)
class Known:
    """A program, and what was seen of it from outside."""

    image: Image
    window: Window
    boundaries: tuple[Place, ...] = ()
    losing: frozenset[tuple[Place, ...]] = frozenset()
    """Of the schedules that were played outside, those at which a press got lost."""
    played: tuple[tuple[Place, ...], ...] = ()
    dependent: frozenset[int] = frozenset()
    plain: frozenset[int] = frozenset()
    """Of the addresses that the exploration has seen: those to press at, and those to pass."""


@dataclass(frozen=True)
class Facts:
    """The programs that a harness is held against."""

    right: Known
    check_first: Known
    """Looks before it registers: single presses get lost."""
    ack_late: Known
    """Acknowledges last: a second press in the handler gets lost."""
    witness: Known
    """Looks at its devices when it starts, and when the window begins."""


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facts]:
    """All that is seen from outside, once."""
    folder = tmp_path_factory.mktemp("harness")
    campaign.build_reference(folder, LEVEL)
    mutants = {mutant.id: mutant for mutant in campaign.load_mutants()}
    text = (campaign.ROOT / MAIN).read_text("utf-8")
    witness = text.replace("\nstatic poll_t press_logger_poll(", WITNESS)
    witness = witness.replace("\n    executor_spawn(&executor", POWERED_ON)
    witness = witness.replace(
        "        if (future_poll(", "        look();\n        if (future_poll("
    )
    assert witness.count("look()") == 1 and POWERED_ON in witness
    witness = witness.replace('info("Interrupt fired!")', 'info("Here: %s", "Interrupt fired!")')
    yield Facts(
        _look(folder, campaign.Program("right", {})),
        _look(folder, campaign.mutate(mutants["check-then-register"]), singles=True),
        _look(folder, campaign.mutate(mutants["ack-late"]), pairs=True),
        _look(folder, campaign.Program("witness", {MAIN: witness}), at="look", others=("UP",)),
    )


def _look(
    folder: Path,
    program: campaign.Program,
    *,
    at: str = "button_future_poll",
    others: tuple[str, ...] = (),
    singles: bool = False,
    pairs: bool = False,
) -> Known:
    """Build a program, and look at it from outside."""
    own = folder / program.id
    own.mkdir()
    elf = campaign.build_program(program, own, folder, LEVEL)
    image = Image(elf)
    with campaign._subject(campaign.Job(program, LEVEL, folder), elf) as subject:
        start = image.symbol(at)
        assert start is not None
        seen = subject.exploration()
        told = seen.told
        trace = explore(subject.board(), start.address, subject.button, presses=1).window
        window = Window(start.address, subject.button, subject.line, told, others=others)
        played: list[tuple[Place, ...]] = []
        if singles:
            played = [(place,) for place in trace.moments()]
        if pairs:
            asleep = trace.moments()[-1]
            played = [(asleep, place) for place in _handler(image)]
        losing = [
            places for places in played if play(Schedule("08", LEVEL, places), subject) is not None
        ]
        dependent = seen.reduction.dependent
        plain = image.straight & ({step.pc for step in seen.steps} - dependent)
        moments = tuple(trace.moments())
        return Known(image, window, moments, frozenset(losing), tuple(played), dependent, plain)


def _handler(image: Image) -> list[Place]:
    """The first time at each instruction of the handler itself: it has no loop."""
    handler = image.symbol("GPIOF_IRQHandler")
    assert handler is not None
    inside = [a for a, _, _ in image._instructions() if handler.holds(a)]
    return [Place(address, Moment.BOUNDARY, 1) for address in inside]


# ---- what a harness is held against --------------------------------------------------------------


def complaints(harness: Path, facts: Facts) -> Iterator[str]:
    """What is wrong with a harness, the cheap questions first."""
    try:
        yield from _complaints(harness, facts)
    except (SweepError, BenchError) as error:
        yield f"it breaks down: {error}"


def _complaints(harness: Path, facts: Facts) -> Iterator[str]:
    right = facts.right
    with Sweep(right.image, right.window, harness, find_qemu()) as sweep:
        singles = sweep.singles()
        yield from _counts(sweep)
        if [p.place for p in singles] != list(right.boundaries):
            yield "the places of single presses are not those of the trace"
        if any(p.outcome is not Outcome.OK or (p.lines, p.presses) != (1, 1) for p in singles):
            yield "a single press goes wrong in the program that is right"
        if sweep.singles() != singles:
            yield "the same job twice gives something else"
        firsts = [*singles[::29], *singles[-2:]]
        seconds = [sweep.seconds(first) for first in firsts]
        yield from _counts(sweep)
        if any(p.outcome is not Outcome.OK for found in seconds for p in found):
            yield "a pair goes wrong in the program that is right"
        if not any(p.presses == 1 for found in seconds for p in found):
            yield "no two presses ever merge"
        if [sweep.seconds(first) for first in reversed(firsts)] != seconds[::-1]:
            yield "pairs depend on the jobs before"
        for first, found in zip(firsts, seconds, strict=True):
            yield from _chosen(sweep, [first], found)
            some = right.dependent
            wanted = [p for p in found if p.place.pc in some or p.place.moment]
            if sweep.placements((first,), some, plain=right.plain) != wanted:
                yield "what is passed by is more than what is plain"
        yield from _triples(sweep, firsts[-1], seconds[-1])
    yield from _known_mistakes(harness, facts)


def _counts(sweep: Sweep) -> Iterator[str]:
    """The harness's own sums."""
    raw = sweep._qtest.read_block(sweep._symbol("sweep_result"), 4 * RESULT_WORDS)
    runs, *rest = struct.unpack(f"<{RESULT_WORDS}I", raw)[3:]
    counts, records = rest[:OUTCOMES], rest[OUTCOMES]
    raw = sweep._qtest.read_block(sweep._symbol("sweep_records"), 12 * records)
    outcomes = Counter(word >> 28 for _, word, _ in struct.iter_unpack("<III", raw))
    if sum(counts) != runs or runs != records or counts != [outcomes[n] for n in range(OUTCOMES)]:
        yield "the counters are not those of the records"


def _chosen(sweep: Sweep, fixed: list[Placement], found: list[Placement]) -> Iterator[str]:
    """With only some places chosen, those are as without the choice."""
    some = {p.place.pc for p in found[::7]}
    wanted = [p for p in found if p.place.pc in some or p.place.moment is not Moment.BOUNDARY]
    if sweep.placements(fixed, some) != wanted:
        yield "chosen places end otherwise than among all"


def _triples(sweep: Sweep, first: Placement, seconds: list[Placement]) -> Iterator[str]:
    """The second press when the handler has just returned, with the pin masked; and at the end."""
    last_nested = max(at for at, p in enumerate(seconds) if p.nested)
    for second in (seconds[last_nested + 1], seconds[-1]):
        thirds = sweep.placements((first, second))
        yield from _counts(sweep)
        if any(p.outcome is not Outcome.OK for p in thirds):
            yield "a triple goes wrong in the program that is right"
        yield from _chosen(sweep, [first, second], thirds)


def _known_mistakes(harness: Path, facts: Facts) -> Iterator[str]:
    known = facts.witness
    with Sweep(known.image, known.window, harness, find_qemu()) as sweep:
        singles = sweep.singles()
        if [p.place for p in singles] != list(known.boundaries):
            yield "the places around calls of the host are not those of the trace"
        if any((p.lines, p.presses) != (1, 1) for p in singles):
            yield "a run does not begin as the first one did"
        found = sweep.singles(interrupt="UP")
        last = max((at for at, p in enumerate(found) if p.outcome is not Outcome.OK), default=0)
        if not 0 < last < len(found) // 2:  # a press before the program looks is there to be seen
            yield "a run does not begin as the first one did, after one with another button"
        found = sweep.seconds(found[0], interrupt="UP")
        if [p.lines for p in (found[0], found[-1])] != [2, 1]:
            yield "a run does not begin as the first one did, after a press more"
    known = facts.check_first
    with Sweep(known.image, known.window, harness, find_qemu()) as sweep:
        lost = {(p.place,) for p in sweep.singles() if p.outcome is Outcome.LOST}
        if lost != known.losing:
            yield "the single presses that get lost are not those that get lost outside"
    known = facts.ack_late
    with Sweep(known.image, known.window, harness, find_qemu()) as sweep:
        first = sweep.singles()[-1]
        pairs = {(first.place, p.place) for p in sweep.seconds(first) if p.outcome is Outcome.LOST}
        if pairs & set(known.played) != known.losing:
            yield "the pairs that get lost are not those that get lost outside"


# ---- the harness, and its mutants ----------------------------------------------------------------


def test_what_is_seen_from_outside(facts: Facts) -> None:
    assert len(facts.right.boundaries) > 60
    assert 5 < len(facts.check_first.losing) < len(facts.check_first.played) - 5
    assert 0 < len(facts.ack_late.losing) < len(facts.ack_late.played)


def test_the_harness_is_right(facts: Facts) -> None:
    assert list(complaints(build_harness(campaign.CACHE), facts)) == []


def test_a_window_may_be_longer_than_the_records(
    facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What meets the same boundary again is left out, also where a job ends in between."""
    shutil.copytree(wakebench.sweep.SOURCES, tmp_path / "sweep")
    header = tmp_path / "sweep" / "sweep.h"
    text = header.read_text("utf-8")
    assert f"SWEEP_RECORDS = {RECORDS}" in text
    header.write_text(text.replace(f"SWEEP_RECORDS = {RECORDS}", "SWEEP_RECORDS = 7"), "utf-8")
    whole = build_harness(campaign.CACHE)
    monkeypatch.setattr(wakebench.sweep, "SOURCES", tmp_path / "sweep")
    right = facts.right
    with (
        Sweep(right.image, right.window, whole, find_qemu()) as sweep,
        Sweep(right.image, right.window, build_harness(tmp_path), find_qemu()) as parts,
    ):
        singles = sweep.singles()
        assert parts.singles() == singles
        for first in singles[::30]:
            assert parts.seconds(first) == sweep.seconds(first)


def test_boundaries_that_were_missed_are_told_of(
    facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = tmp_path / "sweep"
    _write_mutant("drops a placement", sources)
    monkeypatch.setattr(wakebench.sweep, "SOURCES", sources)
    harness = build_harness(tmp_path)
    monkeypatch.setattr("wakelab.sweeping.build_harness", lambda _: harness)
    job = campaign.Job(campaign.Program("right", {}), LEVEL, tmp_path)
    with (
        campaign._subject(job, facts.right.image.path) as subject,
        Search(subject, LEVEL, 1) as search,
    ):
        swept = search.singles()
        assert swept.failing == 0 and 90 < swept.coverage < 100
        with pytest.raises(SweepError, match="met only 9"):
            swept.expect_whole()


def test_pairs_are_tried_once(facts: Facts, tmp_path: Path) -> None:
    """By the check, and for the certificate."""
    job = campaign.Job(campaign.Program("right", {}), LEVEL, tmp_path)
    with (
        campaign._subject(job, facts.right.image.path) as subject,
        Search(subject, LEVEL, 1) as search,
    ):
        pairs = search.pairs()
        assert pairs.later and pairs.failing == 0
        assert search.pairs() == pairs and search.singles().runs == pairs.runs
        assert search.pairs(every=True).later > 10 * pairs.later


MUTANTS = {
    "drops a placement": (
        "        run.ticks += ticks;",
        "        run.ticks += ticks + (run.ticks % 50 == 49);",
    ),
    "keeps the memory of the run before": (
        "    memcpy((void *)(uintptr_t)sweep_job.memory, saved->memory, sweep_job.memory_size);\n",
        "",
    ),
    "keeps the stack of the run before": (
        "    memcpy((void *)(uintptr_t)saved->sp, saved->memory + sweep_job.memory_size,"
        " saved->stack_size);\n",
        "",
    ),
    "keeps the registers of the run before": (
        '    __asm__ volatile("ldmia r0!, {r4-r11}\\n\\t"',
        '    __asm__ volatile("add r0, #32\\n\\t"',
    ),
    "keeps the edge of the run before": (
        "        store_4(&port->IM, 0, 0, 0, 0xff);",
        "        store_4(&port->IM, 0, 0, 0, 0);",
    ),
    "does not make the latched edge again": (
        "        if (state->raw != 0) {",
        "        if (false) {",
    ),
    "keeps the level of the pin": ("        if (moved != 0) {", "        if (false) {"),
    "clears what is pending while it is still asked for": (
        "    pins_quiet(saved->ports); /* first: what is still asked for cannot be cleared */\n"
        "    if (has_tick()) {\n",
        "    store_2(NVIC->ICPR, ~0u, ~0u);\n"
        "    idle = true;\n"
        "    pins_quiet(saved->ports);\n"
        "    if (has_tick()) {\n",
    ),
    "does not clear what is pending": ("    if (!idle) {", "    if (false) {"),
    "takes what is pending for nothing": (
        "const bool idle = (icsr & (ICSR_ISRPENDING | ICSR_PENDSVSET | ICSR_PENDSTSET)) == 0;",
        "const bool idle = true;",
    ),
    "does not restore what is enabled": (
        "    if (low != saved->enabled[0] || high != saved->enabled[1]) {",
        "    if (false) {",
    ),
    "counts an edge that merges": (
        "edge.latched ? told : edge.sensed",
        "edge.latched ? true : edge.sensed",
    ),
    "counts no edge that is swallowed": (
        "strike(nested && in_map(sweep_job.told, pc));",
        "strike(false);",
    ),
    "counts every line": ("    return *wanted == '\\0';", "    return true;"),
    "counts a line only from its beginning": (
        "    for (; *text != '\\0'; text++) {",
        "    for (; *text != '\\0'; text = \"\") {",
    ),
    "forgets lines of the first part": ("    run.lines = counts->lines;", "    run.lines = 0;"),
    "forgets presses of the first part": (
        "    run.presses = counts->presses;",
        "    run.presses = 0;",
    ),
    "sees no loss": ("run.lines < run.presses ? SWEEP_LOST :", "false ? SWEEP_LOST :"),
    "stops before the sleep": (
        "    if (run.record.moment == SWEEP_ASLEEP) {",
        "    if (run.record.moment != SWEEP_BOUNDARY) {",
    ),
    "does not open the pin's mask again": (
        "        store_5(&port->DIR, &state->direction); /* and IS IBE IEV IM */\n",
        "",
    ),
    "sleeps on what is pending": (
        "    if (is_pending(&icsr)) {",
        "    if (is_pending(&icsr) && false) {",
    ),
    "writes only the first failures down": (
        "    sweep_result.runs++;",
        "    if (run.record.outcome == SWEEP_LOST && sweep_result.counts[SWEEP_LOST] > 4) {\n"
        "        return;\n    }\n    sweep_result.runs++;",
    ),
    "counts a run that was none": (
        "            choose_next(pc == run.last_pc",
        "            sweep_result.runs++;\n            choose_next(pc == run.last_pc",
    ),
    "passes by too much": (
        "        ticks++;\n    }\n    return ticks;",
        "        ticks += 2;\n    }\n    return ticks;",
    ),
    "strides over what comes behind a call": ("    if (run.strode) {", "    if (false) {"),
    "takes two calls for one": (" && run.calls == run.last_calls;", ";"),
    "takes two boundaries for one": (
        "    if (pc == run.last_pc) {",
        "    if (pc / 4 == run.last_pc / 4) {",
    ),
}


def _write_mutant(name: str, folder: Path) -> None:
    """A copy of the harness's sources with one mistake."""
    find, replacement = MUTANTS[name]
    shutil.copytree(wakebench.sweep.SOURCES, folder)
    texts = {path: path.read_text("utf-8") for path in folder.glob("*.c")}
    assert sum(text.count(find) for text in texts.values()) == 1, find
    for path, text in texts.items():
        path.write_text(text.replace(find, replacement), "utf-8")


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_harness_is_caught(
    name: str, facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = tmp_path / "sweep"
    _write_mutant(name, sources)
    monkeypatch.setattr(wakebench.sweep, "SOURCES", sources)
    monkeypatch.setattr(wakebench.sweep, "JOB_TIMEOUT_S", 10.0)
    harness = build_harness(tmp_path)
    assert next(complaints(harness, facts), "") != ""
