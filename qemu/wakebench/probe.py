"""A client of QEMU's gdbstub: breakpoints, registers, memory, one step, run.

Only what the bench needs of the GDB remote serial protocol (GDB manual, appendix E). `target.xml`
is read first, because without it QEMU's stub answers no single-register packet. Commands that
answer nothing but "OK" wait until the core goes on, or somebody asks for something: most of what
they cost is the way there and back.
"""

from __future__ import annotations

import re
import select
import socket
import struct
from collections.abc import Callable
from enum import Enum, IntEnum
from typing import NamedTuple

from wakebench.errors import BenchError
from wakebench.patience import expect_answers

BLOCK = 1024
"""Bytes of memory in one packet; QEMU's hold twice as much, for the hexadecimal, and more."""

MOST_AT_ONCE = 64
"""Commands sent before their answers are read: both sides' sockets hold so many."""

LOOK_S = 0.05
"""How long the core is given to stop where it is; on a host that is not busy it needs 0.3 ms."""

LOOKS_FOR_A_WATCH = 3
"""How often it may be interrupted in vain before it counts as one that has hit no watchpoint."""

PC = 15
SP = 13
LR = 14


class Registers(tuple[int, ...]):
    """The core registers r0..r15 and xPSR. A tuple, for its speed: a record has thousands."""

    __slots__ = ()

    @property
    def pc(self) -> int:
        """Address of the next instruction."""
        return self[PC]

    @property
    def sp(self) -> int:
        """The active stack pointer."""
        return self[SP]

    @property
    def lr(self) -> int:
        """Return address, or EXC_RETURN at the first instruction of a handler."""
        return self[LR]

    @property
    def exception(self) -> int:
        """IPSR: 0 in thread mode, else the exception number being handled."""
        return self[16] & 0x1FF

    def at(self, pc: int) -> Registers:
        """The same, with another PC."""
        return self.with_value(PC, pc)

    def with_value(self, number: int, value: int) -> Registers:
        """The same, with another value in one of them."""
        return Registers((*self[:number], value, *self[number + 1 :]))


_REGISTERS = struct.Struct("<17I")

NO_REGISTERS = Registers((0,) * 17)


class ConnectionLost(BenchError):
    """QEMU closed the gdbstub's socket: it has ended."""

    def __init__(self) -> None:
        super().__init__("QEMU has ended, and the machine with it")


class Why(Enum):
    """Why the core stopped."""

    BREAK = "breakpoint, watchpoint or step"
    INTERRUPTED = "the probe asked it to"
    WATCHDOG = "the watchdog counted down"
    FULL = "enough was recorded"
    GONE = "QEMU ended"


class Stop(NamedTuple):
    """One stop: why, and the stub's own words."""

    why: Why
    reply: str

    @property
    def watched(self) -> int | None:
        """Where the watched area begins that was accessed; None for another kind of stop."""
        found = _WATCHED.search(self.reply)
        return int(found[1], 16) if found else None


_WATCHED = re.compile(r"watch:([0-9a-f]+)")


class Touch(IntEnum):
    """What is watched for, by the stub's number for it."""

    WRITES = 2
    READS = 3
    BOTH = 4


class Area(NamedTuple):
    """Addresses that are watched."""

    name: str
    start: int
    length: int
    touch: Touch = Touch.BOTH


def _nothing() -> None:
    return None


def _memory(answer: bytes) -> bytes | None:
    """What a read has found, or None for an error."""
    return None if answer.startswith(b"E") else bytes.fromhex(answer.decode("ascii"))


class Probe:
    """Speaks to a stopped machine. Every method but `run` needs the core stopped.

    `before` is called before anything that depends on what was done to the machine in another way,
    so that it has been done (Qtest.flush).
    """

    def __init__(self, connection: socket.socket, before: Callable[[], None] = _nothing) -> None:
        self._socket = connection
        expect_answers(connection)
        self._readable = select.poll()
        self._readable.register(connection, select.POLLIN)
        self._before = before
        self._buffer = b""
        self._waiting: list[bytes] = []
        self._ask(b"qSupported:multiprocess-")
        if not self._ask(b"qXfer:features:read:target.xml:0,ffb").startswith((b"l", b"m")):
            raise BenchError("QEMU's gdbstub did not describe its registers")

    # -- packets ---------------------------------------------------------------------------------

    def _send(self, *payload: bytes) -> None:
        """Send what waits, and then this, whose answer is the caller's to receive."""
        self._before()
        waiting, self._waiting = self._waiting, []
        packets = [*waiting, *payload]
        for at in range(0, len(packets), MOST_AT_ONCE):
            some = packets[at : at + MOST_AT_ONCE]
            try:
                self._socket.sendall(b"".join(b"$%s#%02x" % (p, sum(p) & 0xFF) for p in some))
            except OSError as gone:
                raise ConnectionLost from gone
            for each in waiting[at : at + MOST_AT_ONCE]:
                answer = self._answer(each)
                if answer != b"OK":
                    raise BenchError(f"the gdbstub refused {each[:20]!r}: {answer[:20]!r}")

    def _receive(self, patience_s: float | None = None) -> bytes:
        """The next packet's payload; without `patience_s` it comes at once, or something is wrong.
        Raises TimeoutError, ConnectionLost."""
        while True:
            start = self._buffer.find(b"$")
            end = self._buffer.find(b"#", start)
            if start >= 0 and end >= 0 and len(self._buffer) >= end + 3:
                payload = self._buffer[start + 1 : end]
                self._buffer = self._buffer[end + 3 :]
                return payload
            if patience_s is not None and not self._readable.poll(patience_s * 1000):
                raise TimeoutError
            try:
                chunk = self._socket.recv(65536)
            except BlockingIOError as late:
                raise TimeoutError from late
            except OSError as gone:
                raise ConnectionLost from gone
            if not chunk:
                raise ConnectionLost
            self._buffer += chunk

    def _ask(self, payload: bytes) -> bytes:
        self._send(payload)
        return self._answer(payload)

    def _answer(self, payload: bytes) -> bytes:
        try:
            return self._receive()
        except TimeoutError as late:
            raise BenchError(f"the gdbstub did not answer {payload[:20]!r}") from late

    def _command(self, *payloads: bytes) -> None:
        self._waiting += payloads

    def flush(self) -> None:
        """Have everything done that waits."""
        self._send()

    # -- state -----------------------------------------------------------------------------------

    def ask(self, packet: bytes) -> bytes:
        """The stub's answer to any packet that does not let the core run."""
        return self._ask(packet)

    def registers(self) -> Registers:
        """All core registers in one packet."""
        raw = bytes.fromhex(self._ask(b"g").decode("ascii"))
        return Registers(_REGISTERS.unpack_from(raw))

    def set_register(self, number: int, value: int) -> None:
        """Write one core register."""
        self._command(b"P%x=%s" % (number, value.to_bytes(4, "little").hex().encode()))

    def read(self, address: int, length: int) -> bytes | None:
        """Memory as the core sees it, or None where nothing answers. Not for device registers."""
        collected = b""
        while len(collected) < length:
            at, most = address + len(collected), min(length - len(collected), BLOCK)
            found = _memory(self._ask(b"m%x,%x" % (at, most)))
            if (
                found is None
            ):  # and nothing more is asked for: what is left may be half of all there is
                return None
            collected += found
        return collected

    def read_each(self, *areas: tuple[int, int]) -> list[bytes | None]:
        """The same of several areas, address and length of each; short ones in one go."""
        if any(length > BLOCK for _, length in areas):
            return [self.read(*area) for area in areas]
        payloads = [b"m%x,%x" % area for area in areas]
        self._send(*payloads)
        return [_memory(self._answer(each)) for each in payloads]

    def patch(self, address: int, code: bytes) -> None:
        """Overwrite memory, flash included. A reset does not undo it."""
        for at in range(0, len(code), BLOCK):
            some = code[at : at + BLOCK]
            self._command(b"M%x,%x:%s" % (address + at, len(some), some.hex().encode()))

    def monitor(self, command: str) -> str:
        """Run a command of QEMU's human monitor and return what it printed."""
        self._send(b"qRcmd," + command.encode().hex().encode())
        said = b""
        while True:
            try:
                answer = self._receive()
            except TimeoutError as late:
                raise BenchError(f"QEMU's monitor did not answer {command!r}") from late
            if answer == b"OK":
                return said.decode(errors="backslashreplace")
            if not answer.startswith(b"O"):
                raise BenchError(f"QEMU's monitor refused {command!r}: {answer[:40]!r}")
            said += bytes.fromhex(answer[1:].decode("ascii"))

    # -- breakpoints -----------------------------------------------------------------------------

    def add_breakpoint(self, *addresses: int) -> None:
        """Stop before the instruction at each of `addresses` executes."""
        self._command(*(b"Z0,%x,2" % address for address in addresses))

    def remove_breakpoint(self, *addresses: int) -> None:
        """Undo `add_breakpoint`."""
        self._command(*(b"z0,%x,2" % address for address in addresses))

    def add_watch(self, area: Area) -> None:
        """Stop before an instruction that reads or writes something in the area; see Touch."""
        self._command(b"Z%d,%x,%x" % (area.touch, area.start, area.length))

    def remove_watch(self, area: Area) -> None:
        """Undo `add_watch`."""
        self._command(b"z%d,%x,%x" % (area.touch, area.start, area.length))

    # -- running ---------------------------------------------------------------------------------

    def step(self) -> Stop:
        """Execute one instruction. QEMU holds interrupts and timers back meanwhile."""
        self._send(b"s")
        stop = self._stop()
        if stop is None:
            raise BenchError("the core did not come back from a single step")
        return stop

    def run(self, patience_s: float) -> Stop | None:
        """Run to the next stop; None if there was none for `patience_s` (the core still runs)."""
        self._send(b"c")
        return self._stop(patience_s)

    def wait(self, patience_s: float) -> Stop | None:
        """Wait on for the stop that `run` has not seen."""
        return self._stop(patience_s)

    def interrupt(self) -> Stop:
        """Stop a running core. A stop that happened meanwhile by itself counts.

        QEMU loses the stop at a watchpoint that happens while it obeys, but not that it was hit;
        and with that still noted the next one stops after its access and not before, or is fatal
        ("Raised interrupt while not in I/O function"). A breakpoint where the core is brings it
        out: the core executes nothing, and the stub reports what was noted, and forgets it.
        """
        stop = self._break_off()
        for _ in range(LOOKS_FOR_A_WATCH):
            if stop.why is not Why.INTERRUPTED:
                break
            here = self.registers().pc
            self.add_breakpoint(here)
            # Still nothing: it sleeps, or an interrupt came first, or the host is slow.
            stop = self.run(LOOK_S) or self._break_off()
            if stop.why is Why.GONE:
                break
            self.remove_breakpoint(here)
            if self._is_at(here, stop):
                return Stop(Why.INTERRUPTED, stop.reply)
        return stop

    def _is_at(self, address: int, stop: Stop) -> bool:
        return stop.why is Why.BREAK and stop.watched is None and self.registers().pc == address

    def _break_off(self) -> Stop:
        try:
            self._socket.sendall(b"\x03")
        except OSError:
            return Stop(Why.GONE, "")
        stop = self._stop()
        if stop is None:
            raise BenchError("the core could not be stopped")
        return stop

    def _stop(self, patience_s: float | None = None) -> Stop | None:
        try:
            reply = self._receive(patience_s).decode("ascii", "replace")
        except TimeoutError:
            return None
        except ConnectionLost:
            return Stop(Why.GONE, "")
        signal = reply[1:3]
        why = Why.INTERRUPTED if signal == "02" else Why.BREAK
        return Stop(Why.GONE if reply[:1] in ("W", "X") else why, reply)
