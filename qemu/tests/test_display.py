"""What a program draws on the board's display is seen outside, shade by shade."""

from __future__ import annotations

from pathlib import Path

import pytest
from firmwares import Bench

from wakebench.board import Board, Limits
from wakebench.display import DARK, HEIGHT, WIDTH, Picture, _shrunk
from wakebench.errors import BenchError


def rows(picture: Picture) -> list[int]:
    """The shade of each row, which is the same all along it."""
    found = []
    for row in range(HEIGHT):
        shades = set(picture.pixels[row * WIDTH : (row + 1) * WIDTH])
        assert len(shades) == 1, row
        found += shades
    return found


def drawn(first: int) -> list[int]:
    return [15 if 0 <= n - first < 8 else 7 if 0 <= n - first < 16 else 0 for n in range(HEIGHT)]


def test_what_is_drawn_is_seen(bench: Bench) -> None:
    board = bench("draws")
    assert board.picture() == DARK, "at the reset"
    board.wait_asleep()
    assert rows(board.picture()) == drawn(0)
    board.press("SELECT")
    board.wait_asleep()
    assert rows(board.picture()) == drawn(16)
    board.reset()
    assert board.picture() == DARK


def test_looking_changes_nothing(bench: Bench) -> None:
    def lines(board: Board, look: bool) -> list[str]:
        for _ in range(3):
            board.wait_asleep()
            if look:
                board.picture()
            board.press("SELECT")
            board.release("SELECT")
        return [event.canonical() for event in board.trace]

    assert lines(bench("draws"), True) == lines(bench("draws"), False)


def test_who_draws_nothing_has_a_dark_one(bench: Bench) -> None:
    board = bench("sleeper", limits=Limits())
    board.wait_asleep()
    assert board.picture() == DARK


@pytest.mark.parametrize("ppm", [b"", b"P5 256 128 255 ", b"P6 100 100 255 ", b"P6 256 128 255 x"])
def test_a_picture_that_is_none(ppm: bytes) -> None:
    with pytest.raises(BenchError):
        _shrunk(ppm)


def test_each_pixel_is_a_square_of_some(tmp_path: Path) -> None:
    for scale in (1, 2, 3):
        wide, high = WIDTH * scale, HEIGHT * scale
        pixels = bytearray(3 * wide * high)
        for down in range(scale):
            for across in range(scale):
                at = 3 * ((5 * scale + down) * wide + 9 * scale + across)
                pixels[at : at + 3] = bytes([255, 255, 0])
        picture = _shrunk(b"P6\n%d %d\n255\n" % (wide, high) + bytes(pixels))
        assert [n for n, shade in enumerate(picture.pixels) if shade] == [5 * WIDTH + 9]
        assert picture.pixels[5 * WIDTH + 9] == 15
