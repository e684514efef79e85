"""QEMU as one would use it without the bench: the program runs freely, prints to a pipe, and only
the pins are driven. What the bench's own cost is measured against.

Never for a student's program: its semihosting is the host's own.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from wakebench.errors import BenchError
from wakebench.machine import Machine, Qemu, die_with_parent, folder_for_sockets
from wakebench.pin_names import BUTTONS, Pin
from wakebench.pins import GPIO_IM, PORTS, Pins
from wakebench.probe import Probe
from wakebench.qtest import Qtest

PATIENCE_S = 20.0
"""Protects the host only."""


class _Spy(Qtest):
    """Remembers the device whose input was driven last."""

    device = ""

    def set_input(self, device: str, line: int, level: int) -> None:
        """See Qtest."""
        self.device = device
        super().set_input(device, line, level)


def device_of(elf: Path, qemu: Qemu, pin: Pin) -> str:
    """QOM path of a pin's port in this QEMU: found by the bench's own pins."""
    with Machine(elf, qemu) as machine:
        spy = _Spy(machine.connection("qtest"))
        Pins(Probe(machine.connection("gdb")), spy).drive(pin, 1)
        return spy.device


class Bare:
    """A running QEMU; ends with the `with`, and with this process."""

    def __init__(self, elf: Path, qemu: Qemu, device: str, button: str, *words: str) -> None:
        """device is `device_of` the button's pin; words are more arguments for QEMU."""
        self._pin = BUTTONS[button]
        self._device = device
        self._printed = b""
        self._folder = folder_for_sockets()
        self._listener = socket.socket(socket.AF_UNIX)
        self._connection: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._start(elf, qemu, words)
        except BaseException:
            self.close()
            raise

    def _start(self, elf: Path, qemu: Qemu, words: tuple[str, ...]) -> None:
        path = os.path.join(self._folder.name, "qtest")
        self._listener.bind(path)
        self._listener.listen(1)
        self._listener.settimeout(PATIENCE_S)
        self._process = subprocess.Popen(
            [
                *die_with_parent(),
                *qemu.command,
                *("-M", "lm3s6965evb", "-kernel", str(elf)),
                *("-display", "none", "-nodefaults", "-no-user-config"),
                *("-chardev", "stdio,id=console,signal=off"),
                *("-semihosting-config", "enable=on,target=native,chardev=console"),
                *("-qtest", f"unix:{path}", "-qtest-log", "none"),
                *words,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._connection, _ = self._listener.accept()
        except TimeoutError as late:
            raise BenchError("a QEMU without the bench did not start") from late
        self._qtest = Qtest(self._connection)
        self._set(1)

    def _set(self, level: int) -> None:
        self._qtest.set_input(self._device, self._pin.number, level)
        self._qtest.flush()

    def wait_ready(self) -> None:
        """Until the program has unmasked the button's interrupt, the last thing it sets up."""
        latest = time.monotonic() + PATIENCE_S
        mask = PORTS[self._pin.port] + GPIO_IM
        while not self._qtest.read_word(mask) >> self._pin.number & 1:
            if time.monotonic() > latest:
                raise BenchError("without the bench, the program does not unmask its button")

    def press(self, line: str) -> None:
        """Press, wait for the line, release."""
        self._set(0)
        self._wait_line(line.encode())
        self._set(1)

    def _wait_line(self, text: bytes) -> None:
        assert self._process is not None and self._process.stdout is not None
        while True:
            printed, newline, rest = self._printed.partition(b"\n")
            if newline:
                self._printed = rest
                if text in printed:
                    return
                continue
            if not select.select([self._process.stdout], [], [], PATIENCE_S)[0]:
                raise BenchError("without the bench, a press made no line")
            chunk = os.read(self._process.stdout.fileno(), 65536)
            if not chunk:
                raise BenchError("a QEMU without the bench ended too soon")
            self._printed += chunk

    def close(self) -> None:
        """End it and free everything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
        if self._connection is not None:
            self._connection.close()
        self._listener.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
