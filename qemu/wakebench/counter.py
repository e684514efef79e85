"""How many instructions a machine has executed since it was started, exactly.

With `-icount` QEMU counts them, and QMP's `query-replay` tells, also where nothing is replayed
(seen on 7.2 and 10.0). Breakpoints and resets do not disturb the count. It is asked only where a
run has taken long, so that the protocol costs the others nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Coroutine
from typing import Any, TypeVar

from qemu.qmp import QMPClient, QMPError

from wakebench.errors import BenchError
from wakebench.patience import ANSWER_TIMEOUT_S

T = TypeVar("T")


class InstructionCounter:
    """Asks one machine. Use from the thread that made it; close it before the machine ends."""

    def __init__(self, connection: socket.socket) -> None:
        """connection: the machine's QMP. Raises BenchError."""
        self._loop = asyncio.new_event_loop()
        self._client = QMPClient()
        try:
            # A copy: the client closes what it is given, and the machine owns the other.
            self._wait(self._client.connect(connection.dup()))
        except BaseException:
            self.close()
            raise

    def count(self) -> int:
        """Instructions so far; the core is stopped. Raises BenchError."""
        answer = self._wait(self._client.execute("query-replay"))
        if not isinstance(answer, dict) or not isinstance(answer.get("icount"), int):
            raise BenchError(f"QEMU does not tell its count of instructions: {answer!r}")
        return int(answer["icount"])

    def close(self) -> None:
        """Leave the machine alone. May be called twice."""
        if self._loop.is_closed():
            return
        with contextlib.suppress(QMPError, BenchError, OSError, EOFError):
            self._wait(self._client.disconnect())
        self._loop.close()

    def _wait(self, what: Coroutine[Any, Any, T]) -> T:
        try:
            return self._loop.run_until_complete(asyncio.wait_for(what, ANSWER_TIMEOUT_S))
        except (QMPError, OSError, EOFError, TimeoutError) as problem:
            raise BenchError(f"QEMU's count of instructions: {problem}") from problem
