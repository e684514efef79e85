"""Which sandbox a submission gets: bubblewrap, or none where somebody answers for the code.

Chosen once for a command and passed on. Foreign code without a sandbox is refused, unless somebody
types that it is to be trusted. Whoever grades the own checkout on a system that has no namespaces
is told in a line: that code could be run by hand just as well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from wakebench.machine import Files, Process, Qemu
from wakelab.caretaker import temporary_files_of_all
from wakelab.errors import UserError
from wakelab.sandbox import PROGRAM, SYSTEM, Bubblewrap, Confined, SandboxRunner
from wakelab.toolchain import Limits, Runner, Toolchain, View

QEMU_LIMITS = Limits(
    cpu_seconds=3600,
    address_bytes=4 * 1024 * 1024 * 1024,
    file_bytes=128 * 1024 * 1024,
    processes=64,
)
"""Wall time is the bench's matter, which counts instructions. The address space holds the buffer
for translated code, of which little is ever used. The one long file is the bench's record of a run
(wakebench.recording), some 30 MB when a loop is stopped after a fifth of a second."""

SECCOMP = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
"""QEMU's own filter of system calls: no new program, no other user, no other priority."""

LIBSECCOMP = "libseccomp."

TRUSTED = "none, trusted by hand"
ABSENT = "none, not available here"


class NoSandbox(UserError):
    """There is no sandbox here; says why, and what helps. `installable`: a package is missing, and
    that is all."""

    def __init__(self, what: str, next_step: str, *, installable: bool = False) -> None:
        super().__init__(what, "", next_step)
        self.installable = installable


class Confinement(NamedTuple):
    """What stands between a submission and this machine.

    name        as a report tells it: "bubblewrap 0.8.0"
    bubblewrap  None: nothing but the bench, which answers no call but the console's
    notice      a line for the person at the keyboard, or empty
    """

    name: str
    bubblewrap: Bubblewrap | None
    notice: str = ""

    @property
    def trusting(self) -> bool:
        """Somebody answers for the code."""
        return self.name == TRUSTED

    def compiler(self, toolchain: Toolchain) -> Runner | None:
        """What runs the compiler on what was handed in; None: nothing special."""
        if self.bubblewrap is None:
            return None
        return SandboxRunner(self.bubblewrap, _folders_of(toolchain))

    def around(self, qemu: Qemu) -> Qemu:
        """The same QEMU, started in the sandbox."""
        if self.bubblewrap is None:
            return qemu
        first, *rest = qemu.command
        command = (os.path.abspath(shutil.which(first) or first), *rest)
        return Qemu(command, _SandboxedStart(self.bubblewrap, command))


class _SandboxedStart:
    """Starts QEMU in a sandbox. A wakebench.machine.Start."""

    def __init__(self, bubblewrap: Bubblewrap, command: Sequence[str]) -> None:
        self._bubblewrap = bubblewrap
        self._tools = [Path(word) for word in command if word.startswith("/")]
        self._command = command
        self._seccomp: bool | None = None

    def __call__(self, argv: Sequence[str], files: Files, log: IO[bytes]) -> Process:
        if self._seccomp is None:
            self._seccomp = self._has_seccomp()
        more = ("-sandbox", SECCOMP) if self._seccomp else ()
        return Confined([*self._words(files), *argv, *more], log)

    def _words(self, files: Files) -> list[str]:
        view = View(files.reads, files.writes)
        return self._bubblewrap.words(view, QEMU_LIMITS, "/", {"LC_ALL": "C"}, self._tools)

    def _has_seccomp(self) -> bool:
        """Whether this QEMU was built with it: it refuses to start otherwise. One that is linked
        with libseccomp need not be asked, which takes longer than some checks."""
        if LIBSECCOMP in _needed_by(Path(self._command[0])):
            return True
        argv = [*self._words(Files((), ())), *self._command, "-sandbox", SECCOMP, "-version"]
        with Confined(argv, subprocess.DEVNULL) as asked:
            return asked.wait() == 0


def _needed_by(program: Path) -> str:
    """The names of the shared libraries that a program is linked with; none where it is no ELF
    file."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.dynamic import DynamicSection
    from elftools.elf.elffile import ELFFile

    try:
        with program.open("rb") as file:
            sections = ELFFile(file).iter_sections("SHT_DYNAMIC")
            tags = [
                tag
                for each in sections
                if isinstance(each, DynamicSection)
                for tag in each.iter_tags("DT_NEEDED")
            ]
            return " ".join(getattr(tag, "needed", "") for tag in tags)
    except (OSError, ELFError):
        return ""


def choose(
    root: Path, *, trust: bool, own: bool, meanwhile: Callable[[], object] = lambda: None
) -> Confinement:
    """The confinement for one command in the checkout `root`. `trust`: somebody answers for the
    code; `own`: it is what this checkout's owner wrote. `meanwhile` may be done while a sandbox is
    tried. Raises NoSandbox."""
    if trust:
        notice = "--trust-this-code: no sandbox. What was handed in may read and change your files."
        return Confinement(TRUSTED, None, notice)
    try:
        found = find_bubblewrap(root, meanwhile=meanwhile)
    except NoSandbox as missing:
        if not own or missing.installable:
            raise
        return Confinement(ABSENT, None, f"no sandbox here: {missing.what}; this is your own code")
    return Confinement(f"bubblewrap {found.version}", found)


def find_bubblewrap(
    root: Path, system: str = sys.platform, meanwhile: Callable[[], object] = lambda: None
) -> Bubblewrap:
    """A bwrap that was seen to work, for the checkout `root`. Raises NoSandbox."""
    if system != "linux":
        raise NoSandbox(
            "this system has no namespaces, which the sandbox for foreign code is made of",
            f"grade on Linux; or, if you know what was handed in: {_TRUST}",
        )
    program = shutil.which(PROGRAM)
    if program is None:
        raise NoSandbox(
            "bubblewrap, the sandbox for what was handed in, is not installed",
            "make setup installs it; by hand: apt-get install bubblewrap",
            installable=True,
        )
    asked = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    version = asked.stdout.strip().removeprefix("bubblewrap ")
    hidden = (root.resolve(), Path.home().resolve(), temporary_files_of_all().resolve())
    said = ""
    for as_root in (True, False) if _is_real_root() else (False,):
        found = Bubblewrap(program, version, as_root, hidden)
        said = _what_fails(found, meanwhile)
        if not said:
            return found
    cause, remedy = _why_not(said)
    raise NoSandbox(
        f"the sandbox for what was handed in does not work: {cause}",
        f"{remedy}; or, if you know what was handed in: {_TRUST}",
    )


_TRUST = "--trust-this-code (make: TRUST=1)"


def _is_real_root(uid_map: Path = Path("/proc/self/uid_map")) -> bool:
    """Root outside of any user namespace, which may become every other user."""
    if os.geteuid() != 0:
        return False
    try:
        return uid_map.read_text().split() == ["0", "0", "4294967295"]
    except OSError:
        return False


def _what_fails(bubblewrap: Bubblewrap, meanwhile: Callable[[], object]) -> str:
    """What is said where nothing runs in the sandbox; empty where all is well."""
    words = bubblewrap.words(View(), Limits(), "/", {}, ())
    try:
        with Confined([*words, "true"], subprocess.PIPE) as tried:
            assert tried.bwrap.stdout is not None
            meanwhile()
            with tried.bwrap.stdout as output:
                said = output.read(4096).decode("utf-8", "replace").strip()
            return "" if tried.wait() == 0 else said or "it said nothing"
    except OSError as problem:
        return str(problem.strerror)


_SWITCHES = (
    (
        "user/max_user_namespaces",
        "0",
        "user namespaces are turned off",
        "sudo sysctl user.max_user_namespaces=10000",
    ),
    (
        "kernel/unprivileged_userns_clone",
        "0",
        "user namespaces are for root only",
        "sudo sysctl kernel.unprivileged_userns_clone=1",
    ),
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor forbids user namespaces (Ubuntu 24.04 does so)",
        "docs/instructors/security.md has a profile that allows them to bwrap alone",
    ),
)
"""Below /proc/sys: a setting, its value, what it means, and what to do about it."""

_CONTAINER = ("/.dockerenv", "/run/.containerenv")


def _why_not(said: str, proc: Path = Path("/proc/sys"), root: Path = Path("/")) -> tuple[str, str]:
    """The cause in words, and the remedy."""
    for name, value, cause, remedy in _SWITCHES:
        try:
            found = (proc / name).read_text().strip()
        except OSError:
            continue
        if found == value:
            return cause, remedy
    if any((root / name.lstrip("/")).exists() for name in _CONTAINER):
        return (
            f"this container forbids namespaces ({said})",
            "grade outside of it, or start it with --security-opt seccomp=unconfined "
            "--security-opt apparmor=unconfined --security-opt systempaths=unconfined",
        )
    return said, "docs/instructors/security.md says what it needs"


def _folders_of(toolchain: Toolchain) -> list[Path]:
    """Folders of a compiler that lies outside the system's: those in which it says it searches."""
    if any(toolchain.gcc.resolve().is_relative_to(name) for name in SYSTEM):
        return []
    said = toolchain.run([str(toolchain.gcc), "-print-search-dirs"], Path("/")).output
    found: list[Path] = []
    for line in said.decode("utf-8", "replace").splitlines():
        _, _, listed = line.partition(": ")
        for name in listed.removeprefix("=").split(":"):
            folder = Path(os.path.normpath(name))
            if folder.is_absolute() and folder.is_dir() and folder not in found:
                found.append(folder)
    return found


def is_own(root: Path, folder: Path) -> bool:
    """Whether `folder` is the checkout `root`, or one of its own exercises or references."""
    root, folder = root.resolve(), folder.resolve()
    return folder == root or folder.parent in (root / "lab", root / "solution")
