"""The commands about reports and points: `report`, `checks`, `convert`, `verify`, and the zip for
Gradescope."""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from wakelab.sweep_option import add_sweep
from wakelab.trust_option import add_trust, confinement_of

if TYPE_CHECKING:
    from wakelab.formats.format import Surroundings
    from wakelab.points import PointsPlan

SAME, DIFFERS = 0, 1


def add_report_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Put them beside the other commands."""
    report = commands.add_parser("report", help="show the last report again")
    report.add_argument("--lab", default="08", help="number of the lab (08)")
    report.add_argument(
        "--show-hidden", action="store_true", help="also what is hidden until it is due"
    )
    report.add_argument("report", nargs="?", type=Path, help="a report.json (the last one)")
    report.set_defaults(run=_report)

    checks = commands.add_parser("checks", help="what a lab's checks are called and worth")
    checks.add_argument("--lab", default="08", help="number of the lab (08)")
    checks.add_argument("--points", type=Path, help="a file of points, to be tried")
    checks.set_defaults(run=_checks)

    convert = commands.add_parser("convert", help="give a report the shape that a platform reads")
    convert.add_argument("--format", default="", help="which; `list` tells them, `all` makes all")
    convert.add_argument(
        "--out", type=Path, help="the file; with `all` the folder (printed, or beside the report)"
    )
    convert.add_argument(
        "--folder", help="where in the repository the files lie (the lab's own folder)"
    )
    convert.add_argument(
        "--show-hidden", action="store_true", help="also what is hidden until it is due"
    )
    convert.add_argument("--lab", default="08", help="number of the lab (08)")
    convert.add_argument("report", nargs="?", type=Path, help="a report.json (the last one)")
    convert.set_defaults(run=_convert)

    pack = commands.add_parser(
        "gradescope-zip", help="pack an autograder of one lab for Gradescope"
    )
    pack.add_argument("--lab", default="08", help="number of the lab (08)")
    pack.add_argument("--out", type=Path, default=Path("autograder.zip"), help="(autograder.zip)")
    pack.add_argument("--points", type=Path, help="what the checks are worth (a TOML file)")
    add_sweep(pack)
    pack.add_argument(
        "--trust-this-code",
        action="store_true",
        help="an autograder without the sandbox, for a container that allows none",
    )
    pack.set_defaults(run=_pack)

    refusal = commands.add_parser("gradescope-refusal")  # for run_autograder, not for people
    refusal.add_argument("reason", type=Path, help="a file that says why nothing was graded")
    refusal.set_defaults(run=_refusal)

    verify = commands.add_parser(
        "verify",
        help="grade again and compare with a report, bit by bit",
        epilog="Exit codes: 0 the same, 1 it differs, 2 it could not be compared.",
    )
    verify.add_argument("--points", type=Path, help="the file of points it was graded with")
    verify.add_argument("report", type=Path, help="the report.json")
    verify.add_argument("submission", type=Path, help="folder with the files, or a checkout")
    add_trust(verify)
    verify.set_defaults(run=_verify)


def points_of(path: Path | None) -> PointsPlan:
    """The plan in an instructor's file; none where no file was named. Raises UserError."""
    from wakelab.points import NO_CHANGES, load_points

    return NO_CHANGES if path is None else load_points(path)


def last_report(root: Path, lab: str) -> Path:
    """Where `wakelab grade` left the report of a lab. Raises UserError where there is none."""
    from wakelab.errors import UserError
    from wakelab.labs import load_lab

    number = load_lab(root, lab).number
    path = root / "build" / "reports" / number / "report.json"
    if not path.is_file():
        raise UserError(
            f"lab {number} has not been graded yet, so there is no report",
            str(path),
            f"make grade LAB={number}",
        )
    return path


def _report(options: argparse.Namespace) -> int:
    from rich.console import Console

    from wakelab.labs import checkout_root
    from wakelab.points import as_the_student_sees
    from wakelab.render import render_report
    from wakelab.report import read_report

    report = read_report(options.report or last_report(checkout_root(), options.lab))
    shown = report if options.show_hidden else as_the_student_sees(report)
    render_report(shown, Console(highlight=False, soft_wrap=False))
    return 0


def _checks(options: argparse.Namespace) -> int:
    from wakelab.checking import specs_in
    from wakelab.grade import plan_of
    from wakelab.labs import checkout_root, load_lab
    from wakelab.report import Visibility
    from wakelab.running import checks_of

    root = checkout_root()
    lab = load_lab(root, options.lab)
    folder = checks_of(root, lab)
    plan = plan_of(lab, folder, points_of(options.points))
    specs = [plan.applied(spec) for spec in specs_in(folder)]
    wide = max(len(spec.id) for spec in specs)
    own = lab.sweep.modes if lab.sweep else ()
    total = 0
    for spec in specs:
        asked = bool(spec.mode) and spec.mode not in own
        notes = [f"only with --sweep {spec.mode}, and in no sum without"] if asked else []
        total += 0 if asked else spec.points
        if plan.visibility(spec) is not Visibility.VISIBLE:
            notes.append("hidden until due")
        note = f"  ({', '.join(notes)})" if notes else ""
        print(f"{spec.points:>6}  {spec.id:<{wide}}  {spec.title}{note}")
    print(f"{total:>6}  in all")
    return 0


def _convert(options: argparse.Namespace) -> int:
    from wakelab.errors import UserError
    from wakelab.formats.registry import FORMATS, convert, format_named, missing_variables
    from wakelab.labs import checkout_root
    from wakelab.report import read_report, write_atomically

    if options.format in ("", "list"):
        for shape in FORMATS:
            print(f"{shape.name:<20}{shape.file:<29}{shape.title}")
        if options.format:
            return 0
        raise UserError("which format?", next_step="add --format NAME, one of the above, or all")
    root = checkout_root()
    path = options.report or last_report(root, options.lab)
    report = read_report(path)
    surroundings = surroundings_of(root, report.lab, options.folder)
    if options.format != "all":
        shape = format_named(options.format)
        text = convert(report, shape, surroundings, show_hidden=options.show_hidden)
        if options.out is None:
            sys.stdout.write(text)
        else:
            write_atomically(options.out, text)
        return 0
    for shape in FORMATS:
        if missing := missing_variables(shape, surroundings):
            print(f"{shape.name:<20}left out: {missing[0]} is not set")
            continue
        text = convert(report, shape, surroundings, show_hidden=options.show_hidden)
        target = (options.out or path.parent) / shape.file
        write_atomically(target, text)
        print(f"{shape.name:<20}{target}")
    return 0


def _pack(options: argparse.Namespace) -> int:
    from wakelab.autograder.bundle import Autograder, pack
    from wakelab.labs import checkout_root, load_lab
    from wakelab.report import write_atomically

    root = checkout_root()
    lab = load_lab(root, options.lab)
    wish = Autograder(options.points, tuple(options.sweep), options.trust_this_code)
    write_atomically(options.out, pack(root, lab, wish))
    print(f"{options.out}: upload it to Gradescope as the autograder of lab {lab.number}")
    print("what to choose there: docs/instructors/formats.md")
    if wish.trust:
        print(
            "wakelab: this autograder runs students' code without the sandbox (--trust-this-code); "
            "only the container is around it",
            file=sys.stderr,
        )
    return 0


def _refusal(options: argparse.Namespace) -> int:
    from wakelab.formats.gradescope import refusal

    sys.stdout.write(refusal(options.reason.read_text(encoding="utf-8", errors="replace")))
    return 0


def surroundings_of(root: Path, lab: str, folder: str | None = None) -> Surroundings:
    """What the formats are told beside the report."""
    from wakelab.formats.format import Surroundings
    from wakelab.labs import load_lab

    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    where = f"lab/{load_lab(root, lab).slug}" if folder is None else folder.strip("/")
    return Surroundings(dict(os.environ), "" if where == "." else where, now)


def _verify(options: argparse.Namespace) -> int:
    from rich.console import Console

    from wakelab.labs import checkout_root
    from wakelab.verify import render_verification, verify

    root, folder, points = checkout_root(), options.submission, points_of(options.points)
    confinement = confinement_of(root, folder, options)
    verification = verify(root, options.report, folder, confinement, points)
    render_verification(
        verification, options.report, Console(highlight=False, soft_wrap=False, markup=False)
    )
    return SAME if verification.same else DIFFERS
