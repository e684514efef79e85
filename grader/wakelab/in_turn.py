"""Several tools in one sandbox, one after another: making it takes as long as most tools."""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Sequence
from pathlib import Path

from wakelab.errors import InfraError
from wakelab.render import safe_text
from wakelab.toolchain import Completed, Ending, Limits, Toolchain, View


def run_in_turn(
    toolchain: Toolchain,
    each: Sequence[Sequence[str]],
    then: Sequence[str],
    cwd: Path,
    view: View,
    limits: Limits | None = None,
) -> list[Completed]:
    """Run each of the tools, and `then` the last one if all of them went well. What came of those
    that were run, in order; a signal's number is 128 + it. The `limits` of time and output hold for
    all together, so the last of the results may be a tool that was stopped, and those after it were
    not run.

    What they print comes through one pipe. Between them stands a mark that nobody can know who
    writes what they read.

    Raises InfraError where the sandbox itself fails.
    """
    mark = secrets.token_hex(16)
    # The shell's own words, as of a tool that crashed, are nobody's output.
    script = ["exec 2>/dev/null", "failed="]
    for argv in each:
        script += [f"({shlex.join(argv)} 2>&1)", "status=$?", f"echo {mark} $status"]
        script += ["[ $status = 0 ] || failed=1"]
    if then:
        script += [f'[ "$failed" ] || {{ ({shlex.join(then)} 2>&1); echo {mark} $?; }}']
    whole = toolchain.run(["sh", "-c", "\n".join(script)], cwd, limits, view)
    *ended, rest = re.split(rb"%s (\d+)\n" % mark.encode(), whole.output)
    outputs, codes = ended[::2], ended[1::2]
    found = [
        Completed(int(code), output, Ending.EXIT)
        for output, code in zip(outputs, codes, strict=True)
    ]
    if whole.ending is not Ending.EXIT:
        return [*found, Completed(whole.returncode, rest, whole.ending)]
    owed = len(each) + bool(then and not any(one.returncode for one in found))
    if len(found) < owed:
        said = safe_text(rest.decode("utf-8", "replace").strip()[-300:])
        raise InfraError(
            "the compiler could not be run in its sandbox",
            said or f"it ended with {whole.returncode}",
            "make doctor looks at the sandbox; then try again",
        )
    return found
