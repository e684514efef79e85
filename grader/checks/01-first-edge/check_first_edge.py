"""Lab 01: one press, one interrupt, one line."""

from __future__ import annotations

from wakelab import build_checks, press_checks, sweep_checks
from wakelab.checking import shared_check
from wakelab.silicon import expect_silicon

check_builds = shared_check(build_checks.expect_builds, "It compiles and links", 0)
check_written = shared_check(
    press_checks.expect_written, "Every step is written", 0, needs=["builds"]
)
check_host = shared_check(
    press_checks.expect_host, "It asks nothing of the host", 5, needs=["written"]
)
check_handler = shared_check(
    press_checks.expect_handler,
    "A press runs the handler once, and it acknowledges",
    25,
    needs=["host"],
)
check_one_line = shared_check(
    press_checks.expect_one_line, "One press, one line, at every spacing", 25, needs=["handler"]
)
check_before_setup = shared_check(
    press_checks.expect_before_setup,
    "An earlier edge is no press",
    10,
    needs=["handler"],
)
check_other_pins = shared_check(
    press_checks.expect_other_pins, "Other pins are left alone", 10, needs=["one-line"]
)
check_two_quick = shared_check(
    press_checks.expect_two_quick,
    "Two quick presses, two lines",
    10,
    needs=["one-line"],
    explores=True,
)
check_singles = shared_check(
    sweep_checks.expect_singles,
    "A press before every instruction of the wait",
    5,
    needs=["two-quick"],
    mode="singles",
    explores=True,
)
check_levels = shared_check(
    press_checks.expect_levels,
    "It works at -O0, -O2 and -Os as well",
    5,
    needs=["one-line"],
    levels=True,
)
check_warnings = shared_check(
    build_checks.expect_warnings, "The compiler has no warning", 5, needs=["written"]
)
check_silicon = shared_check(
    expect_silicon,
    "It would work on the real chip, too",
    0,
    needs=["one-line"],
)
