"""The commands about the course: `hint`, `next`, `matrix`, `new-lab`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from wakelab.course import Standing
    from wakelab.labs import Lab

ALL_DONE, MORE_TO_DO = 0, 1


def add_course_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Put them beside the other commands."""
    hint = commands.add_parser("hint", help="a hint to a lab; each time a stronger one, of three")
    hint.add_argument("--lab", default="08", help="number of the lab (08)")
    hint.add_argument("--anew", action="store_true", help="from the first one again")
    hint.set_defaults(run=_hint)

    following = commands.add_parser("next", help="where you stand in the course, and what is next")
    following.set_defaults(run=_next)

    matrix = commands.add_parser("matrix", help="which check finds which wrong submission")
    matrix.add_argument("--lab", default="", help="of one lab only (all)")
    matrix.set_defaults(run=_matrix)

    new = commands.add_parser("new-lab", help="a folder for a lab of your own, that works")
    new.add_argument("name", help="two digits and a name: 13-mine")
    new.set_defaults(run=_new_lab)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False)


def _hint(options: argparse.Namespace) -> int:
    from rich.markdown import Markdown

    from wakelab.course import next_hint
    from wakelab.labs import checkout_root, load_lab

    root = checkout_root()
    lab = load_lab(root, options.lab)
    number, of, text = next_hint(root, lab, anew=options.anew)
    console = _console()
    console.print(f"Lab {lab.number}, hint {number} of {of}", style="bold", markup=False)
    console.print(Markdown(text), width=min(console.width, 88))
    if number < of:
        following = "the next one says more"
        console.print(
            f"\n Next: try, and then make hint LAB={lab.number}: {following}", style="dim"
        )
    else:
        console.print(f"\n That was the last one. make hint LAB={lab.number} ANEW=1 begins again.")
    return ALL_DONE


def _next(_: argparse.Namespace) -> int:
    from wakelab.course import next_of, standing
    from wakelab.labs import all_labs, checkout_root

    root = checkout_root()
    standings = [standing(root, lab) for lab in all_labs(root)]
    console = _console()
    done = sum(each.done for each in standings)
    console.print(f"The course: {done} of {len(standings)} labs done", style="bold", markup=False)
    for each in standings:
        _line(console, each)
    console.print(" * is the course of 90 minutes", style="dim", markup=False)
    following = next_of(standings)
    if following is None:
        console.print("\n All done. The board is yours: docs/students/real-chip.md", markup=False)
        return ALL_DONE
    lab = following.lab
    console.print(f"\n Next: lab {lab.number}, {_path(lab)}/README.md", markup=False)
    console.print(
        f"       then make grade LAB={lab.number}, make hint LAB={lab.number}", markup=False
    )
    return MORE_TO_DO


def _path(lab: Lab) -> str:
    return f"lab/{lab.slug}"


def _line(console: Console, each: Standing) -> None:
    from wakelab.render import safe_text

    lab, report = each.lab, each.report
    mark = "*" if lab.short else " "
    if report is None:
        said, style = "not begun", "dim"
    elif each.stale:
        said, style = "changed since it was graded", "yellow"
    elif each.done:
        said, style = "done", "green"
    else:
        said, style = f"{report.points} of {report.max_points}, {report.verdict}", ""
    title = safe_text(lab.title, 40)
    console.print(f" {mark} {lab.number}  {title:<32} {said}", style=style, markup=False)


def _matrix(options: argparse.Namespace) -> int:
    from wakelab.labs import all_labs, checkout_root, load_lab
    from wakelab.matrix import print_matrix

    root = checkout_root()
    labs = [load_lab(root, options.lab)] if options.lab else all_labs(root)
    return ALL_DONE if print_matrix(root, labs, _console()) else MORE_TO_DO


def _new_lab(options: argparse.Namespace) -> int:
    from wakelab.labs import checkout_root
    from wakelab.new_lab import make_lab

    root = checkout_root()
    made = make_lab(root, options.name)
    console = _console()
    for path in made:
        console.print(f"  {path.relative_to(root)}", markup=False)
    number = options.name[:2]
    console.print(
        f"\n Next: make grade LAB={number} SUBMISSION=solution/{options.name}", markup=False
    )
    return ALL_DONE
