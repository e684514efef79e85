"""CSV that a spreadsheet shows and does not execute."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wakelab.formats.cells import safe_cell, to_table

SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("before", ["", " ", "\t", "\r\n"])
def test_a_formula_gets_an_apostrophe(sign: str, before: str) -> None:
    cell = safe_cell(f"{before}{sign}cmd|' /C calc'!A0")
    assert cell[0] in "'\\"
    assert cell.endswith("cmd|' /C calc'!A0")


def test_a_formula_after_a_semicolon_is_one_too() -> None:
    assert safe_cell("x;=1+1;y; @z") == "x;'=1+1;y;' @z"


@pytest.mark.parametrize("text", ["", "button_future.c", "a-b=c", "1 line, -O2", "ünï", "x; y"])
def test_other_text_stays(text: str) -> None:
    assert safe_cell(text) == text


def test_numbers_stay_numbers() -> None:
    assert [safe_cell(-3), safe_cell(2.5)] == ["-3", "2.5"]


@settings(deadline=None)
@given(st.lists(st.text(), min_size=1, max_size=4))
def test_no_text_begins_a_formula_or_a_line(texts: list[str]) -> None:
    table = to_table(["head"] * len(texts), [texts])
    (_, row) = csv.reader(io.StringIO(table, newline=""))
    assert len(row) == len(texts)
    for cell in row:
        for part in cell.split(";"):
            assert part.strip()[:1] not in tuple(SIGNS)
        assert all(character.isprintable() for character in cell)


def test_rows_end_as_the_rfc_says() -> None:
    assert to_table(["a", "b"], [['say "hi"', 1]]) == '"a","b"\r\n"say ""hi""","1"\r\n'
