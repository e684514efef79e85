"""A GDB server whose target is a Board: the bench goes on working behind the debugger.

It answers the program's calls of the host and executes WFI, as ever, so a program that is debugged
prints and sleeps; pins and schedules are `monitor` commands. GDB's packets that only look are
handed to QEMU's own stub; what moves the core is done by the Board. (GDB manual, appendix E.)

Single steps hold interrupts back, as QEMU does by itself: `step` stays in the function that one
looks at, and what is pending comes with the next `continue`.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wakebench.board import Board, Ended, Ending, Unmet
from wakebench.errors import BenchError
from wakebench.trace import Kind

PACKET = 0x1000
"""The longest packet that GDB may send."""

MS_S = 0.001

Packet = bytes
Command = Callable[[Sequence[str]], str]
"""A `monitor` command: its words, without the first; the answer. Raises Refused."""

STOPPED, INTERRUPTED, FAULT = b"S05", b"S02", b"S0b"


class Refused(Exception):
    """A `monitor` command that was not carried out: why, for people."""


@dataclass(frozen=True)
class Later:
    """What the next `continue` does in place of running on: it moves the core to somewhere else.
    `done` are the words then."""

    act: Callable[[], Board]
    done: str


class GdbServer:
    """Serves one GDB. Use from the thread that made the board's machine."""

    def __init__(self, board: Board) -> None:
        """With the `monitor` commands press, release and asleep."""
        self.board = board
        self._commands: dict[str, Command] = {
            "press": lambda words: self._press(words, down=True),
            "release": lambda words: self._press(words, down=False),
            "asleep": self._stop_asleep,
        }
        self._breakpoints: set[int] = set()
        self._told = 0
        self._only_asleep = False
        self._ctrl_c = False
        """There was one while the core stood."""
        self.later: Later | None = None
        self._buffer = b""
        self._connection: socket.socket | None = None

    def add(self, name: str, command: Command) -> None:
        """Another `monitor` command."""
        self._commands[name] = command

    def serve(self, connection: socket.socket) -> None:
        """Until GDB hangs up."""
        self._connection = connection
        self._told = len(self.board.trace)
        connection.setblocking(True)
        try:
            while (packet := self._receive()) is not None:
                answer = self._answer(packet)
                if answer is None:
                    return
                self._send(answer)
        except (BrokenPipeError, ConnectionResetError):
            return

    # -- packets ---------------------------------------------------------------------------------

    def _receive(self) -> Packet | None:
        """The next packet; None when GDB has hung up. A Ctrl-C with nothing to stop is for the next
        time that the core is let go (GDB manual, appendix E, "Interrupts")."""
        while True:
            start = self._buffer.find(b"$")
            end = self._buffer.find(b"#", start)
            if start >= 0 and end >= 0 and len(self._buffer) >= end + 3:
                self._ctrl_c |= b"\x03" in self._buffer[:start]
                payload = self._buffer[start + 1 : end]
                self._buffer = self._buffer[end + 3 :]
                self._write(b"+")
                return payload
            if not self._read_more():
                return None

    def _read_more(self) -> bool:
        assert self._connection is not None
        try:
            chunk = self._connection.recv(65536)
        except OSError:
            return False
        self._buffer += chunk
        return bool(chunk)

    def _write(self, data: bytes) -> None:
        assert self._connection is not None
        self._connection.sendall(data)

    def _send(self, payload: Packet) -> None:
        escaped = b"".join(
            b"}%c" % (byte ^ 0x20) if byte in b"}$#*" else bytes([byte]) for byte in payload
        )
        self._write(b"$%s#%02x" % (escaped, sum(escaped) & 0xFF))

    def _say(self, text: str) -> None:
        """Words for the person, while GDB waits for an answer."""
        data = text.encode("utf-8", "backslashreplace")
        for at in range(0, len(data), PACKET // 4):
            self._write_output(data[at : at + PACKET // 4])

    def _write_output(self, data: bytes) -> None:
        self._send(b"O" + data.hex().encode())

    def _answer(self, packet: Packet) -> Packet | None:
        """None: it is over."""
        head = packet[:1]
        match head:
            case b"?":
                return STOPPED
            case b"g" | b"p" | b"m":
                return self._look(packet)
            case b"G" | b"P" | b"M":
                return self._change(packet)
            case b"Z" | b"z":
                return self._breakpoint(packet)
            case b"c" | b"C":
                return self._go_on()
            case b"s" | b"S":
                return self._step()
            case b"H" | b"T":
                return b"OK"
            case b"k":
                return None
            case b"D":
                self._send(b"OK")
                return None
            case b"v":
                return self._v_packet(packet)
            case b"q" | b"Q":
                return self._query(packet)
        return b""

    def _v_packet(self, packet: Packet) -> Packet | None:
        if packet == b"vCont?":
            return b"vCont;c;C;s;S"
        if packet.startswith(b"vCont;"):
            return self._step() if packet[6:7] in b"sS" else self._go_on()
        if packet.startswith(b"vKill"):
            self._send(b"OK")
            return None
        return b""

    def _query(self, packet: Packet) -> Packet:
        if packet.startswith(b"qSupported"):
            return b"PacketSize=%x;qXfer:features:read+;vContSupported+" % PACKET
        if packet.startswith(b"qXfer:features:read:"):
            return self._look(packet)
        if packet.startswith(b"qRcmd,"):
            return self._monitor(packet[6:])
        known = {
            b"qfThreadInfo": b"m1",
            b"qsThreadInfo": b"l",
            b"qC": b"QC1",
            b"qAttached": b"1",
        }
        return known.get(packet, b"")

    def _look(self, packet: Packet) -> Packet:
        """What changes nothing is for QEMU's own stub."""
        try:
            return self.board.ask_stub(packet)
        except BenchError:
            return b"E01"

    def _change(self, packet: Packet) -> Packet:
        try:
            return self.board.change_by_stub(packet)
        except (BenchError, Ended):
            return b"E01"

    def _breakpoint(self, packet: Packet) -> Packet:
        kind, address, _ = packet[1:].split(b";")[0].split(b",")
        if kind not in (b"0", b"1"):
            return b""  # GDB does without, step by step
        if packet[:1] == b"Z":
            self._breakpoints.add(int(address, 16) & ~1)
        else:
            self._breakpoints.discard(int(address, 16) & ~1)
        return b"OK"

    # -- moving the core -------------------------------------------------------------------------

    def _step(self) -> Packet:
        try:
            self.board.step_instruction()
        except Ended as ended:
            return self._ended(ended)
        except BenchError as problem:
            return self._broken(problem)
        self._tell_console()
        return STOPPED

    def _go_on(self) -> Packet:
        if self.later is not None:
            return self._go_there(self.later)
        try:
            answer = self._run()
        except Ended as ended:
            answer = self._ended(ended)
        except BenchError as problem:
            answer = self._broken(problem)
        self._only_asleep = self._ctrl_c = False
        self._tell_console()
        return answer

    def _go_there(self, later: Later) -> Packet:
        self.later = None
        try:
            self.board = later.act()
        except Ended as ended:
            return self._ended(ended)
        except Unmet as unmet:
            self._say(f"wakelab: {unmet}\n")
            return STOPPED
        except BenchError as problem:
            return self._broken(problem)
        self._told = len(self.board.trace)
        self._say(f"wakelab: {later.done}\n")
        return STOPPED

    def _run(self) -> Packet:
        """To a breakpoint, or until somebody presses Ctrl-C; or, if that is what was asked for, to
        the sleep. While it sleeps its clock goes on."""
        board = self.board
        while not board.run_to(self._breakpoints):
            self._tell_console()
            if self._only_asleep:
                return STOPPED
            if self._is_interrupted(MS_S if board.clock_runs else None):
                return INTERRUPTED
            if board.clock_runs:
                board.next_ms()
        return STOPPED

    def _is_interrupted(self, seconds: float | None) -> bool:
        """Wait for it, if it has not come together with what let the core go; also the end of the
        connection interrupts."""
        assert self._connection is not None
        if not self._ctrl_c and b"\x03" not in self._buffer:
            ready, _, _ = select.select([self._connection], [], [], seconds)
            if not ready:
                return False
            if not self._read_more():
                raise ConnectionResetError
        before, found, after = self._buffer.partition(b"\x03")
        self._buffer = before + after
        return bool(found) or self._ctrl_c

    def _tell_console(self) -> None:
        trace = self.board.trace
        for event in trace.since(self._told):
            if event.kind is Kind.LINE:
                self._say(f"{_plain(event.name)}\n")
        self._told = len(trace)

    def _ended(self, ended: Ended) -> Packet:
        self._tell_console()
        self._say(f"wakelab: {ended.ending}: {_plain(ended.detail)}\n")
        if ended.ending in (Ending.LOOP, Ending.POLLING):
            # In a debugger one looks round where it loops.
            self.board.revive()
            return STOPPED
        self._say("wakelab: the run is over; replay starts it again\n")
        return FAULT

    def _broken(self, problem: BenchError) -> Packet:
        self._say(f"wakelab: {problem}\n")
        return FAULT

    # -- monitor ---------------------------------------------------------------------------------

    def _monitor(self, text: Packet) -> Packet:
        try:
            words = bytes.fromhex(text.decode("ascii")).decode("utf-8", "replace").split()
        except ValueError:
            return b"E01"
        command = self._commands.get(words[0]) if words else None
        try:
            if command is None:
                known = ", ".join(sorted(self._commands))
                raise Refused(f"there is no such command; there are {known}")
            answer = command(words[1:])
        except Refused as refused:
            self._say(f"wakelab: {refused}\n")
            return b"E01"
        except Ended as ended:
            self._ended(ended)
            return b"E01"
        except (Unmet, BenchError) as problem:
            self._say(f"wakelab: {problem}\n")
            return b"E01"
        if answer:
            self._say(f"{answer}\n")
        return b"OK"

    def _press(self, words: Sequence[str], *, down: bool) -> str:
        button = (words[0] if words else "SELECT").upper()
        edge = (self.board.press if down else self.board.release)(button)
        state = "down" if down else "up"
        return f"{button} is {state} ({edge}); continue lets the program see it"

    def _stop_asleep(self, _: Sequence[str]) -> str:
        self._only_asleep = True
        return ""


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
