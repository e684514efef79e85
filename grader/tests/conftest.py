"""Tests that need the sandbox, or a browser. Where there is none they are skipped; but not in CI,
which would prove nothing then, unless, for the sandbox, somebody says so:
WAKELAB_TESTS_WITHOUT_SANDBOX=1."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from wakelab.confinement import NoSandbox, find_bubblewrap
from wakelab.labs import checkout_root

ALLOWED = "WAKELAB_TESTS_WITHOUT_SANDBOX"


@functools.cache
def what_is_missing() -> str:
    """Why there is no sandbox; empty where there is one."""
    try:
        find_bubblewrap(checkout_root())
    except NoSandbox as missing:
        return str(missing)
    return ""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for size in ("LINES", "COLUMNS"):  # readline leaves them, and they count more than the terminal
        os.environ.pop(size, None)
    if item.get_closest_marker("needs_sandbox") is None or not what_is_missing():
        return
    if os.environ.get("CI") == "true" and os.environ.get(ALLOWED) != "1":
        pytest.fail(
            f"{what_is_missing()}\n  or:    {ALLOWED}=1, where CI need not try the sandbox",
            pytrace=False,
        )
    pytest.skip(what_is_missing())


def find_browser() -> str | None:
    """The system's Chromium; None: the one that `grader/setup.sh tests` has put into .cache."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser(monkeypatch_module: pytest.MonkeyPatch) -> Iterator[Browser]:
    """A headless Chromium that reaches nothing but this machine. For one module: its driver has an
    event loop, beside which none of ours can run."""
    found = find_browser()
    own = checkout_root() / ".cache" / "browsers"
    if found is None and not own.is_dir():
        missing = "there is no Chromium here: sh grader/setup.sh tests"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    monkeypatch_module.setenv("PLAYWRIGHT_BROWSERS_PATH", str(own))
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    alone = ["--disable-quic", "--no-first-run", "--disable-gpu"]
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=found,
            args=[*quiet, *alone],
            chromium_sandbox=os.geteuid() != 0,
        )
        try:
            yield chromium
        finally:
            chromium.close()


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    """`monkeypatch` for a module."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch
