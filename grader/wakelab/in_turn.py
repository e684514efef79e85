"""Several tools in one sandbox, one after another: making it takes as long as most tools."""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from wakelab.errors import InfraError
from wakelab.render import safe_text
from wakelab.toolchain import Completed, Ending, Limits, Toolchain, View


class Turn(NamedTuple):
    """Tools that belong together: each of them is run, and `then` the last one, if there is one and
    all the others went well."""

    each: Sequence[Sequence[str]]
    then: Sequence[str] = ()


def run_in_turn(
    toolchain: Toolchain,
    turns: Sequence[Turn],
    cwd: Path,
    view: View,
    limits: Limits | None = None,
) -> list[list[Completed]]:
    """Run the tools of one turn after the other. What came of those that were run, by turn, in
    order; a signal's number is 128 + it. Where a tool was stopped it is the last of its turn. The
    `limits` of time and output hold for all that run in one sandbox: mostly that is everything, but
    who breaks them, and whoever comes after, has them to himself.

    What they print comes through one pipe. Between them stands a mark that nobody can know who
    writes what they read.

    Raises InfraError where the sandbox itself fails.
    """
    ended: list[list[Completed]] = []
    while len(ended) < len(turns):
        found = _in_one_sandbox(toolchain, turns[len(ended) :], cwd, view, limits)
        alone = len(found) == 1
        ended += found if alone or not _was_stopped(found[-1]) else found[:-1]
    return ended


def _was_stopped(turn: Sequence[Completed]) -> bool:
    return turn[-1].ending is not Ending.EXIT


def _in_one_sandbox(
    toolchain: Toolchain, turns: Sequence[Turn], cwd: Path, view: View, limits: Limits | None
) -> list[list[Completed]]:
    """Up to the first that is stopped."""
    mark = secrets.token_hex(16)
    # The shell's own words, as of a tool that crashed, are nobody's output.
    script = ["exec 2>/dev/null"]
    for turn in turns:
        script.append("failed=")
        for argv in turn.each:
            script += [f"({shlex.join(argv)} 2>&1)", "status=$?", f"echo {mark} $status"]
            script += ["[ $status = 0 ] || failed=1"]
        if turn.then:
            script += [f'[ "$failed" ] || {{ ({shlex.join(turn.then)} 2>&1); echo {mark} $?; }}']
    whole = toolchain.run(["sh", "-c", "\n".join(script)], cwd, limits, view)
    *pieces, rest = re.split(rb"%s (\d+)\n" % mark.encode(), whole.output)
    left = [
        Completed(int(code), output, Ending.EXIT)
        for output, code in zip(pieces[::2], pieces[1::2], strict=True)
    ]
    if whole.ending is not Ending.EXIT:
        left.append(Completed(whole.returncode, rest, whole.ending))
    ended: list[list[Completed]] = []
    for turn in turns:
        found: list[Completed] = []
        ended.append(found)
        while len(found) < _owed(turn, found) and not (found and _was_stopped(found)):
            if not left:
                said = safe_text(rest.decode("utf-8", "replace").strip()[-300:])
                raise InfraError(
                    "the compiler could not be run in its sandbox",
                    said or f"it ended with {whole.returncode}",
                    "make doctor looks at the sandbox; then try again",
                )
            found.append(left.pop(0))
        if _was_stopped(found):
            break
    ended[-1] += left  # all had ended, and something of them had not
    return ended


def _owed(turn: Turn, found: Sequence[Completed]) -> int:
    """How many are to come of a turn of which those are known."""
    failed = any(one.returncode for one in found[: len(turn.each)])
    return len(turn.each) + bool(turn.then and not failed)
