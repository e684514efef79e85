"""The commands `picture` (a page) and `trace` (a file for another viewer)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from wakelab.trust_option import add_trust, confinement_of

if TYPE_CHECKING:
    from wakebench.trace import Event
    from wakelab.subject import Subject

LEVELS = ("O0", "Og", "O2", "Os")


def add_picture_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Put them beside the other commands."""
    picture = commands.add_parser("picture", help="grade, and make a page of what there is to see")
    picture.add_argument("--lab", default="08", help="number of the lab (08)")
    picture.add_argument("--out", type=Path, help="the file (build/reports/LAB/picture.html)")
    picture.add_argument(
        "--show-hidden", action="store_true", help="also what is hidden until it is due"
    )
    picture.add_argument("--points", type=Path, help="what the checks are worth (a TOML file)")
    picture.add_argument("submission", nargs="?", type=Path, help="folder with the files (yours)")
    add_trust(picture)
    picture.set_defaults(run=_picture)

    trace = commands.add_parser("trace", help="a run as a file for GTKWave or Perfetto")
    trace.add_argument("--lab", default="08", help="number of the lab (08)")
    trace.add_argument("--level", choices=LEVELS, default="Og")
    trace.add_argument("--format", default="perfetto", help="vcd or perfetto (perfetto)")
    trace.add_argument("--script", type=Path, help="a stimulus script: the run that it plays")
    trace.add_argument("--id", default="", help="a schedule's id, from a report: its run")
    trace.add_argument("--out", type=Path, help="the file (build/traces/LAB.ENDING)")
    trace.add_argument("submission", nargs="?", type=Path, help="folder with the files (yours)")
    add_trust(trace)
    trace.set_defaults(run=_trace)


def _picture(options: argparse.Namespace) -> int:
    from wakelab.build import MAIN_LEVEL
    from wakelab.built import built
    from wakelab.grade import grade
    from wakelab.labs import checkout_root, load_lab
    from wakelab.pictures.page import page_of
    from wakelab.pictures.scenes import Scenes, scenes_of
    from wakelab.points import as_the_student_sees
    from wakelab.report import Verdict, write_atomically
    from wakelab.report_commands import points_of

    root = checkout_root()
    lab = load_lab(root, options.lab)
    folder = options.submission or lab.directory
    confinement = confinement_of(root, folder, options)
    points = points_of(options.points)
    report = grade(root, lab, folder, confinement, points=points, keep_builds=True)
    shown = report if options.show_hidden else as_the_student_sees(report)
    scenes = Scenes()
    if shown.verdict not in (Verdict.BUILD, Verdict.INFRA):
        with built(root, lab, folder, MAIN_LEVEL, confinement) as subject:
            scenes = scenes_of(root, subject, shown)
    path = options.out or root / "build" / "reports" / lab.number / "picture.html"
    write_atomically(path, page_of(shown, scenes))
    print(f"{path}: open it in a browser")
    return 0


def _trace(options: argparse.Namespace) -> int:
    from wakelab.built import built
    from wakelab.errors import UserError
    from wakelab.labs import checkout_root, load_lab
    from wakelab.pictures.export import EXPORTS
    from wakelab.report import write_atomically
    from wakelab.schedule import parse_id

    shape = next((each for each in EXPORTS if each.name == options.format), None)
    if shape is None:
        known = ", ".join(f"{each.name} ({each.reader})" for each in EXPORTS)
        raise UserError(f"there is no format {options.format!r} for a run", next_step=known)
    if options.id and options.script:
        raise UserError("an id and a script are two runs", next_step="name one of them")
    schedule = parse_id(options.id) if options.id else None
    root = checkout_root()
    lab = load_lab(root, schedule.lab if schedule else options.lab)
    folder = options.submission or lab.directory
    confinement = confinement_of(root, folder, options)
    level = schedule.level if schedule else options.level
    with built(root, lab, folder, level, confinement) as subject:
        title, events = _run(options, subject, level)
    path = options.out or root / "build" / "traces" / f"{lab.number}{shape.ending}"
    write_atomically(path, shape.convert(title, events))
    print(f"{path}: {len(events)} events, for {shape.reader}")
    return 0


def _run(options: argparse.Namespace, subject: Subject, level: str) -> tuple[str, list[Event]]:
    from wakebench.board import Ended, Unmet
    from wakebench.play import play as play_script
    from wakebench.script import ScriptError, load_script
    from wakelab.errors import UserError
    from wakelab.schedule import parse_id, play

    if options.id:
        try:
            play(parse_id(options.id), subject)
        except Unmet as unmet:
            raise UserError(
                f"the schedule does not fit this program: expected {unmet.expected}, {unmet.seen}",
                next_step="is the id of another version of it? make sweep finds new ones",
            ) from unmet
        assert subject.latest_board is not None
        return options.id, list(subject.latest_board.trace)
    board = subject.board(level)
    if options.script:
        try:
            script = load_script(options.script)
        except ScriptError as error:
            raise UserError(str(error)) from error
        failure = play_script(script, board)
        if failure is not None:
            print(
                f"wakelab: the script goes as far as line {failure.line}: {failure.seen[:200]!r}",
                file=sys.stderr,
            )
        return script.name, list(board.trace)
    try:
        board.wait_asleep()
        board.press(subject.button)
        board.wait_ms(80)
        board.release(subject.button)
        board.wait_asleep()
    except Ended:
        pass  # that is what there is to see
    return f"lab {subject.lab.number}: one press", list(board.trace)
