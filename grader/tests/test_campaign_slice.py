"""A slice of the mutant campaign: a few mistakes, a few right solutions, and the files themselves.

The whole campaign is a command of its own: docs/contributors/mutants.md.
"""

from __future__ import annotations

import dataclasses
import subprocess
from collections import Counter
from pathlib import Path

import campaign
import pytest
from campaign import Killed

from wakelab import build as rules
from wakelab import labs
from wakelab.build import LEVELS


def test_the_mutants_can_be_made() -> None:
    mutants = campaign.load_mutants()
    for mutant in mutants:
        campaign.mutate(mutant)
    wrong = [m for m in mutants if m.killed_by is not Killed.EQUIVALENT]
    assert len(wrong) >= 40
    files = Counter(Path(m.edits[0].file).name for m in wrong)
    for name in ("waker.c", "atomic_waker.c", "executor.c", "button_future.c", "main.c"):
        assert files[name] >= 5, name
    assert set(campaign.SLICE) <= {m.id for m in mutants}
    text = (campaign.ROOT / "docs" / "contributors" / "mutants.md").read_text("utf-8")
    assert [m.id for m in mutants if f"| {m.id} |" not in text and f"**{m.id}**" not in text] == []
    assert {level for m in mutants for level in m.at} <= set(LEVELS)


def test_a_mutant_whose_text_is_gone_is_refused() -> None:
    edit = campaign.Edit("solution/08-button-future/main.c", "no such text", "")
    mutant = campaign.Mutant("gone", "", (edit,), Killed.SINGLES)
    with pytest.raises(ValueError, match="occurs 0 times"):
        campaign.mutate(mutant)


def test_a_mutant_is_equivalent_for_a_reason(tmp_path: Path) -> None:
    table = "[[mutant]]\nid = 'x'\nfile = 'f'\nidea = ''\nfind = 'a'\nreplace = 'b'\n"
    for words in ("killed_by = 'equivalent'", "killed_by = 'pairs'\nbecause = 'so'"):
        (tmp_path / "mutants.toml").write_text(f"{table}{words}\n")
        with pytest.raises(ValueError, match="because"):
            campaign.load_mutants(tmp_path / "mutants.toml")


def test_right_solutions_have_no_warning() -> None:
    strict = ("-Wshadow", "-Wconversion", "-Werror", "-O2")
    found = sorted((campaign.CORPUS / "right").glob("*/*.c"))
    assert len({path.parent for path in found}) >= 12
    for path in found:
        argv = ["arm-none-eabi-gcc", *rules._COMPILE, *strict, "-fsyntax-only", str(path)]
        argv += [f"-I{campaign.ROOT / name}" for name in labs.SHARED_HEADERS]
        subprocess.run(argv, check=True)


def test_slice_of_the_mutants(tmp_path: Path) -> None:
    mutants = {m.id: m for m in campaign.load_mutants() if m.id in campaign.SLICE}
    programs = [campaign.mutate(mutant) for mutant in mutants.values()]
    jobs = campaign.make_jobs(programs, campaign.SLICE_LEVELS, tmp_path, few=True)
    results = list(campaign.run_jobs(jobs))
    assert len(results) == len(jobs) == 2 * len(campaign.SLICE)
    for result in results:
        expected = mutants[result.id].expected(result.level)
        assert campaign.complaints(result, expected, right=False) == []
        assert result.compared > 1000 or result.killed is Killed.SINGLES


def test_slice_of_the_right_solutions(tmp_path: Path) -> None:
    programs = [p for p in campaign.right_solutions() if p.id in campaign.SLICE_RIGHT]
    jobs = campaign.make_jobs(programs, campaign.SLICE_LEVELS, tmp_path, few=True)
    results = list(campaign.run_jobs(jobs))
    assert len(results) == 2 * len(campaign.SLICE_RIGHT)
    for result in results:
        assert campaign.complaints(result, Killed.EQUIVALENT, right=True) == []
    assert all(result.boundaries > 20 and result.compared > 1000 for result in results)


def test_the_checks_see_nothing_at_another_level(tmp_path: Path) -> None:
    """The way of this one comes three times to the same store, where the bench lost count once."""
    [program] = [p for p in campaign.right_solutions() if p.id == "flat-switch"]
    [job] = campaign.make_jobs([program], ["Os"], tmp_path)
    result = campaign.run_job(dataclasses.replace(job, firsts=1))
    assert result.killed is Killed.EQUIVALENT, result


SHARING = ("lab/nvic-is-the-mask", "lab/mask-is-the-flag", "masked-slot", "generation")


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_that_is_right_is_called_racy(level: str, tmp_path: Path) -> None:
    programs = [p for p in campaign.right_solutions() if p.id in SHARING]
    for job in campaign.make_jobs(programs, [level], tmp_path):
        result = campaign.run_job(dataclasses.replace(job, firsts=1, checks=False))
        assert result.racy == () and result.compared


def test_a_result_is_not_as_expected() -> None:
    fine = campaign.Result("x", "Og", Killed.PAIRS)
    assert campaign.complaints(fine, Killed.PAIRS, right=False) == []
    assert campaign.complaints(fine, Killed.SINGLES, right=False) == [
        "killed by pairs, not singles"
    ]
    racy = dataclasses.replace(fine, racy=("`x` is racy",), problems=("one says otherwise",))
    assert campaign.complaints(racy, Killed.PAIRS, right=True) == [
        "reduced: one says otherwise",
        "false alarm: `x` is racy",
    ]
    assert campaign.complaints(racy, Killed.PAIRS, right=False) == ["reduced: one says otherwise"]


def test_two_qemus_that_differ_are_told() -> None:
    one = campaign.Result("x", "Og", Killed.PAIRS, "LOST 1/2 at poll+0x2", digest="1")
    same = dataclasses.replace(one, qemu="other", seconds=7.0)
    assert campaign.differences([one, same]) == []
    for other in (
        dataclasses.replace(same, killed=Killed.SINGLES),
        dataclasses.replace(same, where="LOST 1/2 at poll+0x4"),
        dataclasses.replace(same, digest="2"),
        dataclasses.replace(same, racy=("x",)),
    ):
        [told] = campaign.differences([one, other])
        assert told.startswith("x -Og: ") and " on other" in told
    assert campaign.differences([one, dataclasses.replace(other, level="Os")]) == []


@pytest.mark.skipif(not campaign.QEMU_10.exists(), reason="make qemu10")
def test_the_same_on_qemu_10(tmp_path: Path) -> None:
    """Each verdict, each place and each count, and with the places the ids of the schedules."""
    programs = [campaign.mutate(m) for m in campaign.load_mutants() if m.id in ON_BOTH]
    programs += [p for p in campaign.right_solutions() if p.id in ON_BOTH]
    jobs = campaign.make_jobs(programs, ["Og"], tmp_path, few=True, qemus=campaign.both_qemus())
    results = list(campaign.run_jobs(jobs))
    assert len({result.qemu for result in results}) == 2
    assert len(results) == 2 * len(ON_BOTH)
    assert campaign.differences(results) == []


ON_BOTH = ("check-then-register", "ack-late", "handler-leaves-unmasked", "turbo-waker")
