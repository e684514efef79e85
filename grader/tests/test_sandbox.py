"""The sandbox: what is seen inside, what can be done there, and that nothing of it is left."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from wakebench.core import Budget, Core
from wakebench.errors import BenchError
from wakebench.image import Image
from wakebench.machine import Machine, find_qemu
from wakelab.build import Builder
from wakelab.confinement import Confinement, _is_real_root, choose, find_bubblewrap
from wakelab.labs import checkout_root, load_lab
from wakelab.sandbox import Bubblewrap, SandboxRunner
from wakelab.submission import collect
from wakelab.toolchain import Completed, Ending, Limits, View, find_toolchain

ROOT = checkout_root()
LAB = load_lab(ROOT, "08")


pytestmark = pytest.mark.needs_sandbox


@pytest.fixture(params=["as root", "as a user"])
def bubblewrap(request: pytest.FixtureRequest) -> Bubblewrap:
    """Both ways into the sandbox; the second works for root, too."""
    as_root = request.param == "as root"
    if as_root and not _is_real_root():
        pytest.skip("takes root")
    return replace(find_bubblewrap(ROOT), as_root=as_root)


@pytest.fixture
def confinement(bubblewrap: Bubblewrap) -> Confinement:
    return Confinement("here", bubblewrap)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder to run in, in one that the sandbox's own user could not enter outside."""
    tmp_path.chmod(0o700)
    folder = tmp_path / "place"
    folder.mkdir()
    folder.chmod(0o755)
    return folder


def run(
    bubblewrap: Bubblewrap,
    place: Path,
    script: str,
    limits: Limits | None = None,
    view: View | None = None,
) -> Completed:
    """A shell script, inside."""
    limits = limits or Limits(wall_seconds=10)
    runner = SandboxRunner(bubblewrap)
    return runner.run(["sh", "-c", script], place, limits, {}, view or View())


def said(completed: Completed) -> list[str]:
    return completed.output.decode().splitlines()


# -- what is seen ----------------------------------------------------------------------------------


def test_nothing_is_seen_but_the_system_and_what_was_given(
    bubblewrap: Bubblewrap, place: Path
) -> None:
    (place / "given.c").write_text("int given;\n")
    (place.parent / "secret").write_text("another submission")
    lines = said(run(bubblewrap, place, "ls -A / /etc /dev /tmp; ls; cat ../secret"))
    top = lines[lines.index("/:") + 1 : lines.index("")]
    assert set(top) <= {"bin", "dev", "etc", "lib", "lib32", "lib64", "tmp", "usr"}
    assert lines[lines.index("/dev:") + 1] == "null"
    assert lines[lines.index("/etc:") + 1] == "ld.so.cache"
    assert "given.c" in lines
    assert lines[-1].endswith("../secret: No such file or directory")


@pytest.mark.parametrize("path", [ROOT / "solution", ROOT / "grader", ROOT / "Makefile"])
def test_the_checkout_is_not_seen(bubblewrap: Bubblewrap, place: Path, path: Path) -> None:
    assert path.exists()
    assert said(run(bubblewrap, place, f"test -e '{path}' && echo seen; echo over")) == ["over"]


def test_what_is_hidden_is_not_seen_in_the_systems_folders(
    bubblewrap: Bubblewrap, place: Path
) -> None:
    """As if the checkout lay there."""
    hidden = next(
        each for each in Path("/usr/lib").iterdir() if each.is_dir() and any(each.iterdir())
    )
    listed = f"ls -A {hidden}; echo over"
    assert said(run(bubblewrap, place, listed)) != ["over"]
    assert said(run(replace(bubblewrap, hidden=(hidden,)), place, listed)) == ["over"]


def test_only_what_is_shown_for_writing_can_be_written(bubblewrap: Bubblewrap, place: Path) -> None:
    target = place.parent / "out" / "target"
    target.parent.mkdir()
    target.write_text("old")
    target.chmod(0o666)
    refused = "x /x /usr/bin/x /etc/x /dev/x"
    own = Path("/tmp", f"wakelab-{os.getpid()}-{bubblewrap.as_root}")
    private = f"{own} {target}2"  # of the sandbox's own /tmp, which is gone afterwards
    script = f"for f in {target} {refused}; do echo new >$f; done; for f in {private}; do >$f; done"
    completed = run(bubblewrap, place, script, view=View((), (target,)))
    assert sum("Read-only" in line for line in said(completed)) == len(refused.split())
    assert target.read_text() == "new\n"
    assert list(target.parent.iterdir()) == [target]
    assert list(place.iterdir()) == []
    assert not own.exists()


def test_there_is_no_network_and_no_process_of_others(bubblewrap: Bubblewrap, place: Path) -> None:
    others = [pid for pid in range(3, 500) if Path(f"/proc/{pid}").exists()]
    script = f"echo $$; for p in {' '.join(map(str, others))}; do kill -0 $p && echo seen; done"
    lines = said(run(bubblewrap, place, f"{script}; ls /sys/class/net /proc/net"))
    assert lines[0] == "2"
    assert len(others) > 2 and "seen" not in lines
    assert sum(line.endswith("No such file or directory") for line in lines) == 2


def test_it_has_namespaces_of_its_own_and_no_capability(
    bubblewrap: Bubblewrap, place: Path
) -> None:
    dump = dict(
        line.partition(": ")[::2] for line in said(run(bubblewrap, place, "setpriv --dump")) if line
    )
    assert dump["uid"] != "0" and dump["uid"] == dump["euid"]
    assert dump["no_new_privs"] == "1"
    for kind in ("Inheritable capabilities", "Ambient capabilities", "Capability bounding set"):
        assert dump[kind] == "[none]", kind


def test_no_word_of_the_environment_gets_in(
    bubblewrap: Bubblewrap, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    lines = said(run(bubblewrap, place, "env"))
    names = {line.partition("=")[0] for line in lines}
    assert names <= {"PATH", "TMPDIR", "CCACHE_DISABLE", "PWD", "OLDPWD", "SHLVL", "_"}


# -- what can be done ------------------------------------------------------------------------------


def test_a_fork_bomb_is_bounded(bubblewrap: Bubblewrap, place: Path) -> None:
    if not bubblewrap.as_root and _is_real_root():
        pytest.skip("the kernel exempts root; that is why root has a way of its own")
    limits = Limits(wall_seconds=10, processes=20)
    script = "i=0; while [ $i -lt 60 ]; do sleep 60 & i=$((i+1)); done; wait"
    completed = run(bubblewrap, place, script, limits)
    assert b"Cannot fork" in completed.output
    assert completed.ending is Ending.EXIT


def test_the_processes_of_others_do_not_count(bubblewrap: Bubblewrap, place: Path) -> None:
    limits = Limits(wall_seconds=10, processes=4)
    script = "true | true | echo fine"
    assert said(run(bubblewrap, place, script, limits)) == ["fine"]


@pytest.mark.parametrize(
    ("script", "limits", "told"),
    [
        ("cat /usr/bin/* >/tmp/x", {"file_bytes": 10**6}, "File size limit"),
        ("yes | tr -d '\\n' | head -c 300000000 | tail -c 200000000", {}, "memory"),
        ("ulimit -n", {"open_files": 8}, "8"),
        ("ulimit -c", {}, "0"),
    ],
    ids=["file size", "memory", "open files", "no core"],
)
def test_limits(
    bubblewrap: Bubblewrap, place: Path, script: str, limits: dict[str, int], told: str
) -> None:
    small = Limits(wall_seconds=10, address_bytes=100 * 1024 * 1024)
    output = run(bubblewrap, place, script, small._replace(**limits)).output.decode()
    assert told in output


def test_the_private_tmp_has_a_bottom(bubblewrap: Bubblewrap, place: Path) -> None:
    script = (
        "for i in 1 2 3 4 5; do head -c 20000000 /usr/lib/*/libc.so.6 /usr/bin/* >/tmp/$i; done"
    )
    output = run(bubblewrap, place, script, Limits(wall_seconds=20)).output
    assert b"No space left" in output


def test_time_and_output_are_bounded(bubblewrap: Bubblewrap, place: Path) -> None:
    begun = time.monotonic()
    slow = run(bubblewrap, place, "sleep 60 & exec sleep 60", Limits(wall_seconds=0.5))
    assert slow.ending is Ending.TIMEOUT
    flood = run(bubblewrap, place, "yes", Limits(output_bytes=5000))
    assert (flood.ending, len(flood.output)) == (Ending.FLOOD, 5000)
    busy = run(bubblewrap, place, "while :; do :; done", Limits(cpu_seconds=1))
    assert (busy.ending, busy.returncode) == (Ending.EXIT, 128 + signal.SIGKILL)
    assert time.monotonic() - begun < 15


def test_what_runs_in_the_background_ends_with_the_program(
    bubblewrap: Bubblewrap, place: Path
) -> None:
    """It holds the output open: without its end, reading would not end before the time is over."""
    begun = time.monotonic()
    completed = run(bubblewrap, place, "sleep 60 & echo over", Limits(wall_seconds=30))
    assert (completed.ending, said(completed)) == (Ending.EXIT, ["over"])
    assert time.monotonic() - begun < 10


OWNER = """
import sys
from pathlib import Path
from wakelab.confinement import find_bubblewrap
from wakelab.sandbox import SandboxRunner
from wakelab.toolchain import Limits, View
from dataclasses import replace
bubblewrap = replace(find_bubblewrap(Path("/nonexistent")), as_root=sys.argv[1] == "True")
out = Path(sys.argv[2])
script = f"sleep 300 & echo begun >{out}; sleep 300"
limits, view = Limits(wall_seconds=300), View((), (out,))
SandboxRunner(bubblewrap).run(["sh", "-c", script], out.parent, limits, {}, view)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_its_owner(
    bubblewrap: Bubblewrap, place: Path, number: signal.Signals
) -> None:
    """Every process inside holds the pipe, which is closed when the last one is gone."""
    out = place / "out"
    out.touch()
    out.chmod(0o666)
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(bubblewrap.as_root), str(out)],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'grader'}:{ROOT / 'qemu'}"},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        _until(lambda: out.read_text() == "begun\n")
        inside = [os.pidfd_open(pid) for pid in _below(owner.pid)]
        assert len(inside) >= 4  # bwrap twice, the shell, what it started
        owner.send_signal(number)
        owner.wait(20)
        for each in inside:
            assert select.select([each], [], [], 20)[0], "a process still runs"
            os.close(each)
    finally:
        owner.kill()
        owner.wait()


def _below(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    text = ""
    for task in Path(f"/proc/{pid}/task").iterdir():
        text += (task / "children").read_text()
    children = [int(each) for each in text.split()]
    return [*children, *(each for child in children for each in _below(child))]


def _until(condition: object) -> None:
    latest = time.monotonic() + 20
    assert callable(condition)
    while not condition():
        assert time.monotonic() < latest, "it never happened"
        os.sched_yield()


# -- the compiler ----------------------------------------------------------------------------------


def test_the_same_images_with_and_without(confinement: Confinement) -> None:
    toolchain = find_toolchain()
    submission = collect(LAB, LAB.reference)
    with (
        Builder(ROOT, toolchain) as bare,
        Builder(ROOT, toolchain, sandbox=confinement.compiler(toolchain)) as confined,
    ):
        one = bare.build(LAB, submission)
        other = confined.build(LAB, submission)
    assert one.ok and len(one.elfs) == 4
    assert [elf.sha256 for elf in one.elfs] == [elf.sha256 for elf in other.elfs]


@pytest.mark.parametrize("mask", [0o077, 0o022])
def test_what_is_for_its_owner_alone_can_be_compiled(
    confinement: Confinement, tmp_path: Path, mask: int
) -> None:
    """Made under a strict umask, in a folder that nobody else may enter."""
    before = os.umask(mask)
    try:
        toolchain = find_toolchain()
        sandbox = confinement.compiler(toolchain)
        with Builder(ROOT, toolchain, tmp_path / "cache", sandbox) as builder:
            built = builder.build(LAB, collect(LAB, LAB.reference), ("Og",))
            assert built.ok, built.errors
            with Machine(built.elfs[0].path, confinement.around(find_qemu())) as machine:
                assert machine.connection("gdb")
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    "text",
    ['#include "/etc/passwd"', '#include "{root}/solution/08-button-future/main.c"'],
    ids=["passwd", "reference"],
)
def test_the_compiler_finds_no_file_of_the_host(
    confinement: Confinement, tmp_path: Path, text: str
) -> None:
    for name in LAB.files:
        (tmp_path / name).write_text(f"{text.format(root=ROOT)}\n")
    toolchain = find_toolchain()
    with Builder(ROOT, toolchain, sandbox=confinement.compiler(toolchain)) as builder:
        built = builder.build(LAB, collect(LAB, tmp_path), ("Og",))
    assert [message.text for message in built.errors if "No such file" not in message.text] == []
    assert len(built.errors) == len(LAB.files)


# -- QEMU ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with Builder(ROOT, find_toolchain()) as builder:
        yield Image(builder.build(LAB, collect(LAB, LAB.reference), ("Og",)).elfs[0].path)


def test_qemu_is_confined_and_filtered(confinement: Confinement, image: Image) -> None:
    with Machine(image.path, confinement.around(find_qemu())) as machine:
        machine.connection("gdb")
        assert machine._process is not None
        pid = machine._process.pid
        proc = Path(f"/proc/{pid}")
        status = dict(
            line.partition(":\t")[::2] for line in (proc / "status").read_text().splitlines()
        )
        assert status["Name"] == "qemu-system-arm"
        assert status["Seccomp"] == "2"
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
        assert status["NSpid"].split()[-1] == "2"
        for kind in ("net", "pid", "mnt", "ipc", "uts"):
            mine = os.readlink(f"/proc/self/ns/{kind}")
            assert os.readlink(proc / "ns" / kind) != mine, kind
        inside = proc / "root"
        assert not (inside / "root").exists() and not (inside / "home").exists()
        shown = [path for path in (inside / "tmp").rglob("*") if not path.is_dir()]
        if image.path.is_relative_to("/tmp"):
            assert sorted(path.name for path in shown) == [
                "Og.elf",
                "gdb",
                "qmp",
                "qtest",
                "record",
                "screen",
            ]
    assert not proc.exists()


def test_qemus_clock_is_its_own(confinement: Confinement, image: Image) -> None:
    """Not that of bwrap, which only waits."""
    with Machine(image.path, confinement.around(find_qemu())) as machine:
        machine.connection("gdb")
        assert 0.005 < machine.cpu_s() < 10


LATE_OWNER = """
import sys, tempfile
from dataclasses import replace
from pathlib import Path
from wakelab.confinement import find_bubblewrap
from wakelab.sandbox import Confined
from wakelab.toolchain import Limits, View
as_root, late, tempfile.tempdir = sys.argv[1] == "True", *sys.argv[2:]
bubblewrap = replace(find_bubblewrap(Path("/nonexistent")), as_root=as_root, program=late)
Confined([*bubblewrap.words(View(), Limits(), "/", {}, ()), "true"], sys.stdout.buffer)
"""
LATE = """#!/bin/sh
echo begun >"$TMPDIR/begun"
while kill -0 "$PPID"; do sleep 0.02; done 2>/dev/null
exec bwrap "$@"
"""


def test_a_bwrap_that_begins_when_its_owner_is_dead_ends(
    bubblewrap: Bubblewrap, tmp_path: Path
) -> None:
    """As one whose owner is killed between fork and exec. All of it holds the output."""
    late = tmp_path / "late"
    late.write_text(LATE)
    late.chmod(0o755)
    owner = subprocess.Popen(
        [sys.executable, "-c", LATE_OWNER, str(bubblewrap.as_root), str(late), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'grader'}:{ROOT / 'qemu'}"},
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    with owner.stdout as output:
        try:
            _until((tmp_path / "begun").exists)
        finally:
            owner.kill()
            owner.wait()
        ended = bool(select.select([output], [], [], 10)[0])
        for process in Path("/proc").glob("[0-9]*"):  # or it would wait for ever
            with contextlib.suppress(OSError):
                if f"TMPDIR={tmp_path}\0".encode() in (process / "environ").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)
        assert ended and output.read() == b""


TOLD_OWNER = """
import sys, tempfile
from dataclasses import replace
from pathlib import Path
from wakelab.confinement import find_bubblewrap
from wakelab.sandbox import Confined
from wakelab.toolchain import Limits, View
as_root, telling, tempfile.tempdir = sys.argv[1] == "True", *sys.argv[2:]
bubblewrap = replace(find_bubblewrap(Path("/nonexistent")), as_root=as_root, program=telling)
try:
    Confined([*bubblewrap.words(View(), Limits(), "/", {}, ()), "sleep", "60"], sys.stdout.buffer)
except KeyboardInterrupt:
    print("interrupted")
    sys.stdout.flush()
    sys.stdin.read()
"""
TELLING = """#!/bin/sh
kill -s INT $PPID
exec bwrap "$@"
"""


def test_a_sandbox_whose_owner_was_told_to_end_meanwhile_has_ended(
    bubblewrap: Bubblewrap, tmp_path: Path
) -> None:
    """Its owner hears of it when it is started, and before anybody has it."""
    telling = tmp_path / "telling"
    telling.write_text(TELLING)
    telling.chmod(0o755)
    with subprocess.Popen(
        [sys.executable, "-c", TOLD_OWNER, str(bubblewrap.as_root), str(telling), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'grader'}:{ROOT / 'qemu'}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as owner:
        assert owner.stdin is not None and owner.stdout is not None
        try:
            assert owner.stdout.readline() == b"interrupted\n"
            assert _below(owner.pid) == []
        finally:
            owner.stdin.close()


QEMU_OWNER = """
import signal, sys
from dataclasses import replace
from pathlib import Path
from wakebench.machine import Machine, find_qemu
from wakelab.confinement import Confinement, find_bubblewrap
bubblewrap = replace(find_bubblewrap(Path("/nonexistent")), as_root=sys.argv[1] == "True")
with Machine(Path(sys.argv[2]), Confinement("", bubblewrap).around(find_qemu())) as machine:
    machine.connection("gdb")
    print(machine._process.pid, flush=True)
    while True:
        signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_qemu_does_not_outlive_its_owner(
    confinement: Confinement, image: Image, number: signal.Signals
) -> None:
    assert confinement.bubblewrap is not None
    as_root = str(confinement.bubblewrap.as_root)
    owner = subprocess.Popen(
        [sys.executable, "-c", QEMU_OWNER, as_root, str(image.path)],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'grader'}:{ROOT / 'qemu'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        assert owner.stdout is not None
        qemu = os.pidfd_open(int(owner.stdout.readline()))
        owner.send_signal(number)
        owner.wait(20)
        assert select.select([qemu], [], [], 20)[0], "QEMU still runs"
        os.close(qemu)
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()


def test_what_bwrap_says_when_it_fails_is_told(
    bubblewrap: Bubblewrap, image: Image, tmp_path: Path
) -> None:
    qemu = Confinement("", bubblewrap).around(find_qemu())
    with pytest.raises(BenchError, match="did not start: .*missing.elf"):
        with Machine(tmp_path / "missing.elf", qemu) as machine:
            Core(machine, Budget())


def test_the_chosen_one_is_bubblewrap() -> None:
    assert choose(ROOT, trust=False, own=False).name.startswith("bubblewrap 0.")
