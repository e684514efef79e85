"""What travels to whoever grades, and what comes back. Plain JSON, so that nothing that was handed
in is ever unpickled."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection
from dataclasses import dataclass

from wakelab.errors import UserError
from wakelab.points import NO_CHANGES, PointsPlan
from wakelab.report import Report, from_json, to_json
from wakelab.submission import Problem, SourceFile, Submission


@dataclass(frozen=True)
class Job:
    """A submission to be graded as content, and by which grader."""

    lab: str
    modes: tuple[str, ...]
    points: PointsPlan
    fingerprint: str
    submission: Submission
    trust: bool
    """Without a sandbox, because somebody answers for the code."""


@dataclass(frozen=True)
class Outcome:
    """A report; or why there is none, in words that are not about the submission.

    fatal  nothing else will be graded there, either
    """

    report: Report | None
    trouble: str = ""
    fatal: bool = False


def pack_job(job: Job) -> str:
    """One line."""
    submission = job.submission
    problem = submission.problem
    value = {
        "lab": job.lab,
        "modes": sorted(job.modes),
        "points": [dict(job.points.points), list(job.points.hidden), job.points.sha256],
        "fingerprint": job.fingerprint,
        "sha256": submission.sha256,
        "trust": job.trust,
        "problem": [problem.what, problem.next_step] if problem is not None else None,
        "files": [
            [file.name, base64.b64encode(file.data).decode("ascii"), file.sha256]
            for file in submission.files
        ],
    }
    return json.dumps(value)


def unpack_job(line: str) -> Job:
    """What `pack_job` packed. Raises ValueError, KeyError or TypeError on anything else."""
    value = json.loads(line)
    files = tuple(
        SourceFile(str(name), base64.b64decode(data), str(sha256))
        for name, data, sha256 in value["files"]
    )
    problem = Problem(*map(str, value["problem"])) if value["problem"] is not None else None
    submission = Submission("", files, str(value["sha256"]), problem)
    return Job(
        str(value["lab"]),
        tuple(value["modes"]),
        _unpack_points(*value["points"]),
        str(value["fingerprint"]),
        submission,
        value["trust"] is True,
    )


def _unpack_points(points: dict[str, int], hidden: list[str], sha256: str) -> PointsPlan:
    plan = PointsPlan(points, tuple(hidden), "the file of points", sha256)
    return plan if plan.sha256 else NO_CHANGES


def pack_outcome(outcome: Outcome) -> str:
    """One line."""
    report = to_json(outcome.report) if outcome.report is not None else None
    return json.dumps({"report": report, "trouble": outcome.trouble, "fatal": outcome.fatal})


def unpack_outcome(line: str) -> Outcome:
    """What `pack_outcome` packed; anything else is trouble."""
    try:
        value = json.loads(line)
        text = value["report"]
        report = from_json(text) if text is not None else None
        return Outcome(report, str(value["trouble"]), bool(value["fatal"]))
    except (ValueError, KeyError, TypeError, UserError) as error:
        return Outcome(None, f"the grader answered nonsense: {error}")


def as_modes(modes: Collection[str]) -> tuple[str, ...]:
    """Modes in an order that does not depend on how they were asked for."""
    return tuple(sorted(set(modes)))
