"""Grading on a Dask cluster: the same jobs, on whatever machines have joined a scheduler.

A submission travels as content, and a worker grades it with its own checkout, which has to be the
same as ours. When a worker is lost, Dask gives what it was grading to another one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from wakelab.classes.job import Job, Outcome, pack_job, unpack_outcome
from wakelab.errors import UserError

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_S = 15
WORKERS_S = 60
"""How long we wait for the scheduler, and for its first worker."""

_DOCS = "docs/instructors/class.md says how to start a cluster"


class DaskPool:
    """A client of the scheduler at `address`. See wakelab.classes.pool.Pool."""

    def __init__(self, address: str, lab: str, fingerprint: str, trust: bool) -> None:
        """Raises UserError where nothing can be graded there."""
        try:
            from distributed import Client
        except ImportError as missing:
            raise UserError(
                f"a class on a Dask cluster needs a package more ({missing.name})",
                "",
                "sh grader/setup.sh dask",
            ) from None
        # What goes wrong is told here, and once.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        self._address = address
        self._futures: list[Future] = []
        try:
            self._client: Client = Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise UserError(
                f"there is no Dask scheduler: {str(error)[:200] or 'it does not answer'}",
                address,
                _DOCS,
            ) from None
        try:
            self._set_up(lab, fingerprint, trust)
        except BaseException:
            self.close()
            raise

    def grade(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        """See Pool."""
        from distributed import as_completed

        from wakelab.classes.cluster_worker import grade_on_worker

        # Not pure: what was graded badly once is to be graded again.
        lines = [pack_job(job) for job in jobs]
        futures = self._client.map(grade_on_worker, lines, pure=False)
        self._futures = futures
        numbers = {future.key: number for number, future in enumerate(futures)}
        for future in as_completed(futures, loop=self._client.loop):
            yield numbers[future.key], self._outcome(future)
            future.release()

    def close(self) -> None:
        """See Pool. What a worker is in the middle of, it finishes for nobody."""
        if self._client.status == "running":
            self._client.cancel(self._futures)
        self._client.close(timeout=CONNECT_S)

    def _set_up(self, lab: str, fingerprint: str, trust: bool) -> None:
        from wakelab.classes.cluster_worker import GradersOnWorker, fingerprint_here

        try:
            self._client.wait_for_workers(1, timeout=WORKERS_S)
        except TimeoutError:
            raise UserError(
                f"the scheduler has no worker, and none came in {WORKERS_S} s", self._address, _DOCS
            ) from None
        found = self._client.run(fingerprint_here, lab, trust, on_error="return")
        for worker, answer in found.items():
            if isinstance(answer, ImportError):
                raise UserError(
                    f"the worker has no wakelab of this version: {answer}",
                    worker,
                    "start workers with the Python of a checkout's .venv; " + _DOCS,
                )
            if isinstance(answer, Exception):
                raise UserError(
                    f"the worker cannot grade: {answer}", worker, "on its machine: make doctor"
                )
            if answer != fingerprint:
                raise UserError(
                    "the worker's grader is another than this one: its checkout, compiler, QEMU, "
                    "Python or sandbox differ",
                    worker,
                    "bring both to the same commit and the same system, then start the worker anew",
                )
        self._client.register_plugin(GradersOnWorker())

    def _outcome(self, future: Future) -> Outcome:
        if future.status == "finished":
            return unpack_outcome(str(future.result()))
        if future.status in ("cancelled", "lost"):
            raise UserError(
                "the scheduler is gone",
                self._address,
                "start it again, then the same command: what was graded is not graded again",
            )
        error = future.exception()
        return Outcome(None, f"the cluster could not grade it: {type(error).__name__}: {error}")
