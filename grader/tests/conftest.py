"""Tests that need the sandbox. Where there is none they are skipped; but not in CI, which would
prove nothing then, unless somebody says so: WAKELAB_TESTS_WITHOUT_SANDBOX=1."""

from __future__ import annotations

import functools
import os

import pytest

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
    if item.get_closest_marker("needs_sandbox") is None or not what_is_missing():
        return
    if os.environ.get("CI") == "true" and os.environ.get(ALLOWED) != "1":
        pytest.fail(
            f"{what_is_missing()}\n  or:    {ALLOWED}=1, where CI need not try the sandbox",
            pytrace=False,
        )
    pytest.skip(what_is_missing())
