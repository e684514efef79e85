"""Pictures of a run: the time line, the report as a page, and files for other people's viewers."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent


def asset(name: str) -> str:
    """A script or style of the pages, as text."""
    return (HERE / name).read_text(encoding="utf-8")
