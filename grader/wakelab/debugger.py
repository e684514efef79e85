"""GDB at the very instruction at which a schedule's last press comes."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from wakelab.errors import UserError
from wakelab.schedule import Schedule, go_to_last, tell_interrupt
from wakelab.subject import Subject

if TYPE_CHECKING:
    from rich.console import Console

NAMES = ("gdb-multiarch", "arm-none-eabi-gdb")


def debug(schedule: Schedule, subject: Subject, console: Console) -> bool:
    """Open GDB on the board, stopped where the last press is about to come, with it pending.

    From there on nobody answers the program's console: what it prints is not shown.
    """
    gdb = next((found for name in NAMES if (found := shutil.which(name))), None)
    if gdb is None:
        raise UserError(
            "no GDB for the board was found",
            next_step="sudo apt-get install gdb-multiarch",
        )
    strikes = go_to_last(schedule, subject)
    last, test = schedule.places[-1].interrupt, strikes.test
    strikes.strike(last)
    what = tell_interrupt(last, test.button)
    console.print(f"{schedule.id}: {what} ({len(schedule.places)}) has just come.", markup=False)
    with tempfile.TemporaryDirectory(prefix="wakelab-") as folder:
        path = Path(folder) / "gdb"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(1)
        board = test.board.hand_over()
        relay = threading.Thread(target=_relay, args=(listener, board), daemon=True)
        relay.start()
        elf = str(subject.image(schedule.level).path)
        # Ctrl-C is for GDB, which stops the program with it.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        words = ["-q", "-iex", "set auto-load off", "-ex", f"target remote {path}", elf]
        try:
            return subprocess.run([gdb, *words], check=False).returncode == 0
        finally:
            signal.signal(signal.SIGINT, before)
            listener.close()


def _relay(listener: socket.socket, board: socket.socket) -> None:
    """Carry bytes between GDB and the board until one of them hangs up."""
    try:
        gdb, _ = listener.accept()
    except OSError:
        return
    with gdb:
        back = threading.Thread(target=_carry, args=(board, gdb), daemon=True)
        back.start()
        _carry(gdb, board)


def _carry(source: socket.socket, target: socket.socket) -> None:
    try:
        source.settimeout(None)
        while chunk := source.recv(65536):
            target.sendall(chunk)
    except OSError:
        return
