"""Lab 08's reference as an image, whole or with pieces of its source replaced."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from wakebench.image import Image

ROOT = Path(__file__).resolve().parents[2]
BUTTON, QUEUE, EXECUTOR = "button_future.c", "atomic_waker.c", "executor.c"
POLL = "button_future_poll"

COMPILE = (
    *("-mcpu=cortex-m3", "-mthumb", "-std=c11", "-ffreestanding", "-fno-common", "-g"),
    *("-ffunction-sections", "-fdata-sections"),
    *(f"-I{ROOT / 'lab/board'}", f"-I{ROOT / 'lab/async'}"),
)
LINK = (
    "-nostdlib",
    "-nostartfiles",
    "-Wl,--gc-sections",
    "-T",
    f"{ROOT / 'lab/board/lm3s6965.ld'}",
)

Changes = Mapping[str, tuple[tuple[str, str], ...]]
"""File name to pieces of text: (old, new). An old piece must be there exactly once."""

_LOOK = "    return atomic_exchange_explicit(&line->pressed, false, memory_order_acquire)"
_REGISTER = "    atomic_waker_register(&line->waker, cx->waker);\n"
_CLEAR = "    atomic_store_explicit(&t->queued, 0, memory_order_relaxed);\n"
_ACKNOWLEDGE = "    port->ICR = pin->mask;\n"
_WAKE = "    atomic_waker_wake(&lines[b].waker);\n"
_FLAG = "atomic_bool pressed;"
_SET = "    atomic_store_explicit(&lines[b].pressed, true, memory_order_relaxed);\n"
_ARM = "    if (!atomic_load_explicit(&line->pressed, memory_order_relaxed)) {\n"
_RETURN = " ? POLL_READY : POLL_PENDING;"
_ONE_SHOT = "    port->IM &= ~pin->mask;"

COUNTER: tuple[tuple[str, str], ...] = (
    (_FLAG, "unsigned pressed;"),
    (_SET, "    lines[b].pressed++;\n"),
    (_ARM, "    {\n"),
    (_ONE_SHOT, "    "),
)
"""Presses are counted, and the pin stays unmasked."""
PLAIN_LOOK = """\
    if (line->pressed == 0) {
        return POLL_PENDING;
    }
    line->pressed--; /* here */
    return POLL_READY;
"""
MASKED_LOOK = """\
    const uint32_t before = interrupts_mask();
    const bool any = line->pressed != 0;
    if (any) {
        line->pressed--;
    }
    interrupts_restore(before);
    return any ? POLL_READY : POLL_PENDING;
"""

MUTANTS: dict[str, Changes] = {
    "reference": {},
    "check_then_register": {
        BUTTON: (
            (_REGISTER, ""),
            (
                _LOOK + _RETURN,
                "    bool look = atomic_exchange(&line->pressed, false);\n"
                + _REGISTER
                + "    return look"
                + _RETURN,
            ),
        )
    },
    "late_acknowledge": {BUTTON: ((_ACKNOWLEDGE, ""), (_WAKE, _WAKE + _ACKNOWLEDGE))},
    "stuck_release": {
        QUEUE: (("(void)atomic_exchange_explicit(&a->state, WAITING, memory_order_acq_rel);", ";"),)
    },
    "cleared_after_poll": {
        EXECUTOR: ((_CLEAR, ""), ("    return rest;\n", _CLEAR + "    return rest;\n"))
    },
    "unmasked_idle": {EXECUTOR: (("= interrupts_mask();", "= 0;"),)},
    "plain_counter": {BUTTON: (*COUNTER, (_LOOK + _RETURN + "\n", PLAIN_LOOK))},
}

RIGHT: dict[str, Changes] = {
    "masked_counter": {BUTTON: (*COUNTER, (_LOOK + _RETURN + "\n", MASKED_LOOK))},
    "atomic_counter": {
        BUTTON: (
            (_FLAG, "atomic_uint pressed;"),
            *COUNTER[1:],
            (
                _LOOK + _RETURN,
                """\
    if (atomic_load(&line->pressed) == 0) {
        return POLL_PENDING;
    }
    atomic_fetch_sub(&line->pressed, 1);
    return POLL_READY;""",
            ),
        )
    },
    "mask_bit_is_flag": {
        BUTTON: (
            (_FLAG, "bool pressed;"),
            (_SET, ""),
            (_ONE_SHOT, "    lines[b].pressed = true;\n" + _ONE_SHOT),
            (_ARM, "    line->pressed = false;\n    {\n"),
            (
                _LOOK + _RETURN,
                """\
    if ((button_pins[f->button].port->IM & button_pins[f->button].mask) != 0) {
        return POLL_PENDING;
    }
    const bool was = line->pressed;
    line->pressed = false;
    return was"""
                + _RETURN,
            ),
        )
    },
    "critical_section": {
        BUTTON: (
            (_FLAG, "bool pressed;"),
            (_SET, "    lines[b].pressed = true;\n"),
            (_ARM, "    if (!line->pressed) {\n"),
            (
                _LOOK + _RETURN,
                """\
    const uint32_t before = interrupts_mask();
    const bool was = line->pressed;
    line->pressed = false;
    interrupts_restore(before);
    return was"""
                + _RETURN,
            ),
        )
    },
}


def changed(text: str, pieces: tuple[tuple[str, str], ...]) -> str:
    """The text with each piece replaced."""
    for old, new in pieces:
        assert text.count(old) == 1, f"{text.count(old)} times: {old}"
        text = text.replace(old, new)
    return text


_kept = tempfile.TemporaryDirectory(prefix="lab08-")
"""Objects of the sources as they are."""


@cache
def _sources() -> dict[str, Path]:
    """File name to source."""
    found = [*(ROOT / "lab/board").glob("*.c"), ROOT / "lab/async/future.c"]
    found += [p for n in ("04", "05", "07", "08") for p in (ROOT / "solution").glob(f"{n}-*/*.c")]
    return {source.name: source for source in found}


@cache
def _objects(level: str) -> dict[str, Path]:
    """Source file name to its object."""
    folder = Path(_kept.name) / level
    folder.mkdir()
    _gcc(level, "-c", *_sources().values(), folder=folder)
    return {name: folder / name.replace(".c", ".o") for name in _sources()}


def _gcc(level: str, *words: str | Path, folder: Path) -> None:
    argv = ["arm-none-eabi-gcc", *COMPILE, f"-{level}", *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr


def build(folder: Path, level: str, changes: Changes) -> Image:
    """Compile what is changed, and link, at `level`."""
    folder.mkdir(parents=True)
    inputs = dict(_objects(level))
    for name, pieces in changes.items():
        inputs[name] = folder / name
        inputs[name].write_text(changed(_sources()[name].read_text(), pieces))
    ordered = [inputs[name] for name in sorted(inputs)]
    _gcc(level, *LINK, *ordered, "-lgcc", "-o", "lab08.elf", folder=folder)
    return Image(folder / "lab08.elf")
