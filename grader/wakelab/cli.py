"""The `wakelab` command. Exit codes: 0 full marks, 1 graded but not full, 2 could not do it."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from wakelab import __version__
from wakelab.course_commands import add_course_commands
from wakelab.errors import UserError
from wakelab.garbage import all_stays, leave_it
from wakelab.interrupts import heard
from wakelab.pictures.commands import add_picture_commands
from wakelab.report_commands import add_report_commands, points_of, surroundings_of
from wakelab.sweep_option import SWEEP_MODES, add_sweep
from wakelab.trust_option import add_trust, confinement_of

if TYPE_CHECKING:
    from rich.console import Console

FULL, NOT_FULL, TROUBLE = 0, 1, 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Prints; returns the exit code. A user's mistake never shows a traceback."""
    words = sys.argv[1:] if arguments is None else arguments
    options = _parser(words[0] if words else "").parse_args(words)
    from wakebench.errors import BenchError

    try:
        with heard(), ExitStack() as options.owned:
            return int(options.run(options))
    except UserError as error:
        print(f"wakelab: {error}", file=sys.stderr)
    except BenchError as error:
        print(f"wakelab: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("wakelab: interrupted; nothing was written", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # or Python complains once more while it ends
    except Exception as bug:  # exit code 1 would say "graded", and nothing was
        _report_bug(bug)
    return TROUBLE


def _report_bug(bug: Exception) -> None:
    """A defect of wakelab's own: say so; the traceback is for who asks for it."""
    if os.environ.get("WAKELAB_TRACEBACK"):
        traceback.print_exception(bug)
    print(
        f"wakelab: a defect of wakelab itself, not of your program: {type(bug).__name__}: {bug}\n"
        "  next:  run it again with WAKELAB_TRACEBACK=1 and report what it prints",
        file=sys.stderr,
    )


def _parser(command: str = "") -> argparse.ArgumentParser:
    """Knows all commands. With `command` it need not know others: all of them take a hundredth of a
    second, which is a part of what a grading takes."""
    parser = argparse.ArgumentParser(
        prog="wakelab", description="A lab on async and interrupts, in C, on an emulated Cortex-M3."
    )
    parser.add_argument("--version", action="version", version=f"wakelab {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    _add_grade(commands)
    if command != "grade":
        _add_others(commands)
    return parser


def _add_grade(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    grade = commands.add_parser("grade", help="grade a submission")
    grade.add_argument("--lab", default="08", help="number of the lab (08)")
    grade.add_argument(
        "submission", nargs="?", type=Path, help="folder with the files, or a checkout (yours)"
    )
    add_sweep(grade)
    grade.add_argument(
        "--out", type=Path, help="folder for report.json and junit.xml (build/reports/LAB)"
    )
    grade.add_argument(
        "--format", action="append", default=[], help="also in this shape, beside report.json"
    )
    grade.add_argument("--points", type=Path, help="what the checks are worth (a TOML file)")
    grade.add_argument(
        "--show-hidden", action="store_true", help="show also what is hidden until it is due"
    )
    grade.add_argument(
        "--own", action="store_true", help="with your own files of earlier labs, not the references"
    )
    add_trust(grade)
    grade.set_defaults(run=_grade)


def _add_others(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    watch = commands.add_parser("watch", help="grade at every save, and show one screen")
    watch.add_argument("--lab", default="08", help="number of the lab (08)")
    watch.add_argument(
        "submission", nargs="?", type=Path, help="folder with the files, or a checkout (yours)"
    )
    watch.add_argument(
        "--out", type=Path, help="folder for report.json and junit.xml (build/reports/LAB)"
    )
    add_trust(watch)
    watch.set_defaults(run=_watch)

    run = commands.add_parser("run", help="press the board's buttons by hand")
    run.add_argument("--lab", default="08", help="number of the lab (08)")
    run.add_argument("--level", choices=("O0", "Og", "O2", "Os"), default="Og")
    run.add_argument(
        "--ui", choices=("browser", "terminal"), default="browser", help="where (browser)"
    )
    run.add_argument("--port", type=int, default=0, help="of the page (any that is free)")
    run.add_argument("submission", nargs="?", type=Path, help="folder with the files (yours)")
    add_trust(run)
    run.set_defaults(run=_run)

    add_course_commands(commands)
    add_report_commands(commands)
    add_picture_commands(commands)

    demo = commands.add_parser("demo", help="grade the reference and the stub; show one press")
    demo.add_argument("--lab", default="08", help="number of the lab (08)")
    demo.set_defaults(run=_demo, trust_this_code=False)

    script = commands.add_parser("script", help="play a stimulus script against a program")
    script.add_argument("--lab", default="08", help="number of the lab (08)")
    script.add_argument("--submission", type=Path, help="folder with the files (yours)")
    script.add_argument("file", type=Path, help="the script (docs/students/scripts.md)")
    add_trust(script)
    script.set_defaults(run=_script)

    sweep = commands.add_parser("sweep", help="press before every instruction of a program")
    sweep.add_argument("--lab", default="08", help="number of the lab (08)")
    sweep.add_argument(
        "--mode",
        choices=SWEEP_MODES,
        default="pairs",
        help="how many presses (pairs); three of them: at selected places",
    )
    sweep.add_argument(
        "--interrupts",
        help="what else strikes, if not what the lab says: UP, DOWN, LEFT, RIGHT, SELECT, tick;"
        " several with commas",
    )
    sweep.add_argument("--level", choices=("O0", "Og", "O2", "Os"), default="Og")
    sweep.add_argument("--all", action="store_true", help="every place, not one for each class")
    sweep.add_argument("submission", nargs="?", type=Path, help="folder with the files (yours)")
    add_trust(sweep)
    sweep.set_defaults(run=_sweep)

    replay = commands.add_parser("replay", help="run one schedule of presses again")
    replay.add_argument("id", help="the id of a schedule, from a report")
    replay.add_argument("submission", nargs="?", type=Path, help="folder with the files (yours)")
    add_trust(replay)
    replay.set_defaults(run=_replay)

    debug = commands.add_parser("debug", help="open GDB on the board")
    debug.add_argument("--lab", default="08", help="number of the lab (08)")
    debug.add_argument("--level", choices=("O0", "Og", "O2", "Os"), default="Og")
    debug.add_argument("--id", default="", help="a schedule's id: where its last press comes")
    debug.add_argument(
        "--port", type=int, help="start no GDB, but serve one that connects (0: any port)"
    )
    debug.add_argument("submission", nargs="?", type=Path, help="folder with the files (yours)")
    add_trust(debug)
    debug.set_defaults(run=_debug)

    class_ = commands.add_parser("class", help="grade a whole class, as a platform exports it")
    class_.add_argument("--lab", default="08", help="number of the lab (08)")
    class_.add_argument("--out", type=Path, help="folder for results (build/class/LAB-NAME)")
    class_.add_argument("--cache", type=Path, help="folder for known reports (.cache/reports)")
    class_.add_argument("--jobs", type=int, default=0, help="gradings at once (one for each core)")
    add_sweep(class_)
    class_.add_argument("--points", type=Path, help="what the checks are worth (a TOML file)")
    class_.add_argument("--scheduler", default="", help="a Dask scheduler's address: tcp://…")
    class_.add_argument("submissions", type=Path, help="folder or archive with all submissions")
    add_trust(class_)
    class_.set_defaults(run=_class)

    editor = commands.add_parser("editor", help="tell editors how the files are compiled")
    editor.set_defaults(run=_editor)

    bench = commands.add_parser("bench", help="measure speed and size")
    bench.add_argument(
        "--quick",
        action="store_true",
        help="a smaller class, fewer gradings",
    )
    bench.set_defaults(run=_bench)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False)


def _import_what_grades() -> None:
    import wakelab.grade  # noqa: F401


def _import_what_shows_a_report() -> None:
    """It takes a while, and there is time while a grading waits."""
    with all_stays():
        import junitparser  # noqa: F401
        import rich.console
        import rich.text  # noqa: F401


def _grade(options: argparse.Namespace) -> int:
    leave_it()
    from wakelab.formats.registry import format_named, require_variables, write_in_shapes
    from wakelab.labs import checkout_root, load_lab
    from wakelab.points import as_the_student_sees
    from wakelab.render import render_report
    from wakelab.report import Verdict

    root = checkout_root()
    lab = load_lab(root, options.lab)
    shapes = [format_named(name) for name in ("junit", *options.format)]
    surroundings = surroundings_of(root, lab.number)
    for shape in shapes:
        require_variables(shape, surroundings)
    folder = options.submission or lab.directory
    points = points_of(options.points)
    confinement = confinement_of(root, folder, options, meanwhile=_import_what_grades)
    from wakelab.grade import grade

    report = grade(
        *(root, lab, folder, confinement, tuple(options.sweep), points),
        own=options.own,
        keep_builds=True,
        meanwhile=_import_what_shows_a_report,
    )
    shown = report if options.show_hidden else as_the_student_sees(report)
    render_report(shown, _console())
    out = options.out or root / "build" / "reports" / lab.number
    write_in_shapes(report, out, shapes, surroundings, show_hidden=options.show_hidden)
    if report.verdict is Verdict.INFRA:
        return TROUBLE
    # Of what is shown: the exit code must not tell what a hidden check found.
    return FULL if shown.verdict is Verdict.PASS else NOT_FULL


def _watch(options: argparse.Namespace) -> int:
    from wakelab.formats.registry import format_named, write_in_shapes
    from wakelab.labs import Lab, checkout_root, load_lab
    from wakelab.report import Report
    from wakelab.watch.command import Wish, watch

    root = checkout_root()
    lab = load_lab(root, options.lab)

    def keep_report(lab: Lab, report: Report) -> Path:
        out: Path = options.out or root / "build" / "reports" / lab.number
        surroundings = surroundings_of(root, lab.number)
        return write_in_shapes(report, out, [format_named("junit")], surroundings)

    confinement = confinement_of(root, options.submission or lab.directory, options)
    _import_what_shows_a_report()
    wish = Wish(root, lab, options.submission, confinement, keep_report)
    return watch(wish, _console())


def _run(options: argparse.Namespace) -> int:
    from wakelab.byhand.command import Wish, by_hand
    from wakelab.labs import checkout_root, load_lab

    root = checkout_root()
    lab = load_lab(root, options.lab)
    folder = options.submission or lab.directory
    confinement = confinement_of(root, folder, options)
    wish = Wish(
        *(root, lab, options.submission, options.level, confinement), options.ui, options.port
    )
    return by_hand(wish, _console())


def _demo(options: argparse.Namespace) -> int:
    from wakelab.demo import demo
    from wakelab.labs import checkout_root, load_lab

    root = checkout_root()
    lab = load_lab(root, options.lab)
    confinement = confinement_of(root, lab.directory, options)
    return FULL if demo(root, lab, _console(), confinement) else NOT_FULL


def _script(options: argparse.Namespace) -> int:
    from wakelab.labs import checkout_root, load_lab
    from wakelab.play import play_script

    root = checkout_root()
    lab = load_lab(root, options.lab)
    folder = options.submission or lab.directory
    confinement = confinement_of(root, folder, options)
    came_true = play_script(root, lab, folder, options.file, _console(), confinement)
    return FULL if came_true else NOT_FULL


def _sweep(options: argparse.Namespace) -> int:
    from wakelab.explore import Wanted, explore
    from wakelab.labs import checkout_root, load_lab

    root = checkout_root()
    lab = load_lab(root, options.lab)
    folder = options.submission or lab.directory
    wanted = Wanted(options.mode, options.all, _interrupts(options.interrupts))
    confinement = confinement_of(root, folder, options)
    clean = explore(root, lab, folder, options.level, _console(), confinement, wanted)
    return FULL if clean else NOT_FULL


def _interrupts(said: str | None) -> tuple[str, ...] | None:
    """Names with commas. Raises UserError."""
    from wakelab.labs import INTERRUPTS

    if not said:
        return None
    names = tuple(said.split(","))
    for name in names:
        if name not in INTERRUPTS:
            raise UserError(
                f"{name!r} is no interrupt that can be swept",
                next_step=f"choose from {' '.join(INTERRUPTS)}",
            )
    return names


def _replay(options: argparse.Namespace) -> int:
    from wakelab.explore import replay
    from wakelab.labs import checkout_root, load_lab
    from wakelab.schedule import parse_id

    root = checkout_root()
    schedule = parse_id(options.id)
    lab = load_lab(root, schedule.lab)
    folder = options.submission or lab.directory
    confinement = confinement_of(root, folder, options)
    clean = replay(root, lab, folder, schedule, _console(), confinement)
    return FULL if clean else NOT_FULL


def _debug(options: argparse.Namespace) -> int:
    from wakebench.board import Ended, Unmet
    from wakelab.built import built
    from wakelab.debugger import Debugged, debug, find_gdb, serve_debugger
    from wakelab.labs import checkout_root, load_lab
    from wakelab.schedule import parse_id

    root = checkout_root()
    schedule = parse_id(options.id) if options.id else None
    lab = load_lab(root, schedule.lab if schedule else options.lab)
    level = schedule.level if schedule else options.level
    folder = options.submission or lab.directory
    if options.port is None:
        find_gdb()
    confinement = confinement_of(root, folder, options)
    with built(root, lab, folder, level, confinement) as subject:
        what = Debugged(root, folder.resolve(), subject, level, schedule)
        try:
            if options.port is None:
                return FULL if debug(what, _console()) else NOT_FULL
            return serve_debugger(what, options.port, _console())
        except Unmet as unmet:
            raise UserError(
                f"the program does not come there: expected {unmet.expected}, {unmet.seen}",
                str(folder),
                "is the id of another version of it? make sweep finds new ones",
            ) from unmet
        except Ended as ended:
            raise UserError(
                f"the program ends before: {ended.ending}: {ended.detail[:200]}", str(folder)
            ) from ended


def _class(options: argparse.Namespace) -> int:
    from wakelab.classes.command import Wish, grade_class
    from wakelab.labs import checkout_root

    root = checkout_root()
    wish = Wish(
        submissions=options.submissions,
        lab=options.lab,
        confinement=confinement_of(root, None, options),
        out=options.out,
        cache=options.cache,
        jobs=options.jobs,
        scheduler=options.scheduler,
        modes=tuple(options.sweep),
        points=points_of(options.points),
    )
    return grade_class(root, wish, _console())


def _editor(_: argparse.Namespace) -> int:
    from wakelab.editor import write_compile_commands
    from wakelab.labs import checkout_root
    from wakelab.toolchain import find_toolchain

    print(f"{write_compile_commands(checkout_root(), find_toolchain().gcc)}: for clangd and others")
    return FULL


def _bench(options: argparse.Namespace) -> int:
    from wakelab.bench import bench
    from wakelab.caretaker import OwnFolder
    from wakelab.labs import checkout_root

    options.owned.enter_context(OwnFolder())
    bench(checkout_root(), _console(), options.quick)
    return FULL
