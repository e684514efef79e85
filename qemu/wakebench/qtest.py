"""A client of QEMU's qtest socket: device registers and input lines of a stopped machine.

A malformed request ends QEMU, so only this module writes to the socket. What asks for nothing waits
until somebody asks, or until `flush`: most of what a request costs is the way there and back.
"""

from __future__ import annotations

import socket
from base64 import b64decode, b64encode

from wakebench.errors import BenchError
from wakebench.patience import expect_answers


class Qtest:
    """Reads and writes device registers through the CPU's bus, and drives GPIO inputs."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        expect_answers(connection)
        self._waiting: list[str] = []

    def _ask(self, *requests: str) -> list[str]:
        """Send what waits, and these; what the machine answers to these."""
        sent, self._waiting = [*self._waiting, *requests], []
        try:
            self._socket.sendall("".join(f"{each}\n" for each in sent).encode("ascii"))
            answers = self._answers(len(sent))
        except OSError as gone:
            raise BenchError(f"QEMU's qtest socket failed: {gone}") from gone
        for request, answer in zip(sent, answers, strict=True):
            if not answer.startswith("OK"):
                raise BenchError(f"qtest refused {request!r}: {answer}")
        return [each[2:].strip() for each in answers[len(sent) - len(requests) :]]

    def _answers(self, count: int) -> list[str]:
        said = b""
        while said.count(b"\n") < count:
            chunk = self._socket.recv(65536)
            if not chunk:
                raise BenchError("QEMU ended during a qtest request")
            said += chunk
        return said.decode("ascii", "replace").splitlines()

    def flush(self) -> None:
        """Have everything done that was asked for: before the core goes on, or somebody else looks
        at the machine."""
        if self._waiting:
            self._ask()

    def read_word(self, address: int) -> int:
        """The 32-bit register at `address`; has the side effects of a read on that device."""
        return int(self._ask(_read_word(address))[0], 16)

    def read_words(self, *addresses: int) -> list[int]:
        """Several of them, in that order."""
        return [int(each, 16) for each in self._ask(*map(_read_word, addresses))]

    def write_word(self, address: int, value: int) -> None:
        """Write the 32-bit register at `address`."""
        self._waiting.append(f"writel 0x{address:x} 0x{value:x}")

    def fill(self, address: int, length: int, byte: int) -> None:
        """Fill memory with one byte."""
        self._waiting.append(f"memset 0x{address:x} 0x{length:x} 0x{byte:x}")

    def read_block(self, address: int, length: int) -> bytes:
        """Memory, as it is. In base 64: QEMU 7.2 takes four times as long for hexadecimal."""
        return b64decode(self._ask(f"b64read 0x{address:x} 0x{length:x}")[0])

    def write_block(self, address: int, data: bytes) -> None:
        """Overwrite memory."""
        text = b64encode(data).decode()
        self._waiting.append(f"b64write 0x{address:x} 0x{len(data):x} {text}")

    def set_input(self, device: str, line: int, level: int) -> None:
        """Drive input `line` of the device at QOM path `device` to `level`."""
        self._waiting.append(_set_input(device, line, level))

    def set_input_seen(self, device: str, line: int, level: int, address: int) -> tuple[int, int]:
        """The same; and what the register at `address` holds just before, and just after."""
        look = _read_word(address)
        before, _, after = self._ask(look, _set_input(device, line, level), look)
        return int(before, 16), int(after, 16)


def _read_word(address: int) -> str:
    return f"readl 0x{address:x}"


def _set_input(device: str, line: int, level: int) -> str:
    return f"set_irq_in {device} unnamed-gpio-in {line} {level}"
