"""Tables as CSV that a spreadsheet shows and does not execute.

A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, and a formula can
start programs and send cells elsewhere. Quotation marks do not prevent that; an apostrophe in front
does (OWASP, "CSV injection").
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

from wakelab.render import safe_text

MAX_CELL = 2000

# Where half of Europe uses `;` between cells, a `;` inside a cell of ours begins a new one. The
# wide forms are the same signs to a spreadsheet set to Japanese or Chinese.
_FORMULA = re.compile(r"(^|;)(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")


def safe_cell(value: str | int | float) -> str:
    """A cell's text. Numbers stay numbers; text that would be a formula gets an apostrophe in
    front; control codes are spelled out, and a newline is one of them."""
    if not isinstance(value, str):
        return str(value)
    return _FORMULA.sub(r"\1'", safe_text(value, MAX_CELL))


def to_table(head: Sequence[str], rows: Iterable[Sequence[str | int | float]]) -> str:
    """CSV as in RFC 4180, lines ended by CR LF, every text in quotation marks."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    for row in (head, *rows):
        writer.writerow([safe_cell(value) for value in row])
    return file.getvalue()
