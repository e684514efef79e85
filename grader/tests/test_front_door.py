"""The front door from outside: `make help`, set-up and doctor, as a newcomer meets them.

Set-up runs in a copy of the checkout, under a path with a space and an ü, with stand-ins for what
needs an administrator or a network: apt-get writes down what it was asked for, the lock file is
empty. Shell, make, Python and pip are the real ones.
"""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.M)[0].split()) - {"FORCE"}

# What every Debian has, and nothing else: not QEMU, no compiler, no Python, no apt-get, no sudo.
STANDARD_TOOLS = """awk cat chmod cksum cut dirname env find flock grep head id make mkdir mv rm sed
sh tail touch true uname""".split()

# A stand-in for hatchling, which the empty lock file does not bring.
BACKEND = """
import base64, hashlib, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    info = "wakelab-0.dist-info/"
    files = {
        "_wakelab.pth": "HERE/qemu\\nHERE/grader\\n",
        info + "METADATA": "Metadata-Version: 2.1\\nName: wakelab\\nVersion: 0\\n",
        info + "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files[info + "RECORD"] = "".join(f"{name},,\\n" for name in [*files, info + "RECORD"])
    with zipfile.ZipFile(folder + "/wakelab-0-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return "wakelab-0-py3-none-any.whl"
"""

# Stands in for the grader: says how it was called, ends as it is told.
WAKELAB = """
import json, os, sys
print(json.dumps(sys.argv[1:]))
sys.exit(int(os.environ.get("FAKE_STATUS", "0")))
"""


ATTACKS = """
import os, sys
found = os.environ.get("FAKE_FOUND", "")
print(f"open-a-file\t{found}")
sys.exit(int(os.environ.get("FAKE_STATUS", bool(found))))
"""

STOPPED_AT_VENV = "could not make a virtual environment"


class Machine:
    """A machine with only the programs that a test puts on it, and a checkout of wakelab."""

    def __init__(self, place: Path) -> None:
        self.bin = place / "bin"
        self.bin.mkdir(parents=True)
        for name in STANDARD_TOOLS:
            found = shutil.which(name)
            assert found, name
            (self.bin / name).symlink_to(found)
        self.asked = place / "apt-get.log"
        self.env = {
            "PATH": str(self.bin),
            "HOME": str(place),
            "PYTHON": str(self.bin / "python3"),
            "LC_ALL": "C.UTF-8",
        }
        self.checkout = place / "wake lab ü"
        for name in ["Makefile", "grader/setup.sh", "grader/doctor.sh"]:
            self.write(name, (ROOT / name).read_text(encoding="utf-8"))
        self.write("requirements.lock", "# nothing\n")
        self.write("requirements-dask.lock", "# nothing\n")
        self.write("requirements-tests.lock", "# nothing\n")
        self.write("requirements-docs.lock", "# nothing\n")
        self.write(
            "pyproject.toml",
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
            '[project]\nname = "wakelab"\nversion = "0"\n',
        )
        self.write("backend.py", BACKEND.replace("HERE", str(self.checkout)))
        self.write("qemu/wakebench/__init__.py", "")
        self.write("qemu/pytest.py", "")  # what doctor looks for
        self.write("grader/wakelab/__init__.py", "")
        self.write("grader/wakelab/__main__.py", WAKELAB)
        self.write("grader/wakelab/attacks.py", ATTACKS)

    def write(self, name: str, text: str) -> None:
        path = self.checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def program(self, name: str, script: str) -> None:
        """Put a shell script on the machine's PATH."""
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text("#!/bin/sh\n" + textwrap.dedent(script), encoding="utf-8")
        path.chmod(0o755)

    def with_python(self) -> None:
        real = os.path.realpath(sys.executable)
        self.program("python3", f'exec "{real}" "$@"')

    def with_python_that_makes_no_venv(self) -> None:
        """Making a .venv takes seconds. Tests of the Debian packages, which come before it, do
        without: set-up then ends with STOPPED_AT_VENV."""
        self.program("python3", '[ "$1" = -c ] && echo "$0"')

    def with_system_python(self, *, has_venv: bool) -> Path:
        """Beside the one on the PATH, which somebody built. PYTHON= asks for neither."""
        has = "" if has_venv else "case $2 in *ensurepip*) exit 1 ;; esac; "
        self.program("system-python3", f'{has}[ "$1" = -c ] && echo "$0"')
        system = self.bin / "system-python3"
        set_up = (ROOT / "grader/setup.sh").read_text(encoding="utf-8")
        assert "/usr/bin/python3 " in set_up
        self.write("grader/setup.sh", set_up.replace("/usr/bin/python3", f"'{system}'"))
        return system

    def with_tools(self, qemu: str = "7.2.22", gcc: str = "12.2.1") -> None:
        self.program("qemu-system-arm", f"echo QEMU emulator version {qemu}")
        self.program("arm-none-eabi-gcc", f"echo {gcc}")
        self.program("bwrap", "echo bubblewrap 0.8.0")

    def with_apt_get(self, user: int) -> None:
        """An apt-get that writes down its arguments, and "installs" QEMU and the compiler."""
        self.program("id", f"echo {user}")
        self.program(
            "apt-get",
            f"""
            echo "${{AS:+$AS }}$*" >>"{self.asked}"
            case "$*" in *' install '*) ;; *) exit 0 ;; esac
            printf '#!/bin/sh\\necho version 7.2.22\\n' >"{self.bin}/qemu-system-arm"
            printf '#!/bin/sh\\necho 12.2.1\\n' >"{self.bin}/arm-none-eabi-gcc"
            printf '#!/bin/sh\\necho 0.8.0\\n' >"{self.bin}/bwrap"
            chmod +x "{self.bin}/qemu-system-arm" "{self.bin}/arm-none-eabi-gcc" "{self.bin}/bwrap"
            """,
        )

    def apt_get_was_asked(self) -> list[str]:
        return self.asked.read_text().splitlines() if self.asked.exists() else []

    def run(self, *command: str, **env: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=self.checkout,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def setup(self, *job: str, **env: str) -> "subprocess.CompletedProcess[str]":
        return self.run("sh", "grader/setup.sh", *job, **env)

    def doctor(self, **env: str) -> "subprocess.CompletedProcess[str]":
        return self.run("sh", "grader/doctor.sh", **env)


@pytest.fixture
def bare(tmp_path: Path) -> Machine:
    """A machine with the standard tools only."""
    return Machine(tmp_path)


@pytest.fixture
def usual(tmp_path: Path) -> Machine:
    """A machine that has QEMU, the compiler and Python."""
    machine = Machine(tmp_path)
    machine.with_tools()
    machine.with_python()
    return machine


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """The usual machine, set up. Shared: tests leave it as they found it."""
    machine = Machine(tmp_path_factory.mktemp("ready"))
    machine.with_tools()
    machine.with_python()
    machine.with_apt_get(user=0)
    done = machine.setup()
    assert done.returncode == 0, done.stdout + done.stderr
    assert machine.apt_get_was_asked() == []
    return machine


def on_a_terminal(machine: Machine, *command: str, **env: str) -> str:
    """What `command` prints when its standard output is a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command,
        cwd=machine.checkout,
        env=machine.env | {"TERM": "xterm"} | env,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    heard = b""
    try:
        while piece := os.read(ours, 4096):
            heard += piece
    except OSError:  # Linux's way to say that the other end was closed
        pass
    os.close(ours)
    process.wait(timeout=60)
    return heard.decode()


# ---- help and the documents ----------------------------------------------------------------------


def test_help_lists_every_target_within_80_columns(bare: Machine) -> None:
    told = bare.run("make", "help").stdout
    assert set(re.findall(r"^  make (\S+)", told, re.M)) == TARGETS
    assert [line for line in told.splitlines() if len(line) > 80] == []


def test_make_alone_is_help(bare: Machine) -> None:
    assert bare.run("make").stdout == bare.run("make", "help").stdout != ""


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/students/getting-started.md",
        *(f"docs/instructors/{name}.md" for name in ("reports", "formats", "points", "ci")),
        ".ci/run",
    ],
)
def test_every_make_command_in_the_documents_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    told = set(re.findall(r"(?:`|^|\$ |type_ )make ([a-z0-9]+)", text, re.M))
    assert told, "the page names no command, or the test no longer finds them"
    assert told <= TARGETS


def test_readme_and_ci_type_the_same_two_commands() -> None:
    for page in ["README.md", ".ci/run"]:
        text = (ROOT / page).read_text(encoding="utf-8")
        assert "make demo" in text and "make test" in text, page


# ---- grade: what reaches the grader, what comes back ---------------------------------------------


def test_make_grade_hands_over_lab_and_submission(ready: Machine) -> None:
    done = ready.run("make", "grade")
    assert json.loads(done.stdout) == ["grade", "--lab", "08"]
    done = ready.run("make", "grade", "LAB=07", 'SUBMISSION=../it\'s ü & "mine"')
    assert json.loads(done.stdout) == ["grade", "--lab", "07", '../it\'s ü & "mine"']


def test_make_watch_hands_over_lab_and_submission(ready: Machine) -> None:
    done = ready.run("make", "watch")
    assert json.loads(done.stdout) == ["watch", "--lab", "08"]
    done = ready.run("make", "watch", "LAB=07", "SUBMISSION=a b", "TRUST=1")
    assert json.loads(done.stdout) == ["watch", "--trust-this-code", "--lab", "07", "a b"]


def test_make_class_hands_over_what_was_said(ready: Machine) -> None:
    done = ready.run("make", "class", "SUBMISSIONS=a b.zip")
    assert json.loads(done.stdout) == ["class", "--lab", "08", "a b.zip"]
    more = ["LAB=04", "OUT=o p", "JOBS=3", "POINTS=p.toml", "SUBMISSIONS=x"]
    done = ready.run("make", "class", *more, "SCHEDULER=tcp://h:1")
    told = json.loads(done.stdout.splitlines()[-1])
    assert told == [
        *("class", "--lab", "04", "--out", "o p", "--jobs", "3", "--points", "p.toml"),
        *("--scheduler", "tcp://h:1", "x"),
    ]
    assert (ready.checkout / ".venv/lock-dask").exists(), "Dask's packages are put there first"


def test_make_class_without_a_class_says_how(ready: Machine) -> None:
    done = ready.run("make", "class")
    assert done.returncode == 2
    assert "make class SUBMISSIONS=folder-or-archive" in done.stderr


@pytest.mark.parametrize("grader", [0, 1, 2, 130])
def test_make_class_fails_where_something_is_to_be_looked_at(ready: Machine, grader: int) -> None:
    done = ready.run("make", "class", "SUBMISSIONS=x", FAKE_STATUS=str(grader))
    assert (done.returncode != 0) == (grader != 0)


def test_make_trusts_only_when_told(ready: Machine) -> None:
    for command in (["grade"], ["script", "SCRIPT=x"], ["sweep"], ["replay", "ID=x"]):
        assert "--trust-this-code" not in ready.run("make", *command).stdout
        assert "--trust-this-code" in ready.run("make", *command, "TRUST=1").stdout


@pytest.mark.parametrize(
    ("grader", "strict", "fails"),
    [(0, "", False), (1, "", False), (1, "1", True), (2, "", True), (2, "1", True)],
)
def test_make_fails_only_for_our_errors_unless_strict(
    ready: Machine, grader: int, strict: str, fails: bool
) -> None:
    for command in (["grade"], ["script", "SCRIPT=x"]):
        done = ready.run("make", *command, f"STRICT={strict}", FAKE_STATUS=str(grader))
        assert (done.returncode != 0) == fails, done.stderr
        assert ("***" in done.stderr) == fails


def test_make_script_wants_a_file(ready: Machine) -> None:
    done = ready.run("make", "script")
    assert done.returncode != 0
    assert "make script SCRIPT=file" in done.stderr
    assert done.stdout == ""
    done = ready.run("make", "script", "SCRIPT=my presses.yaml", "SUBMISSION=my lab")
    told = ["script", "--lab", "08", "--submission", "my lab", "my presses.yaml"]
    assert json.loads(done.stdout) == told


def test_make_report_shows_or_converts(ready: Machine) -> None:
    assert json.loads(ready.run("make", "report").stdout) == ["report", "--lab", "08"]
    done = ready.run("make", "report", "LAB=07", "FORMAT=git lab")
    assert json.loads(done.stdout) == ["convert", "--format", "git lab", "--lab", "07"]


def test_make_verify_wants_both(ready: Machine) -> None:
    for given in ([], ["REPORT=x"], ["SUBMISSION=x"]):
        done = ready.run("make", "verify", *given)
        assert done.returncode != 0 and "make verify REPORT=file SUBMISSION=folder" in done.stderr
        assert done.stdout == ""
    done = ready.run("make", "verify", "REPORT=a b.json", "SUBMISSION=c d", "POINTS=e f")
    assert json.loads(done.stdout) == ["verify", "--points", "e f", "a b.json", "c d"]
    done = ready.run("make", "verify", "REPORT=x", "SUBMISSION=y", FAKE_STATUS="1")
    assert done.returncode != 0, "a report that differs is no success"


def test_make_gradescope_packs(ready: Machine) -> None:
    assert json.loads(ready.run("make", "gradescope").stdout) == ["gradescope-zip", "--lab", "08"]
    done = ready.run("make", "gradescope", "LAB=07", "POINTS=a b", "OUT=c d", "TRUST=1")
    told = ["--trust-this-code", "--lab", "07", "--points", "a b", "--out", "c d"]
    assert json.loads(done.stdout) == ["gradescope-zip", *told]


# ---- set-up: Debian packages ---------------------------------------------------------------------

ALL = "qemu-system-arm gcc-arm-none-eabi bubblewrap"
INSTALL = f"apt-get update && apt-get install -y --no-install-recommends {ALL}"


@pytest.mark.parametrize("sudo", [False, True], ids=["no sudo", "sudo asks for a password"])
def test_without_an_administrator_it_prints_the_line_and_does_nothing(
    bare: Machine, sudo: bool
) -> None:
    bare.with_python()
    bare.with_apt_get(user=1000)
    if sudo:
        bare.program("sudo", "exit 1")
    done = bare.setup()
    assert done.returncode == 1
    assert (f"sudo sh -c '{INSTALL}'" if sudo else f"su -c '{INSTALL}'") in done.stderr
    assert bare.apt_get_was_asked() == []
    assert not (bare.checkout / ".venv").exists()


@pytest.mark.parametrize("user", [0, 1000], ids=["root", "sudo without a password"])
def test_with_an_administrator_it_installs_what_is_missing(bare: Machine, user: int) -> None:
    bare.with_python_that_makes_no_venv()
    bare.with_apt_get(user)
    bare.program("sudo", '[ "$1" = -n ] && shift\nAS=sudo exec "$@"' if user else "exit 1")
    done = bare.setup()
    assert STOPPED_AT_VENV in done.stderr, done.stdout + done.stderr
    update, install = bare.apt_get_was_asked()
    assert update.endswith(" update") and update.startswith("sudo ") == (user != 0)
    assert install.endswith(f" install -y --no-install-recommends {ALL}")
    assert install.startswith("sudo ") == (user != 0)


def test_it_installs_only_what_is_missing(usual: Machine) -> None:
    (usual.bin / "qemu-system-arm").unlink()
    usual.with_python_that_makes_no_venv()
    usual.with_apt_get(user=0)
    assert STOPPED_AT_VENV in usual.setup().stderr
    assert usual.apt_get_was_asked()[1].endswith(" --no-install-recommends qemu-system-arm")


def test_the_tests_ask_for_the_hosts_compiler_and_a_browser_too(usual: Machine) -> None:
    usual.with_python_that_makes_no_venv()
    usual.with_apt_get(user=0)
    assert STOPPED_AT_VENV in usual.setup("tests").stderr
    assert usual.apt_get_was_asked()[1].endswith(
        " --no-install-recommends gcc libc6-dev gdb-multiarch chromium"
    )


def test_the_systems_own_python_comes_first(usual: Machine) -> None:
    """A distribution's is built for speed."""
    usual.with_apt_get(user=0)
    usual.with_python_that_makes_no_venv()
    system = usual.with_system_python(has_venv=True)
    assert usual.setup("python", PYTHON="").stdout == f"{system}\n"
    assert f"{system} {STOPPED_AT_VENV}" in usual.setup(PYTHON="").stderr
    assert usual.apt_get_was_asked() == []
    assert usual.setup("python").stdout == f"{usual.bin / 'python3'}\n"


def test_as_root_the_systems_python_gets_its_venv_module(usual: Machine) -> None:
    usual.with_apt_get(user=0)
    usual.with_python_that_makes_no_venv()
    usual.with_system_python(has_venv=False)
    assert STOPPED_AT_VENV in usual.setup(PYTHON="").stderr
    assert usual.apt_get_was_asked()[1].endswith(" --no-install-recommends python3-venv")


def test_who_is_not_root_is_not_asked_for_it_where_another_python_does(usual: Machine) -> None:
    usual.with_apt_get(user=1000)
    usual.with_python_that_makes_no_venv()
    usual.with_system_python(has_venv=False)
    done = usual.setup(PYTHON="")
    assert f"{usual.bin / 'python3'} {STOPPED_AT_VENV}" in done.stderr
    assert usual.apt_get_was_asked() == []


def test_when_apt_get_fails_its_words_and_the_line_are_shown(bare: Machine) -> None:
    bare.with_python()
    bare.program("id", "echo 0")
    bare.program("apt-get", "echo 'E: Unable to fetch some archives'; exit 100")
    done = bare.setup()
    assert done.returncode == 1
    assert "E: Unable to fetch some archives" in done.stderr
    assert INSTALL in done.stderr


@pytest.mark.parametrize(
    ("system", "told"),
    [("Darwin", "brew install qemu arm-none-eabi-gcc"), ("Linux", "QEMU for Arm")],
)
def test_other_systems_are_told_what_to_install(bare: Machine, system: str, told: str) -> None:
    bare.with_python()
    bare.program("uname", f"echo {system}")
    done = bare.setup()
    assert done.returncode == 1
    assert told in done.stderr
    assert ("bubblewrap" in done.stderr) == (system == "Linux")


def test_a_tool_that_is_too_old_stops_the_set_up(usual: Machine) -> None:
    usual.with_tools(qemu="6.2.0")
    done = usual.setup()
    assert done.returncode == 1
    assert re.search(r"too old +qemu-system-arm +6\.2\.0", done.stdout)


def test_a_python_that_is_too_old_is_named(usual: Machine) -> None:
    usual.program("python3", "exit 1")
    usual.program("dpkg-query", "echo install ok installed")
    done = usual.setup()
    assert done.returncode == 1
    assert "older than 3.11" in done.stderr


# ---- set-up: .venv -------------------------------------------------------------------------------


def test_the_second_set_up_installs_nothing(ready: Machine) -> None:
    before = {path: path.stat().st_ctime_ns for path in (ready.checkout / ".venv").rglob("*")}
    done = ready.setup()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert ready.apt_get_was_asked() == []
    after = {path: path.stat().st_ctime_ns for path in (ready.checkout / ".venv").rglob("*")}
    changed = {path.name for path in before.keys() | after if before.get(path) != after.get(path)}
    assert changed <= {"ready"}


def test_set_up_compiles_the_python_code(ready: Machine) -> None:
    """What is imported later need not be, also where Python may not write it then."""
    ready.write("grader/wakelab/never_run.py", "")
    project = (ready.checkout / "pyproject.toml").read_text(encoding="utf-8")
    ready.write("pyproject.toml", project + "# changed\n")
    done = ready.setup(PYTHONDONTWRITEBYTECODE="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert list((ready.checkout / "grader/wakelab/__pycache__").glob("never_run.*.pyc"))


def test_make_starts_set_up_only_when_its_ingredients_changed(ready: Machine) -> None:
    assert "setup.sh" not in ready.run("make", "-n", "grade").stdout
    # Times of our own, far apart: a clock that is set back between two steps changes nothing.
    made = (ready.checkout / ".venv" / "ready").stat().st_mtime
    for name, age in {"requirements.lock": 120, "pyproject.toml": 120, ".venv/ready": 60}.items():
        os.utime(ready.checkout / name, (made - age, made - age))
    assert "setup.sh" not in ready.run("make", "-n", "grade").stdout
    for name in ("requirements.lock", "pyproject.toml"):
        os.utime(ready.checkout / name, (made - 30, made - 30))
        assert "setup.sh" in ready.run("make", "-n", "grade").stdout, name
        os.utime(ready.checkout / name, (made - 120, made - 120))
    os.utime(ready.checkout / "requirements.lock", (made - 30, made - 30))
    assert ready.setup().returncode == 0
    assert "setup.sh" not in ready.run("make", "-n", "grade").stdout


def test_make_notices_that_the_checkout_was_moved(ready: Machine) -> None:
    moved = ready.checkout.with_name("moved")
    ready.checkout.rename(moved)
    try:
        told = subprocess.run(
            ["make", "-n", "grade"], cwd=moved, env=ready.env, capture_output=True, text=True
        )
    finally:
        moved.rename(ready.checkout)
    assert "setup.sh" in told.stdout
    assert "setup.sh" not in ready.run("make", "-n", "grade").stdout


def test_a_new_lock_or_a_broken_venv_is_made_again(usual: Machine) -> None:
    left_over = usual.checkout / ".venv" / "left-over"
    stages = {
        "half-made": lambda: None,
        "lock changed": lambda: usual.write("requirements.lock", "# changed\n"),
        "Python gone": lambda: (usual.checkout / ".venv/bin/python").unlink(),
    }
    for stage, spoil in stages.items():
        left_over.parent.mkdir(exist_ok=True)
        left_over.touch()
        spoil()
        done = usual.setup()
        assert done.returncode == 0, stage + done.stdout + done.stderr
        assert not left_over.exists(), stage
        assert usual.run("make", "grade").returncode == 0, stage


def test_two_set_ups_at_once_make_one_venv(usual: Machine) -> None:
    command = ["sh", "grader/setup.sh"]
    both = [
        subprocess.Popen(command, cwd=usual.checkout, env=usual.env, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=120)[0].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted("waiting for it" in text for text in told) == [False, True]
    assert sorted("requirements.lock" in text for text in told) == [False, True]


def test_when_pip_fails_its_words_are_shown_and_nothing_counts_as_done(usual: Machine) -> None:
    usual.write(
        "requirements.lock", "no-such-package==1.0\n"
    )  # no hash: refused before any look-up
    done = usual.setup()
    assert done.returncode == 1
    assert "no-such-package" in done.stderr and "pip could not install" in done.stderr
    assert not (usual.checkout / ".venv/ready").exists()


def test_qemu10_elsewhere_says_so_and_succeeds(usual: Machine) -> None:
    done = usual.setup("qemu10")  # a machine without apt-get
    assert done.returncode == 0
    assert "not available here" in done.stdout


# ---- doctor --------------------------------------------------------------------------------------


def test_doctor_on_this_machine_finds_nothing_missing() -> None:
    done = subprocess.run(
        ["sh", "grader/doctor.sh"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("Nothing is missing.\n")
    assert len(done.stdout.splitlines()) <= 24


def test_doctor_tries_attacks_and_tells_of_those_that_achieve_something(ready: Machine) -> None:
    done = ready.doctor()
    assert re.search(r"^  ok +open-a-file .* nothing happened$", done.stdout, re.M)
    done = ready.doctor(FAKE_FOUND="the report tells the secret")
    assert done.returncode == 1
    assert re.search(r"^  broken +open-a-file .* the report tells the secret$", done.stdout, re.M)
    done = ready.doctor(FAKE_STATUS="2")
    assert done.returncode == 1
    assert re.search(r"^  broken +sandbox .* could not be tried", done.stdout, re.M)
    assert "open-a-file" in done.stdout


MENDED_BY: Mapping[str, str] = {
    "qemu-system-arm": "qemu-system-arm",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
    "bwrap": "bubblewrap",
    "python3": "python3 python3-venv",
}


@pytest.mark.parametrize("tool", MENDED_BY)
def test_doctor_names_the_missing_tool_and_the_line_that_mends_it(
    usual: Machine, tool: str
) -> None:
    usual.with_apt_get(user=1000)
    usual.program("sudo", "exit 1")
    (usual.bin / tool).unlink()
    done = usual.doctor()
    assert done.returncode == 1
    missing = set(re.findall(r"^  missing +(\S+)", done.stdout, re.M))
    assert missing == {tool, ".venv"}
    line = f"sudo apt-get install --no-install-recommends {MENDED_BY[tool]}\n"
    assert line in done.stdout
    assert usual.apt_get_was_asked() == []


def test_doctor_works_where_nothing_is_installed(bare: Machine) -> None:
    done = bare.doctor()
    assert done.returncode == 1
    assert done.stderr == ""
    missing = set(re.findall(r"^  missing +(\S+)", done.stdout, re.M))
    assert missing == {*MENDED_BY, ".venv"}
    assert len(done.stdout.splitlines()) <= 24


@pytest.mark.parametrize(
    ("qemu", "gcc", "too_old"),
    [
        ("7.2.22", "10.2.1", set()),
        ("10.0.2", "13.2.1", set()),
        ("7.1.0", "12.2.1", {"qemu-system-arm"}),
        ("6.2.0", "9.2.1", {"qemu-system-arm", "arm-none-eabi-gcc"}),
    ],
)
def test_doctor_knows_which_version_is_too_old(
    usual: Machine, qemu: str, gcc: str, too_old: set[str]
) -> None:
    usual.with_tools(qemu, gcc)
    done = usual.doctor()
    assert set(re.findall(r"^  too old +(\S+)", done.stdout, re.M)) == too_old


@pytest.mark.parametrize(
    ("qemu", "gcc", "said"),
    [
        ("7.2.22", "12.2.1", {"qemu-system-arm": "known good", "arm-none-eabi-gcc": "known good"}),
        ("10.0.2", "13.2.1", {"qemu-system-arm": "known good", "arm-none-eabi-gcc": "should do"}),
        ("8.2.2", "12.3.0", {"qemu-system-arm": "should do", "arm-none-eabi-gcc": "should do"}),
    ],
)
def test_doctor_tells_what_is_known_to_be_good(
    usual: Machine, qemu: str, gcc: str, said: dict[str, str]
) -> None:
    usual.with_tools(qemu, gcc)
    out = usual.doctor().stdout
    for tool, word in said.items():
        assert re.search(rf"^  ok +{tool} .* {word}", out, re.M), out
    assert "known good: 7.2, 10.0" in out or said["qemu-system-arm"] == "known good"


def test_doctor_takes_what_is_optional_for_no_fault(ready: Machine) -> None:
    done = ready.doctor()
    assert re.search(r"^  note +gdb-multiarch +- +missing; make debug$", done.stdout, re.M)
    assert re.search(r"to get them: .*gdb-multiarch chromium", done.stdout)
    assert done.returncode == 0 and "Nothing is missing." in done.stdout
    ready.program("gtkwave", "")
    try:
        assert re.search(r"^  ok +gtkwave", ready.doctor().stdout, re.M)
    finally:
        (ready.bin / "gtkwave").unlink()


def test_doctor_says_when_the_lock_file_has_changed(ready: Machine) -> None:
    (ready.checkout / "grader/pytest.py").touch()  # the empty lock file brings no pytest
    assert "matches requirements.lock" in ready.doctor().stdout
    ready.write("requirements.lock", "# changed\n")
    try:
        done = ready.doctor()
    finally:
        ready.write("requirements.lock", "# nothing\n")
    assert done.returncode == 1
    assert "requirements.lock has changed since" in done.stdout


@pytest.mark.parametrize("command", [("make", "help"), ("make", "doctor")])
def test_colour_only_on_a_terminal_and_not_with_no_color(
    bare: Machine, command: tuple[str, str]
) -> None:
    assert "\033[" in on_a_terminal(bare, *command)
    assert "\033[" not in on_a_terminal(bare, *command, NO_COLOR="1")
    assert "\033[" not in bare.run(*command, TERM="xterm").stdout
