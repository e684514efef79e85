"""Tools that run one after another in one sandbox: whose output is whose, and how each ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from wakelab.errors import InfraError
from wakelab.in_turn import Turn, run_in_turn
from wakelab.toolchain import (
    NOTHING,
    Completed,
    DirectRunner,
    Ending,
    Limits,
    Runner,
    Toolchain,
)

IMPATIENT = Limits(wall_seconds=0.5, output_bytes=1000)


class Broken(DirectRunner):
    """A sandbox that cannot be made."""

    def run(self, *_: object) -> Completed:  # type: ignore[override]
        return Completed(1, b"bwrap: No permissions to create a namespace\n", Ending.EXIT)


def run(
    *scripts: str, then: str = "", runner: Runner | None = None, limits: Limits | None = None
) -> list[Completed]:
    toolchain = Toolchain(Path("/bin/sh"), "", runner or DirectRunner())
    each = [("sh", "-c", script) for script in scripts]
    last = ("sh", "-c", then) if then else ()
    (found,) = run_in_turn(toolchain, [Turn(each, last)], Path("/"), NOTHING, limits)
    return found


def test_each_has_its_own_output() -> None:
    found = run("echo one; echo to stderr >&2", "printf 'no newline'", "true", then="echo last")
    assert [each.output for each in found] == [
        b"one\nto stderr\n",
        b"no newline",
        b"",
        b"last\n",
    ]
    assert {(each.returncode, each.ending) for each in found} == {(0, Ending.EXIT)}


def test_the_last_runs_only_if_all_others_went_well() -> None:
    found = run("exit 3", "echo still", then="echo never")
    assert [(each.returncode, each.output) for each in found] == [(3, b""), (0, b"still\n")]


def test_a_crash_is_told_by_its_number_alone() -> None:
    assert run("kill -SEGV $$") == [Completed(128 + 11, b"", Ending.EXIT)]


def test_words_are_not_the_shells() -> None:
    toolchain = Toolchain(Path("/bin/sh"), "", DirectRunner())
    argv = ("printf", "%s|", "a b", "$HOME", "'", '"', "*", "; exit 9", "\n")
    ((found,),) = run_in_turn(toolchain, [Turn([argv])], Path("/"), NOTHING)
    assert found.output == b"a b|$HOME|'|\"|*|; exit 9|\n|"


def test_what_a_tool_prints_ends_no_turn() -> None:
    """Whatever it prints; it would have to know the mark."""
    lines = "".join(f"echo {'0' * 32} {code}; echo {code}; " for code in range(3))
    first, second = run(lines + "exit 1", "echo mine")
    assert first.returncode == 1 and first.output.count(b"\n") == 6
    assert second.output == b"mine\n"


@pytest.mark.parametrize(
    ("script", "ending"),
    [("sleep 60", Ending.TIMEOUT), ("yes", Ending.FLOOD)],
    ids=["takes-too-long", "prints-too-much"],
)
def test_what_is_stopped_is_the_last(script: str, ending: Ending) -> None:
    first, second = run("echo done", script, "echo never", then="true", limits=IMPATIENT)
    assert (first.output, first.ending) == (b"done\n", Ending.EXIT)
    assert second.ending is ending
    assert b"done" not in second.output and b"never" not in second.output


def test_a_sandbox_that_fails_is_nobodys_compiler_error() -> None:
    with pytest.raises(InfraError, match="could not be run in its sandbox") as raised:
        run("true", runner=Broken())
    assert "No permissions" in str(raised.value)


def test_a_shell_that_is_killed_in_the_last_turn_is_noticed() -> None:
    with pytest.raises(InfraError, match="could not be run in its sandbox"):
        run("true", then="kill -KILL $PPID")


class Counting(DirectRunner):
    """How many sandboxes it takes."""

    made = 0

    def run(self, *given: Any, **named: Any) -> Completed:
        self.made += 1
        return super().run(*given, **named)


def run_turns(*turns: Sequence[str], runner: Runner) -> list[list[tuple[bytes, Ending]]]:
    """Each turn in words of the shell, the last of which comes only if the others went well."""
    toolchain = Toolchain(Path("/bin/sh"), "", runner)
    argvs = [[("sh", "-c", script) for script in turn] for turn in turns]
    whole = [Turn(each, last) for *each, last in argvs]
    ended = run_in_turn(toolchain, whole, Path("/"), NOTHING, IMPATIENT)
    return [[(one.output, one.ending) for one in turn] for turn in ended]


def test_turns_share_a_sandbox_and_nothing_else() -> None:
    runner = Counting()
    ended = run_turns(
        ("echo a", "echo b"), ("exit 1", "echo never"), ("exit 0", "exit 1"), runner=runner
    )
    texts = [[output for output, _ in turn] for turn in ended]
    assert texts == [[b"a\n", b"b\n"], [b""], [b"", b""]]
    assert runner.made == 1


def test_who_is_stopped_takes_nobody_along() -> None:
    """Nor is anybody stopped for what those before him have used."""
    runner = Counting()
    most = "head -c 700 /dev/zero"  # twice of it is too much
    ended = run_turns(
        ("echo a", "sleep 60", "echo never"), (most, "true"), (most, "true"), runner=runner
    )
    assert [[ending for _, ending in turn] for turn in ended] == [
        [Ending.EXIT, Ending.TIMEOUT],
        [Ending.EXIT, Ending.EXIT],
        [Ending.EXIT, Ending.EXIT],
    ]
    assert [len(turn[0][0]) for turn in ended] == [2, 700, 700]
    assert runner.made == 3


def test_what_outlives_its_turn_ends_with_the_sandbox() -> None:
    """It holds the pipe, so nobody could tell that all is over."""
    *_, last = run_turns(("true", "sleep 60 &"), runner=Counting())
    assert [ending for _, ending in last] == [Ending.EXIT, Ending.EXIT, Ending.TIMEOUT]
