"""What runs on a worker of a Dask cluster: imported there, from the worker's own checkout.

A task grades in a process of wakelab's own, as on one machine: Dask's worker has threads, and a
grading changes what belongs to a whole process.
"""

from __future__ import annotations

from dataclasses import replace

from distributed import Worker, WorkerPlugin, get_worker

from wakelab.classes.fingerprint import fingerprint
from wakelab.classes.job import Outcome, pack_outcome, unpack_job
from wakelab.classes.pool import ProcessPerThread
from wakelab.confinement import choose
from wakelab.labs import checkout_root, load_lab

PLUGIN = "wakelab-grading"


class GradersOnWorker(WorkerPlugin):
    """Owns the grading processes of one worker. Several clients share it."""

    name = PLUGIN
    idempotent = True

    def __init__(self) -> None:
        self._graders: ProcessPerThread | None = None
        self._address = ""

    def setup(self, worker: Worker) -> None:
        """On the worker."""
        self._graders = ProcessPerThread()
        self._address = worker.address

    def teardown(self, worker: Worker) -> None:
        """The worker closes."""
        if self._graders is not None:
            self._graders.stop()

    def grade(self, line: str) -> str:
        """In a thread of the worker's, which lives as long as the worker."""
        if self._graders is None:
            return pack_outcome(Outcome(None, "the worker is not set up"))
        outcome = self._graders.grade(unpack_job(line))
        if outcome.fatal:
            outcome = replace(outcome, trouble=f"{outcome.trouble} (at {self._address})")
        return pack_outcome(outcome)


def grade_on_worker(line: str) -> str:
    """The task: a packed job in, a packed outcome out."""
    plugin = get_worker().plugins.get(PLUGIN)
    if not isinstance(plugin, GradersOnWorker):
        return pack_outcome(Outcome(None, "the worker is not set up for wakelab"))
    return plugin.grade(line)


def fingerprint_here(lab: str, trust: bool) -> str:
    """This worker's fingerprint. Raises UserError, BenchError where it cannot grade."""
    root = checkout_root()
    confinement = choose(root, trust=trust, own=False)
    return fingerprint(root, load_lab(root, lab), confinement)
