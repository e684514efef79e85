"""The semihosting broker: answers what a program may ask of the host, and refuses the rest.

A program may print and may say that it is done, and only from the board's own call site. It gets
nothing else: no file, no clock, no command line. (ARM semihosting specification, version 3.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

OPERATIONS = {
    0x01: "SYS_OPEN (open a file of the host)",
    0x02: "SYS_CLOSE (close a file of the host)",
    0x03: "SYS_WRITEC",
    0x04: "SYS_WRITE0",
    0x05: "SYS_WRITE (write to a file of the host)",
    0x06: "SYS_READ (read a file of the host)",
    0x07: "SYS_READC (read the host's keyboard)",
    0x08: "SYS_ISERROR",
    0x09: "SYS_ISTTY",
    0x0A: "SYS_SEEK",
    0x0C: "SYS_FLEN",
    0x0D: "SYS_TMPNAM (name a temporary file of the host)",
    0x0E: "SYS_REMOVE (delete a file of the host)",
    0x0F: "SYS_RENAME (rename a file of the host)",
    0x10: "SYS_CLOCK (ask the host's clock)",
    0x11: "SYS_TIME (ask the host's time of day)",
    0x12: "SYS_SYSTEM (run a command on the host)",
    0x13: "SYS_ERRNO",
    0x15: "SYS_GET_CMDLINE (ask the host's command line)",
    0x16: "SYS_HEAPINFO",
    0x18: "SYS_EXIT",
    0x20: "SYS_EXIT_EXTENDED",
    0x30: "SYS_ELAPSED (ask the host's clock)",
    0x31: "SYS_TICKFREQ (ask the host's clock)",
}
WRITEC, WRITE0, EXIT, EXIT_EXTENDED = 0x03, 0x04, 0x18, 0x20

LONGEST_STRING = 4096
_CHUNK = 64


class Printed(NamedTuple):
    """The program printed `data`."""

    data: bytes


@dataclass(frozen=True)
class Exited:
    """The program said that it is done. Its exit code is its own word and is not kept."""


class Refused(NamedTuple):
    """The program asked for something it may not have."""

    request: str


Answer = Printed | Exited | Refused
Reader = Callable[[int, int], bytes | None]


def answer(operation: int, parameter: int, from_board: bool, read: Reader) -> Answer:
    """Decide about one call: `operation` from r0, `parameter` from r1.

    `from_board` says whether the board's own call site made it; `read` reads the program's memory.
    """
    name = OPERATIONS.get(operation, f"unknown operation 0x{operation:x}")
    if not from_board:
        return Refused(f"{name}, not through the board's console")
    if operation == WRITE0:
        return Printed(_string(parameter, read))
    if operation == WRITEC:
        return Printed((read(parameter, 1) or b"")[:1])
    if operation in (EXIT, EXIT_EXTENDED):
        return Exited()
    return Refused(name)


def _string(address: int, read: Reader) -> bytes:
    """The zero-terminated string at `address`, cut at LONGEST_STRING."""
    collected = b""
    while len(collected) < LONGEST_STRING:
        length = _CHUNK - address % _CHUNK
        chunk = read(address, length)
        if chunk is None:
            break
        text, end, _ = chunk.partition(b"\0")
        collected += text
        if end:
            break
        address = (address + length) & 0xFFFF_FFFF
    return collected[:LONGEST_STRING]
