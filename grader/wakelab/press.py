"""The oracle for "one press, one line", and what it means when it does not hold.

What counts as a press is stated in lab/async/button_future.h: a falling edge of the pin. An edge
that comes while the one before it is still unacknowledged in the port merges with it in hardware,
and that is not a loss, as long as the handler has not begun: once it has told the task, an edge
that it then acknowledges away is lost.
"""

from __future__ import annotations

from collections.abc import Sequence

from wakebench.board import Board, Ended, Ending
from wakebench.exceptions import FIRST_IRQ
from wakebench.pin_names import BUTTONS
from wakebench.pins import PORT_IRQ, Edge, PortState
from wakebench.trace import Event, Kind
from wakelab.checking import Finding, counted
from wakelab.diagnosis import Mistake, explain_ending
from wakelab.report import Verdict
from wakelab.subject import Subject

NVIC_ISER = 0xE000_E100
PAINT = 0xA5A5_A5A5
"""What the bench writes over dead stack: a pointer into it reads this."""

MANY = 8
"""Times that something is reported too often before it is called endless."""

Why = tuple[str, str, Mistake]
"""Why something went wrong, a question that leads there, and its name."""


class PressTest:
    """A run on one board, with the words and the oracle of a press."""

    def __init__(self, subject: Subject, board: Board) -> None:
        self.board = board
        self.button = subject.button
        self.line = subject.line
        self.pin = BUTTONS[self.button]
        self.early = 0
        """Edges that came before the button was set up, when they are no presses, or while it was
        being set up, when they may be."""
        self.bit = 1 << self.pin.number
        self.irq = PORT_IRQ[self.pin.port]
        self.exception = self.irq + FIRST_IRQ

    # -- what the oracle counts ------------------------------------------------------------------

    @property
    def lines(self) -> int:
        """Lines about presses, so far."""
        return self.board.count_lines(self.line)

    @property
    def presses(self) -> int:
        """Presses that must have been reported, so far."""
        return count_presses(list(self.board.trace), self.button) - self.early

    @property
    def entries(self) -> int:
        """How often the handler of the button's port has started, so far."""
        return sum(_is_entry(e, self.exception) for e in self.board.trace)

    @property
    def requested(self) -> bool:
        """Whether the port remembers an edge that nobody has acknowledged."""
        return bool(self.board.port(self.button).raw & self.bit)

    @property
    def armed(self) -> bool:
        """Whether the pin lets edges out to the NVIC."""
        return bool(self.board.port(self.button).mask & self.bit)

    @property
    def set_up(self) -> bool:
        """Whether the pin or its line in the NVIC has been switched on: before that an edge is no
        press."""
        return self.armed or self._enabled(self.irq)

    # -- stimuli ---------------------------------------------------------------------------------

    def settle(self) -> None:
        """Run until the program sleeps, and look where it does."""
        try:
            self.board.wait_asleep()
        except Ended as ended:
            raise self.explain(ended) from ended
        if "poll" in self.board.open_roles:
            raise Finding(
                Verdict.WRONG,
                "poll to return PENDING when nothing has happened",
                "the core sleeps inside poll",
                why="A future that waits inside poll keeps every other task from running. Waiting"
                " is the executor's work.",
                hint="Return POLL_PENDING. Who calls poll again, and when?",
                diagnosis=Mistake.SLEEPS_IN_POLL,
            )

    def press(self) -> None:
        """Press where the program stands, and let it settle."""
        self.board.press(self.button)
        self.settle()

    def strike(self) -> None:
        """Press where the program stands, and no more. Before the button is set up that is none."""
        early = not self.set_up
        self.early += self.board.press(self.button) is Edge.LATCHED and early

    def release(self) -> None:
        """Release, and let the program settle."""
        self.board.release(self.button)
        self.settle()

    # -- the oracle ------------------------------------------------------------------------------

    def compare(self, when: str) -> None:
        """Every press so far has its line, no line is without a press, and the task did it all."""
        self._forbid_in_handler()
        if self.lines > self.presses + self.early:
            raise self.too_many(when)
        if self.lines < self.presses:
            raise self.too_few(when)

    def _forbid_in_handler(self) -> None:
        inside = [e for e in self.board.trace if e.exception]
        printed = next((e for e in inside if e.kind is Kind.LINE), None)
        if printed is not None:
            raise Finding(
                Verdict.WRONG,
                "every line to be printed by the task",
                f"{printed.name[:60]!r} was printed by the interrupt handler",
                why="Printing takes thousands of times longer than the rest of the handler, and"
                " every other interrupt waits meanwhile. The handler says that it happened; the"
                " task does the talking.",
                hint="What is the least that the handler has to do?",
                diagnosis=Mistake.PRINTS_IN_HANDLER,
                pc=printed.pc,
            )
        polled = next((e for e in inside if e.kind is Kind.CALL and e.note == "poll"), None)
        if polled is not None:
            raise Finding(
                Verdict.WRONG,
                "poll to be called by the executor, in thread mode",
                "poll ran inside the interrupt handler",
                why="A waker only marks its task as ready. A poll from the handler would interrupt"
                " whatever the task is doing, perhaps in the middle of a poll.",
                hint="Which function does the handler have to call?",
                diagnosis=Mistake.POLLS_IN_HANDLER,
                pc=polled.pc,
            )

    # -- runs that ended -------------------------------------------------------------------------

    def explain(self, ended: Ended) -> Finding:
        """An ending, in the light of the registers and of what happened before."""
        match ended.ending:
            case Ending.STORM:
                found = self._explain_storm(ended)
            case Ending.FAULT:
                found = _explain_stale(ended)
            case Ending.POLLING | Ending.FLOOD | Ending.LOOP:
                found = self._explain_endless(ended)
            case _:
                found = None
        return found or explain_ending(ended)

    def _explain_storm(self, ended: Ended) -> Finding | None:
        port = self.board.port(self.button)
        last = next((e for e in reversed(list(self.board.trace)) if e.kind is Kind.ENTER), None)
        if last is None or last.value != self.exception:
            return None
        if port.sense & self.bit:
            return self.level(ended.detail)
        if port.raw & self.bit:
            return None
        return Finding(
            Verdict.LOOP,
            "one press to make one interrupt",
            f"{ended.detail}, and GPIORIS bit {self.pin.number} is 0",
            why="The port does not ask any more: the acknowledge did its work. Something else makes"
            f" interrupt {self.irq} pending again, and only the program can.",
            hint="Which registers of the NVIC does the handler write? Compare their names with the"
            " manual's, letter by letter.",
            diagnosis=Mistake.PENDS_ITSELF,
            pc=ended.pc,
        )

    def _explain_endless(self, ended: Ended) -> Finding | None:
        events = list(self.board.trace)
        ready = _count_ready(events)
        if events[-1].exception and ended.ending is Ending.LOOP:
            return blocks_in_handler(ended.detail, ended.pc)
        if self.board.port(self.button).sense & self.bit and self.entries > self.presses + MANY:
            many = counted(self.entries, "interrupt")
            return self.level(f"{many} for {counted(self.presses, 'press')}, and no end")
        if ready > self.presses + MANY:
            return self._endless_ready(ready)
        if ended.ending is Ending.POLLING and _wakes_itself(events):
            return Finding(
                Verdict.BUSY,
                "one poll for one wake",
                ended.detail,
                why="The task wakes itself in every poll. That is busy polling with extra steps.",
                hint="Only whoever has news calls wake. Who has none?",
                diagnosis=Mistake.SELF_WAKE,
            )
        if ended.ending is Ending.LOOP and "poll" in self.board.open_roles:
            return Finding(
                Verdict.LOOP,
                "poll to return",
                ended.detail,
                why="poll waits in a loop for the press. No other task runs meanwhile, and the core"
                " never sleeps.",
                hint="What does poll return when nothing has happened yet?",
                diagnosis=Mistake.BLOCKS_IN_POLL,
                pc=ended.pc,
            )
        return None

    def _endless_ready(self, times: int) -> Finding:
        expected = f"{self.presses} times POLL_READY for {counted(self.presses, 'press')}"
        seen = f"{times} times, and no end"
        if not self.presses:
            return Finding(
                Verdict.DOUBLE,
                expected,
                seen,
                why="poll says READY without looking: nobody has pressed yet.",
                hint="How does poll know whether it has happened?",
                diagnosis=Mistake.READY_UNCHECKED,
            )
        return Finding(
            Verdict.DOUBLE,
            expected,
            seen,
            why="The same press is reported again and again: nothing takes it back when it has"
            " been reported.",
            hint="What must change at the moment at which poll returns POLL_READY?",
            diagnosis=Mistake.NEVER_CONSUMED,
        )

    def level(self, seen: str) -> Finding:
        """The pin asks for as long as it is down."""
        return Finding(
            Verdict.LOOP,
            "one press to make one interrupt",
            seen,
            why="GPIOIS selects the level, not the edge. While the button is held, a level never"
            " ends, and the acknowledge does not help.",
            hint="Which register chooses between level and edge?",
            diagnosis=Mistake.LEVEL_SENSITIVE,
        )

    # -- a press that no handler served ----------------------------------------------------------

    def silence(self) -> Finding:
        """Why a press did not make the handler run: the first switch on the way that is open."""
        port = self.board.port(self.button)
        press = next(e for e in reversed(list(self.board.trace)) if e.kind is Kind.EDGE)
        if press.note == Edge.UNSENSED:
            verdict, seen, why, hint, mistake = self._unsensed(port)
        elif not port.mask & self.bit:
            verdict, (seen, why, hint, mistake) = Verdict.ASLEEP, self._pin_masked()
        elif not self._enabled(self.irq):
            verdict, (seen, why, hint, mistake) = Verdict.ASLEEP, self._line_off()
        else:
            verdict, mistake = Verdict.ASLEEP, Mistake.LEFT_MASKED
            seen = f"interrupt {self.irq} is pending, and the handler does not run"
            why = "Interrupts are masked, and nobody unmasks them."
            hint = "For every interrupts_mask(): where is its interrupts_restore()?"
        expected = f"the handler to run when {self.button} is pressed"
        return Finding(verdict, expected, seen, why=why, hint=hint, diagnosis=mistake)

    def _enabled(self, irq: int) -> bool:
        return bool(self.board.read_word(NVIC_ISER + irq // 32 * 4) >> irq % 32 & 1)

    def _unsensed(self, port: PortState) -> tuple[Verdict, str, str, str, Mistake]:
        if port.event & self.bit:
            return (
                Verdict.WRONG,
                f"nothing at the press; GPIOIEV bit {self.pin.number} selects the rising edge",
                "A button is active low: pressing it takes the pin from 1 to 0. The edge that you"
                " selected comes when the button is released.",
                "Which level has the pin while nobody touches the button?",
                Mistake.RISING_EDGE,
            )
        return (
            Verdict.ASLEEP,
            f"port {self.pin.port} took no notice of the edge on {self.pin.name} (GPIODIR"
            f" 0x{port.direction:02x})",
            "The pin does not sense what happens outside.",
            "Is it an input?",
            Mistake.PIN_DEAF,
        )

    def _pin_masked(self) -> tuple[str, str, str, Mistake]:
        seen = (
            f"the port saw the edge (GPIORIS bit {self.pin.number} is 1) and keeps it to itself:"
            f" GPIOIM bit {self.pin.number} is 0"
        )
        events = list(self.board.trace)
        if _ready_last(events):
            return (seen, *not_awaited_again())
        if self.entries:
            return (
                seen,
                "After the first press the handler closed the pin's switch, and nobody has opened"
                " it again.",
                "When must the pin be unmasked: once, or for every press?",
                Mistake.NEVER_REARMED,
            )
        other = next((b for b in BUTTONS if b != self.button and self._unmasked(b)), "")
        if other:
            return (
                f"nothing; GPIOIM lets {other} through, and not {self.button}",
                f"The program waits for another button: it has armed the pin of {other}.",
                f"Which button does main ask for? The exercise is about {self.button}.",
                Mistake.WRONG_BUTTON,
            )
        if not self._enabled(self.irq) and not self._enabled(self.exception):
            return (
                f"the port saw the edge; GPIOIM bit {self.pin.number} is 0, and line {self.irq} is"
                " off in the NVIC",
                "Both switches between the pin and the handler are as they were after reset: nobody"
                " has asked for an interrupt.",
                "Does the program come to button_future_init, and what does it do there?",
                Mistake.NOTHING_ARMED,
            )
        return (
            seen,
            "Between the pin and the NVIC there is a switch for each pin, and this one is open.",
            "Which register of the port lets a pin's edge out?",
            Mistake.PIN_MASKED,
        )

    def _unmasked(self, button: str) -> bool:
        return bool(self.board.port(button).mask >> BUTTONS[button].number & 1)

    def _line_off(self) -> tuple[str, str, str, Mistake]:
        if self._enabled(self.exception):
            return (
                f"NVIC line {self.exception} is enabled, line {self.irq} is not",
                f"Exception {self.exception} is interrupt {self.irq}: the core's own 16 exceptions"
                " come before the interrupts.",
                "Which of the two numbers does the NVIC count in?",
                Mistake.IRQ_NUMBER,
            )
        seen = (
            f"port {self.pin.port} asks for the interrupt (GPIORIS and GPIOIM are 1), and line"
            f" {self.irq} is off in the NVIC"
        )
        if self.entries:
            return (
                seen,
                "After the first press the line was switched off in the NVIC, and nobody has"
                " switched it on again.",
                "When must the line be enabled: once, or for every press?",
                Mistake.NEVER_REARMED,
            )
        return (
            seen,
            "There are two switches between a pin and its handler. The second one is open.",
            "Which register lets an interrupt line through to the core?",
            Mistake.NVIC_OFF,
        )

    # -- too many lines, too few -----------------------------------------------------------------

    def too_many(self, when: str) -> Finding:
        """More lines than presses."""
        why, hint, mistake = self._why_too_many()
        return Finding(
            Verdict.DOUBLE,
            f"{counted(self.presses, 'line')} for {counted(self.presses, 'press')}, {when}",
            f"{counted(self.lines, 'line')}",
            why=why,
            hint=hint,
            diagnosis=mistake,
        )

    def _why_too_many(self) -> Why:
        if not self.presses:
            return (
                "A line was printed before anybody pressed.",
                "What does the task know when it prints?",
                Mistake.LINE_WITHOUT_PRESS,
            )
        if self.board.port(self.button).both_edges & self.bit:
            return (
                "Every click counts twice: the release is an edge, too (GPIOIBE).",
                "Which edges did you ask the port for?",
                Mistake.BOTH_EDGES,
            )
        if _count_ready(list(self.board.trace)) <= self.presses:
            return (
                "poll said READY once for each press, and the task printed more than that.",
                "Where is the line printed, and what has to happen before it may be?",
                Mistake.DOUBLE_LINE,
            )
        return (
            "The same press was reported more than once.",
            "What must change at the moment at which poll returns POLL_READY?",
            Mistake.DOUBLE_REPORT,
        )

    def too_few(self, when: str) -> Finding:
        """A press that was taken has no line, and the program sleeps."""
        events = list(self.board.trace)
        at = _last_press(events)
        if not any(e.kind is Kind.ENTER for e in events[at:]):
            return self.silence()
        why, hint, mistake = self._why_unheard(events[:at], events[at:])
        return Finding(
            Verdict.WRONG if mistake is Mistake.NO_LINE else Verdict.ASLEEP,
            f"{counted(self.presses, 'line')} for {counted(self.presses, 'press')}, {when}",
            f"{counted(self.lines, 'line')}; the program sleeps and will not wake",
            why=why,
            hint=hint,
            diagnosis=mistake,
        )

    def _why_unheard(self, before: Sequence[Event], since: Sequence[Event]) -> Why:
        """The handler ran; where did the news get stuck?"""
        if not called("woken", since):
            return self._why_not_woken(before, since)
        if not called("poll", since):
            return (
                "The handler woke a task, and your future was not polled: it was another task's"
                " waker, or one that does nothing.",
                "Whose waker is in the context that poll gets?",
                Mistake.WRONG_WAKER,
            )
        if _count_ready(since):
            return (
                "poll returned READY, and the line did not come.",
                f"Which text is expected? It is exactly {self.line!r}.",
                Mistake.NO_LINE,
            )
        return flag_unseen()

    def _why_not_woken(self, before: Sequence[Event], since: Sequence[Event]) -> Why:
        events = [*before, *since]
        woken_at = called("wake", since)
        if woken_at and woken_at[0].exception and woken_at[0].value == self.board.waker_address:
            return stale_waker()
        if _ready_last(before):
            return not_awaited_again()
        if woken_at:
            return (
                "The handler woke a waker, and not the one that was in the context of the last"
                " poll.",
                "Whose waker does poll keep for the handler?",
                Mistake.WRONG_WAKER,
            )
        notified = called("notify", since)
        if not notified:
            return (
                "The handler ran and returned, and woke nobody. The task does not look by itself.",
                "The flag says what happened. Who says that it did?",
                Mistake.NEVER_WAKES,
            )
        registered = called("register", events)
        if not registered:
            return (
                "The handler woke the AtomicWaker, and it was empty: poll had returned PENDING"
                " without leaving a waker, so nobody could wake the task.",
                "Before poll says PENDING, who must know whom to wake?",
                Mistake.NEVER_REGISTERS,
            )
        if notified[0].value not in [e.value for e in registered]:
            return (
                "poll registers with one AtomicWaker, and the handler wakes another one"
                f" (0x{registered[-1].value:08x} and 0x{notified[0].value:08x}).",
                "How do poll and the handler find the AtomicWaker of a button?",
                Mistake.OTHER_SLOT,
            )
        return (
            "The handler woke the AtomicWaker, and it was empty: an earlier wake had taken the"
            " waker, and it was not registered again.",
            "A wake uses the registration up. At which polls do you register?",
            Mistake.REGISTERS_ONCE,
        )


# -- sentences that several findings share ---------------------------------------------------------


def flag_unseen() -> Why:
    """The poll that came for the news did not find it."""
    return (
        "The task was polled after the handler had run, and poll said PENDING: it did not see what"
        " the handler had done.",
        "What does the handler write, and what does poll read?",
        Mistake.FLAG_UNSEEN,
    )


def not_awaited_again() -> Why:
    """The last poll said READY, and nobody has polled since."""
    return (
        "After poll had said READY nobody polled a button future again, so nobody waits for this"
        " press.",
        "After the line: what must the task do before it may return PENDING?",
        Mistake.NOT_AWAITED_AGAIN,
    )


def stale_waker() -> Why:
    """The handler looked for the waker where it was during the poll."""
    return (
        "The handler followed a pointer into a stack frame that was gone. What poll's caller had on"
        " its stack is overwritten as soon as poll has returned.",
        "Does something keep the address of cx->waker where it should keep a copy?",
        Mistake.STALE_WAKER,
    )


def blocks_in_handler(seen: str, pc: int | None = None) -> Finding:
    """A handler that was entered and does not return."""
    return Finding(
        Verdict.LOOP,
        "the handler to return",
        seen,
        why="The handler does not return: it waits for something. Until it has returned, no task"
        " runs, and no other interrupt of its priority.",
        hint="What does the handler wait for, and who could do that waiting instead?",
        diagnosis=Mistake.BLOCKS_IN_HANDLER,
        pc=pc,
    )


def _explain_stale(ended: Ended) -> Finding | None:
    if ended.fault is None:
        return None
    touched = (ended.fault.pc | 1, (ended.fault.address or 0) | 1)
    if not any(abs(PAINT - each) < 64 for each in touched):
        return None
    why, hint, mistake = stale_waker()
    return Finding(
        Verdict.FAULT,
        "the handler to find a waker that still exists",
        ended.detail,
        why=why,
        hint=hint,
        diagnosis=mistake,
        pc=ended.pc,
    )


# -- reading a trace -------------------------------------------------------------------------------


def count_presses(events: Sequence[Event], button: str) -> int:
    """Presses that must be reported: sensed edges, and those that a late acknowledge swallowed."""
    count = 0
    for at, event in enumerate(events):
        if event.kind is Kind.EDGE and event.name == button and event.value == 0:
            count += event.note == Edge.LATCHED
            count += event.note == Edge.MERGED and handler_has_begun(events[:at])
    return count


def handler_has_begun(before: Sequence[Event]) -> bool:
    """Whether a handler is under way that has told somebody already."""
    for event in reversed(before):
        if event.kind in (Kind.ENTER, Kind.EXIT):
            return False
        if event.kind is Kind.CALL and event.exception:
            return True
    return False


def called(role: str, events: Sequence[Event]) -> list[Event]:
    """The calls of the traced function that plays `role`."""
    return [e for e in events if e.kind is Kind.CALL and e.note == role]


def is_ready(event: Event) -> bool:
    """Whether a poll has just returned READY."""
    return event.kind is Kind.RETURN and event.note == "poll" and event.value != 0


def _count_ready(events: Sequence[Event]) -> int:
    return sum(map(is_ready, events))


def _ready_last(events: Sequence[Event]) -> bool:
    """Whether the last poll said READY: there should have been another one."""
    polls = [e for e in events if e.note == "poll"]
    return bool(polls) and is_ready(polls[-1])


def _is_entry(event: Event, exception: int) -> bool:
    return event.kind is Kind.ENTER and event.value == exception


def _last_press(events: Sequence[Event]) -> int:
    """Where the last edge is that the port sensed; 0 if there is none."""
    for at in range(len(events) - 1, -1, -1):
        event = events[at]
        if event.kind is Kind.EDGE and event.value == 0 and event.note != Edge.UNSENSED:
            return at
    return 0


def _wakes_itself(events: Sequence[Event]) -> bool:
    """Whether the last polls contain a wake that no handler made."""
    inside = False
    for event in events[-32:]:
        if event.note == "poll":
            inside = event.kind is Kind.CALL
        elif inside and event.note == "woken" and not event.exception:
            return True
    return False
