"""`wakelab bench`: what was promised in numbers, measured on this machine.

Nothing here is a test: a slow or busy host changes the times. docs/contributors/measures.md says
what is measured and how.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
from wakelab.benchmarks.host import describe_host
from wakelab.benchmarks.reference import LAB, Reference, built_reference
from wakelab.benchmarks.row import Row, Step

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table


def bench(root: Path, console: Console, quick: bool = False) -> None:
    """Measure, and print one table. `quick` repeats only the gradings of the last measure less
    often, and grades a smaller class: the times stay comparable. Raises
    UserError, BenchError where something is missing."""
    with built_reference(root) as reference:
        host = describe_host(reference.qemu, reference.toolchain.version)
        for line in host.lines():
            style = "bold yellow" if host.busy and line.startswith("load") else None
            console.print(line, style=style, markup=False)
        rows = _measure(reference, console, quick)
    console.print(table_of(rows))


def _measure(reference: Reference, console: Console, quick: bool) -> list[Row]:
    """All measures, the times first: the last one heats the machine."""
    runs = determinism.QUICK_RUNS if quick else determinism.RUNS
    lab = reference.lab
    rows: list[Row] = []
    with _progress(console) as progress:
        step = _task(progress, "grading", grading.STEPS)
        rows += grading.grading_rows(grading.measure_grading(reference.root, LAB, step), LAB)
        step = _task(progress, "each lab", course.count_steps(reference.root))
        rows += course.course_rows(course.measure_course(reference.root, step))
        step = _task(progress, "save to verdict", watching.STEPS)
        rows += watching.watching_rows(watching.measure_watching(reference.root, LAB, step), LAB)
        step = _task(progress, "the board in the browser", page.STEPS)
        rows += page.page_rows(page.measure_page(reference.root, LAB, step))
        step = _task(progress, "with and without the sandbox", confined.STEPS)
        rows += confined.confined_rows(confined.measure_confined(reference.root, LAB, step))
        step = _task(progress, "a class", classes.STEPS)
        rows += classes.classes_rows(classes.measure_classes(reference.root, LAB, quick, step))
        step = _task(progress, "bench and bare QEMU", share.RUNS)
        rows += share.share_rows(share.measure_share(reference, share.RUNS, step))
        step = _task(progress, "from the interrupt to the task", len(reference.levels))
        rows += way.way_rows(way.measure_ways(reference, step), lab.trace["poll"])
        step = _task(progress, "the sweep", sweep.STEPS)
        rows += sweep.sweep_rows(sweep.measure_sweep(reference, step))
        step = _task(progress, "flash", len(size.FILES))
        rows += size.size_rows(size.measure_sizes(reference.root, reference.toolchain, step))
        step = _task(progress, "the same traces again", runs)
        outcomes = determinism.measure_determinism(reference, runs, step)
        rows += determinism.determinism_rows(outcomes, runs)
    return rows


def _progress(console: Console) -> Progress:
    """Seen on a terminal only."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _task(progress: Progress, what: str, steps: int) -> Step:
    task = progress.add_task(what, total=steps)
    return lambda: progress.advance(task)


def table_of(rows: list[Row]) -> Table:
    """The rows as people read them."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, pad_edge=False, show_edge=False)
    table.add_column("what")
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("target", justify="right", no_wrap=True)
    table.add_column("ratio", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows:
        bold = "" if row.target is None else "bold"
        colour = {"ok": "green", "not": "red"}.get(row.verdict, "")
        table.add_row(
            Text(row.what, style=bold),
            Text(row.shown, style=bold),
            row.target_shown,
            "" if row.ratio is None else f"{row.ratio:.2f}",
            Text(row.verdict, style=colour),
        )
    return table
