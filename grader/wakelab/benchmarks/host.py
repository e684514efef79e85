"""The machine that the numbers come from, and whether it has anything else to do."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

from wakebench.machine import Qemu

BUSY_SHARE = 0.5
"""Load per core from which on times say more about the neighbours than about wakelab."""


@dataclass(frozen=True)
class Host:
    """What a reader needs in order to compare two tables.

    load  processes that wanted to run, mean of the last minute
    """

    cpu: str
    cores: int
    system: str
    python: str
    qemu: str
    gcc: str
    load: float

    @property
    def busy(self) -> bool:
        """Whether times are not to be trusted."""
        return self.load > BUSY_SHARE * self.cores

    def lines(self) -> list[str]:
        """For people."""
        state = "busy: times are too long" if self.busy else "idle"
        return [
            f"cpu     {self.cpu}, {self.cores} cores",
            f"system  {self.system}, Python {self.python}",
            f"qemu    {self.qemu}",
            f"gcc     {self.gcc}",
            f"load    {self.load:.2f} in the minute before ({state})",
        ]


def describe_host(qemu: Qemu, gcc_version: str) -> Host:
    """The machine as it is now."""
    return Host(
        _cpu_model(),
        usable_cores(),
        f"{platform.system()} {platform.release()}",
        platform.python_version(),
        _first_line([*qemu.command, "--version"]),
        gcc_version,
        os.getloadavg()[0],
    )


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def _first_line(argv: list[str]) -> str:
    try:
        said = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return "version not known"
    return said.stdout.partition("\n")[0] or "version not known"
