"""The build of a grading, in two stages: the checks begin when the main level is built.

Ahead of the grading, in a process of its own, which uses the core that is idle while this one
imports what the checks need; or in a thread, where other gradings have the other cores.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import NamedTuple, Protocol, Self

from wakelab.build import MAIN_LEVEL, OTHER_LEVELS, Builder, BuildResult
from wakelab.child import Child
from wakelab.cores import keep_off_core
from wakelab.errors import InfraError
from wakelab.labs import Lab
from wakelab.submission import Submission

STAGES: tuple[tuple[str, ...], ...] = ((MAIN_LEVEL,), OTHER_LEVELS)


class Building(Protocol):
    """A build that is under way, or will be."""

    def result(self) -> BuildResult:
        """Wait for it. Raises what the build raised."""

    def done(self) -> bool:
        """Whether there is nothing to wait for."""


class Stages(NamedTuple):
    """The main level, and the others."""

    main: Building
    rest: Building


@contextmanager
def built_here(builder: Builder, lab: Lab, submission: Submission) -> Iterator[Stages]:
    """Builds in a thread, the other levels when they are asked for: most programs that are wrong
    are found to be so before."""
    with builder, ThreadPoolExecutor(1) as aside:

        def begin(stage: Sequence[str]) -> Future[BuildResult]:
            return aside.submit(builder.build, lab, submission, stage)

        main, rest = STAGES
        try:
            yield Stages(begin(main), _OnDemand(partial(begin, rest)))
        except BaseException:
            builder.stop()
            raise


class _OnDemand:
    """A build that begins when its result is asked for."""

    def __init__(self, begin: Callable[[], Future[BuildResult]]) -> None:
        self._begin = begin
        self._begun: Future[BuildResult] | None = None

    def result(self) -> BuildResult:
        if self._begun is None:
            self._begun = self._begin()
        return self._begun.result()

    def done(self) -> bool:
        return self._begun is not None and self._begun.done()


class ForLane(Protocol):
    """A build, as one lane gets it."""

    stages: Stages

    def close(self) -> None:
        """This lane has no use for it."""


class AtHand:
    """A build that was kept, for both lanes. A ForLane."""

    def __init__(self, builder: Builder, lab: Lab, submission: Submission) -> None:
        """`builder` owns the ELFs."""
        main, rest = (_Built(builder.build(lab, submission, stage)) for stage in STAGES)
        self.stages = Stages(main, rest)

    def close(self) -> None:
        """Nothing to close."""


class _Built(NamedTuple):
    """A Building that is done."""

    build: BuildResult

    def result(self) -> BuildResult:
        return self.build

    def done(self) -> bool:
        return True


class Ahead:
    """Owns the process that builds, and with it the ELFs: close it, or use it in `with`. To be
    created before any thread is started.

    first   for this process
    second  for one that is forked off it; close it here then
    """

    def __init__(self, builder: Builder, lab: Lab, submission: Submission) -> None:
        """`builder` is the process's from now on."""
        context = multiprocessing.get_context("fork")
        self._owned = ExitStack()
        try:
            pipes = [context.Pipe(duplex=False) for _ in range(2)]
            self.first, self.second = (Arrivals(inbox) for inbox, _ in pipes)
            outlets = [outlet for _, outlet in pipes]

            def build(connection: Connection) -> None:
                self.first.close()
                self.second.close()
                _build_all(builder, lab, submission, outlets, connection)

            self._child = self._owned.enter_context(Child(build))
            self._owned.callback(self.first.close)  # first: the child may be sending
            self._owned.callback(self.second.close)
            for outlet in outlets:
                outlet.close()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End it, and remove the ELFs."""
        self._owned.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Arrivals:
    """What the building process sends to one reader: what became of each stage, in order. A
    ForLane."""

    def __init__(self, inbox: Connection) -> None:
        self._inbox = inbox
        self._arrived: list[BuildResult | Exception] = []
        self.stages = Stages(_Arriving(self, 0), _Arriving(self, 1))

    def take(self, stage: int) -> BuildResult | Exception:
        """Wait for it."""
        while len(self._arrived) <= stage:
            self._receive()
        return self._arrived[stage]

    def _receive(self) -> None:
        try:
            self._arrived.append(self._inbox.recv())
        except (EOFError, OSError):
            ended = InfraError(
                "the process that builds has ended too early",
                next_step="grade again; if it happens again: is there enough memory?",
            )
            self._arrived.append(ended)

    def has(self, stage: int) -> bool:
        """Whether it has arrived."""
        with suppress(OSError):
            while len(self._arrived) <= stage and self._inbox.poll():
                self._receive()
        return len(self._arrived) > stage

    def close(self) -> None:
        """Receive nothing more."""
        self._inbox.close()


class _Arriving:
    """One stage. A Building."""

    def __init__(self, arrivals: Arrivals, stage: int) -> None:
        self._arrivals = arrivals
        self._stage = stage

    def result(self) -> BuildResult:
        arrived = self._arrivals.take(self._stage)
        if isinstance(arrived, Exception):
            raise arrived
        return arrived

    def done(self) -> bool:
        return self._arrivals.has(self._stage)


def _build_all(
    builder: Builder,
    lab: Lab,
    submission: Submission,
    outlets: Sequence[Connection],
    connection: Connection,
) -> None:
    """The process: builds at once, and keeps the ELFs until its parent is done with them, or dead.
    Ctrl-C is the parent's matter, which then closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_off_core(os.getppid())  # the second lane's, which may have to wait for nobody then
    with builder, ThreadPoolExecutor(1) as aside:
        for stage in STAGES:
            aside.submit(_build_one, builder, lab, submission, stage, outlets)
        with suppress(EOFError, OSError):
            connection.recv()
        builder.stop()


def _build_one(
    builder: Builder,
    lab: Lab,
    submission: Submission,
    stage: Sequence[str],
    outlets: Sequence[Connection],
) -> None:
    came: BuildResult | Exception
    try:
        came = builder.build(lab, submission, stage)
    except Exception as problem:
        came = _sendable(problem)
    for outlet in outlets:
        with suppress(OSError):  # that reader has ended
            outlet.send(came)


def _sendable(problem: Exception) -> Exception:
    """It, or its like where it cannot be sent; with the trace, which is lost on the way."""
    trace = "".join(traceback.format_exception(problem))
    try:
        if type(pickle.loads(pickle.dumps(problem))) is not type(problem):
            raise TypeError
    except Exception:
        problem = RuntimeError(f"{type(problem).__name__}: {problem}")
    problem.add_note(f"in the process that builds:\n{trace}")
    return problem
