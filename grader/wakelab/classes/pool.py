"""Grading on this machine: as many processes as asked for, outcomes as they come."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Protocol

from wakelab.classes.job import Job, Outcome
from wakelab.classes.process import LIMIT_S, WORKER, GradingProcess


class Pool(Protocol):
    """Grades jobs. Close it."""

    def grade(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        """Each job's number in `jobs` and its outcome, in the order in which they are done. Raises
        UserError where nothing can be graded any more."""

    def close(self) -> None:
        """End what is still being graded, and every process."""


class ProcessPerThread:
    """A grading process for each thread that grades, started when it does so for the first time.
    One that dies costs its submission only, and the thread starts another one."""

    def __init__(self, limit_s: float = LIMIT_S, command: Sequence[str] = WORKER) -> None:
        self._limit_s = limit_s
        self._command = command
        self._lock = threading.Lock()
        self._closed = False
        self._own = threading.local()
        self._processes: list[GradingProcess] = []

    def grade(self, job: Job) -> Outcome:
        """In the calling thread, which has to live as long as this."""
        process = getattr(self._own, "process", None)
        if not isinstance(process, GradingProcess):
            with self._lock:
                if self._closed:
                    return Outcome(None, "stopped")
                process = GradingProcess(self._limit_s, self._command)
                self._processes.append(process)
            self._own.process = process
        return process.grade(job)

    def stop(self) -> None:
        """End every process; what is being graded comes back soon, as trouble."""
        with self._lock:
            self._closed = True
            processes = list(self._processes)
        for process in processes:
            process.stop()

    def close(self) -> None:
        """Stop, and wait for the processes. After the threads."""
        self.stop()
        for process in self._processes:
            process.close()


class LocalPool:
    """Threads of this process, each with a grading process."""

    def __init__(
        self, size: int, limit_s: float = LIMIT_S, command: Sequence[str] = WORKER
    ) -> None:
        self._graders = ProcessPerThread(limit_s, command)
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="grading")

    def grade(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        """See Pool."""
        numbers = {self._threads.submit(self._graders.grade, job): n for n, job in enumerate(jobs)}
        for future in as_completed(numbers):
            yield numbers[future], future.result()

    def close(self) -> None:
        """See Pool."""
        self._graders.stop()
        self._threads.shutdown(cancel_futures=True)
        self._graders.close()

    def __enter__(self) -> LocalPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
