"""What can go wrong on the bench, by whose fault it is."""

from __future__ import annotations


class BenchError(Exception):
    """The bench itself failed: a missing or broken QEMU, a lost connection. Never the program's
    fault.
    """


class ImageError(BenchError):
    """The ELF file is not an image that this board can run."""
