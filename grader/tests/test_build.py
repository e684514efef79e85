"""The build: deterministic, bounded, and in words that a student understands."""

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import wakelab
from wakelab.build import LEVELS, MAX_MESSAGES, Builder, BuildResult, parse_compiler_output
from wakelab.errors import InfraError, UserError
from wakelab.labs import Lab, load_lab
from wakelab.submission import collect
from wakelab.toolchain import DirectRunner, Ending, Limits, Toolchain, find_toolchain

FILES = {
    "lab/board/lm3s6965.ld": """
        MEMORY {
          FLASH (rx) : ORIGIN = 0, LENGTH = 16K
          SRAM (rwx) : ORIGIN = 0x20000000, LENGTH = 8K
        }
        ENTRY(Reset_Handler)
        SECTIONS {
          .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) } > FLASH
          .data : { *(.data*) } > SRAM AT > FLASH
          .bss : { *(.bss*) } > SRAM
          /DISCARD/ : { *(.ARM.exidx*) *(.comment) }
        }
        """,
    "lab/board/board.h": "int main(void);\nextern int led;\n",
    "lab/board/startup.c": """
        #include "board.h"
        int led;
        void Reset_Handler(void);
        void Reset_Handler(void) { main(); for (;;) { led++; } }
        __attribute__((section(".vectors"), used)) static const void *const vectors[2] = {
            (void *)0x20002000, (void *)Reset_Handler };
        """,
    "lab/async/future.h": "int future_init(int x);\nint waker_wake(int x);\n",
    "lab/async/core.c": "int core;\n",
    "lab/08-button-future/lab.toml": """
        title = "The button future"
        files = ["future.c", "main.c"]
        builds_on = ["04"]
        """,
    "lab/08-button-future/future.c": """
        #include "future.h"
        int future_init(int x)
        {
            return waker_wake(x);
        }
        """,
    "lab/08-button-future/main.c": """
        #include "board.h"
        #include "future.h"
        int main(void) { return future_init(led); }
        """,
    "solution/04-wakers/waker.c": """
        #include "future.h"
        int waker_wake(int x) { return x / 3; }
        """,
}


def make_root(root: Path) -> Path:
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip())
    return root


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    return find_toolchain()


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_root(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="session")
def lab(root: Path) -> Lab:
    return load_lab(root, "08")


@pytest.fixture
def builder(root: Path, toolchain: Toolchain) -> Iterator[Builder]:
    with Builder(root, toolchain) as made:
        yield made


def build(
    builder: Builder,
    lab: Lab,
    folder: Path,
    levels: tuple[str, ...] = LEVELS,
    **changed: str | bytes,
) -> BuildResult:
    """Build the lab's own files, some of them changed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in lab.files:
        shutil.copy(lab.directory / name, folder / name)
    for stem, text in changed.items():
        data = text.encode() if isinstance(text, str) else text
        (folder / f"{stem}.c").write_bytes(data)
    return builder.build(lab, collect(lab, folder), levels)


def test_each_level_gives_an_elf(builder: Builder, lab: Lab, tmp_path: Path) -> None:
    result = build(builder, lab, tmp_path)
    assert result.ok
    assert (result.errors, result.warnings, result.omitted) == ((), (), 0)
    assert [elf.level for elf in result.elfs] == ["O0", "Og", "O2", "Os"]
    assert len({elf.sha256 for elf in result.elfs}) == 4
    assert all(elf.path.read_bytes().startswith(b"\x7fELF") for elf in result.elfs)


def test_closing_removes_the_elfs(
    root: Path, toolchain: Toolchain, lab: Lab, tmp_path: Path
) -> None:
    with Builder(root, toolchain) as one:
        first = build(one, lab, tmp_path, ("Os",)).elfs[0]
        second = build(one, lab, tmp_path, ("Os",), main="int main(void) { return 7; }").elfs[0]
        assert first.path.is_file() and second.path.is_file()
        assert first.sha256 != second.sha256
    assert not first.path.exists() and not second.path.exists()


def test_the_same_input_gives_the_same_bytes_wherever_it_lies(
    toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = []
    for place in ("one", "two/deeper and with spaces/x"):
        there = make_root(tmp_path / place)
        temporary = tmp_path / place / "a temporary folder"
        temporary.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(temporary))
        with Builder(there, toolchain, tmp_path / place / "cache") as builder:
            result = build(builder, load_lab(there, "08"), tmp_path / place / "handed in")
        assert result.ok
        hashes.append([elf.sha256 for elf in result.elfs])
    assert hashes[0] == hashes[1]


def test_no_path_of_this_machine_is_in_the_elf(
    builder: Builder, lab: Lab, root: Path, tmp_path: Path
) -> None:
    text = 'int main(void) { return *(volatile const char *)__FILE__; }\n#include "board.h"\n'
    result = build(builder, lab, tmp_path, main=text)
    for elf in result.elfs:
        data = elf.path.read_bytes()
        assert str(root).encode() not in data
        assert b"/tmp" not in data and b"wakelab-" not in data


def test_warnings_are_kept_apart_and_merged_over_the_levels(
    builder: Builder, lab: Lab, tmp_path: Path
) -> None:
    result = build(
        builder, lab, tmp_path, main="int main(void)\n{\n    int unused;\n    return 0;\n}"
    )
    assert result.ok and len(result.elfs) == 4
    (warning,) = result.warnings
    assert (warning.file, warning.line, warning.column) == ("main.c", 3, 9)
    assert warning.text == "unused variable 'unused' [-Wunused-variable]"
    assert warning.level == "O0 Og O2 Os"


def test_an_error_is_shown_as_the_student_knows_the_place(
    builder: Builder, lab: Lab, tmp_path: Path
) -> None:
    result = build(builder, lab, tmp_path, future="int future_init(int x)\n{\n    return y;\n}\n")
    assert not result.ok and result.elfs == ()
    (error,) = result.errors
    assert (error.file, error.line, error.severity) == ("future.c", 3, "error")
    assert "'y' undeclared" in error.text


def test_an_error_in_a_given_header_names_it_from_the_checkout(
    builder: Builder, lab: Lab, tmp_path: Path
) -> None:
    result = build(builder, lab, tmp_path, main='#define int @\n#include "board.h"\n')
    assert result.errors[0].file in ("main.c", "lab/board/board.h")
    assert all(not error.file.startswith("/") for error in result.errors)


def test_a_submission_with_a_problem_is_not_built(
    builder: Builder, lab: Lab, tmp_path: Path
) -> None:
    result = builder.build(lab, collect(lab, tmp_path))
    assert not result.ok
    assert "the folder is empty" in result.errors[0].text


@pytest.mark.parametrize(
    "main", [b"\xef\xbb\xbfint main(void)\r\n{\r\n}\r\n", b"/* \xe9 */\nint main(void) {}"]
)
def test_windows_files_build(builder: Builder, lab: Lab, tmp_path: Path, main: bytes) -> None:
    assert build(builder, lab, tmp_path, ("O0",), main=main).elfs


# What does not link.


def test_a_function_that_is_missing_is_named_with_its_file(
    builder: Builder, lab: Lab, tmp_path: Path
) -> None:
    (error,) = build(builder, lab, tmp_path, future="int x;\n").errors
    assert error.text == "future_init is used but defined nowhere: write it in future.c"
    assert (error.file, error.line) == ("main.c", 3)


def test_a_missing_main_is_sent_to_main_c(builder: Builder, lab: Lab, tmp_path: Path) -> None:
    (error,) = build(builder, lab, tmp_path, main="int x;\n").errors
    assert error.text == "main is used but defined nowhere: write it in main.c"
    assert (error.file, error.line) == ("main.c", 0)


def test_a_misspelt_function(builder: Builder, lab: Lab, tmp_path: Path) -> None:
    main = "int futur_init(int x);\nint main(void) { return futur_init(1); }\n"
    (error,) = build(builder, lab, tmp_path, main=main).errors
    assert "futur_init is used but defined nowhere: define it, or correct" in error.text


def test_a_function_that_is_missing_everywhere_is_named_once_a_place(
    builder: Builder, lab: Lab, tmp_path: Path
) -> None:
    """ld sums up from some number on, with the name of the object, which lies in a folder whose
    name is another each time."""
    calls = "\n".join(f"int f{n}(void) {{ return absent(); }}" for n in range(9))
    names = "".join(f" + f{n}()" for n in range(9))
    main = f"int absent(void);\n{calls}\nint main(void) {{ return 0{names}; }}\n"
    result = build(builder, lab, tmp_path, ("O0",), main=main)
    assert {error.text.partition(":")[0] for error in result.errors} == {
        "absent is used but defined nowhere"
    }


def test_each_level_has_its_own_part(builder: Builder, lab: Lab, tmp_path: Path) -> None:
    """C99's inline makes no function where gcc does not inline it."""
    main = "inline int f(void) { return 1; }\nint main(void) { return f(); }\n"
    whole = build(builder, lab, tmp_path, ("O0", "O2"), main=main)
    assert not whole.ok and not whole.at("O0").ok and not whole.at("O0").elfs
    assert whole.at("O2").ok and [elf.level for elf in whole.at("O2").elfs] == ["O2"]
    assert whole.at("Os") == BuildResult((), (), ())


def test_a_function_defined_twice_names_both_places(
    builder: Builder, lab: Lab, tmp_path: Path
) -> None:
    main = (
        '#include "future.h"\nint waker_wake(int x) { return x; }\nint main(void) { return 0; }\n'
    )
    (error,) = build(builder, lab, tmp_path, main=main).errors
    assert error.file == "main.c" and error.line == 2
    assert "waker_wake is defined twice" in error.text
    assert "solution/04-wakers/waker.c" in error.text


@pytest.mark.parametrize(
    ("main", "region"),
    [
        ("char big[9000];\nint main(void) { return ((volatile char *)big)[8]; }", "SRAM"),
        (
            "const char big[20000] = {1};\n"
            "int main(void) { return ((volatile const char *)big)[8]; }",
            "FLASH",
        ),
    ],
)
def test_what_does_not_fit(
    builder: Builder, lab: Lab, tmp_path: Path, main: str, region: str
) -> None:
    (error,) = build(builder, lab, tmp_path, main=main).errors
    assert error.text == f"the program does not fit into {region}: look for large arrays"
    assert error.level == "O0 Og O2 Os"


# What is hostile.


def test_escape_codes_in_a_message_are_kept_as_they_are_for_the_renderer(
    builder: Builder, lab: Lab, tmp_path: Path
) -> None:
    main = '#error "\x1b[31m\x07red"\nint main(void) { return x; }\n'
    errors = build(builder, lab, tmp_path, main=main).errors
    assert errors[0].text == '#error "\x1b[31m\x07red"'
    assert "'x' undeclared" in errors[1].text


def test_a_flood_of_errors_ends_quickly_and_shows_the_first(
    builder: Builder, lab: Lab, tmp_path: Path
) -> None:
    lines = "\n".join(f"x{number};" for number in range(30_000))  # 256 KiB at most are taken
    start = time.monotonic()
    result = build(builder, lab, tmp_path, main=f"int main(void) {{\n{lines}\n}}\n")
    assert time.monotonic() - start < 10
    assert len(result.errors) == MAX_MESSAGES
    assert (result.errors[0].line, result.errors[0].column) == (2, 1)
    assert "'x0' undeclared" in result.errors[0].text


def test_floods_in_two_files_are_cut_together(builder: Builder, lab: Lab, tmp_path: Path) -> None:
    flood = "\n".join(f"#error {number}" for number in range(99))
    result = build(builder, lab, tmp_path, ("O0",), main=flood, future=flood)
    assert len(result.errors) == MAX_MESSAGES
    assert result.omitted >= MAX_MESSAGES


def test_a_hundred_thousand_errors_from_a_macro_end_quickly(
    builder: Builder, lab: Lab, tmp_path: Path
) -> None:
    tens = "\n".join(f"#define {a} {f'{b} ' * 10}" for a, b in zip("ABCDE", "BCDEF", strict=True))
    start = time.monotonic()
    result = build(builder, lab, tmp_path, main=f"{tens}\n#define F = ;\nint main(void) {{ A }}\n")
    assert time.monotonic() - start < 15
    assert 0 < len(result.errors) <= MAX_MESSAGES


def test_a_flood_of_warnings_is_cut(builder: Builder, lab: Lab, tmp_path: Path) -> None:
    main = "\n".join(f"static int v{number};" for number in range(9000))
    result = build(
        builder, lab, tmp_path, ("O0",), main=f"{main}\nint main(void) {{ return 0; }}\n"
    )
    assert not result.ok
    assert "printed too much" in result.errors[0].text
    assert len(result.warnings) == MAX_MESSAGES
    assert result.omitted > 0


@pytest.mark.parametrize(
    ("main", "said"),
    [
        ('#include "/dev/zero"\n', "ran out of memory"),
        ('#include "main.c"\n', "nested depth"),
        ('int main(void) { __asm__("frob r0"); return 0; }', "bad instruction `frob r0'"),
        ("char big[1 << 30] = {1};\nint main(void) { return big[3]; }", "File size limit"),
        ('#include "/dev/tty"\nint main(void) { return 0; }', "/dev/tty"),
        ("int main(void) { return " + "(" * 200_000 + "; }", ""),
    ],
)
def test_what_would_hurt_the_machine_is_an_error(
    builder: Builder, lab: Lab, tmp_path: Path, main: str, said: str
) -> None:
    result = build(builder, lab, tmp_path, ("O0",), main=main)
    assert not result.ok and not result.elfs
    assert said in " ".join(error.text for error in result.errors)
    assert {error.file for error in result.errors} == {"main.c"}


def test_a_file_name_from_a_line_directive_never_leads_out(
    builder: Builder, lab: Lab, tmp_path: Path
) -> None:
    result = build(
        builder, lab, tmp_path, main='#line 7 "/etc/shadow"\nint main(void) { return x; }'
    )
    assert (result.errors[0].file, result.errors[0].line) == ("shadow", 7)


def test_a_compiler_that_hangs_is_killed_with_all_its_children(tmp_path: Path) -> None:
    script = tmp_path / "tool"
    script.write_text("#!/bin/sh\nsleep 60 & echo $!\nsleep 60\n")
    script.chmod(0o755)
    start = time.monotonic()
    completed = DirectRunner().run(
        [str(script)], tmp_path, Limits(wall_seconds=0.5), {"PATH": os.environ["PATH"]}
    )
    assert completed.ending is Ending.TIMEOUT
    assert time.monotonic() - start < 5
    wait_until_gone(int(completed.output))


def test_a_tool_that_prints_for_ever_is_killed(tmp_path: Path) -> None:
    completed = DirectRunner().run(
        ["sh", "-c", "yes"], tmp_path, Limits(output_bytes=5000), {"PATH": os.environ["PATH"]}
    )
    assert completed.ending is Ending.FLOOD
    assert len(completed.output) == 5000


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="limits need util-linux's prlimit")
def test_a_tool_runs_under_its_limits_in_a_bare_environment(
    toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CPATH", "/evil")
    shown = toolchain.run(["sh", "-c", "ulimit -v; ulimit -t; ulimit -c; env"], tmp_path).output
    address, cpu, core, *rest = shown.decode().split()
    assert (address, cpu, core) == (str(1024 * 1024), "20", "0")
    names = {each.partition("=")[0] for each in rest if "=" in each}
    assert names <= {"PATH", "LC_ALL", "TMPDIR", "PWD", "_", "OLDPWD", "SHLVL"}


def test_json_that_is_cut_off_still_gives_its_messages() -> None:
    caret = '{"file": "a.c", "line": 2, "column": 3}'
    one = f'{{"kind": "error", "message": "m", "locations": [{{"caret": {caret}}}]}}'
    for end in (len(one) + 1, len(one) + 2, len(one) + 30):
        output = f"[{one}, {one}]"[:end] + "\ncc1: internal compiler error: Segmentation fault\n"
        first, *_, last = parse_compiler_output(output.encode() + b"\xff", "a.c", "O0")
        assert (first.file, first.line, first.column, first.text) == ("a.c", 2, 3, "m")
        assert (last.file, last.text) == ("a.c", "Segmentation fault")


def test_an_error_that_hangs_below_a_warning_is_not_lost() -> None:
    error = '{"kind": "fatal error", "message": "no such file"}'
    output = f'[{{"kind": "warning", "message": "odd", "children": [{error}]}}]'
    messages = parse_compiler_output(output.encode(), "a.c", "O0")
    assert [(each.severity, each.text) for each in messages] == [
        ("warning", "odd"),
        ("error", "no such file"),
    ]


@pytest.mark.parametrize("output", ["", "[", "[{", "[{}", "[{}, 3, null]", "\x00", "[{" * 5000])
def test_any_output_can_be_parsed(output: str) -> None:
    parse_compiler_output(output.encode(), "a.c", "O0")


# The cache.


def objects(cache: Path) -> set[Path]:
    return {path.relative_to(cache) for path in (cache / "objects").rglob("*.o")}


def test_given_objects_are_compiled_once(
    toolchain: Toolchain, root: Path, lab: Lab, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    with Builder(root, toolchain, cache) as builder:
        assert build(builder, lab, tmp_path / "a").ok
        before = {path: (cache / path).stat().st_mtime_ns for path in objects(cache)}
        assert len(before) == 3 * 4
        assert build(builder, lab, tmp_path / "b").ok
    assert before == {path: (cache / path).stat().st_mtime_ns for path in objects(cache)}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lab/board/board.h", "int main(void);\nextern int led; /* other */\n"),
        (
            "solution/04-wakers/waker.c",
            "int waker_wake(int x); int waker_wake(int x) { return x; }\n",
        ),
        ("lab/board/lm3s6965.ld", FILES["lab/board/lm3s6965.ld"].replace("16K", "15K")),
    ],
)
def test_a_change_of_what_is_given_makes_new_objects(
    toolchain: Toolchain, tmp_path: Path, name: str, text: str
) -> None:
    there = make_root(tmp_path / "root")
    with Builder(there, toolchain, tmp_path / "cache") as builder:
        build(builder, load_lab(there, "08"), tmp_path / "in", ("Os",))
        before = objects(tmp_path / "cache")
        (there / name).write_text(text)
        assert build(builder, load_lab(there, "08"), tmp_path / "in", ("Os",)).ok
    assert len(objects(tmp_path / "cache")) == 2 * len(before)


def test_a_cache_that_lost_a_file_is_repaired(
    toolchain: Toolchain, root: Path, lab: Lab, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    with Builder(root, toolchain, cache) as builder:
        first = build(builder, lab, tmp_path / "in", ("Os",))
        victim = sorted(objects(cache))[0]
        (cache / victim).unlink()
        second = build(builder, lab, tmp_path / "in", ("Os",))
    assert [elf.sha256 for elf in first.elfs] == [elf.sha256 for elf in second.elfs]
    assert victim in objects(cache)


def test_many_graders_at_once_share_one_cold_cache(
    toolchain: Toolchain, root: Path, lab: Lab, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    results: list[BuildResult] = []

    def grade(number: int) -> None:
        with Builder(root, toolchain, cache) as builder:
            results.append(build(builder, lab, tmp_path / str(number)))

    threads = [threading.Thread(target=grade, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6 and all(result.ok for result in results)
    assert len({tuple(elf.sha256 for elf in result.elfs) for result in results}) == 1
    assert len(list((cache / "objects").iterdir())) == 4  # and nothing half done


def test_a_given_file_that_does_not_compile_is_our_fault(
    toolchain: Toolchain, tmp_path: Path
) -> None:
    there = make_root(tmp_path / "root")
    (there / "lab/async/core.c").write_text("int core = ;\n")
    with Builder(there, toolchain, tmp_path / "cache") as builder:
        with pytest.raises(InfraError) as caught:
            build(builder, load_lab(there, "08"), tmp_path / "in")
    assert caught.value.where == "lab/async/core.c"
    assert list((tmp_path / "cache/objects").glob(".new-*")) == []


def test_a_missing_linker_script_is_our_fault(toolchain: Toolchain, tmp_path: Path) -> None:
    there = make_root(tmp_path / "root")
    (there / "lab/board/lm3s6965.ld").unlink()
    with Builder(there, toolchain, tmp_path / "cache") as builder:
        with pytest.raises(InfraError, match="cannot be read"):
            build(builder, load_lab(there, "08"), tmp_path / "in")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written_is_named(
    toolchain: Toolchain, root: Path, lab: Lab, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
    with Builder(root, toolchain, cache) as builder, pytest.raises(InfraError, match="cache"):
        build(builder, lab, tmp_path / "in")


# Ctrl-C.


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.3])
def test_ctrl_c_ends_every_process_and_leaves_no_folder(tmp_path: Path, delay: float) -> None:
    there = make_root(tmp_path / "root")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    tools = tmp_path / "bin"
    tools.mkdir()
    compiler = tools / "arm-none-eabi-gcc"
    compiler.write_text(
        "#!/bin/sh\n"
        'case "$1" in --version) echo "arm-none-eabi-gcc (fake) 12.2.1"; exit;; esac\n'
        f"sleep 60 & echo $! >> {tmp_path}/pids\nwait\n"
    )
    compiler.chmod(0o755)
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import sys; from pathlib import Path; from wakelab.build import Builder\n"
        "from wakelab.labs import load_lab; from wakelab.submission import collect\n"
        "from wakelab.toolchain import find_toolchain\n"
        "root = Path(sys.argv[1]); lab = load_lab(root, '08')\n"
        "with Builder(root, find_toolchain()) as builder:\n"
        "    builder.build(lab, collect(lab, lab.directory))\n"
    )
    grader = subprocess.Popen(
        [sys.executable, "-c", program, str(there)],
        env={
            "PATH": f"{tools}:{os.environ['PATH']}",
            "TMPDIR": str(temporary),
            "PYTHONPATH": str(Path(wakelab.__file__).parents[1]),
        },
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        pids = tmp_path / "pids"
        deadline = time.monotonic() + 20
        while not (pids.exists() and pids.read_text().count("\n") >= min(2, os.cpu_count() or 1)):
            assert time.monotonic() < deadline and grader.poll() is None
            time.sleep(0.02)
        time.sleep(delay)
        grader.send_signal(signal.SIGINT)
        assert grader.wait(10) != 0
    finally:
        grader.kill()
        grader.wait()
    for pid in pids.read_text().split():
        wait_until_gone(int(pid))
    assert list(temporary.iterdir()) == []
    assert list((there / ".cache/objects").glob(".new-*")) == []


def test_a_build_in_another_thread_can_be_stopped(
    root: Path, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"echo $$ >> {tmp_path}/pids; exec sleep 60"
    banner = "echo 'gcc (fake) 12.2.1'; exit"
    fake_compiler(tmp_path, monkeypatch, f'case "$1" in --version) {banner};; esac\n{script}')
    ended = threading.Event()

    def grade(builder: Builder) -> None:
        with contextlib.suppress(InfraError):
            build(builder, lab, tmp_path / "in")
        ended.set()

    with Builder(root, find_toolchain(), tmp_path / "cache") as builder:
        thread = threading.Thread(target=grade, args=(builder,))
        thread.start()
        while not (tmp_path / "pids").exists():
            time.sleep(0.01)
        builder.stop()
        builder.stop()
        assert ended.wait(5)
        thread.join()
        with pytest.raises(InfraError, match="was stopped"):
            build(builder, lab, tmp_path / "in")
    for pid in (tmp_path / "pids").read_text().split():
        wait_until_gone(int(pid))


def wait_until_gone(pid: int) -> None:
    """A killed process whose parent is dead stays until init has reaped it."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state in "ZX":
            return
        time.sleep(0.02)
    pytest.fail(f"process {pid} is still running")


# The toolchain.


def fake_compiler(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    path = folder / "arm-none-eabi-gcc"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_the_compiler_here_is_found(toolchain: Toolchain) -> None:
    assert toolchain.gcc.is_absolute()
    assert "arm-none-eabi-gcc" in toolchain.version


def test_a_missing_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="not installed") as caught:
        find_toolchain()
    assert "make doctor" in caught.value.next_step


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'arm-none-eabi-gcc (GNU Arm 9-2019-q4) 9.2.1 20191025 (release)'", "too old"),
        ("echo 'arm-none-eabi-gcc (15:6.3.1+svn253039-1) 6.3.1'", "too old"),
        ("echo hello", "does not tell its version"),
        ("exit 1", "does not tell its version"),
    ],
)
def test_an_unfit_compiler(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, said: str
) -> None:
    fake_compiler(tmp_path, monkeypatch, script)
    with pytest.raises(UserError, match=said) as caught:
        find_toolchain()
    assert "make doctor" in caught.value.next_step


@pytest.mark.parametrize(
    "version",
    [
        "arm-none-eabi-gcc (15:12.2.rel1-1) 12.2.1 20221205",
        "arm-none-eabi-gcc (Built 9.1 by me) 13.2.1",
    ],
)
def test_a_fit_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str) -> None:
    fake_compiler(tmp_path, monkeypatch, f"echo '{version}'")
    assert find_toolchain().version == version
