"""How long QEMU may take to answer on a socket."""

from __future__ import annotations

import socket
import struct

ANSWER_TIMEOUT_S = 20
"""Protects the host only: requests to a stopped machine are answered within a millisecond."""


def expect_answers(connection: socket.socket) -> None:
    """Have the kernel end what takes longer than that, with BlockingIOError (socket(7),
    SO_RCVTIMEO). Python's own time-outs look before each call whether it would block: twice as many
    system calls, and a grading makes thousands."""
    connection.settimeout(None)
    limit = struct.pack("ll", ANSWER_TIMEOUT_S, 0)  # struct timeval
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
