"""GDB on the board, with the bench behind it (wakebench.gdb_server)."""

from __future__ import annotations

import select
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wakebench.board import Board
from wakebench.gdb_server import GdbServer, Later, Refused
from wakebench.machine import die_with_parent, folder_for_sockets
from wakebench.trace import story
from wakelab.errors import UserError
from wakelab.render import safe_text
from wakelab.report import write_atomically
from wakelab.schedule import Schedule, go_to_last, parse_id, tell_interrupt
from wakelab.signals import Signals
from wakelab.subject import Subject

if TYPE_CHECKING:
    from rich.console import Console

NAMES = ("gdb-multiarch", "arm-none-eabi-gdb")
HOST = "127.0.0.1"

SCRIPT = """\
set confirm off
set pagination off
define press
  if $argc == 0
    monitor press
  else
    monitor press $arg0
  end
end
document press
wakelab: press a button of the board, SELECT or the one that is named, and hold it.
end
define release
  if $argc == 0
    monitor release
  else
    monitor release $arg0
  end
end
document release
wakelab: let go of a button of the board, SELECT or the one that is named.
end
define asleep
  monitor asleep
  continue
end
document asleep
wakelab: run until the core sleeps, or to a breakpoint before that.
end
define story
  monitor story
end
document story
wakelab: what has happened on the board since its reset.
end
define replay
  if $argc == 0
    monitor replay
  else
    monitor replay $arg0
  end
  continue
end
document replay
wakelab: start again, and stop at main; with the id of a counterexample where its last press comes.
end
"""


@dataclass(frozen=True)
class Debugged:
    """What is debugged: the program of the folder at a level; `root` is the checkout. `schedule`:
    begin where its last press comes."""

    root: Path
    folder: Path
    subject: Subject
    level: str
    schedule: Schedule | None = None


def debug(what: Debugged, console: Console) -> bool:
    """Open GDB on the board: at main, or where a schedule's last press has just come. Whether GDB
    ended well. Raises UserError where there is none."""
    gdb = find_gdb()
    server = _server(what)
    with ExitStack() as owned:
        folder = Path(owned.enter_context(folder_for_sockets()))
        listener = owned.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(folder / "gdb"))
        listener.listen(1)
        script = folder / "wakelab.gdb"
        script.write_text(SCRIPT, encoding="utf-8")
        console.print(_welcome(what), markup=False, soft_wrap=True)
        console.file.flush()
        # Ctrl-C is for GDB, which stops the program with it.
        owned.callback(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.SIG_IGN))
        process = subprocess.Popen(
            [
                *(*die_with_parent(), gdb, "-q", "-iex", "set auto-load off", "-x", str(script)),
                *(word for each in (what.folder, what.root) for word in ("-d", str(each))),
                *("-ex", f"target remote {folder / 'gdb'}", str(elf_of(what))),
            ]
        )
        owned.callback(_end, process)
        if _wait_for(listener, process):
            connection, _ = listener.accept()
            with connection:
                server.serve(connection)
        return process.wait() == 0


def serve_debugger(what: Debugged, port: int, console: Console) -> int:
    """Serve any GDB that connects to a port of this machine, one after the other, until somebody
    ends it; the exit code. Raises UserError where the port is taken."""
    server = _server(what)
    with Signals() as signals, socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except (OSError, OverflowError) as problem:
            raise UserError(
                f"port {port} cannot be used: {getattr(problem, 'strerror', None) or problem}",
                next_step="another PORT=",
            ) from None
        listener.listen(1)
        port = listener.getsockname()[1]
        # At a place that an editor's settings can name.
        program = what.root / "build" / "debug" / f"{what.subject.lab.number}.elf"
        write_atomically(program, elf_of(what).read_bytes())
        console.print(f"GDB may connect: target remote localhost:{port}", markup=False)
        console.print(f"the program: {program}", markup=False, soft_wrap=True)
        console.file.flush()
        while True:
            waiting: list[Any] = [listener, signals]
            ready, _, _ = select.select(waiting, [], [])
            ended = [n for n in signals.take() if n in (signal.SIGINT, signal.SIGTERM)]
            if ended:
                return 0
            if listener in ready:
                connection, _ = listener.accept()
                with connection:
                    server.serve(connection)


def find_gdb() -> str:
    """Raises UserError where there is none."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    raise UserError(
        "no GDB for the board was found", next_step="sudo apt-get install gdb-multiarch"
    )


def elf_of(what: Debugged) -> Path:
    """The program's file."""
    return what.subject.image(what.level).path


def _wait_for(listener: socket.socket, process: subprocess.Popen[bytes]) -> bool:
    """Whether GDB connects; it may end before it does."""
    while process.poll() is None:
        if select.select([listener], [], [], 0.1)[0]:
            return True
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()


def _welcome(what: Debugged) -> str:
    where = f"where the last press of {what.schedule.id} has come" if what.schedule else "at main"
    return (
        f"GDB on the board, stopped {where}, at -{what.level}.\n"
        "press [BUTTON], release [BUTTON], asleep, story, replay [ID]: help press, and so on.\n"
    )


def _server(what: Debugged) -> GdbServer:
    board = _at_schedule(what, what.schedule) if what.schedule else _at_main(what)
    server = GdbServer(board)
    server.add("story", lambda _: _story(server.board))
    server.add("replay", lambda words: _replay(server, what, words))
    return server


def _at_main(what: Debugged) -> Board:
    board = what.subject.board(what.level)
    board.wait_symbol("main")
    return board


def _at_schedule(what: Debugged, schedule: Schedule) -> Board:
    strikes = go_to_last(schedule, what.subject)
    strikes.strike(schedule.places[-1].interrupt)
    return strikes.test.board


def _story(board: Board) -> str:
    return "\n".join(safe_text(line, 300) for line in story(board.trace))


def _replay(server: GdbServer, what: Debugged, words: Sequence[str]) -> str:
    if not words:
        server.later = Later(lambda: _at_main(what), "from the reset, at main")
        return ""
    try:
        schedule = parse_id(words[0])
    except UserError as problem:
        raise Refused(str(problem).splitlines()[0]) from None
    if (schedule.lab, schedule.level) != (what.subject.lab.number, what.level):
        raise Refused(
            f"{schedule.id} is of lab {schedule.lab} at -{schedule.level}: make debug"
            f" ID={schedule.id}"
        )
    last = tell_interrupt(schedule.places[-1].interrupt, what.subject.button)
    done = f"{schedule.id}: {last} ({len(schedule.places)}) has just come"
    server.later = Later(lambda: _at_schedule(what, schedule), done)
    return ""
