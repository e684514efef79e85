"""`--sweep MODE`: what is swept on top of what the lab says. The same for every grading command."""

from __future__ import annotations

import argparse

SWEEP_MODES = ("singles", "pairs", "triples")
"""How many presses are placed: one, two, or three at selected places."""


def add_sweep(parser: argparse.ArgumentParser) -> None:
    """Give a command the option."""
    parser.add_argument(
        "--sweep",
        action="append",
        default=[],
        choices=SWEEP_MODES,
        help="sweep this, too, on top of what the lab does",
    )
