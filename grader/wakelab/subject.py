"""What a check is given: the submission, built, on a board for each optimisation level."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from wakebench.board import Board, Ended, Points
from wakebench.errors import BenchError
from wakebench.explore import explore
from wakebench.footprint import Exploration
from wakebench.image import Image
from wakebench.machine import Machine, Qemu, Wiring
from wakebench.seconds import Helper, Made, Second, make_some
from wakebench.sharing import SharedObject, racy
from wakebench.sweep import SweepError
from wakebench.trace import Event, Trace, story
from wakelab.build import MAIN_LEVEL, BuildResult, merged
from wakelab.labs import Lab
from wakelab.report import Place
from wakelab.stages import Building
from wakelab.submission import Submission

LONGEST_STORY = 28
"""Lines of a story that fit on a screen beside the rest of a finding."""


_Lent = TypeVar("_Lent", bound=AbstractContextManager[object])


class _Run(NamedTuple):
    """What was done on a board, and how it ended; see Subject.after."""

    what: str
    trace: Trace
    ended: Ended | None


class Subject:
    """Owns the machine, on which one program is at a time. Close it, or use it in a `with`."""

    def __init__(
        self,
        lab: Lab,
        submission: Submission,
        build: BuildResult,
        qemu: Qemu,
        modes: Collection[str] = (),
        rest: Building | None = None,
        *,
        counting: bool = True,
    ) -> None:
        """counting: False where whoever runs checks does one again that raises Suspected, after
        `count_from_now_on`; that is faster as a rule."""
        self.lab = lab
        self.submission = submission
        self.build = build
        """The build at MAIN_LEVEL; or at every level, where nothing is to follow."""
        self._whole = build
        self._rest = rest
        self.modes = lab.modes_with(modes)
        """Modes of the sweep that are part of the grading."""
        self.qemu = qemu
        self._owned = ExitStack()
        self._machine: Machine | None = None
        self._counting = counting
        self._images: dict[str, Image] = {}
        self._explorations: dict[str, tuple[Exploration, Trace]] = {}
        self._racy: dict[str, list[SharedObject]] = {}
        self._board: Board | None = None
        self._level = ""
        self._latest: Board | None = None
        self._traces: list[Trace] = []
        self._lent: dict[str, Any] = {}
        self._remark: dict[str, Any] = {}
        self._once: _Run | None = None
        self.helper: Helper | None = None
        """Who takes some of the second presses of the next exploration at MAIN_LEVEL."""
        try:
            self._start_machine()
        except BaseException:
            self.close()
            raise

    def _start_machine(self, level: str = MAIN_LEVEL) -> None:
        """It takes a moment to come up, so it is started before a board is asked for."""
        if self._machine:
            self._machine.close()
        self._board, self._level = None, level
        path = next((elf.path for elf in self._whole.elfs if elf.level == level), None)
        if path:  # else it does not compile, and nothing can be run
            machine = Machine(path, self.qemu, Wiring(counts=self._counting))
            self._machine = self._owned.enter_context(machine)

    def count_from_now_on(self) -> None:
        """Use machines that count instructions: one has been suspected of going round for ever.
        What was traced since the last digest is forgotten.
        """
        self._counting = True
        self._lent.clear()
        self._traces.clear()
        self._once = None
        self._start_machine()

    def whole_build(self) -> BuildResult:
        """Wait for the other levels to be built, too."""
        if self._rest is not None:
            rest, self._rest = self._rest.result(), None
            self._whole = merged(self._whole, rest)
        return self._whole

    def is_wholly_built(self) -> bool:
        """Whether `whole_build` would come back at once."""
        return self._rest is None or self._rest.done()

    @contextmanager
    def lent(self, name: str, make: Callable[[], _Lent]) -> Iterator[_Lent]:
        """What several checks use, made for the first of them. Where one ends in trouble it is not
        used again."""
        if name not in self._lent:
            self._lent[name] = self._owned.enter_context(make())
        lent: _Lent = self._lent.pop(name)
        yield lent
        self._lent[name] = lent

    def close(self) -> None:
        """End every machine."""
        self._owned.close()

    def __enter__(self) -> Subject:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- boards ----------------------------------------------------------------------------------

    def board(self, level: str = MAIN_LEVEL) -> Board:
        """The board with the program of `level`, freshly reset. The one of another level is of no
        use any more, but for its trace."""
        if self._board is None or self._board.died or self._level != level:
            self._board = self._new_board(level)
        self._board.reset()
        self._traces.append(self._board.trace)
        self._latest = self._board
        return self._board

    def after(self, what: str, run: Callable[[Board], None]) -> tuple[Board, Ended | None]:
        """The main level's board when `run` was done with it, and how that ended. Where the check
        before this one has asked for the same, by name, and nobody for a board since, it is that
        one's: what is done again goes the same way."""
        once, latest = self._once, self._latest
        if once and latest and (once.what, once.trace) == (what, latest.trace):
            self._traces.append(once.trace)
            return latest, once.ended
        board, ended = self.board(), None
        try:
            run(board)
        except Ended as end:
            ended = end
        self._once = _Run(what, board.trace, ended)
        return board, ended

    def _new_board(self, level: str) -> Board:
        image, before = self.image(level), self._board
        if before is not None and not before.died:
            self.distrust_machine()  # until it has the program
            board = before.reprogrammed(image)
            self._level = level
            return board
        if before is not None or self._level != level:  # before: it has brought its machine down
            self._start_machine(level)
        assert self._machine is not None  # as there is an image
        return Board(self._machine, image, Points(dict(self.lab.trace)))

    def distrust_machine(self) -> None:
        """The bench has failed, and nobody knows how it left the machine: the next board is on
        another one."""
        self._board, self._level = None, ""

    def image(self, level: str) -> Image:
        """The image at `level`."""
        if level not in self._images:
            path = next(e.path for e in self._whole.elfs if e.level == level)
            self._images[level] = Image(path)
        return self._images[level]

    @property
    def qemu_version(self) -> str:
        """The version of the QEMU in use; empty before the first board."""
        return self._latest.qemu_version if self._latest else ""

    def take_digest(self) -> str:
        """One hash over the traces made since the last call, in order."""
        whole = hashlib.sha256()
        for trace in self._traces:
            whole.update(trace.digest().encode())
        count, self._traces = len(self._traces), []
        return whole.hexdigest() if count else ""

    def forget_traces(self) -> None:
        """Nobody will ask for the digest of what was traced so far."""
        self._traces.clear()

    def exploration(
        self,
        level: str = MAIN_LEVEL,
        presses: int = 2,
        *,
        first_asleep: bool = False,
        meanwhile: Callable[[Exploration], object] = lambda _: None,
    ) -> Exploration:
        """What the task and the interrupt touch, in the window that the lab sweeps, and in that
        which a press opens if there are two `presses` (`first_asleep`: a press in the sleep); seen
        once. Its trace counts for each check that asks for it. `meanwhile`: as in `explore`.
        """
        known = self._explorations.get(level)
        if known is None or not known[0].suffices(presses, first_asleep):
            start = self._window_start(level)
            board = self.board(level)
            helper = None
            if level == MAIN_LEVEL:
                helper, self.helper = self.helper, None
            explored = explore(
                *(board, start, self.button, self.line, presses),
                first_asleep=first_asleep,
                helper=helper,
                meanwhile=meanwhile,
            )
            known = self._explorations[level] = explored, self._traces.pop()
        explored, trace = known
        self._traces.append(trace)
        return explored

    def racy(self, level: str, seen: Exploration | None = None) -> list[SharedObject]:
        """What the interrupt and the task share at `level`, and nothing protects; looked up once.
        `seen`: what is known of the exploration while it goes on."""
        seen = seen or self.exploration(level)
        if level not in self._racy:
            self._racy[level] = racy(self.image(level), seen)
        return self._racy[level]

    def _window_start(self, level: str) -> int:
        window = self.lab.sweep.window if self.lab.sweep else ""
        start = self.image(level).symbol(window)
        if start is None:
            raise SweepError(f"the program has no function {window}")
        return start.address

    def press_twice(
        self, seconds: Sequence[Second], claim: Callable[[int], bool]
    ) -> dict[int, Made]:
        """For who explores the same program at MAIN_LEVEL: what came of those second presses that
        could be claimed, before the bench failed. Nothing of it is in any trace."""
        made: dict[int, Made] = {}
        try:
            board, start = self.board(), self._window_start(MAIN_LEVEL)
            made.update(make_some(board, start, self.button, self.line, seconds, claim))
        except BenchError:
            self.distrust_machine()
        self.forget_traces()
        return made

    # -- the lab's press -------------------------------------------------------------------------

    @property
    def button(self) -> str:
        """The button that this lab is about."""
        return (self.lab.press or {}).get("button", "SELECT")

    @property
    def line(self) -> str:
        """The line that one press of it makes."""
        return (self.lab.press or {}).get("line", "")

    # -- for checks that pass ------------------------------------------------------------------

    def remark(self, seen: str, place: Place | None = None, story: Sequence[str] = ()) -> None:
        """What a check that passes has to say all the same: a sentence for the student."""
        self._remark = {"seen": seen, "place": place, "story": tuple(story)}

    def take_remark(self) -> dict[str, Any]:
        """What the check that ran last has remarked."""
        remark, self._remark = self._remark, {}
        return remark

    # -- for findings ----------------------------------------------------------------------------

    @property
    def latest_board(self) -> Board | None:
        """The board that was reset last."""
        return self._latest

    @property
    def latest_level(self) -> str:
        """The level of the board that was reset last; empty before the first."""
        return self._level if self._latest else ""

    def story(self) -> tuple[str, ...]:
        """What happened last on the board that was reset last."""
        return tuple(tell(list(self._latest.trace))) if self._latest else ()

    def place(self, pc: int, level: str = "") -> Place | None:
        """Where `pc` is in the student's own files; None where it is in code that was given.
        `level`: of which image; empty for that of the board that was reset last.
        """
        chosen = level or self.latest_level
        line = self.image(chosen).line(pc) if chosen else None
        if line is None or line.file not in self.lab.files:
            return None
        return Place(line.file, line.line, self.source_line(line.file, line.line), pc)

    def given_place(self, pc: int) -> Place | None:
        """Where `pc` is, in whatever file that belongs to the lab's folder; for what is shown on
        given code."""
        line = self.image(self.latest_level).line(pc)
        if line is None:
            return None
        path = self.lab.directory / Path(line.file).name
        text = ""
        if line.file in self.lab.files:
            text = self.source_line(line.file, line.line)
        elif path.is_file():
            lines = path.read_text("utf-8").splitlines()
            text = lines[line.line - 1] if line.line <= len(lines) else ""
        return Place(Path(line.file).name, line.line, text, pc)

    def source_line(self, file: str, number: int) -> str:
        """A line of a file that was handed in, or nothing."""
        for each in self.submission.files:
            if each.name == file:
                lines = each.data.decode("utf-8", "replace").splitlines()
                return lines[number - 1] if 1 <= number <= len(lines) else ""
        return ""


def tell(events: Sequence[Event]) -> list[str]:
    """The last events as a story short enough for a finding."""
    lines = story(events)
    cut = len(lines) - LONGEST_STORY
    return [f"        ({cut} events before)", *lines[cut:]] if cut > 1 else lines
