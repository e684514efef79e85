"""What `wakelab bench` measures is what it says. No test here looks at a time."""

from __future__ import annotations

import dataclasses
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from test_stages import until

from wakebench.errors import BenchError
from wakebench.image import Image
from wakebench.machine import Qemu
from wakebench.pin_names import BUTTONS
from wakebench.sweep import Moment, Outcome, Place, Placement
from wakelab.bench import bench, table_of
from wakelab.benchmarks import (
    classes,
    confined,
    course,
    determinism,
    grading,
    page,
    share,
    size,
    sweep,
    watching,
    way,
)
from wakelab.benchmarks.bare import Bare, device_of
from wakelab.benchmarks.edited import Edited
from wakelab.benchmarks.host import describe_host
from wakelab.benchmarks.reference import LAB, Reference, built_reference
from wakelab.benchmarks.row import Row, part
from wakelab.classes.intake import take_in
from wakelab.classes.job import Job
from wakelab.classes.pool import LocalPool
from wakelab.confinement import NoSandbox
from wakelab.errors import InfraError
from wakelab.labs import Lab, checkout_root, load_lab
from wakelab.points import NO_CHANGES
from wakelab.submission import collect, unreadable

ROOT = checkout_root()


def no_step() -> None:
    pass


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    with built_reference(ROOT) as built:
        yield built


# -- a class --------------------------------------------------------------------------------------


def test_a_class_is_mixed_and_no_two_are_alike(tmp_path: Path) -> None:
    lab = load_lab(ROOT, LAB)
    corpus = ROOT / "grader" / "corpus" / lab.slug
    classes.make_class(lab, corpus, tmp_path, 30)
    intake = take_in(lab, (lab,), tmp_path)
    assert len(intake.entries) == 30
    sound = [entry for entry in intake.entries if entry.submission.problem is None]
    assert len(sound) == 30 - classes.BROKEN == len({each.submission.sha256 for each in sound})
    right = {path.name for path in (corpus / "right").iterdir()}
    assert len([each for each in sound if each.name[4:] in right]) == len(sound) // 5
    with pytest.raises(InfraError, match="corpus is not there"):
        classes.make_class(lab, tmp_path / "nowhere", tmp_path, 30)


def test_the_memory_is_that_of_a_grading_process() -> None:
    with LocalPool(1) as pool, classes._Watch(os.getpid()) as watch:
        list(pool.grade([Job("08", (), NO_CHANGES, "f", unreadable("a", "b", "c"), False)]))
        deadline = time.monotonic() + 20
        while not watch.most_mb and time.monotonic() < deadline:
            time.sleep(0.05)
    assert 10 < watch.most_mb < 1000


def test_a_class_that_is_not_graded_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="exit code 2") as caught:
        classes._run(load_lab(ROOT, LAB), tmp_path / "nowhere", tmp_path / "place")
    assert "cannot be opened" in caught.value.next_step


def test_rows_of_a_class() -> None:
    run = classes.Run
    measured = classes.Classes(200, run(80, 60), run(3.1, 0), None, 9, 2)
    rows = {row.what: row for row in classes.classes_rows(measured)}
    assert rows["a class of 200"].verdict == "ok" and rows["a class of 200"].target == 80
    assert rows["the same again"].verdict == "not"
    assert rows["results of 9 gradings under load"].verdict == "not"
    assert rows["Dask : local pool"].verdict == ""
    there = classes.classes_rows(dataclasses.replace(measured, cluster=run(96, 0)))
    assert {row.what: row.verdict for row in there}["Dask : local pool"] == "not"


# -- the sandbox ---------------------------------------------------------------------------------


def test_the_ratio_is_that_of_runs_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confined, "find_bubblewrap", lambda root: None)
    seconds = {"sandbox": iter([9, *[1.2] * 5, *[2.4] * 4]), "none": iter([9, *[1] * 5, *[2] * 4])}

    def timed(*arguments: object) -> float:
        return float(next(seconds["none" if arguments[-1] else "sandbox"]))

    monkeypatch.setattr(confined, "timed", timed)
    steps: list[None] = []
    measured = confined.measure_confined(ROOT, LAB, lambda: steps.append(None))
    assert measured == confined.Confined(1.2, 1.0, pytest.approx(1.2))
    assert len(steps) == confined.STEPS
    row = confined.confined_rows(measured)[0]
    assert (row.shown, row.verdict) == ("1.20", "ok")
    assert confined.confined_rows(confined.Confined(2.7, 2.0, 1.35))[0].verdict == "not"


def test_without_a_sandbox_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(root: Path) -> None:
        raise NoSandbox("none", "")

    monkeypatch.setattr(confined, "find_bubblewrap", missing)
    assert confined.measure_confined(ROOT, LAB, lambda: None) is None
    assert confined.confined_rows(None)[0].verdict == ""


# -- 1: grading --------------------------------------------------------------------------------


def test_the_parts_of_a_grading_are_in_order_and_the_whole_of_it(tmp_path: Path) -> None:
    lab = load_lab(ROOT, LAB)
    program = Edited(lab, tmp_path / "submission")
    program.save()
    before = time.monotonic()
    parts = grading._parts(ROOT, lab, program.folder, tmp_path)
    whole = time.monotonic() - before
    assert len(parts) == len(grading.PARTS)
    assert all(taken > 0 for taken in parts)
    assert sum(parts) <= whole
    whole_row, *rows, again = grading.grading_rows(grading.Grading(0.5, parts, 0.4), LAB)
    assert (whole_row.ratio, again.shown) == (0.5, "0.40 s")
    assert sum(int(row.shown.split()[-2]) for row in rows) == pytest.approx(100, abs=4)


@pytest.mark.parametrize("number", ["06", "11"])  # a schedule beside it; a header before it
def test_each_save_is_another_program(number: str, tmp_path: Path) -> None:
    lab = load_lab(ROOT, number)
    program = Edited(lab, tmp_path / "submission")
    saved = {collect(lab, lab.reference).sha256, collect(lab, program.folder).sha256}
    assert len(saved) == 1
    for _ in range(2):
        program.save()
        saved.add(collect(lab, program.folder).sha256)
    assert len(saved) == 3
    assert {path.name for path in program.folder.iterdir()} == {
        path.name for path in lab.reference.iterdir()
    }


def test_the_labs_of_the_course_are_measured_each(monkeypatch: pytest.MonkeyPatch) -> None:
    gradings: list[str] = []

    def timed(root: Path, lab: Lab, *_: object) -> float:
        gradings.append(lab.number)
        return 9.0 if len(gradings) % (course.WARM_UP + course.RUNS) == 1 else int(lab.number) / 10

    monkeypatch.setattr(course, "timed", timed)
    steps: list[None] = []
    taken = course.measure_course(ROOT, lambda: steps.append(None))
    assert len(gradings) == len(steps) == course.count_steps(ROOT)
    whole, slowest, *each = course.course_rows(taken)
    assert whole.value == pytest.approx(7.8) and whole.verdict == "ok"
    assert (slowest.what, slowest.verdict) == ("the slowest of them, lab 12", "not")
    assert [row.what for row in each] == [f"  lab {number:02}" for number in range(1, 13)]


def test_a_grading_that_fails_says_how_to_look_at_it(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="ended with") as raised:
        lab = load_lab(ROOT, LAB)
        grading.timed(ROOT, lab, lab.reference, tmp_path, ["wakelab", "--nonsense"])
    assert "make grade" in str(raised.value)
    assert "Traceback" not in str(raised.value)


def test_each_save_has_its_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    monkeypatch.setattr(watching, "RUNS", 2)
    before = time.monotonic()
    measured = watching.measure_watching(ROOT, LAB, lambda: steps.append(1))
    assert len(steps) == 3
    assert 0 < measured.median <= measured.slowest < time.monotonic() - before
    rows = watching.watching_rows(watching.Watching(0.5, 0.7), LAB)
    assert (rows[0].ratio, rows[1].shown) == (0.5, "0.70 s")


def test_the_page_is_opened_and_pressed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "OPENED", 1)
    monkeypatch.setattr(page, "PRESSES", 3)
    measured = page.measure_page(ROOT, LAB, lambda: None)
    if measured is None:
        assert os.environ.get("CI") != "true", "CI has a browser"
        pytest.skip("there is no browser here")
    assert 0 < measured.open_s <= measured.slowest_open_s
    assert 0 < measured.line_ms <= measured.slowest_line_ms
    rows = page.page_rows(measured)
    assert [row.target for row in rows] == [page.OPEN_S, None, page.LINE_MS, None]
    assert "not measured" in page.page_rows(None)[0].shown


def test_a_watch_that_ends_is_told_of(tmp_path: Path) -> None:
    with watching._Watched(ROOT, load_lab(ROOT, LAB), tmp_path / "none", tmp_path) as watched:
        with pytest.raises(InfraError, match="has ended") as raised:
            watched.wait_for_verdict()
    assert "there is no such folder" in raised.value.where


def test_a_watch_that_shows_less_than_full_marks_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = load_lab(ROOT, LAB)
    with watching._Watched(ROOT, lab, lab.directory, tmp_path) as watched:
        until((tmp_path / "report.json").exists)  # and what is shown follows
        monkeypatch.setattr(watching, "PATIENCE_S", 0.5)
        with pytest.raises(InfraError, match="no full marks"):
            watched.wait_for_verdict()


# -- 2: the bench's share ----------------------------------------------------------------------


def test_both_ways_do_the_whole_job(reference: Reference) -> None:
    steps: list[int] = []
    measured = share.measure_share(reference, 1, lambda: steps.append(1))
    assert len(steps) == 1
    for job in (measured.bench, measured.bare):
        assert min(job.start, job.boot, job.presses, job.stop) > 0
        assert job.whole == pytest.approx(job.start + job.boot + job.presses + job.stop)
    assert measured.ratio == pytest.approx(measured.bench.whole / measured.bare.whole)


def test_a_qemu_without_the_bench_ends_with_its_owner(reference: Reference) -> None:
    device = device_of(reference.elf("Og"), reference.qemu, BUTTONS["SELECT"])
    with Bare(reference.elf("Og"), reference.qemu, device, "SELECT") as bare:
        assert bare._process is not None
        pid = bare._process.pid
        bare.wait_ready()
        bare.press(reference.line)
    assert not is_alive(pid)


def test_a_qemu_that_does_not_start_is_told_of(
    reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wakelab.benchmarks.bare.PATIENCE_S", 0.2)
    with pytest.raises(BenchError, match="did not start"):
        Bare(reference.elf("Og"), Qemu(("true",)), "/nowhere", "SELECT")


# -- 3: from the interrupt to the task ---------------------------------------------------------


def test_the_way_is_the_same_every_time(reference: Reference) -> None:
    ways = [way.measure_ways(reference, no_step) for _ in range(2)]
    assert ways[0] == ways[1]
    assert set(ways[0]) == set(reference.levels)
    for each in ways[0].values():
        assert each.task_poll == "press_logger_poll"
        assert 20 < each.to_task < each.to_button < way.LONGEST


@pytest.mark.parametrize("level", ["O0", "Os"])
def test_the_way_is_as_long_as_qemu_itself_says(
    reference: Reference, level: str, tmp_path: Path
) -> None:
    """QEMU, running freely, logs every instruction: no probe, no single step, no bench."""
    elf = reference.elf(level)
    image = Image(elf)
    start, task, button = (
        symbol.address
        for name in (way.HANDLER, "press_logger_poll", "button_future_poll")
        if (symbol := image.symbol(name))
    )
    executed = logged_instructions(reference, elf, tmp_path / "log")
    measured = way.measure_way(elf, reference.qemu, "SELECT", "button_future_poll")
    counted = {
        (executed.index(task, at) - at, executed.index(button, at) - at)
        for at in entries_from_sleep(executed, start, image)
    }
    assert counted == {(measured.to_task, measured.to_button)}


def entries_from_sleep(executed: list[int], handler: int, image: Image) -> list[int]:
    """Where the handler begins and ended a sleep. (A press may also come before the program has
    got so far; then the way is another one.)"""
    found, last_handler, last_sleep = [], -1, -1
    for at, address in enumerate(executed):
        if address in image.sites and image.sites[address] != "bkpt":
            last_sleep = at
        elif address == handler:
            if last_sleep > last_handler and at - last_sleep < 40:
                found.append(at)
            last_handler = at
    return found


def logged_instructions(reference: Reference, elf: Path, log: Path) -> list[int]:
    """Addresses of all instructions executed during a few presses, most of them asleep."""
    version = describe_host(reference.qemu, "").qemu
    found = re.search(r"version (\d+)\.(\d+)", version)
    assert found is not None, version
    old = (int(found[1]), int(found[2])) < (8, 1)
    one_by_one = ["-singlestep"] if old else ["-accel", "tcg,one-insn-per-tb=on"]
    device = device_of(elf, reference.qemu, BUTTONS["SELECT"])
    words = [*one_by_one, "-d", "exec,nochain", "-D", str(log)]
    with Bare(elf, reference.qemu, device, "SELECT", *words) as bare:
        bare.wait_ready()
        for _ in range(10):
            time.sleep(0.03)  # likely asleep by then; whether it was is looked up afterwards
            bare.press(reference.line)
    executed: list[int] = []
    for line in log.read_text(errors="replace").splitlines():
        if trace := re.match(r"Trace \d+: \S+ \[[0-9a-f]+/([0-9a-f]+)/", line):
            executed.append(int(trace[1], 16))
        elif line.startswith("Stopped execution"):  # told of, but not executed after all
            executed.pop()
    return executed


def test_a_program_without_the_function_is_told_of(reference: Reference) -> None:
    with pytest.raises(BenchError, match="no function nowhere"):
        way.measure_way(reference.elf("Os"), reference.qemu, "SELECT", "nowhere")


def test_a_task_that_is_not_polled_is_told_of(
    reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way, "LONGEST", 10)
    with pytest.raises(BenchError, match="within 10 instructions"):
        way.measure_way(reference.elf("Os"), reference.qemu, "SELECT", "button_future_poll")


# -- 4: flash ----------------------------------------------------------------------------------


def test_the_size_is_the_one_that_binutils_say(reference: Reference, tmp_path: Path) -> None:
    sizes = size.measure_sizes(ROOT, reference.toolchain, no_step)
    assert set(sizes) == {"waker.c", "atomic_waker.c", "executor.c", "button_future.c"}
    for file in size.FILES:
        target = tmp_path / "one.o"
        size.compile_one(ROOT, reference.toolchain, ROOT / file, target)
        said = subprocess.run(
            ["arm-none-eabi-size", "--format=sysv", str(target)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        lines = [line.split() for line in said.splitlines()]
        expected = sum(
            int(words[1]) for words in lines if words and re.match(r"\.(text|rodata)\b", words[0])
        )
        assert sizes[Path(file).name] == expected > 0


def test_the_core_is_what_the_image_holds(reference: Reference) -> None:
    """The objects are compiled as the grader's build compiles them: the functions are as long."""
    image = Image(reference.elf("Os"))
    functions = ("button_future_init", "button_future_poll", "GPIOE_IRQHandler", way.HANDLER)
    linked = sum(symbol.size for name in functions if (symbol := image.symbol(name)))
    sizes = size.measure_sizes(ROOT, reference.toolchain, no_step)
    assert linked <= sizes["button_future.c"] <= linked + 64  # literals, alignment, statics


def test_a_core_that_does_not_compile_is_told_of(reference: Reference, tmp_path: Path) -> None:
    source = tmp_path / "broken.c"
    source.write_text("int x = ;\n")
    with pytest.raises(InfraError, match="does not compile"):
        size.compile_one(ROOT, reference.toolchain, source, tmp_path / "broken.o")


# -- 5: determinism ----------------------------------------------------------------------------


@pytest.mark.load
def test_gradings_agree_also_on_a_busy_host(reference: Reference) -> None:
    steps: list[int] = []
    outcomes = determinism.measure_determinism(reference, 2, lambda: steps.append(1))
    assert len(steps) == 2
    assert len(outcomes) == 1
    hashes = [each.split()[1] for each in outcomes[0] if " " in each.strip()]
    assert len(hashes) >= 5
    assert all(re.fullmatch("[0-9a-f]{64}", each) for each in hashes)


def test_what_differs_is_named() -> None:
    outcomes: list[determinism.Hashes] = [
        ("sleeps aa", "one-line bb"),
        ("sleeps aa", "one-line cc"),
    ]
    rows = determinism.determinism_rows(outcomes, 10)
    assert rows[0].verdict == "not"
    assert [row.what.strip() for row in rows[1:]] == ["one-line"]


def test_the_cores_are_free_again_afterwards() -> None:
    with determinism.burning() as pids:
        assert pids and all(is_alive(pid) for pid in pids)
    assert not any(is_alive(pid) for pid in pids)


def test_the_cores_are_free_again_after_a_kill() -> None:
    program = (
        "from wakelab.benchmarks.determinism import burning\n"
        "with burning() as pids:\n"
        "    print(*pids, flush=True)\n"
        "    input()\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert owner.stdout is not None and owner.stdin is not None
    pids = [int(word) for word in owner.stdout.readline().split()]
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdin.close()
    owner.stdout.close()
    assert pids
    latest = time.monotonic() + 30
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < latest, "still burning"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be reaped."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


# -- the table ---------------------------------------------------------------------------------


def test_the_table_says_what_is_on_target() -> None:
    rows = [Row("fast", "1.00 s", 1.0, 1.0, "s"), Row("large", "2", 2, 1), part("of it", "7 ms")]
    console = Console(file=io.StringIO(), width=80, highlight=False)
    console.print(table_of(rows))
    assert isinstance(console.file, io.StringIO)
    lines = [line.split() for line in console.file.getvalue().splitlines() if line.strip()]
    assert lines[2:] == [
        ["fast", "1.00", "s", "≤", "1", "s", "1.00", "ok"],
        ["large", "2", "≤", "1", "2.00", "not"],
        ["of", "it", "7", "ms"],
    ]


def test_rows_fit_an_ordinary_terminal(reference: Reference) -> None:
    jobs = share.Job(0.1234, 0.1, 0.1, 0.1)
    ways = dict.fromkeys(reference.levels, way.Way("press_logger_poll", 999, 999))
    rows = [
        *grading.grading_rows(grading.Grading(12.34, (1.0,) * len(grading.PARTS), 9.87), LAB),
        *confined.confined_rows(confined.Confined(12.34, 11.23, 1.1)),
        *share.share_rows(share.Share(jobs, jobs, 12.34)),
        *way.way_rows(ways, "button_future_poll"),
        *size.size_rows(dict.fromkeys([Path(file).name for file in size.FILES], 999)),
        *determinism.determinism_rows([("a b",)], determinism.RUNS),
    ]
    console = Console(file=io.StringIO(), width=80, highlight=False)
    console.print(table_of(rows))
    assert isinstance(console.file, io.StringIO)
    printed = [line for line in console.file.getvalue().splitlines() if line.strip()]
    assert len(printed) == 2 + len(rows)


def test_the_host_is_described(reference: Reference) -> None:
    host = describe_host(reference.qemu, reference.toolchain.version)
    text = "\n".join(host.lines())
    assert "QEMU emulator version" in text
    assert "gcc" in text
    assert f"{host.cores} cores" in text


def test_a_busy_host_is_warned_of(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (1000.0, 0.0, 0.0))
    host = describe_host(reference.qemu, "")
    assert host.busy
    assert "too long" in host.lines()[-1]


def test_a_missing_qemu_is_told_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAKELAB_QEMU", "no-such-qemu")
    with pytest.raises(BenchError, match="make doctor"):
        bench(ROOT, Console(file=io.StringIO()))


# -- the sweep ------------------------------------------------------------------------------------


def test_the_sweep_is_measured_against_the_same_placements_from_outside(
    reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("REPEATS", 1), ("FRESH", 2), ("AGAIN", 2)):
        monkeypatch.setattr(sweep, name, value)
    steps: list[None] = []
    speed = sweep.measure_sweep(reference, lambda: steps.append(None))
    assert len(steps) == 4 + 2 + 2
    assert speed.singles.runs == speed.singles.boundaries > 60
    assert speed.one.later == speed.two.later > 100 * speed.singles.boundaries
    assert speed.one.runs >= speed.one.later + speed.one.boundaries > speed.reduced.later
    assert 0 < speed.one.processor_s and 0 < speed.again
    rows = sweep.sweep_rows(speed)
    assert [row.target for row in rows if row.target] == [0.1, 5.0, 25.0, 0.3]


def test_places_from_outside_are_spread_over_all() -> None:
    places = [
        Placement(Place(at, Moment.BOUNDARY, 1), Outcome.OK, 1, 1, False, 1) for at in range(90)
    ]
    assert [each.place.pc for each in sweep._some(places, 3)] == [0, 30, 60]


def test_a_sweep_of_a_reference_that_fails_is_no_measure(
    reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "play", lambda *_: "a finding")
    with sweep._subject(reference) as subject, pytest.raises(InfraError, match="loses a press"):
        sweep._outside(
            subject,
            [Placement(Place(0, Moment.BOUNDARY, 1), Outcome.OK, 1, 1, False, 1)],
            1,
            no_step,
        )
