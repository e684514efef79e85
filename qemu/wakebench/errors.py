"""What can go wrong on the bench, by whose fault it is."""

from __future__ import annotations


class BenchError(Exception):
    """The bench itself failed: a missing or broken QEMU, a lost connection. Never the program's
    fault.
    """


class Suspected(BenchError):
    """The core took long, and the machine was not made to count instructions. Do it all again on
    one that was: this one is of no use any more."""

    def __init__(self) -> None:
        super().__init__("the core took long, on a machine that does not count instructions")


class ImageError(BenchError):
    """The ELF file is not an image that this board can run."""
