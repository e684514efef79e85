"""What the sharing check says of right solutions, and of wrong ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lab08 import BUTTON, COUNTER, MUTANTS, PLAIN_LOOK, POLL, RIGHT, Changes, build

from wakebench.board import Board, Points
from wakebench.explore import explore
from wakebench.machine import Machine, Qemu
from wakebench.sharing import Protection, SharedObject, racy, shared_objects

Share = Callable[[Changes, str], dict[str, SharedObject]]


@pytest.fixture
def share(tmp_path_factory: pytest.TempPathFactory, one_qemu: Qemu) -> Share:
    """`share(changes, "Og")`: the shared objects of a variant of lab 08, by name."""

    def look(changes: Changes, level: str) -> dict[str, SharedObject]:
        image = build(tmp_path_factory.mktemp("lab08") / level, level, changes)
        start = image.symbol(POLL)
        assert start is not None
        with Machine(image.path, one_qemu) as machine:
            board = Board(machine, image, Points({"poll": POLL}))
            seen = explore(board, start.address, "SELECT")
        found = shared_objects(image, seen)
        bare = [each for each in found if each.protection is Protection.RACY]
        assert not seen.gaps and racy(image, seen) == bare
        return {each.name: each for each in found}

    return look


def protections(found: dict[str, SharedObject]) -> dict[str, str]:
    return {name: str(each.protection) for name, each in found.items()}


@pytest.mark.parametrize("level", ["O0", "Og", "O2", "Os"])
def test_the_reference_shares_nothing_unprotected(share: Share, level: str) -> None:
    found = share({}, level)
    assert protections(found) == {
        "lines[4].waker.state": "atomic",
        "lines[4].waker.waker.vtable": "guarded",
        "lines[4].waker.waker.data": "guarded",
        "lines[4].pressed": "atomic",
        "task.next": "guarded",
        "task.queued": "atomic",
        "executor.ready": "atomic",
        "GPIOF.IM": "masked",
    }
    types = {name: each.type for name, each in found.items()}
    assert types["lines[4].pressed"] == "atomic_bool"
    assert types["lines[4].waker.waker.vtable"] == "const struct waker_vtable *"
    assert types["executor.ready"] == "_Atomic(struct task *)"


PROTECTED_BY = {
    "masked_counter": "masked",
    "atomic_counter": "atomic",
    "mask_bit_is_flag": "guarded",
    "critical_section": "masked",
}


@pytest.mark.parametrize("level", ["Og", "Os"])
@pytest.mark.parametrize("name", RIGHT)
def test_no_alarm_on_right_solutions(share: Share, name: str, level: str) -> None:
    found = protections(share(RIGHT[name], level))
    assert "racy" not in found.values()
    assert found["lines[4].pressed"] == PROTECTED_BY[name]


@pytest.mark.parametrize("level", ["O0", "Og", "O2", "Os"])
def test_a_plain_counter_is_racy(share: Share, level: str) -> None:
    counter = share(MUTANTS["plain_counter"], level)["lines[4].pressed"]
    assert (counter.type, counter.protection) == ("unsigned int", Protection.RACY)
    lines = {use.line for use in counter.task if use.write and use.file == BUTTON}
    assert len(lines) == 1
    (written,) = {use.line for use in counter.interrupt if use.write}
    assert counter.sentence() == (
        f"`lines[4].pressed` is written by the interrupt ({BUTTON}:{written}) and the task"
        f" ({BUTTON}:{lines.pop()}); it is not atomic"
    )


LOOK = MUTANTS["plain_counter"][BUTTON][-1][0]


def test_volatile_does_not_make_a_counter_atomic(share: Share) -> None:
    changes = {
        BUTTON: (
            (COUNTER[0][0], "volatile unsigned pressed;"),
            *COUNTER[1:],
            (LOOK, PLAIN_LOOK),
        )
    }
    counter = share(changes, "Og")["lines[4].pressed"]
    assert counter.protection is Protection.RACY
    assert counter.reason.startswith("it is volatile, which is not atomic: button_future.c:")


def test_load_and_store_of_an_atomic_are_two_steps(share: Share) -> None:
    look = PLAIN_LOOK.replace(
        "line->pressed--;", "atomic_store(&line->pressed, atomic_load(&line->pressed) - 1);"
    )
    changes = {BUTTON: ((COUNTER[0][0], "atomic_uint pressed;"), *COUNTER[1:], (LOOK, look))}
    counter = share(changes, "Og")["lines[4].pressed"]
    assert counter.protection is Protection.RACY and "in two steps" in counter.reason


def test_a_counter_of_two_words_is_torn(share: Share) -> None:
    changes = {
        BUTTON: (
            (COUNTER[0][0], "unsigned long long pressed; unsigned long long reported;"),
            *COUNTER[1:],
            (
                LOOK,
                """\
    if (line->pressed == line->reported) {
        return POLL_PENDING;
    }
    line->reported++;
    return POLL_READY;
""",
            ),
        )
    }
    found = share(changes, "Og")
    counter = found["lines[4].pressed"]
    assert counter.protection is Protection.RACY
    assert counter.reason == "the task takes more than one step to read or write it"
    assert "and read by the task" in counter.sentence()
    assert "lines[4].reported" not in found


def test_a_flag_in_a_plain_bool_is_racy_and_in_a_volatile_one_is_not(share: Share) -> None:
    def flag(kind: str) -> Changes:
        reading = (
            LOOK,
            """\
    if (!line->pressed) {
        return POLL_PENDING;
    }
    line->pressed = false;
    return POLL_READY;
""",
        )
        return {BUTTON: ((COUNTER[0][0], f"{kind} pressed;"), *_FLAG_IS_SET, reading)}

    assert share(flag("bool"), "Og")["lines[4].pressed"].protection is Protection.RACY
    volatile = share(flag("volatile bool"), "Og")["lines[4].pressed"]
    assert volatile.protection is Protection.VOLATILE


_FLAG_IS_SET = ((COUNTER[1][0], "    lines[b].pressed = true;\n"), COUNTER[2], COUNTER[3])


def test_a_register_that_is_changed_unmasked_is_named(share: Share) -> None:
    changes = {
        BUTTON: (
            *COUNTER[1:3],
            (COUNTER[0][0], "atomic_uint pressed;"),
            (LOOK, "    pin_of(f)->port->IM |= pin_of(f)->mask;\n" + ATOMIC_LOOK),
            (POLL_HEAD, PIN_OF + POLL_HEAD),
        )
    }
    register = share(changes, "Og")["GPIOF.IM"]
    assert register.type == "device register"
    assert register.protection is Protection.RACY, register.sentence()


PIN_OF = """\
static const struct button_pin *pin_of(const struct button_future *f)
{
    return &button_pins[f->button];
}

"""
POLL_HEAD = "poll_t button_future_poll(struct future *self, struct context *cx)\n"
ATOMIC_LOOK = """\
    return atomic_exchange(&line->pressed, 0) != 0 ? POLL_READY : POLL_PENDING;
"""
