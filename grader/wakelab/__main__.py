"""`python -m wakelab`."""

import os
import sys

from wakelab.interrupts import quiet_until_heard

quiet_until_heard()  # the imports that follow take a while

from wakelab.cli import main  # noqa: E402


def _end(code: int) -> None:
    """At once, if all that was said is out: to take every module down takes Python a fiftieth of a
    grading, and whatever has to be closed is."""
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
    except (OSError, ValueError):
        return
    os._exit(code)


if __name__ == "__main__":
    code = main()
    if sys.argv[1:2] == ["grade"]:
        _end(code)
    sys.exit(code)
