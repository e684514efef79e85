"""A client of QEMU's qtest socket: device registers and input lines of a stopped machine.

A malformed request ends QEMU, so only this module writes to the socket.
"""

from __future__ import annotations

import socket
from base64 import b64decode, b64encode

from wakebench.errors import BenchError


class Qtest:
    """Reads and writes device registers through the CPU's bus, and drives GPIO inputs."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.settimeout(20.0)
        self._buffer = b""

    def _ask(self, request: str) -> str:
        try:
            self._socket.sendall(request.encode("ascii") + b"\n")
            while b"\n" not in self._buffer:
                chunk = self._socket.recv(4096)
                if not chunk:
                    raise BenchError("QEMU ended during a qtest request")
                self._buffer += chunk
        except OSError as gone:
            raise BenchError(f"QEMU's qtest socket failed: {gone}") from gone
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer = line.decode("ascii", "replace")
        if not answer.startswith("OK"):
            raise BenchError(f"qtest refused {request!r}: {answer}")
        return answer[2:].strip()

    def read_word(self, address: int) -> int:
        """The 32-bit register at `address`; has the side effects of a read on that device."""
        return int(self._ask(f"readl 0x{address:x}"), 16)

    def write_word(self, address: int, value: int) -> None:
        """Write the 32-bit register at `address`."""
        self._ask(f"writel 0x{address:x} 0x{value:x}")

    def fill(self, address: int, length: int, byte: int) -> None:
        """Fill memory with one byte."""
        self._ask(f"memset 0x{address:x} 0x{length:x} 0x{byte:x}")

    def read_block(self, address: int, length: int) -> bytes:
        """Memory, as it is. In base 64: QEMU 7.2 takes four times as long for hexadecimal."""
        return b64decode(self._ask(f"b64read 0x{address:x} 0x{length:x}"))

    def write_block(self, address: int, data: bytes) -> None:
        """Overwrite memory."""
        self._ask(f"b64write 0x{address:x} 0x{len(data):x} {b64encode(data).decode()}")

    def set_input(self, device: str, line: int, level: int) -> None:
        """Drive input `line` of the device at QOM path `device` to `level`."""
        self._ask(f"set_irq_in {device} unnamed-gpio-in {line} {level}")
