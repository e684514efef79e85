"""The board's display, as QEMU draws it: 128 by 64 pixels in 16 shades (SSD0323 on SSI0)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from wakebench.errors import BenchError
from wakebench.probe import Probe

WIDTH, HEIGHT = 128, 64
_HEAD = re.compile(rb"P6\s+(\d+)\s+(\d+)\s+255\s")


class Picture(NamedTuple):
    """A byte for each pixel, row by row: its shade, 0 (dark) to 15."""

    pixels: bytes


DARK = Picture(bytes(WIDTH * HEIGHT))


class Display:
    """Reads the picture through QEMU's monitor, by way of a file that QEMU may write. The core is
    stopped whenever it is called."""

    def __init__(self, probe: Probe, file: Path) -> None:
        self._probe = probe
        self._file = file

    def picture(self) -> Picture:
        """What is shown. Raises BenchError where QEMU cannot tell."""
        name = str(self._file).replace("\\", "\\\\").replace('"', '\\"')
        if said := self._probe.monitor(f'screendump "{name}"').strip():
            raise BenchError(f"QEMU cannot tell what the display shows: {said}")
        return _shrunk(self._file.read_bytes())


def _shrunk(ppm: bytes) -> Picture:
    """QEMU draws each pixel as a square of several; the colour is a shade of one hue."""
    head = _HEAD.match(ppm)
    if head is None:
        raise BenchError("QEMU's picture of the display is not as expected")
    width, height = int(head[1]), int(head[2])
    if width % WIDTH or height % HEIGHT or len(ppm) < head.end() + 3 * width * height:
        raise BenchError(f"QEMU's display has {width} by {height} pixels")
    data = ppm[head.end() :]
    across, down = width // WIDTH, height // HEIGHT
    return Picture(
        bytes(
            max(data[at : at + 3]) // 17
            for row in range(HEIGHT)
            for at in range(3 * row * down * width, 3 * (row * down + 1) * width, 3 * across)
        )
    )
