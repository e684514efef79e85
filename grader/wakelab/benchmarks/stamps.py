"""`python -m wakelab.benchmarks.stamps FILE ARGUMENTS...`: runs `wakelab ARGUMENTS...` and writes
down in FILE (JSON) when its parts began and ended, in seconds of the monotonic clock, which all
processes of a machine share.
"""

from __future__ import annotations

import time

STARTED = time.monotonic()  # before the imports below, which are a part of what is measured

import json  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

Stamps = dict[str, float]


def main(arguments: list[str]) -> int:
    """Run, write the stamps, and return wakelab's exit code."""
    stamps: Stamps = {"started": STARTED}
    import wakelab.grade
    from wakelab.cli import main as wakelab_main

    parts: list[tuple[Any, str, str]] = [
        (wakelab.grade, "Ahead", "build"),  # on two cores
        (wakelab.grade, "built_here", "build"),  # on one
        (wakelab.grade, "_try_on_boards", "checks"),
        (wakelab.grade, "make_report", "report"),
    ]
    for owner, name, label in parts:
        setattr(owner, name, _stamped(getattr(owner, name), label, stamps))
    code = wakelab_main(arguments[1:])
    Path(arguments[0]).write_text(json.dumps(stamps), encoding="ascii")
    return code


def _stamped(function: Callable[..., Any], label: str, stamps: Stamps) -> Callable[..., Any]:
    def run(*arguments: Any, **named: Any) -> Any:
        stamps[f"{label} began"] = time.monotonic()
        try:
            return function(*arguments, **named)
        finally:
            stamps[f"{label} ended"] = time.monotonic()

    return run


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
