"""Which core a grading keeps to."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from wakelab.cores import keep_off_core, on_core, on_this_core

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's way to choose a core")


def of_a_child() -> set[int]:
    """The cores of a process that is started now."""
    script = "import os; print(*os.sched_getaffinity(0))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    return {int(each) for each in done.stdout.split()}


@pytest.mark.parametrize("core", sorted(os.sched_getaffinity(0)))
def test_a_grading_keeps_to_the_core_that_it_runs_on(core: int) -> None:
    before = os.sched_getaffinity(0)
    with on_core(core):  # the kernel has us run there
        with on_this_core():
            assert os.sched_getaffinity(0) == of_a_child() == {core}
        assert os.sched_getaffinity(0) == {core}
    assert os.sched_getaffinity(0) == before


def test_it_keeps_to_one_of_several_and_gives_them_back() -> None:
    before = os.sched_getaffinity(0)
    with pytest.raises(ZeroDivisionError), on_this_core():
        assert len(os.sched_getaffinity(0)) == 1
        assert of_a_child() == os.sched_getaffinity(0) <= before
        raise ZeroDivisionError
    assert os.sched_getaffinity(0) == before


def test_it_keeps_off_one_core_where_there_are_others() -> None:
    before = sorted(os.sched_getaffinity(0))
    for number, core in enumerate(before):
        with on_core(number):  # gives all back at the end
            os.sched_setaffinity(0, before)
            keep_off_core(number + len(before))
            assert of_a_child() == ({*before} - {core} or {core})
