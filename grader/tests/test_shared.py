"""What is shared without protection, in words. Whether it is: qemu/tests/test_sharing.py and the
corpus (wrong/plain-flag, wrong/wide-count)."""

from __future__ import annotations

from typing import cast

from wakebench.sharing import Protection, Race, SharedObject, Use
from wakelab.report import Place, Verdict
from wakelab.shared import finding_of, where
from wakelab.subject import Subject

SOURCE = {("main.c", 18): "    count--;", ("button.c", 31): "    count++;"}


class Student:
    """The part of a Subject that is asked: whose file a place is in, and what stands there."""

    def place(self, pc: int, level: str = "") -> Place | None:
        assert level == "Os"
        return {0x20: Place("main.c", 18, "    count--;", pc)}.get(pc)

    def source_line(self, file: str, number: int) -> str:
        return SOURCE.get((file, number), "")


def shared(race: Race = Race.COMPUTED, *, device: bool = False) -> SharedObject:
    return SharedObject(
        "count",
        "unsigned int",
        (
            Use(False, "button.c", 31, "GPIOF_IRQHandler", 0x10),
            Use(True, "button.c", 31, "GPIOF_IRQHandler", 0x14),
        ),
        (Use(False, "main.c", 18, "take", 0x1C), Use(True, "main.c", 18, "take", 0x20)),
        Protection.RACY,
        "it is not atomic",
        race,
        device,
    )


def test_the_finding_says_both_places_and_what_to_do() -> None:
    finding = finding_of([shared()], cast(Subject, Student()), "Os")
    assert finding.verdict is Verdict.WRONG and finding.level == "Os"
    assert finding.seen == (
        "`count` is written by the interrupt (button.c:31) and the task (main.c:18);"
        " it is not atomic"
    )
    assert finding.place == Place("main.c", 18, "    count--;", 0x20)
    assert "overwritten" in finding.why and "stdatomic" in finding.hint
    assert finding.story == (
        "count: unsigned int",
        "  interrupt  reads and writes  button.c:31  count++;",
        "  task       reads and writes  main.c:18  count--;",
        "  protected by nothing: it is not atomic",
    )


def test_each_race_has_an_explanation_of_its_own() -> None:
    said = {finding_of([shared(race)], cast(Subject, Student()), "Os").why for race in Race}
    assert len(said) == len(Race) and "" not in said


def test_a_register_has_a_hint_of_its_own() -> None:
    finding = finding_of([shared(device=True)], cast(Subject, Student()), "Os")
    assert "register_modify" in finding.hint


def test_every_object_is_listed() -> None:
    finding = finding_of([shared(), shared(Race.TORN)], cast(Subject, Student()), "Os")
    assert finding.story is not None and finding.story.count("count: unsigned int") == 2


def test_places_are_grouped_by_file() -> None:
    uses = [
        Use(True, "b.c", 7, "f", 2),
        Use(False, "a.c", 3, "f", 4),
        Use(False, "b.c", 5, "f", 6),
        Use(True, "b.c", 7, "f", 8),
        Use(False, "", 0, "memcpy", 10),
    ]
    assert where(uses) == "memcpy; a.c:3; b.c:5, 7"
