"""The `wakelab` command. Exit codes: 0 full marks, 1 graded but not full, 2 could not do it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wakelab import __version__
from wakelab.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

FULL, NOT_FULL, TROUBLE = 0, 1, 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Prints; returns the exit code. A user's mistake never shows a traceback."""
    options = _parser().parse_args(arguments)
    from wakebench.errors import BenchError

    try:
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
    return TROUBLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wakelab", description="A lab on async and interrupts, in C, on an emulated Cortex-M3."
    )
    parser.add_argument("--version", action="version", version=f"wakelab {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    grade = commands.add_parser("grade", help="grade a submission")
    grade.add_argument("--lab", default="08", help="number of the lab (08)")
    grade.add_argument(
        "submission", nargs="?", type=Path, help="folder with the files, or a checkout (yours)"
    )
    grade.add_argument(
        "--out", type=Path, help="folder for report.json and junit.xml (build/reports/LAB)"
    )
    grade.set_defaults(run=_grade)

    demo = commands.add_parser("demo", help="grade the reference and the stub; show one press")
    demo.add_argument("--lab", default="08", help="number of the lab (08)")
    demo.set_defaults(run=_demo)

    script = commands.add_parser("script", help="play a stimulus script against a program")
    script.add_argument("--lab", default="08", help="number of the lab (08)")
    script.add_argument("--submission", type=Path, help="folder with the files (yours)")
    script.add_argument("file", type=Path, help="the script (docs/students/scripts.md)")
    script.set_defaults(run=_script)

    bench = commands.add_parser("bench", help="measure speed and size")
    bench.set_defaults(run=_bench)
    return parser


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False)


def _grade(options: argparse.Namespace) -> int:
    from wakelab.grade import grade
    from wakelab.labs import checkout_root, load_lab
    from wakelab.render import render_report
    from wakelab.report import Verdict, write_report

    root = checkout_root()
    lab = load_lab(root, options.lab)
    report = grade(root, lab, options.submission or lab.directory)
    render_report(report, _console())
    from wakelab.junit import write_junit

    folder = options.out or root / "build" / "reports" / lab.number
    write_report(report, folder / "report.json")
    write_junit(report, folder / "junit.xml")
    if report.verdict is Verdict.INFRA:
        return TROUBLE
    return FULL if report.verdict is Verdict.PASS else NOT_FULL


def _demo(options: argparse.Namespace) -> int:
    from wakelab.demo import demo
    from wakelab.labs import checkout_root, load_lab

    root = checkout_root()
    return FULL if demo(root, load_lab(root, options.lab), _console()) else NOT_FULL


def _script(options: argparse.Namespace) -> int:
    from wakelab.labs import checkout_root, load_lab
    from wakelab.play import play_script

    root = checkout_root()
    lab = load_lab(root, options.lab)
    folder = options.submission or lab.directory
    return FULL if play_script(root, lab, folder, options.file, _console()) else NOT_FULL


def _bench(options: argparse.Namespace) -> int:
    from wakelab.bench import bench
    from wakelab.labs import checkout_root

    del options
    bench(checkout_root(), _console())
    return FULL
