"""bubblewrap around what a student's files reach: the compiler that reads them, the QEMU that runs
them.

Inside there is a read-only system without its settings and homes, the files that the run was given,
an empty `/tmp` of bounded size, no network, no capability and no process of anybody else. Process 1
of its process namespace is bwrap's: when that ends, the kernel ends everything inside, whoever it
runs as, and bwrap's outer process, which dies with us, takes it along; where it cannot yet, the
caretaker does.

Two ways of getting there. A user has a user namespace made. Root has none (the kernel exempts root
from the limit on processes, in a user namespace too), but the program runs under a user id that
nobody else on the machine has, so that nothing of root's can be read or written.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from wakelab.interrupts import uninterrupted
from wakelab.toolchain import NOTHING, Completed, Limits, View, watch

PROGRAM = "bwrap"

SYSTEM = ("/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/share/qemu")
"""Folders of the system that a compiler or QEMU may need: programs, their libraries, their data."""

LINKS = ("/bin", "/lib", "/lib32", "/lib64")
"""Links into the above, or folders of their own on systems that keep them apart."""

SETTINGS = ("/etc/ld.so.cache",)
"""All that is shown of /etc: where the libraries are."""

BESIDE_BIN = ("lib", "lib64", "libexec", "share/qemu", "root")
"""What a tool outside the system's folders may need of the folder that its `bin` lies in; `root` is
where set-up unpacks QEMU 10."""

TMP_BYTES = 64 * 1024 * 1024
TMP = "/tmp"

_WHEN_TOLD = 'read -r begin && exec "$@" </dev/null'
"""The program begins when a line comes from us on its standard input, and never if we have died
before: bwrap dies with us only from some moment after its start on."""

_FIRST_ID, _IDS_A_PROCESS = 1_000_000_000, 512
"""Numbers far above those that systems give to users. Pids on Linux stay below 2^22, so that two
graders never choose the same."""


@dataclass(frozen=True)
class Bubblewrap:
    """A bwrap that works here.

    program   absolute path
    version   "0.8.0"
    as_root   the second of the two ways
    hidden    folders that must not be seen even where they lie in the system's
    """

    program: str
    version: str
    as_root: bool
    hidden: tuple[Path, ...] = ()
    _numbers: itertools.count[int] = field(default_factory=itertools.count, compare=False)

    def words(
        self, view: View, limits: Limits, cwd: str, env: Mapping[str, str], tools: Sequence[Path]
    ) -> list[str]:
        """The words before those of the program. `tools`: programs that may lie outside SYSTEM."""
        words = [self.program, "--die-with-parent", "--new-session", "--clearenv"]
        words += [f"--unshare-{name}" for name in ("pid", "net", "ipc", "uts", "cgroup")]
        words += ["--cap-drop", "ALL", "--hostname", "sandbox"]
        if self.as_root:  # what setpriv needs below, and then gives up
            for name in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
                words += ["--cap-add", name]
        else:
            words += ["--unshare-user", "--uid", "1000", "--gid", "1000", "--disable-userns"]
        words += self._files(view, tools)
        for name, value in {**env, "PATH": "/usr/bin:/bin", "TMPDIR": TMP}.items():
            words += ["--setenv", name, value]
        begin = ("sh", "-c", _WHEN_TOLD, "sh", *self._identity(), *_limited(limits))
        return [*words, "--chdir", cwd, "--", *begin]

    def _files(self, view: View, tools: Sequence[Path]) -> list[str]:
        layout = _Layout()
        for name in SYSTEM:
            layout.read(Path(name))
        for name in LINKS:
            path = Path(name)
            if path.is_symlink():
                layout.words += ["--symlink", os.readlink(path), name]
            else:
                layout.read(path)
        for name in SETTINGS:
            layout.read(Path(name))
        for folder in self.hidden:
            if any(folder.is_relative_to(name) for name in (*SYSTEM, *LINKS)):
                layout.words += ["--tmpfs", str(folder)]
        layout.words += ["--perms", "1777", "--size", str(TMP_BYTES), "--tmpfs", TMP]
        layout.made.add(Path(TMP))
        layout.bind("--dev-bind", Path("/dev/null"))
        for tool in tools:
            for path in _home_of(tool):
                layout.read(path)
        for path in view.reads:
            layout.read(path)
        for path in view.writes:
            layout.bind("--bind", path)
        return [*layout.words, "--remount-ro", "/"]

    def _identity(self) -> list[str]:
        if not self.as_root:
            return []
        number = next(self._numbers) % _IDS_A_PROCESS
        identity = str(_FIRST_ID + os.getpid() * _IDS_A_PROCESS + number)
        return [
            *("setpriv", "--reuid", identity, "--regid", identity, "--clear-groups"),
            *("--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--"),
        ]


class _Layout:
    """The words that lay out the file system inside; the folders above each file are made first,
    because bwrap makes them for their owner alone."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.made = {Path("/")}

    def read(self, path: Path) -> None:
        """Show a file or folder, read-only, if there is one."""
        if path.exists():
            self.bind("--ro-bind", path)

    def bind(self, how: str, path: Path) -> None:
        for parent in reversed(path.parents):
            if parent not in self.made:
                self.made.add(parent)
                self.words += ["--dir", str(parent)]
        self.words += [how, str(path), str(path)]
        self.made.add(path)


def _home_of(tool: Path) -> list[Path]:
    """What a tool needs that lies outside the system's folders: itself, and what lies beside `bin`.
    Not all of the folder above: that may be somebody's home."""
    found = []
    for path in dict.fromkeys((tool, tool.resolve())):
        if any(path.is_relative_to(name) for name in (*SYSTEM, *LINKS)):
            continue
        found.append(path)
        if path.parent.name == "bin":
            found += [path.parent.parent / name for name in BESIDE_BIN]
    return found


def _limited(limits: Limits) -> list[str]:
    """Set inside, where the number of processes counts those of the sandbox only."""
    return [
        "prlimit",
        f"--as={limits.address_bytes}",
        f"--fsize={limits.file_bytes}",
        f"--cpu={limits.cpu_seconds}",
        f"--nproc={limits.processes}",
        f"--nofile={limits.open_files}",
        "--core=0",
        "--",
    ]


class Confined:
    """A program in a sandbox, owned: `kill`, then `wait`, and all of it is gone."""

    def __init__(self, argv: Sequence[str], output: int | IO[bytes]) -> None:
        """argv: bwrap's words and the program's. Raises OSError.

        bwrap must not be killed between its fork and the moment at which its child hears from it:
        the child would wait for ever. So nothing interrupts this, and nobody kills it before. Where
        we are killed ourselves the caretaker sees to it.
        """
        started = False
        try:
            with uninterrupted():
                self._start(argv, output)
                started = True
        except BaseException:  # what came meanwhile is raised now, and nobody owns this yet
            if started:
                with uninterrupted():
                    self.kill()
                    self.wait()
            raise

    def _start(self, argv: Sequence[str], output: int | IO[bytes]) -> None:
        self._program: int | None = None
        self._init: int | None = None
        self._init_pid = 0
        self._told = b""
        info, info_end = os.pipe()
        gate, gate_end = os.pipe()
        try:
            self.bwrap = subprocess.Popen(
                # The other end, too: with no reader a bwrap that begins when we are dead would die
                # of a signal half way, and leave a child that waits for ever. The program gets
                # neither.
                [argv[0], "--info-fd", str(info_end), "--sync-fd", str(info), *argv[1:]],
                # Given, not inherited: another thread may be changing ours just now. (EFAULT.) By
                # this one the caretaker knows bwrap; inside it is another.
                env={"TMPDIR": tempfile.gettempdir()},
                stdin=gate,
                stdout=output,
                stderr=subprocess.STDOUT if isinstance(output, int) else output,
                start_new_session=True,
                pass_fds=(info_end, info),
                bufsize=0,
            )
        except BaseException:
            for each in (info, info_end, gate, gate_end):
                os.close(each)
            raise
        os.close(info_end)
        os.close(gate)
        try:
            self._hold(info)
            with contextlib.suppress(BrokenPipeError):  # it has failed; `wait` tells
                os.write(gate_end, b"begin\n")
        except BaseException:  # nobody else knows of it yet
            self._hold(info)
            self.kill()
            self.wait()
            raise
        finally:
            os.close(info)
            os.close(gate_end)

    def _hold(self, info: int) -> None:
        """Get a pidfd of process 1 inside, which waits for us meanwhile; none where bwrap failed
        before there was one. May be called again."""
        while chunk := os.read(info, 4096):
            self._told += chunk
        if self._told and self._init is None:
            self._init_pid = int(json.loads(self._told)["child-pid"])
            self._init = os.pidfd_open(self._init_pid)

    @property
    def pid(self) -> int:
        """Of the program, from outside: the one child of process 1; until there is one, bwrap's."""
        if self._program is None:
            path = Path(f"/proc/{self._init_pid}/task/{self._init_pid}/children")
            with contextlib.suppress(OSError):
                self._program = next(map(int, path.read_text().split()), None)
        return self._program or self.bwrap.pid

    def poll(self) -> int | None:
        """The exit code, 128 + signal where one ended it; None while it runs."""
        return self.bwrap.poll()

    def kill(self) -> None:
        """Kill process 1, and with it everything. May be called again, and later."""
        if self._init is None:
            self.bwrap.kill()
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._init, signal.SIGKILL)

    def wait(self) -> int:
        """Wait until the program has ended and nothing of it is left. The exit code, 128 + signal
        where one ended it."""
        code = self.bwrap.wait()
        if self._init is not None:
            self.kill()  # what the program has left behind
            ended = select.poll()
            ended.register(self._init, select.POLLIN)
            ended.poll()
            os.close(self._init)
            self._init = None
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.wait()


class SandboxRunner:
    """Runs tools in sandboxes. A Runner."""

    def __init__(self, bubblewrap: Bubblewrap, tools: Sequence[Path] = ()) -> None:
        """tools: paths that a tool outside the system's folders needs."""
        self._bubblewrap = bubblewrap
        self._tools = tuple(tools)
        self._lock = threading.Lock()
        self._running: set[Confined] = set()

    def run(
        self,
        argv: Sequence[str],
        cwd: Path,
        limits: Limits,
        env: Mapping[str, str],
        view: View = NOTHING,
    ) -> Completed:
        """See Runner. Inside, `cwd` is read-only. Raises OSError when bwrap cannot be started."""
        seen = View((cwd, *view.reads), view.writes)
        tools = (Path(argv[0]), *self._tools)
        env = {**env, "CCACHE_DISABLE": "1"}  # `arm-none-eabi-gcc` may be a link to ccache
        words = self._bubblewrap.words(seen, limits, str(cwd), env, tools)
        confined = Confined([*words, *argv], subprocess.PIPE)
        with self._lock:
            self._running.add(confined)
        try:
            output, ending = watch(confined.bwrap, limits)
        finally:
            with self._lock:
                self._running.discard(confined)
            confined.kill()
            code = confined.wait()
            if confined.bwrap.stdout is not None:
                confined.bwrap.stdout.close()
        return Completed(code, output, ending)

    def stop(self) -> None:
        """See Runner."""
        with self._lock:
            for confined in self._running:
                confined.kill()
