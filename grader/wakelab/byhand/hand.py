"""What a hand can do on the board, at once and exactly; all of it is kept as a stimulus script.

Every act is a step of a script and done by the script's own player, so the script does the same
again, bit by bit. No clock of the host's in here: see session.py for that.
"""

from __future__ import annotations

from dataclasses import replace

from wakebench import script as words
from wakebench.board import Board, Ended, Ending
from wakebench.errors import BenchError, Suspected
from wakebench.play import perform
from wakelab.subject import Subject

KEPT_EVENTS = 20_000
"""Of the trace; older ones are forgotten, but for the trace's hash."""

MOST_MS = 3_600_000
MOST_INSTRUCTIONS = 1_000_000
"""In one step of a script."""


class Hand:
    """One program on its board. Use from the thread that made `subject`."""

    def __init__(self, subject: Subject, level: str) -> None:
        self.subject = subject
        self.level = level
        self.restart()

    def restart(self) -> None:
        """Power on, with a script of no steps. The core stands at its first instruction."""
        self.steps: list[words.Step] = []
        self.ended: Ended | None = None
        self.pressed: set[str] = set()
        self._begin()

    def _begin(self) -> None:
        board = self.subject.board(self.level)
        board.keep_no_more_than(KEPT_EVENTS)
        board.reset()
        self.board: Board = board
        self.subject.forget_traces()

    # -- acts: each does nothing once the run has ended ------------------------------------------

    def press(self, button: str) -> None:
        """Press a button (of BUTTONS) and hold it; one that is down stays so."""
        if button not in self.pressed:
            self._do(words.Press(button, line=0))
            self.pressed.add(button)

    def release(self, button: str) -> None:
        """Let go of it."""
        if button in self.pressed:
            self._do(words.Release(button, line=0))
            self.pressed.discard(button)

    def press_again(self, button: str, instructions: int) -> None:
        """Press now, and again when so many more instructions have been executed, or the core falls
        asleep before. A button that is down is released just before it is pressed."""
        self.release(button)
        self.press(button)
        self.execute(instructions)
        self.release(button)
        self.press(button)

    def run(self) -> None:
        """Run until the core sleeps."""
        self._do(words.WaitAsleep(line=0))

    def execute(self, count: int) -> int:
        """Execute so many instructions, fewer if the core falls asleep before: how many?"""
        done = 0
        while done < count and self.ended is None:
            want = min(count - done, MOST_INSTRUCTIONS)
            got = self._execute(want)
            done += got
            if got < want:
                break
        return done

    def _execute(self, count: int) -> int:
        step = words.WaitInstructions(count, line=0)
        self.steps.append(step)
        got = count
        try:
            got = self.board.execute(count)
        except Ended as ended:
            self.ended = ended
        except Suspected:
            self._do_again()
        if got < count:
            self.steps.pop()
            if got:
                self.steps.append(replace(step, count=got))
            self._merge()
            self._do(words.WaitAsleep(line=0))  # it has fallen asleep, and does so again
        else:
            self._merge()
        return got

    def pass_ms(self, ms: int) -> None:
        """Let milliseconds pass, which they do while the core sleeps."""
        while ms > 0 and self.ended is None:
            part = min(ms, MOST_MS)
            self._do(words.WaitMs(part, line=0))
            ms -= part

    def _do(self, step: words.Step) -> None:
        if self.ended is not None:
            return
        self.steps.append(step)
        try:
            perform(step, self.board)
        except Ended as ended:
            self.ended = ended
        except Suspected:
            self._do_again()
        self._merge()

    def _do_again(self) -> None:
        """Whether the program goes round for ever is found out exactly: by the whole script on a
        machine that counts, as in a grading."""
        self.subject.count_from_now_on()
        self.board = self.subject.board(self.level)
        for step in self.steps:
            try:
                perform(step, self.board)
            except Ended as ended:
                self.ended = ended
                return

    def fail(self, problem: BenchError) -> None:
        """The bench has failed. The next restart is on another machine."""
        self.subject.distrust_machine()
        self.ended = Ended(Ending.DIED, str(problem), self.board.pc)

    # -- the script ------------------------------------------------------------------------------

    def _merge(self) -> None:
        """Say in one step what the last two say, where they do."""
        if len(self.steps) < 2:
            return
        before, last = self.steps[-2:]
        match before, last:
            case (words.WaitMs() | words.WaitAsleep(), words.WaitAsleep()):
                self.steps.pop()
            case (words.WaitMs(first), words.WaitMs(second)) if first + second <= MOST_MS:
                self.steps[-2:] = [words.WaitMs(first + second, line=0)]
            case (words.WaitInstructions(first), words.WaitInstructions(second)) if (
                first + second <= MOST_INSTRUCTIONS
            ):
                self.steps[-2:] = [words.WaitInstructions(first + second, line=0)]
