"""Where what was pressed is kept."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from wakelab.errors import UserError
from wakelab.labs import Lab
from wakelab.report import write_atomically

MOST_FILES = 1000


def keep_script(root: Path, lab: Lab, text: str) -> Path:
    """Write a script under the first name that is free, in build/scripts/; which is it? Raises
    UserError."""
    folder = root / "build" / "scripts"
    for number in range(1, MOST_FILES):
        path = folder / f"{lab.number}-{number}.yaml"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(
                f"the script cannot be written: {error.strerror}", str(path), "make room for it"
            ) from None
        try:
            write_atomically(path, text)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path
    raise UserError("there are too many scripts", str(folder), "remove some")


def how_to_play(root: Path, lab: Lab, submission: Path | None, path: Path) -> str:
    """The command that plays a script again. `submission`: None for the lab's own folder."""
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    whose = f" SUBMISSION={shlex.quote(str(submission))}" if submission else ""
    return f"make script LAB={lab.number} SCRIPT={shown}{whose}"
