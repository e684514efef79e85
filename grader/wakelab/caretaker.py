"""A folder for all temporary files of this process, and who puts it away when this one cannot.

A process that is killed removes nothing. bubblewrap, too, may leave something behind then: from
some moment on its outer process is killed with us, and until it has told the inner one to begin,
that one has nobody left to hear from. It is process 1 of its own namespace and waits for ever; no
option of bwrap's changes that. So there is a caretaker: a small shell outside of our session, at
the other end of a pipe that only we hold, and what we have forked.

What is to be put away is known by the folder. Whatever we start that might outlive us has a name in
this folder as TMPDIR: bwrap's two processes (what they run in the sandbox has not) and compilers.
Between fork and exec a process has not yet that environment but still our memory: so a file of the
folder is mapped there, which nobody reads.
"""

from __future__ import annotations

import mmap
import os
import secrets
import shutil
import subprocess
import tempfile
from contextlib import suppress
from glob import glob
from pathlib import Path
from typing import Self

from wakebench.machine import elsewhere_for
from wakelab.errors import UserError
from wakelab.interrupts import uninterrupted

PREFIX = "wakelab-"

_DONE, _PUT_AWAY = b"done\n", b"put away\n"

_SCRIPT = """
trap '' HUP INT TERM
read -r word && [ "$word" = done ] && exit
name=/${1##*/}
quiet=0 rounds=0 patience=100
while [ $quiet -lt 3 ] && [ $rounds -lt 1000 ]; do
    rounds=$((rounds + 1))
    quiet=$((quiet + 1))
    forked=$(grep -lsF -e "$name" /proc/[0-9]*/maps)
    for each in $(grep -Ls -e '' /proc/[0-9]*/cmdline); do
        [ -e "${each%cmdline}exe" ] && [ $patience -gt 0 ] && quiet=0
    done
    [ $quiet = 0 ] && patience=$((patience - 1))
    for each in $forked $(grep -lsF -e "$name" /proc/[0-9]*/environ); do
        quiet=0
        each=${each#/proc/}
        kill -s KILL "${each%%/*}"
    done
done
rm -rf -- "$1" "$2"*
"""
"""Waits for a word, or for the end of the pipe: then nobody is left who could say it. $1 is the
folder, and with $2 begins what lies elsewhere for it. The folder's own name, which we have made, is
what is looked for: in the memory of who is about to be another program, then in the environment of
who is. Between these two a process shows neither, and no command line, but has a program already
(exe; one of the kernel has not): then it is looked again. A look that finds nothing is not of one
moment, so there must be three. What is not ours may look like this for ever, hence the patience;
the rounds are bounded for the sake of a process that cannot be killed. Without /proc nothing is
found."""

_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}


class OwnFolder:
    """The folder for the temporary files of this process and those forked off it: `tempfile` uses
    it. Close it, or use it in `with`; if that never happens, the caretaker does it. One at a time.

    Where the `with` is left by an exception, which may have come between the start of a process and
    the moment at which somebody owned it, what still works in the folder is ended, too.
    """

    def __init__(self, held: int = subprocess.DEVNULL) -> None:
        """held: the caretaker has this descriptor open to its end, so that who is at the other end
        of a pipe sees us end when all is put away. Raises UserError where there can be none."""
        base = Path(tempfile.gettempdir())
        self._outer = tempfile.tempdir
        self._owner = os.getpid()
        self.path = base / f"{PREFIX}{secrets.token_hex(8)}"
        with uninterrupted():
            # Told before it is made: there is no moment at which nobody knows of it.
            self._caretaker = _start_script(self.path, subprocess.PIPE, held)
            try:
                self.path.mkdir(mode=0o700)
                self._mark = be_known_by(self.path)
            except OSError as problem:
                self._dismiss(_PUT_AWAY)
                raise UserError(
                    f"no folder for temporary files can be made: {problem.strerror}",
                    str(base),
                    "make room there, or set TMPDIR to another folder",
                ) from None
            tempfile.tempdir = str(self.path)

    def close(self, *, orderly: bool = True) -> None:
        """Remove it; where the end is not orderly, end what works in it. May be called twice."""
        if self._caretaker.returncode is not None or os.getpid() != self._owner:
            return
        with uninterrupted():
            tempfile.tempdir = self._outer
            self._mark.close()
            shutil.rmtree(self.path, ignore_errors=True)
            left = self.path.exists() or glob(f"{elsewhere_for(str(self.path))}*")
            self._dismiss(_DONE if orderly and not left else _PUT_AWAY)

    def _dismiss(self, word: bytes) -> None:
        assert self._caretaker.stdin is not None
        with suppress(BrokenPipeError):  # somebody has ended it
            self._caretaker.stdin.write(word)
        self._caretaker.stdin.close()
        self._caretaker.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, raised: type[BaseException] | None, *_: object) -> None:
        self.close(orderly=raised is None)


def put_away(folder: Path) -> None:
    """End whatever works in a folder of ours, and remove it: for a process that was killed."""
    _start_script(folder, subprocess.DEVNULL, subprocess.DEVNULL).wait()


def be_known_by(folder: Path) -> mmap.mmap:
    """Have this process, and what is forked off it, known as one that works in this folder of ours,
    until what is returned is closed. Raises OSError."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.truncate(mmap.PAGESIZE)
        return mmap.mmap(file.fileno(), mmap.PAGESIZE, access=mmap.ACCESS_COPY)


def prefix_within() -> str:
    """For the name of a forked process's own folder: ours finds what that has elsewhere, too."""
    name = Path(tempfile.gettempdir()).name
    return f"{name}-" if name.startswith(PREFIX) else PREFIX


def temporary_files_of_all() -> Path:
    """The folder in which those of other users and of other gradings lie, too."""
    folder = Path(tempfile.gettempdir())
    while folder.name.startswith(PREFIX):
        folder = folder.parent
    return folder


def _start_script(folder: Path, told_by: int, held: int) -> subprocess.Popen[bytes]:
    """`told_by`, `held`: as subprocess's `stdin` and `stdout`."""
    return subprocess.Popen(
        ["sh", "-c", _SCRIPT, "wakelab-caretaker", str(folder), elsewhere_for(str(folder))],
        stdin=told_by,
        stdout=held,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=_ENVIRONMENT,
        start_new_session=True,
        bufsize=0,
    )
