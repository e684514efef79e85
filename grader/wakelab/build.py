"""Builds a submission: our rules, the student's files, one ELF per optimisation level.

What is given (board, async core, references of earlier labs) is compiled once per checkout and
kept under `<cache>/objects/<key>/`, where the key is a hash of everything that goes in. What is
handed in is compiled each time, in a private folder that holds nothing else; for who works on it,
the programs are kept, too (see kept_builds). No path of this machine gets into the ELF: the same
files give the same bytes wherever they lie.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from wakelab.errors import InfraError
from wakelab.in_turn import Turn, run_in_turn
from wakelab.kept_builds import KeptBuild, KeptBuilds
from wakelab.labs import Lab, given_sources, header_folders
from wakelab.report import CompilerMessage
from wakelab.submission import Submission
from wakelab.toolchain import Completed, Ending, Runner, Toolchain, View

__all__ = ["LEVELS", "BuildResult", "Builder", "CompilerMessage", "Elf"]

MAIN_LEVEL = "Og"
"""The level whose instructions belong to source lines most clearly; most checks run there."""

LEVELS = ("O0", "Og", "O2", "Os")
OTHER_LEVELS = tuple(level for level in LEVELS if level != MAIN_LEVEL)

MAX_MESSAGES = 20
"""Errors kept, and warnings kept."""

_MAX_TEXT = 600
_MACHINE = ("-mcpu=cortex-m3", "-mthumb")
_COMPILE = (
    "-std=c11",
    *_MACHINE,
    "-ffreestanding",
    "-fno-common",
    "-ffunction-sections",
    "-fdata-sections",
    "-g",
    "-Wall",
    "-Wextra",
    "-Wpedantic",
)
_LINK = (*_MACHINE, "-nostdlib", "-nostartfiles", "-Wl,--gc-sections")
_SCRIPT = "lab/board/lm3s6965.ld"

_T = TypeVar("_T")


def flags(level: str, root: Path, headers: Iterable[str]) -> list[str]:
    """What every file is compiled with; `root`: where the given headers lie as in the checkout,
    `headers`: in which folders."""
    return [*_COMPILE, f"-{level}", *(f"-I{root / name}" for name in headers)]


class Elf(NamedTuple):
    """A linked image.

    level   "O0", "Og", "O2", "Os"
    path    valid until the Builder is closed
    sha256  of the whole file, in hex
    """

    level: str
    path: Path
    sha256: str


@dataclass(frozen=True)
class BuildResult:
    """What came out of a build.

    elfs      one per level that linked, in the order asked for
    errors    compiler's and linker's, duplicates over the levels merged, at most MAX_MESSAGES
    warnings  likewise
    omitted   how many messages were left out
    """

    elfs: tuple[Elf, ...]
    errors: tuple[CompilerMessage, ...]
    warnings: tuple[CompilerMessage, ...]
    omitted: int = 0

    @property
    def ok(self) -> bool:
        """Every level linked."""
        return not self.errors

    def at(self, level: str) -> BuildResult:
        """What there is of it at one level."""
        return BuildResult(
            tuple(elf for elf in self.elfs if elf.level == level),
            tuple(error for error in self.errors if level in error.level.split()),
            tuple(warning for warning in self.warnings if level in warning.level.split()),
        )


class Builder:
    """Builds submissions. Owns the folder that the ELFs lie in: close it, or use it in `with`."""

    def __init__(
        self,
        root: Path,
        toolchain: Toolchain,
        cache_dir: Path | None = None,
        sandbox: Runner | None = None,
        *,
        keep: bool = False,
    ) -> None:
        """root is the checkout; cache_dir is `<root>/.cache` unless told. `sandbox` runs the
        compiler on what is handed in; without one, that has to be code of our own. `keep` programs
        for the next time, and use those that were kept; in a sandbox only, where nothing goes in
        that is not known here."""
        self._root = root.resolve()
        self._toolchain = toolchain
        self._confined = toolchain._replace(runner=sandbox) if sandbox else toolchain
        cache = (cache_dir or self._root / ".cache").absolute()
        self._objects = cache / "objects"
        self._kept = KeptBuilds(cache / "built") if keep and sandbox else None
        self._out: tempfile.TemporaryDirectory[str] | None = None
        self._built = 0
        self._jobs: _Jobs | None = None
        self._stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the ELFs built so far."""
        if self._out is not None:
            self._out.cleanup()
            self._out = None

    def stop(self) -> None:
        """End a build that runs in another thread, on Ctrl-C: `build` then raises InfraError or
        returns soon, and leaves no process behind. So does every later one."""
        self._stopped = True  # before the look at the jobs: `build` does it the other way round
        if (jobs := self._jobs) is not None:
            jobs.stop()

    def build(
        self, lab: Lab, submission: Submission, levels: Sequence[str] = LEVELS
    ) -> BuildResult:
        """Build at each level. A student's mistake is in `errors`; raises InfraError when what is
        given does not build, UserError when a part of the checkout is missing."""
        if submission.problem is not None:
            problem = submission.problem
            text = f"{problem.what}; {problem.next_step}"
            return BuildResult((), (CompilerMessage("", 0, 0, "error", text, ""),), ())
        given = self._given_to(lab)
        keys = {level: _key_of(self._key(level, given), lab, submission) for level in levels}
        out = self._new_out()
        said = self._found(keys, out)
        if missing := [level for level in levels if level not in said]:
            anew = self._build_anew(lab, submission, given, missing, out)
            self._keep(keys, out, anew)
            said |= anew
        elfs = tuple(
            Elf(level, path, hashlib.sha256(path.read_bytes()).hexdigest())
            for level in levels
            if (path := out / f"{level}.elf").is_file()
        )
        return _result(elfs, [message for level in levels for message in said[level]])

    def has(self, lab: Lab, submission: Submission) -> bool:
        """Whether it was built before, at all levels, and kept."""
        if self._kept is None or submission.problem is not None:
            return False
        given = self._given_to(lab)
        keys = (_key_of(self._key(level, given), lab, submission) for level in LEVELS)
        return all(map(self._kept.has, keys))

    def _found(self, keys: Mapping[str, str], out: Path) -> dict[str, list[CompilerMessage]]:
        """Puts the programs that were kept into `out`: at which levels, and what was said there."""
        found: dict[str, list[CompilerMessage]] = {}
        for level, key in keys.items():
            if self._kept is not None and (kept := self._kept.find(key)) is not None:
                _write_readable(out, f"{level}.elf", kept.elf).chmod(0o644)
                found[level] = list(kept.messages)
        return found

    def _keep(
        self, keys: Mapping[str, str], out: Path, built: Mapping[str, list[CompilerMessage]]
    ) -> None:
        for level, messages in built.items():
            if self._kept is not None and (path := out / f"{level}.elf").is_file():
                self._kept.keep(keys[level], KeptBuild(path.read_bytes(), tuple(messages)))

    def _build_anew(
        self, lab: Lab, submission: Submission, given: _Given, levels: Sequence[str], out: Path
    ) -> dict[str, list[CompilerMessage]]:
        """What the tools said at each level; the ELFs are in `out`."""
        with ExitStack() as stack:
            folder = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="wakelab-"))
            ).resolve()
            unfinished = stack.enter_context(ExitStack())
            jobs = self._jobs = stack.enter_context(_Jobs(self._toolchain, self._confined))
            if self._stopped:
                jobs.stop()
            private, given_files = folder / "private", folder / "given"
            for file in submission.files:
                _write_readable(private, file.name, file.data)
            for path in self._shown(given.headers, lab):
                _write_readable(given_files, path.relative_to(self._root), _bytes_of(path))
            handed_in = [file.name for file in submission.files if file.name.endswith(".c")]
            work = _Work(
                given_files, private, out, self._confined, lab, tuple(handed_in), given.headers
            )
            objects = {level: self._objects_of(jobs, unfinished, level, given) for level in levels}
            built = jobs.start(work.build, {level: each() for level, each in objects.items()})
            return jobs.results([built])[0]

    def _given_to(self, lab: Lab) -> _Given:
        sources, headers = given_sources(self._root, lab), header_folders(self._root, lab)
        folders = {self._root / name for name in headers} | {each.parent for each in sources}
        found = sorted(header for folder in folders for header in folder.glob("*.h"))
        digest = hashlib.sha256()
        for path in (*found, *sources, self._root / _SCRIPT):
            data = _bytes_of(path)
            name = path.relative_to(self._root).as_posix().encode()
            digest.update(b"%s\0%d\0%s" % (name, len(data), data))
        return _Given(sources, headers, digest.digest())

    def _new_out(self) -> Path:
        if self._out is None:
            self._out = tempfile.TemporaryDirectory(prefix="wakelab-elf-")
        self._built += 1
        out = Path(self._out.name) / str(self._built)
        out.mkdir()
        return out

    def _objects_of(
        self, jobs: _Jobs, unfinished: ExitStack, level: str, given: _Given
    ) -> Callable[[], list[Path]]:
        """Starts compiling what the cache lacks. The function returned waits and gives the objects,
        in the order of the sources. `unfinished` removes what was left half done."""
        folder = self._objects / self._key(level, given)
        names = [_object_name(source.relative_to(self._root)) for source in given.sources]
        objects = [folder / name for name in names]
        if all(each.is_file() for each in objects):
            return lambda: objects
        fresh = self._fresh_folder(unfinished)
        started = [
            jobs.start(
                self._compile_given,
                level,
                source.relative_to(self._root),
                fresh / name,
                given.headers,
            )
            for source, name in zip(given.sources, names, strict=True)
        ]

        def finish() -> list[Path]:
            jobs.results(started)
            _publish(fresh, folder)
            return objects

        return finish

    def _key(self, level: str, given: _Given) -> str:
        """Hash of all that decides about the given objects: tool, flags, headers, sources, script.
        Paths enter relative to the checkout, so that two checkouts agree."""
        parts = (self._toolchain.version, *_COMPILE, level, *given.headers)
        return _hash(given.content, *(part.encode() for part in parts))

    def _shown(self, searched: Sequence[str], lab: Lab) -> list[Path]:
        """What of the checkout the compiler and the linker see of it beside the objects. A copy of
        it, so that nothing else of the checkout has to be seen, nor be readable for the sandbox."""
        own = lab.directory.relative_to(self._root).as_posix()
        headers = [
            header
            for name in searched
            for header in sorted((self._root / name).glob("*.h"))
            if name != own or header.name not in lab.files
        ]
        return [*headers, self._root / _SCRIPT]

    def _fresh_folder(self, unfinished: ExitStack) -> Path:
        fresh = self._objects / f".new-{secrets.token_hex(8)}"
        # Before it is made: Ctrl-C can come between any two steps.
        unfinished.callback(shutil.rmtree, fresh, ignore_errors=True)
        try:
            fresh.mkdir(parents=True)
            return fresh
        except OSError as error:
            raise InfraError(
                f"the cache cannot be written: {error.strerror}",
                str(self._objects),
                "check the folder's rights",
            ) from None

    def _compile_given(
        self, level: str, source: Path, target: Path, headers: Sequence[str]
    ) -> None:
        gcc = str(self._toolchain.gcc)
        maps = [f"-ffile-prefix-map={self._root}=."]
        argv = [gcc, *flags(level, Path("."), headers), *maps, "-pipe", "-c", str(source)]
        completed = self._toolchain.run([*argv, "-o", str(target)], self._root)
        if completed.ending is not Ending.EXIT or completed.returncode != 0:
            shown = completed.output.decode("utf-8", "replace").strip()[:2000]
            raise InfraError(
                f"a given file does not compile at -{level}; that is no fault of the submission\n"
                f"{shown or completed.ending}",
                str(source),
                "restore it (git checkout -- lab solution), or make doctor",
            )


class _Given(NamedTuple):
    """What is compiled beside what was handed in.

    sources  absolute
    headers  the folders of headers, relative to the checkout
    content  a hash of the sources, the headers and the linker script
    """

    sources: tuple[Path, ...]
    headers: tuple[str, ...]
    content: bytes


class _Work(NamedTuple):
    """The jobs on what was handed in.

    given    the headers and the linker script, laid out as in the checkout
    private  what was handed in, and nothing else
    out      of the ELFs
    headers  folders of headers, below `given`
    """

    given: Path
    private: Path
    out: Path
    toolchain: Toolchain
    lab: Lab
    handed_in: tuple[str, ...]
    headers: Sequence[str]

    def build(self, given: Mapping[str, Sequence[Path]]) -> dict[str, list[CompilerMessage]]:
        """At each level compile what was handed in, and link it with the `given` objects: what the
        tools said. In one sandbox, one level after the other."""
        objects = {
            level: [
                _write_readable(self.private.parent / level, f"{name}.o", b"")
                for name in self.handed_in
            ]
            for level in given
        }
        targets = {level: _write_readable(self.out, f"{level}.elf", b"") for level in given}
        turns = [self._turn(level, given[level], objects[level], targets[level]) for level in given]
        folders = dict.fromkeys(each.parent for level in given.values() for each in level)
        written = (each for level in objects.values() for each in level)
        view = View((self.given, *folders), (*written, *targets.values()))
        ended = run_in_turn(self.toolchain, turns, self.private, view)
        return {
            level: self._told(level, targets[level], each)
            for level, each in zip(given, ended, strict=True)
        }

    def _turn(
        self, level: str, given: Sequence[Path], objects: Sequence[Path], target: Path
    ) -> Turn:
        compile_each = [
            self._compile(level, source, each, "-fdiagnostics-format=json")
            for source, each in zip(self.handed_in, objects, strict=True)
        ]
        link = [
            str(self.toolchain.gcc),
            *(*_LINK, "-T", str(self.given / _SCRIPT)),
            *map(str, (*given, *objects)),
            *("-lgcc", "-o", str(target)),
        ]
        return Turn(compile_each, link)

    def _told(self, level: str, target: Path, ended: Sequence[Completed]) -> list[CompilerMessage]:
        """What the tools said at one level; what was not linked well is removed."""
        compiled = len(self.handed_in)
        messages = [
            message
            for source, completed in zip(self.handed_in, ended, strict=False)
            for message in self._of_compiler(level, source, completed)
        ]
        if len(ended) > compiled:
            messages += self._of_linker(level, ended[-1])
        if len(ended) > compiled and _went_well(ended[-1]):
            target.chmod(0o644)
        else:
            target.unlink(missing_ok=True)
        return messages

    def _compile(self, level: str, source: str, target: Path, form: str) -> list[str]:
        return [
            str(self.toolchain.gcc),
            *flags(level, self.given, self.headers),
            f"-ffile-prefix-map={self.given}/=",
            f"-ffile-prefix-map={self.private}=.",
            f"-fmax-errors={MAX_MESSAGES}",
            form,
            "-pipe",
            "-c",
            source,
            "-o",
            str(target),
        ]

    def _of_compiler(self, level: str, source: str, completed: Completed) -> list[CompilerMessage]:
        if b"due to -fmax-errors" in completed.output:  # in JSON gcc then prints no message at all
            target = self.private.parent / level / f"{source}.o"
            argv = self._compile(level, source, target, "-fno-diagnostics-show-caret")
            view = View((self.given,), (target,))
            completed = self.toolchain.run(argv, self.private, view=view)
        messages = [
            self._localized(message)
            for message in parse_compiler_output(completed.output, source, level)
        ]
        failed = not _went_well(completed)
        if failed and not any(message.severity == "error" for message in messages):
            text = f"the compiler {_how_it_ended(completed)}"
            messages.append(CompilerMessage(source, 0, 0, "error", text, level))
        return messages

    def _of_linker(self, level: str, completed: Completed) -> list[CompilerMessage]:
        if _went_well(completed):
            return []
        messages = parse_linker_output(completed.output, level, self._home_of)
        if not messages:
            text = f"the linker {_how_it_ended(completed)}"
            messages = [CompilerMessage("", 0, 0, "error", text, level)]
        return [self._localized(message) for message in messages]

    def _localized(self, message: CompilerMessage) -> CompilerMessage:
        """The message with paths as the student knows them."""
        return replace(
            message,
            file=_known_path(self._without_machine(message.file)),
            text=self._without_machine(message.text)[:_MAX_TEXT],
        )

    def _without_machine(self, text: str) -> str:
        for folder in (self.private, self.out, self.given, self.private.parent):
            text = text.replace(f"{folder}/", "")
        return text

    def _home_of(self, symbol: str) -> str | None:
        """The file handed in that should define the function: the one whose stub does."""
        definition = re.compile(
            rf"^[A-Za-z_][\w *]*\b{re.escape(symbol)}\s*\([^;{{]*\{{", re.MULTILINE
        )
        for folder in (self.lab.directory, self.lab.reference):
            for name in self.lab.files:
                try:
                    text = (folder / name).read_text(encoding="utf-8", errors="replace")
                except OSError:
                    continue
                if definition.search(text):
                    return name
        return None


class _Jobs:
    """A pool of workers that never outlives its `with`, nor leaves a process behind."""

    def __init__(self, *toolchains: Toolchain) -> None:
        self._runners = [each.runner for each in toolchains]
        self._pool = ThreadPoolExecutor(max_workers=os.cpu_count())
        self._lock = threading.Lock()
        self._running = 0
        self._killer: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.stop()
        self._pool.shutdown(cancel_futures=kind is not None)
        with self._lock:
            killer = self._killer
        if killer is not None:
            killer.join()

    def stop(self) -> None:
        """Kill what runs and refuse the rest. From any thread."""
        with self._lock:
            if self._killer is not None:
                return
            self._killer = threading.Thread(target=self._kill_all)
            self._killer.start()

    def _kill_all(self) -> None:
        # Again and again: a job may have begun, and not have started its process yet. The jobs are
        # counted because Ctrl-C in the middle of `submit` leaves a worker that the pool forgets.
        while self._running:
            for runner in self._runners:
                runner.stop()
            time.sleep(0.01)

    def start(self, job: Callable[..., _T], *arguments: object) -> Future[_T]:
        return self._pool.submit(self._unless_stopped, job, *arguments)

    def _unless_stopped(self, job: Callable[..., _T], *arguments: object) -> _T:
        with self._lock:
            if self._killer is not None:
                raise InfraError("the build was stopped")
            self._running += 1
        try:
            return job(*arguments)
        finally:
            with self._lock:
                self._running -= 1

    def results(self, futures: list[Future[_T]]) -> list[_T]:
        """What they return, in order; raises what the first that failed raised."""
        wait(futures, return_when=FIRST_EXCEPTION)
        for future in futures:
            if future.done() and (error := future.exception()) is not None:
                raise error
        return [future.result() for future in futures]


def parse_compiler_output(output: bytes, source: str, level: str) -> list[CompilerMessage]:
    """Messages in what gcc printed with `-fdiagnostics-format=json`: an array that may be cut off,
    with lines of assembler, driver or a crash around it. `source` is the file compiled."""
    text = output.decode("utf-8", "replace")
    messages = []
    for line in text.split("\n"):
        if line.startswith("[{"):
            for each in _json_objects(line):
                messages += [_from_json(said, source, level) for said in _with_children(each)]
        elif found := _PLAIN.match(line):
            severity = "warning" if found["kind"].lower() == "warning" else "error"
            # An assembler's line number counts lines that the student never saw.
            messages.append(
                CompilerMessage(
                    found["file"] or source,
                    int(found["line"] or 0),
                    int(found["column"] or 0),
                    severity,
                    found["text"],
                    level,
                )
            )
    return [message for message in messages if message.severity in ("error", "warning")]


_PLAIN = re.compile(
    r"(?:\{standard input\}:\d+|[\w./-]*(?:gcc|cc1|as)"
    r"|(?P<file>[^:]+):(?P<line>\d{1,9})(?::(?P<column>\d{1,9}))?): "
    r"(?P<kind>(?:internal compiler |fatal )?error|warning|Error|Warning|Fatal error): (?P<text>.+)"
)


def _json_objects(line: str) -> Iterable[Mapping[str, object]]:
    """The objects of an array up to where it breaks off. Not strict: gcc 12 leaves control
    characters of the student's in its strings."""
    decoder = json.JSONDecoder(strict=False)
    at = 1
    while at < len(line):
        try:
            value, at = decoder.raw_decode(line, at)
        except (ValueError, RecursionError):
            return
        if isinstance(value, dict):
            yield value
        at += len(line[at : at + 8]) - len(line[at : at + 8].lstrip(", "))


def _with_children(value: Mapping[str, object]) -> list[Mapping[str, object]]:
    """A message and what gcc hangs below it: notes, and errors that came right after a warning."""
    children = value.get("children")
    found = children if isinstance(children, list) else []
    return [value, *(child for child in found if isinstance(child, dict))]


def _from_json(value: Mapping[str, object], source: str, level: str) -> CompilerMessage:
    kind = str(value.get("kind", "error"))
    severity = "error" if kind.endswith("error") else kind
    text = str(value.get("message", ""))
    if isinstance(option := value.get("option"), str):
        text = f"{text} [{option}]"
    file, line, column = source, 0, 0
    locations = value.get("locations")
    if isinstance(locations, list) and locations and isinstance(locations[0], dict):
        caret = locations[0].get("caret")
        if isinstance(caret, dict):
            file = str(caret.get("file", source))
            line, column = _number(caret.get("line")), _number(caret.get("column"))
    return CompilerMessage(file, line, column, severity, text, level)


def _number(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def parse_linker_output(
    output: bytes, level: str, home_of: Callable[[str], str | None]
) -> list[CompilerMessage]:
    """What GNU ld complained about, as sentences for a student. `home_of` names the file handed in
    that should define a symbol."""
    messages: dict[str, CompilerMessage] = {}
    for line in output.decode("utf-8", "replace").split("\n"):
        if (said := _linker_sentence(line, home_of)) is not None:
            messages.setdefault(said.text, replace(said, level=level))
    return list(messages.values())


_UNDEFINED = re.compile(r"undefined reference to [`'](?P<name>[^']+)'")
_MORE = re.compile(r"more undefined references to .* follow$")
_MULTIPLE = re.compile(
    r"multiple definition of [`'](?P<name>[^']+)'(?:; (?P<first>.+): first defined here)?"
)
_OVERFLOW = re.compile(r"(?:will not fit in )?region [`'](?P<region>\w+)'(?: overflowed|$)")
_LINKER_PLACE = re.compile(r"(?P<file>[\w./-]+\.[chS]):(?P<line>\d+)(?:: |$)")
_OTHER = re.compile(r"(?:/ld(?:\.bfd)?|^ld): (?:error: )?(?P<text>.+)")


def _linker_sentence(line: str, home_of: Callable[[str], str | None]) -> CompilerMessage | None:
    file, number = _linker_place(line.partition("; ")[0])
    if found := _UNDEFINED.search(line):
        name = found["name"]
        home = home_of(name)
        if home is not None and "/" in file:  # what is given asks for it: show where it belongs
            file, number = home, 0
        where = f"write it in {home}" if home else "define it, or correct its spelling"
        text = f"{name} is used but defined nowhere: {where}"
    elif found := _MULTIPLE.search(line):
        first = _object_source(found["first"] or "")
        also = f", and also in {first}" if first and first != file else ""
        text = f"{found['name']} is defined twice: here{also}. Keep one of the two"
    elif found := _OVERFLOW.search(line):
        file, number = "", 0
        text = f"the program does not fit into {found['region']}: look for large arrays"
    elif "warning:" in line or "collect2:" in line or _MORE.search(line):
        return None
    elif (found := _OTHER.search(line)) and not found["text"].endswith(":"):
        text = f"the linker says: {found['text']}"
    else:
        return None
    return CompilerMessage(file, number, 0, "error", text, "")


def _linker_place(text: str) -> tuple[str, int]:
    """The last "file:line" in a linker's line."""
    for found in reversed(list(_LINKER_PLACE.finditer(text))):
        return _known_path(found["file"]), int(found["line"])
    return "", 0


def _object_source(text: str) -> str:
    """The source of the object that a linker's line begins with. (The line number beside it is of
    an inlined function's header at some levels.)"""
    name = text.partition(":")[0].rpartition("/")[2]
    return name.removesuffix(".o").replace("__", "/") if name.endswith(".c.o") else ""


def _known_path(file: str) -> str:
    """A path that means something to a student: relative to the checkout, else the name alone."""
    file = file.removeprefix("./")
    return file.rpartition("/")[2] if file.startswith("/") else file


def _went_well(completed: Completed) -> bool:
    return completed.ending is Ending.EXIT and completed.returncode == 0


def _how_it_ended(completed: Completed) -> str:
    if completed.ending is Ending.TIMEOUT:
        return "took too long and was stopped: is there a macro that grows without end?"
    if completed.ending is Ending.FLOOD:
        return "printed too much and was stopped"
    if re.search(rb"out of memory|memory exhausted|Cannot allocate memory", completed.output):
        return "ran out of memory: is there a huge array, or a macro that grows without end?"
    lines = [line for line in completed.output.decode("utf-8", "replace").split("\n") if line]
    last = f": {lines[-1][:200]}" if lines and not lines[-1].startswith("[") else ""
    return f"failed without saying where{last}"


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InfraError(
            f"a file of the lab cannot be read: {error.strerror}",
            str(path),
            "restore it: git checkout -- lab solution",
        ) from None


def _write_readable(folder: Path, name: str | Path, data: bytes) -> Path:
    """A file below `folder` that a sandbox's own user may read and, where it is shown for writing,
    write. The folder that `folder` lies in keeps everybody else out."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    for each in (path.parent, *path.parent.parents):
        if each.is_relative_to(folder):
            each.chmod(0o755)
    path.write_bytes(data)
    path.chmod(0o666)
    return path


def _hash(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%d\0%s" % (len(part), part))
    return digest.hexdigest()[:32]


def _key_of(given: str, lab: Lab, submission: Submission) -> str:
    """Hash of all that decides about a program, and about what is told of its messages, beside the
    `given` objects: what was handed in, the lab that it is for, and the rules here."""
    files = (part for file in submission.files for part in (file.name.encode(), file.data))
    names = (name.encode() for name in (lab.number, *lab.files))
    return _hash(given.encode(), Path(__file__).read_bytes(), *names, b"", *files)


def _object_name(source: Path) -> str:
    return source.as_posix().replace("/", "__") + ".o"


def _publish(fresh: Path, folder: Path) -> None:
    """Give a complete folder its name in one step. When another grader was first, its folder is as
    good as ours; when a folder lies there that is not complete, ours takes its place."""
    _make_readable(fresh)
    try:
        os.rename(fresh, folder)
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise InfraError(
                f"the cache cannot be written: {error.strerror}", str(folder), "check its rights"
            ) from None
    for each in sorted(fresh.iterdir()):
        os.replace(each, folder / each.name)


def _make_readable(folder: Path) -> None:
    """For a sandbox's own user."""
    folder.chmod(0o755)
    for each in folder.iterdir():
        each.chmod(0o644)


def merged(first: BuildResult, second: BuildResult) -> BuildResult:
    """Two builds of the same sources, at other levels each, as one."""
    messages = (*first.errors, *first.warnings, *second.errors, *second.warnings)
    whole = _result((*first.elfs, *second.elfs), messages)
    return replace(whole, omitted=whole.omitted + first.omitted + second.omitted)


def _result(elfs: tuple[Elf, ...], messages: Iterable[CompilerMessage]) -> BuildResult:
    """Merge what several levels said alike; keep a bounded number, in order."""
    levels: dict[CompilerMessage, list[str]] = {}
    for message in messages:
        said = levels.setdefault(replace(message, level=""), [])
        if message.level not in said:
            said.append(message.level)
    merged = [replace(message, level=" ".join(said)) for message, said in levels.items()]
    errors = [message for message in merged if message.severity == "error"]
    warnings = [message for message in merged if message.severity == "warning"]
    omitted = max(0, len(errors) - MAX_MESSAGES) + max(0, len(warnings) - MAX_MESSAGES)
    return BuildResult(elfs, tuple(errors[:MAX_MESSAGES]), tuple(warnings[:MAX_MESSAGES]), omitted)
