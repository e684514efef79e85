"""Measures: the board in the browser, from opening its page to a button that works, and from a
press to its line. In a headless Chromium, which the set-up for the tests installs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from wakelab.benchmarks.row import Row, Step, part
from wakelab.errors import InfraError
from wakelab.labs import load_lab

if TYPE_CHECKING:
    from playwright.sync_api import Page

OPEN_S, LINE_MS = 1.5, 50.0
OPENED = 5
PRESSES = 100
STEPS = OPENED + 1

BROWSERS = ("chromium", "chromium-browser", "google-chrome")

_PRESS = """async () => {
  const key = document.querySelector("[data-button=SELECT]");
  const box = document.getElementById("console");
  const event = (type) => key.dispatchEvent(new PointerEvent(type, {button: 0, bubbles: true}));
  const changed = (where, what) => new Promise((done) => {
    const observer = new MutationObserver(() => { observer.disconnect(); done(); });
    observer.observe(where, what);
  });
  const line = changed(box, {childList: true, characterData: true, subtree: true});
  const before = performance.now();
  event("pointerdown");
  await line;
  const took = performance.now() - before;
  const up = changed(key, {attributes: true, attributeFilter: ["aria-pressed"]});
  if (key.getAttribute("aria-pressed") !== "true") await up;
  const released = changed(key, {attributes: true, attributeFilter: ["aria-pressed"]});
  event("pointerup");
  await released;
  return took;
}"""
"""A press as the page sees it: milliseconds from the event to the line's being in the page."""


@dataclass(frozen=True)
class Paged:
    """Seconds from opening the page until the board sleeps in it; milliseconds from a press to its
    line: medians, and the slowest."""

    open_s: float
    slowest_open_s: float
    line_ms: float
    slowest_line_ms: float


def measure_page(root: Path, lab_number: str, step: Step) -> Paged | None:
    """None where there is no browser, or nothing to drive it. Raises InfraError where the board
    does not answer."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if browser is None:
        return None
    lab = load_lab(root, lab_number)
    argv = [sys.executable, "-P", "-m", "wakelab", "run", "--lab", lab.number, str(lab.reference)]
    process = subprocess.Popen(
        argv, cwd=root, stdout=subprocess.PIPE, text=True, env={**os.environ, "BROWSER": "none"}
    )
    with process, sync_playwright() as driver:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            if found is None:
                raise InfraError("`wakelab run` shows no board")
            chromium = driver.chromium.launch(
                executable_path=browser, chromium_sandbox=os.geteuid() != 0
            )
            opened = []
            for _ in range(OPENED):
                page = chromium.new_page()
                opened.append(_open(page, found[0]))
                step()
            lines = [float(page.evaluate(_PRESS)) for _ in range(PRESSES)]
            step()
            chromium.close()
        finally:
            process.terminate()
    return Paged(median(opened), max(opened), median(lines), max(lines))


def _open(page: Page, address: str) -> float:
    before = time.monotonic()
    page.goto(address)
    page.wait_for_selector("body[data-mode=asleep]")
    return time.monotonic() - before


def page_rows(paged: Paged | None) -> list[Row]:
    """For the table."""
    if paged is None:
        return [part("the board in the browser", "not measured: grader/setup.sh tests")]
    opened, line = paged.open_s, paged.line_ms
    return [
        Row("page open to a working button", f"{opened:.2f} s", opened, OPEN_S, "s"),
        part(f"slowest of {OPENED}", f"{paged.slowest_open_s:.2f} s"),
        Row("press to line on the page", f"{line:.0f} ms", line, LINE_MS, "ms"),
        part(f"slowest of {PRESSES}", f"{paged.slowest_line_ms:.0f} ms"),
    ]
