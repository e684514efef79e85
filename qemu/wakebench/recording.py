"""QEMU's own record of a run: the registers before every instruction, while the core runs at full
speed.

QEMU writes its log of the processor's state (`log cpu`) at the start of each block of code that it
has translated, and is told to translate one instruction at a time. So a run costs a few stops in
place of two for each instruction. The record is the machine's, as single steps are, and holds for
what single steps cannot show, too: interrupts are not held back.

A line of the log does not always mean that its instruction was executed: where an interrupt is
taken, or the probe stops the core, the block may have been entered and left again. `executed` takes
those out.
"""

from __future__ import annotations

import os
import re
import struct
import sys
from collections.abc import Container, Sequence
from itertools import chain
from pathlib import Path

from wakebench.errors import BenchError
from wakebench.probe import Probe, Registers

REGISTERS = 17
_FORMAT = f">{REGISTERS}I"
LINE, LONGEST_LINE = 17 * 13, 17 * 13 + 64
"""Bytes of the log for an instruction, at least and at most."""
LARGEST = 4 * 1024 * 1024
"""Bytes of records that nobody needs any more, after which the file begins anew."""
_NAMES = [b"R%02d=" % number for number in range(16)]
_ENTRY = re.compile(b"".join(b"%s(.{8})[ \n]" % name for name in _NAMES) + b"XPSR=(.{8})")
"""One instruction's. Whole, because that takes half as long as each register by itself."""
_UNKNOWN = "unknown command"
EXC_RETURN = 0xF
"""Top four bits of LR at the first instruction of a handler (ARM DDI 0403, B1.5.8)."""


class Recorder:
    """Switches QEMU's log on and off, and reads it. The core is stopped whenever it is called."""

    def __init__(self, probe: Probe, file: Path) -> None:
        self._probe = probe
        self._file = file
        self._word = ""
        self._since = self._kept = 0
        self._parts: list[tuple[int, int, Registers]] = []
        self.on = False
        self.limit = 0

    def start(self, here: Registers, limit: int = 0) -> None:
        """Record from now on; the core stands at `here`. `limit`: when the record is full, in
        instructions; 0: never."""
        if not self._word:
            self._word = self._find_word()
            self._begin_anew()
        elif self._size() > LARGEST:
            self._begin_anew()
        self._kept, self._parts = 0, []
        self.on, self.limit = True, limit
        self._switch("on")
        self._since = self._size()
        self.stopped(here)

    def _find_word(self) -> str:
        """What this QEMU calls it: 8.1 gave it a new name."""
        for word in ("one-insn-per-tb", "singlestep"):
            if _UNKNOWN not in self._probe.monitor(f"{word} off"):
                return word
        raise BenchError("this QEMU cannot be told to record one instruction at a time")

    def _begin_anew(self) -> None:
        """Have QEMU write at the beginning of the file: newer ones keep it open, and would go on
        where they were, unless they are given its name again."""
        name = str(self._file).replace("\\", "\\\\").replace('"', '\\"')
        if said := self._probe.monitor(f'logfile "{name}"').strip():
            raise BenchError(f"QEMU cannot write its log: {said}")
        os.truncate(self._file, 0)

    def _switch(self, how: str) -> None:
        self._probe.monitor(f"{self._word} {how}")
        self._probe.monitor("log cpu" if how == "on" else "log none")

    def _size(self) -> int:
        return os.stat(self._file).st_size

    def stopped(self, here: Registers) -> None:
        """The core stands at `here`: before an instruction which the bench may execute itself."""
        if self.on:
            size = self._size()
            self._parts.append((self._since, size, here))
            self._kept += size - self._since
            self._since = size

    def count(self) -> int:
        """How many instructions have been executed since the last stop, or a few more."""
        return (self._size() - self._since) // LINE

    def is_full(self) -> bool:
        """Whether there is a limit, and more than that is recorded."""
        return 0 < self.limit < (self._kept + self._size() - self._since) // LINE

    def pause(self) -> None:
        """Forget what came since the last stop, and leave out what comes: that run is to be done
        again. Undone by `go_on`."""
        if self.on:
            self._switch("off")

    def go_on(self) -> None:
        """The core stands again where it stood at the last stop."""
        if self.on:
            self._switch("on")
            self._since = self._size()

    def stop(self) -> list[Registers]:
        """End the recording: what the core and the bench executed from `start` to the last stop, in
        order, and where the core stands."""
        self._switch("off")
        most = self.limit or sys.maxsize
        self.on, self.limit = False, 0
        lines: list[Registers] = []
        with self._file.open("rb") as log:
            for start, end, here in self._parts:
                log.seek(start)
                lines += _parse(log.read(min(end - start, most * LONGEST_LINE)))[:most]
                lines.append(here)
        return lines


def _parse(text: bytes) -> list[Registers]:
    """Whole lines; what is left at the end belongs to one that was cut."""
    entries = _ENTRY.findall(text)
    if text.count(b"XPSR=") not in (len(entries), len(entries) + 1):
        raise BenchError("QEMU's log of registers is not as expected")
    values = bytes.fromhex(b"".join(chain.from_iterable(entries)).decode("ascii"))
    return list(map(Registers, struct.iter_unpack(_FORMAT, values)))


def executed(lines: Sequence[Registers], entries: Container[int]) -> list[Registers]:
    """Without the lines whose instruction was not executed then: the same line comes again, at
    once, or when the handler that came instead has returned. `entries`: where handlers begin. The
    last line is kept: it is where the core stands.
    """
    kept = [one for one, after in zip(lines, lines[1:], strict=False) if one != after]
    kept += lines[-1:]
    left = {
        at
        for at, after in enumerate(kept[1:])
        if is_entry(after, entries) and _comes_back(kept, at)
    }
    return [line for at, line in enumerate(kept) if at not in left] if left else kept


def _comes_back(lines: Sequence[Registers], at: int) -> bool:
    """Whether the handler that came after a line returns to that very line."""
    outer = lines[at].exception
    back = next((line for line in lines[at + 1 :] if line.exception == outer), None)
    return back is not None and back == lines[at]


def is_entry(line: Registers, entries: Container[int]) -> bool:
    """Whether this is a handler's first instruction, by way of an exception."""
    return line.pc in entries and line.lr >> 28 == EXC_RETURN
