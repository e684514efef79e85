"""A page for a browser, of the report alone. `wakelab picture` makes one with pictures."""

from __future__ import annotations

from wakelab.formats.format import Surroundings
from wakelab.report import Report


def to_html(report: Report, _: Surroundings) -> str:
    """It needs nothing from elsewhere."""
    from wakelab.pictures.page import page_of  # which gradings have no use for

    return page_of(report, None)
