"""`--trust-this-code`: the one way around the sandbox, the same for every command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wakelab.confinement import Confinement


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Give a command the option."""
    parser.add_argument(
        "--trust-this-code",
        action="store_true",
        help="without the sandbox: only for code that you have read",
    )


def confinement_of(
    root: Path,
    folder: Path | None,
    options: argparse.Namespace,
    meanwhile: Callable[[], object] = lambda: None,
) -> Confinement:
    """The confinement for a command on `folder`, None for many of them; says so where there is no
    sandbox. From here on the command has a folder of its own for temporary files, among what it
    owns. `meanwhile` may be done while a sandbox is tried. Raises UserError where there must be a
    sandbox."""
    from wakelab.caretaker import OwnFolder
    from wakelab.confinement import choose, is_own

    options.owned.enter_context(OwnFolder())
    own = folder is not None and is_own(root, folder)
    chosen = choose(root, trust=options.trust_this_code, own=own, meanwhile=meanwhile)
    if chosen.notice:
        print(f"wakelab: {chosen.notice}", file=sys.stderr)
    return chosen
