"""A class on a Dask cluster: two worker processes on this machine, one of them killed."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster
from test_class import STUDENTS, Class, known

from wakelab.classes import cluster as module
from wakelab.classes.cluster import DaskPool
from wakelab.errors import UserError

pytestmark = pytest.mark.slow


@pytest.fixture
def students(tmp_path: Path) -> Class:
    return Class(tmp_path)


@pytest.fixture
def cluster(students: Class, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in students.environment.items():
        monkeypatch.setenv(name, value)  # for the workers
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1"
    ) as started:
        yield started


def without_names(reports: dict[str, tuple[int, bytes]]) -> dict[str, bytes]:
    return {name: data for name, (_, data) in reports.items()}


def test_the_same_reports_as_here_also_when_a_worker_is_killed(
    students: Class, cluster: Any
) -> None:
    with Client(cluster) as client:
        pids = set(client.run(os.getpid).values())
        assert len(pids) == 2
        process = students.start("--scheduler", cluster.scheduler_address)
        students.wait(lambda: len(students.reports()) >= 2 or process.poll() is not None)
        done = students.reports()
        assert len(done) < len(STUDENTS), "it was too fast to lose a worker in the middle"
        victim = pids.pop()
        os.kill(victim, signal.SIGKILL)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
        assert victim not in client.run(os.getpid).values()
    there = students.reports()
    assert len(there) == len(STUDENTS)
    assert {name: there[name] for name in done} == done
    cluster.close()
    # multiprocessing keeps a process of its own for the whole of pytest.
    students.wait(lambda: [each for each in students.left() if "multiprocessing" not in each] == [])

    # And here, from the beginning.
    (status, output), again = students.run("--out", str(students.out / "here")), students.out
    assert status == 0 and known(output) == len(STUDENTS), "the same key, wherever it was graded"
    fresh = students.run("--cache", str(again / "fresh"))
    assert fresh[0] == 0 and known(fresh[1]) == 0
    assert students.reports() == there, "not a byte differs, so no file was written again"


def test_ctrl_c_leaves_the_cluster_to_others(students: Class, cluster: Any) -> None:
    process = students.start("--scheduler", cluster.scheduler_address)
    students.wait(lambda: len(students.reports()) >= 1 or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130 and "are graded and kept" in output, output
    status, output = students.run("--scheduler", cluster.scheduler_address)
    assert status == 0 and known(output) >= 1
    assert len(students.reports()) == len(STUDENTS)


def test_a_worker_with_another_grader_is_refused(students: Class, cluster: Any) -> None:
    with pytest.raises(UserError, match="another than this one") as caught:
        DaskPool(cluster.scheduler_address, "08", "0" * 64, trust=False)
    assert re.match(r"tcp://127\.0\.0\.1:\d+", caught.value.where)


def test_no_scheduler_and_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_S", 1)
    monkeypatch.setattr(module, "WORKERS_S", 1)
    for address in ("tcp://127.0.0.1:1", "nonsense://", ""):
        with pytest.raises(UserError, match="no Dask scheduler"):
            DaskPool(address, "08", "f", trust=False)
    with (
        LocalCluster(n_workers=0, dashboard_address=":0", host="127.0.0.1") as empty,
        pytest.raises(UserError, match="no worker"),
    ):
        DaskPool(empty.scheduler_address, "08", "f", trust=False)
