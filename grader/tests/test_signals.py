"""Signals as something that a loop waits for."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from wakelab.signals import Signals

PATIENCE_S = 10.0


@pytest.fixture
def signals() -> Iterator[Signals]:
    with Signals() as heard:
        yield heard


def taken(signals: Signals) -> list[int]:
    """What has come until the first has."""
    noted: list[int] = []
    while not noted:
        ready, _, _ = select.select([signals], [], [], PATIENCE_S)
        assert ready, "the select sleeps on"
        noted = signals.take()
    return noted


def test_what_has_come_is_told_once_and_in_order(signals: Signals) -> None:
    for number in (signal.SIGTERM, signal.SIGWINCH, signal.SIGTERM):
        os.kill(os.getpid(), number)
    assert taken(signals) == [signal.SIGTERM, signal.SIGWINCH, signal.SIGTERM]
    assert signals.take() == []
    assert select.select([signals], [], [], 0)[0] == []


def test_a_signal_ends_a_select_that_nothing_interrupts(signals: Signals) -> None:
    """Nor does one that comes just before the select, and after Python has looked for signals the
    last time. Here another thread gets it, which is the same to the one that waits."""

    def interrupt_itself() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    later = threading.Timer(0.2, interrupt_itself)
    later.start()
    try:
        assert taken(signals) == [signal.SIGTERM]
    finally:
        later.join()


def test_what_was_before_is_there_again() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    woken_before = signal.set_wakeup_fd(writing)
    try:
        with Signals():
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard == [signal.SIGTERM]
        assert os.read(reading, 10) == bytes([signal.SIGTERM])
    finally:
        signal.set_wakeup_fd(woken_before)
        signal.signal(signal.SIGTERM, before)
        os.close(reading)
        os.close(writing)


def in_a_fork(act: Callable[[], object]) -> None:
    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def test_what_a_forked_process_gets_is_nobodys_news(signals: Signals) -> None:
    in_a_fork(lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert signals.take() == []


def test_what_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGINT)
            assert signals.take() == []
    finally:
        signal.signal(signal.SIGINT, before)
