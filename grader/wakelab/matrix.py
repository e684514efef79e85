"""The kill matrix: which check of a lab finds which wrong submission of the corpus."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wakelab.corpus import Case, cases_of
from wakelab.errors import InfraError
from wakelab.labs import Lab

if TYPE_CHECKING:
    from rich.console import Console

AT_ONCE = 2
LIMIT_S = 120.0
"""Protects the host only; a grading takes a second."""

_SIGNS = {"pass": ".", "skipped": " "}


def print_matrix(root: Path, labs: Sequence[Lab], console: Console) -> bool:
    """Grade every case of the labs, and print a table for each lab: a row for each case, a column
    for each check. Whether each came out as the corpus says."""
    right = True
    with ThreadPoolExecutor(AT_ONCE) as workers:
        for lab in labs:
            cases = cases_of(root, lab)
            reports = list(workers.map(_graded, cases))
            right &= _print_lab(lab, list(zip(cases, reports, strict=True)), console)
    return right


def _graded(case: Case) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="wakelab-matrix-") as folder:
        submission, out = case.assemble(Path(folder) / "submission"), Path(folder) / "report"
        command = [sys.executable, "-P", "-m", "wakelab", "grade", "--lab", case.lab.number]
        done = subprocess.run(
            [*command, str(submission), "--out", str(out)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )
        try:
            report: dict[str, Any] = json.loads((out / "report.json").read_bytes())
        except OSError:
            said = done.stderr.decode("utf-8", "replace").strip()[-400:]
            raise InfraError(f"{case.id} could not be graded", said, "make doctor") from None
    return report


def _print_lab(lab: Lab, graded: Sequence[tuple[Case, dict[str, Any]]], console: Console) -> bool:
    if not graded:
        return True
    ids = [check["id"] for check in graded[0][1]["checks"]]
    console.print(f"\nLab {lab.number} · {lab.title}", style="bold", markup=False)
    for at, name in enumerate(ids):
        console.print(f"  {_letter(at)} {name}", style="dim", markup=False)
    console.print(f"  {'':<30} {''.join(_letter(at) for at in range(len(ids)))}", markup=False)
    all_right = True
    for case, report in graded:
        row, first = _row(report)
        right = first == case.expected.get("check", "")
        all_right &= right
        style = "" if right else "red"
        wanted = "" if right else f"  expected {case.expected.get('check', 'a pass')}"
        sign = "-" if case.wrong else "+"
        console.print(f"{sign} {case.name:<30} {row}{wanted}", style=style, markup=False)
    wrong = sum(case.wrong for case, _ in graded)
    console.print(f"  {wrong} wrong, {len(graded) - wrong} right", style="dim", markup=False)
    return all_right


def _row(report: dict[str, Any]) -> tuple[str, str]:
    """A sign for each check, and the id of the first that failed: X, others x."""
    signs, first = "", ""
    for check in report["checks"]:
        sign = _SIGNS.get(check["verdict"], "x")
        if sign == "x" and not first:
            sign, first = "X", check["id"]
        signs += sign
    return signs, first


def _letter(at: int) -> str:
    return "abcdefghijklmnopqrstuvwxyz"[at]
