"""The oracle for "one press, one line", and what it means when it does not hold.

What counts as a press is stated in lab/async/button_future.h: a falling edge of the pin. An edge
that comes while the one before it is still unacknowledged in the port merges with it in hardware,
and that is not a loss, as long as the handler has not begun: once it has told the task, an edge
that it then acknowledges away is lost.
"""

from __future__ import annotations

from collections.abc import Sequence

from wakebench.board import Board, Ended, Ending, Unmet
from wakebench.exceptions import FIRST_IRQ
from wakebench.pin_names import BUTTONS
from wakebench.pins import Edge
from wakebench.trace import Event, Kind
from wakelab.checking import Finding
from wakelab.diagnosis import explain_ending
from wakelab.report import Verdict
from wakelab.subject import Subject, tell

PORT_IRQ = {"A": 0, "B": 1, "C": 2, "D": 3, "E": 4, "F": 30, "G": 31}
"""NVIC lines of the GPIO ports (LM3S6965 data sheet, table "Interrupts")."""

NVIC_ISER = 0xE000_E100
PAINT = 0xA5A5_A5A5
"""What the bench writes over dead stack: a pointer into it reads this."""


class PressTest:
    """A run on one board, with the words and the oracle of a press."""

    def __init__(self, subject: Subject, board: Board) -> None:
        self.board = board
        self.button = subject.button
        self.line = subject.line
        self.pin = BUTTONS[self.button]
        self.bit = 1 << self.pin.number
        self.irq = PORT_IRQ[self.pin.port]

    # -- what the oracle counts ------------------------------------------------------------------

    @property
    def lines(self) -> int:
        """Lines about presses, so far."""
        return self.board.count_lines(self.line)

    @property
    def presses(self) -> int:
        """Presses that must have been reported, so far."""
        return count_presses(list(self.board.trace), self.button)

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
                " is"
                " the executor's work.",
                hint="Return POLL_PENDING. Who calls poll again, and when?",
                diagnosis="sleeps-in-poll",
            )

    def press(self) -> None:
        """Press where the program stands, and let it settle."""
        self.board.press(self.button)
        self.settle()

    def release(self) -> None:
        """Release, and let the program settle."""
        self.board.release(self.button)
        self.settle()

    # -- the oracle ------------------------------------------------------------------------------

    def compare(self, when: str) -> None:
        """Every press so far has its line, and no line is without a press."""
        if self.lines > self.presses:
            raise self.too_many(when)
        if self.lines < self.presses:
            raise self.too_few(when)
        stray = next((e for e in self.board.trace if e.kind is Kind.LINE and e.exception), None)
        if stray is not None:
            raise Finding(
                Verdict.WRONG,
                "the line to be printed by the task",
                "it was printed by the interrupt handler",
                why="Printing takes thousands of times longer than the rest of the handler, and"
                " every"
                " other interrupt waits meanwhile. The handler says that it happened; the task does"
                " the talking.",
                hint="What is the least that the handler has to do?",
                diagnosis="prints-in-handler",
                pc=stray.pc,
            )
        polled = next((e for e in self.board.trace if e.note == "poll" and e.exception), None)
        if polled is not None:
            raise Finding(
                Verdict.WRONG,
                "poll to be called by the executor, in thread mode",
                "poll ran inside the interrupt handler",
                why="A waker only marks its task as ready. A poll from the handler would interrupt"
                " whatever the task is doing, perhaps in the middle of a poll.",
                hint="Which function does the handler have to call?",
                diagnosis="polls-in-handler",
                pc=polled.pc,
            )

    # -- what it means ---------------------------------------------------------------------------

    def explain(self, ended: Ended) -> Finding:
        """An ending, in the light of the registers."""
        events = list(self.board.trace)
        if ended.ending is Ending.STORM and self.board.port(self.button).sense & self.bit:
            return _finding_level(ended)
        if ended.ending is Ending.FAULT and ended.fault is not None:
            touched = (ended.fault.pc | 1, (ended.fault.address or 0) | 1)
            if any(abs(PAINT - each) < 64 for each in touched):
                return Finding(
                    Verdict.FAULT,
                    "the handler to find a waker that still exists",
                    ended.detail,
                    why="It followed a pointer into a stack frame that was gone. What poll's caller"
                    " had on its stack is overwritten as soon as poll has returned.",
                    hint="Does something keep the address of cx->waker where it should keep a"
                    " copy?",
                    diagnosis="stale-waker",
                    pc=ended.pc,
                )
        if ended.ending in (Ending.POLLING, Ending.FLOOD, Ending.LOOP):
            ready = sum(1 for e in events if e.kind is Kind.RETURN and e.note == "poll" and e.value)
            if ready > self.presses + 8:
                return Finding(
                    Verdict.DOUBLE,
                    f"{self.presses} times POLL_READY for {self.presses} presses",
                    f"{ready} times, and no end",
                    why="The same press is reported again and again: nothing takes it back when"
                    " it has"
                    " been reported.",
                    hint="What must change at the moment at which poll returns POLL_READY?",
                    diagnosis="never-consumed",
                    story=tell(events),
                )
        if ended.ending is Ending.POLLING and _wakes_itself(events):
            return Finding(
                Verdict.BUSY,
                "one poll for one wake",
                ended.detail,
                why="The task wakes itself in every poll. That is busy polling with extra steps.",
                hint="Only whoever has news calls wake. Who has none?",
                diagnosis="self-wake",
                story=tell(events),
            )
        if ended.ending is Ending.LOOP and "poll" in self.board.open_roles:
            return Finding(
                Verdict.LOOP,
                "poll to return",
                ended.detail,
                why="poll waits in a loop for the press. No other task runs meanwhile, and the core"
                " never sleeps.",
                hint="What does poll return when nothing has happened yet?",
                diagnosis="blocks-in-poll",
                pc=ended.pc,
                story=tell(events),
            )
        return explain_ending(ended)

    def silence(self) -> Finding:
        """Why a press did not make the handler run: the first switch on the way that is open."""
        port = self.board.port(self.button)
        enabled = [self.board.read_word(NVIC_ISER + 4 * n) for n in (0, 1)]
        armed = bool(enabled[self.irq // 32] >> self.irq % 32 & 1)
        exception = self.irq + FIRST_IRQ
        wrong_line = bool(enabled[exception // 32] >> exception % 32 & 1)
        press = next(e for e in reversed(list(self.board.trace)) if e.kind is Kind.EDGE)
        name, registers = self.pin.name, f"port {self.pin.port}"
        verdict, expected = Verdict.ASLEEP, f"the handler to run when {self.button} is pressed"
        if press.note == Edge.UNSENSED and port.event & self.bit:
            return Finding(
                Verdict.WRONG,
                expected,
                f"nothing at the press; GPIOIEV bit {self.pin.number} selects the rising edge",
                why="A button is active low: pressing it takes the pin from 1 to 0. The edge that"
                " you"
                " selected comes when the button is released.",
                hint="Which level has the pin while nobody touches the button?",
                diagnosis="rising-edge",
            )
        if press.note == Edge.UNSENSED:
            return Finding(
                verdict,
                expected,
                f"{registers} took no notice of the edge on {name} (GPIODIR"
                f" 0x{port.direction:02x})",
                why="The pin does not sense what happens outside.",
                hint="Is it an input?",
                diagnosis="pin-deaf",
            )
        if not port.mask & self.bit:
            return Finding(
                verdict,
                expected,
                f"the port saw the edge (GPIORIS bit {self.pin.number} is 1) and keeps it to"
                " itself:"
                f" GPIOIM bit {self.pin.number} is 0",
                why="Between the pin and the NVIC there is a switch for each pin, and this one is"
                " open.",
                hint="When must the pin be unmasked: once, or for every press?",
                diagnosis="never-rearmed" if self.lines else "pin-masked",
            )
        if not armed and wrong_line:
            return Finding(
                verdict,
                expected,
                f"NVIC line {exception} is enabled, line {self.irq} is not",
                why=f"Exception {exception} is interrupt {self.irq}: the core's own 16 exceptions"
                " come"
                " before the interrupts.",
                hint="Which of the two numbers does the NVIC count in?",
                diagnosis="irq-number",
            )
        if not armed:
            return Finding(
                verdict,
                expected,
                f"{registers} asks for the interrupt (GPIORIS and GPIOIM are 1), and line"
                f" {self.irq} is"
                " off in the NVIC",
                why="There are two switches between a pin and its handler. The second one is open.",
                hint="Which register lets an interrupt line through to the core?",
                diagnosis="nvic-off",
            )
        return Finding(
            verdict,
            expected,
            f"interrupt {self.irq} is pending, and the handler does not run",
            why="Interrupts are masked, and nobody unmasks them.",
            hint="For every interrupts_mask(): where is its interrupts_restore()?",
            diagnosis="left-masked",
        )

    def too_many(self, when: str) -> Finding:
        """More lines than presses."""
        events = list(self.board.trace)
        expected = f"{self.presses} lines for {self.presses} presses, {when}"
        if not self.presses:
            why, diagnosis = "A line was printed before anybody pressed.", "line-without-press"
            hint = "What does the task know when it prints?"
            if any(e.kind is Kind.ENTER for e in events):
                why = "An interrupt came although nobody had pressed: an edge from before was kept."
                hint = "What may be set in RIS before you unmask the pin for the first time?"
                diagnosis = "stale-edge"
        elif self.board.port(self.button).both_edges & self.bit:
            why = "Every click counts twice: the release is an edge, too (GPIOIBE)."
            hint, diagnosis = "Which edges did you ask the port for?", "both-edges"
        else:
            why = "The same press was reported more than once."
            hint = "What must change at the moment at which poll returns POLL_READY?"
            diagnosis = "double-report"
        return Finding(
            Verdict.DOUBLE,
            expected,
            f"{self.lines} lines",
            why=why,
            hint=hint,
            diagnosis=diagnosis,
            story=tell(events),
        )

    def too_few(self, when: str) -> Finding:
        """A press that was taken has no line, and the program sleeps."""
        events = list(self.board.trace)
        since = _since_last_press(events)
        expected = f"{self.presses} lines for {self.presses} presses, {when}"
        seen = f"{self.lines} lines; the program sleeps and will not wake"
        entered = any(e.kind is Kind.ENTER for e in since)
        if not entered:
            finding = self.silence()
            finding.story = tuple(tell(events))
            return finding
        why, hint, diagnosis = self._why_unheard(events, since)
        verdict = Verdict.WRONG if diagnosis == "no-line" else Verdict.ASLEEP
        return Finding(
            verdict, expected, seen, why=why, hint=hint, diagnosis=diagnosis, story=tell(events)
        )

    def _why_unheard(self, events: Sequence[Event], since: Sequence[Event]) -> tuple[str, str, str]:
        """The handler ran; where did the news get stuck? (why, hint, diagnosis)"""

        def called(role: str, among: Sequence[Event]) -> bool:
            return any(e.kind is Kind.CALL and e.note == role for e in among)

        returned = [e for e in since if e.kind is Kind.RETURN and e.note == "poll"]
        if not called("woken", since):
            if called("notify", since) and called("register", events):
                return (
                    "The handler woke the AtomicWaker, and it was empty: an earlier wake had"
                    " taken the"
                    " waker, and it was not registered again.",
                    "A wake uses the registration up. At which polls do you register?",
                    "registers-once",
                )
            if called("notify", since):
                return (
                    "The handler woke the AtomicWaker, and it was empty: poll had returned PENDING"
                    " without leaving a waker, so nobody could wake the task.",
                    "Before poll says PENDING, who must know whom to wake?",
                    "never-registers",
                )
            return (
                "The handler ran and returned, and woke nobody. The task does not look by itself.",
                "The flag says what happened. Who says that it did?",
                "never-wakes",
            )
        if not called("poll", since):
            return (
                "The handler woke a task, and your future was not polled: it was another task's"
                " waker, or one that does nothing.",
                "Whose waker is in the context that poll gets?",
                "wrong-waker",
            )
        if any(e.value for e in returned):
            return (
                "poll returned READY, and the line did not come.",
                f"Which text is expected? It is exactly {self.line!r}.",
                "no-line",
            )
        return (
            "The task was woken and polled, and poll said PENDING: it did not see what the handler"
            " had done.",
            "What does the handler write, and what does poll read?",
            "flag-unseen",
        )


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


def _since_last_press(events: Sequence[Event]) -> Sequence[Event]:
    """From the last edge that the port sensed on."""
    for at in range(len(events) - 1, -1, -1):
        event = events[at]
        if event.kind is Kind.EDGE and event.value == 0 and event.note != Edge.UNSENSED:
            return events[at:]
    return events


def _wakes_itself(events: Sequence[Event]) -> bool:
    """Whether the last polls contain a wake that no handler made."""
    inside = False
    for event in events[-32:]:
        if event.note == "poll":
            inside = event.kind is Kind.CALL
        elif inside and event.note == "woken" and not event.exception:
            return True
    return False


def _finding_level(ended: Ended) -> Finding:
    return Finding(
        Verdict.LOOP,
        "one press to make one interrupt",
        ended.detail,
        why="GPIOIS selects the level, not the edge. While the button is held, a level never"
        " ends, and"
        " the acknowledge does not help.",
        hint="Which register chooses between level and edge?",
        diagnosis="level-sensitive",
    )


__all__ = ["PORT_IRQ", "PressTest", "Unmet", "count_presses", "handler_has_begun"]
