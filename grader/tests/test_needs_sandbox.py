"""Without a sandbox, the tests that need one are skipped; but CI must not take that for a proof."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ALLOWED = "WAKELAB_TESTS_WITHOUT_SANDBOX"
ONE = "grader/tests/test_attacks.py::test_canaries_notice"
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("said", "code", "outcome"),
    [
        ({}, 0, "1 skipped"),
        ({"CI": "true"}, 1, "1 error"),
        ({"CI": "true", ALLOWED: "1"}, 0, "1 skipped"),
        ({"CI": "true", ALLOWED: "0"}, 1, "1 error"),
        ({"CI": "false"}, 0, "1 skipped"),
    ],
    ids=str,
)
def test_without_a_sandbox(said: dict[str, str], code: int, outcome: str, tmp_path: Path) -> None:
    inherited = {name: text for name, text in os.environ.items() if name not in ("CI", ALLOWED)}
    tried = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-v", "-p", "no:cacheprovider", ONE],
        cwd=ROOT,
        env={**inherited, "PATH": str(tmp_path), **said},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (tried.returncode, outcome in tried.stdout) == (code, True), tried.stdout
    if code:
        assert "bubblewrap" in tried.stdout and f"{ALLOWED}=1" in tried.stdout
