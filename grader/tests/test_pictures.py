"""Pictures of a run: the page in a real browser, opened as a file, and files for other viewers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, expect
from report_samples import SAMPLES, SURROUNDINGS, hostile
from test_byhand import LAB, ROOT, opened, wrong
from vcd.reader import TokenKind, tokenize

from wakebench.trace import Event, Kind
from wakelab.cli import main
from wakelab.formats.registry import convert, format_named
from wakelab.pictures.events import Feed, marks
from wakelab.pictures.export import THREADS, timed, to_perfetto, to_vcd
from wakelab.pictures.page import page_of
from wakelab.pictures.scenes import Counterexample, Scenes, TimeLine, time_line

PATIENCE_MS = 60_000
DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""Until what was asked for is on the screen."""

MOST_BYTES = 1_000_000
"""Of a report with a counterexample (issue: 1 MB)."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The page of a program of the corpus, made by the command, once."""
    made: dict[str, Path] = {}

    def page(name: str) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            out = folder / "page.html"
            program = folder / "program"
            program.mkdir()
            source = LAB.reference if name == "reference" else wrong(name, program)
            # A process of its own: QEMU's count is asked for by an event loop, as is the browser.
            command = [sys.executable, "-P", "-m", "wakelab", "picture", "--out", str(out)]
            subprocess.run([*command, str(source)], check=True, stdout=subprocess.DEVNULL)
            made[name] = out
        return made[name]

    return page


class Opened:
    """A page opened from its file, without a network. It must not complain, nor ask for more."""

    def __init__(self, browser: Browser, path: Path, **how: object) -> None:
        self.context = browser.new_context(offline=True, **how)  # type: ignore[arg-type]
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.complaints: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda asked: self._asked(asked.url, path))
        self.page.goto(path.as_uri())

    def _asked(self, url: str, path: Path) -> None:
        if url != path.as_uri() and not url.startswith("data:"):
            self.complaints.append(f"asked for {url}")

    def close(self) -> None:
        self.context.close()
        assert self.complaints == []


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[..., Page]]:
    with ExitStack() as owned:

        def look(path: Path, **how: object) -> Page:
            opened = Opened(browser, path, **how)
            owned.callback(opened.close)
            return opened.page

        yield look


# -- the page --------------------------------------------------------------------------------------


def test_a_counterexample_in_two_lanes(
    pages: Callable[[str], Path], look: Callable[..., Page]
) -> None:
    path = pages("one-late-press")
    assert path.stat().st_size < MOST_BYTES
    page = look(path)
    expect(page.locator(".finding h3")).to_contain_text("Two presses, before any two instructions")
    rows = page.locator(".lanes tbody tr").evaluate_all(
        "rows => rows.map(row => [row.className, row.innerText])"
    )
    first = next(n for n, (_, text) in enumerate(rows) if "press 1 comes here" in text)
    second = next(n for n, (_, text) in enumerate(rows) if "press 2 comes here" in text)
    assert {kind for kind, _ in rows[:first]} == {"task"}
    assert {kind for kind, _ in rows[first + 1 : second]} == {"interrupt"}
    assert "if (polling)" in "".join(text for _, text in rows[first:second])
    assert rows[second + 1][0] == "interrupt" and "late = true;" in rows[second + 1][1]
    assert re.search(r"b\w\w: strb", rows[second + 1][1]), "the instruction that is interrupted"
    after = [kind for kind, _ in rows[second + 1 :]]
    assert "task" in after
    maps = page.locator(".map")
    expect(maps).to_have_count(2)
    assert maps.nth(0).locator(".cell.lost").count() == 0
    assert maps.nth(1).locator(".cell.lost").count() > 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_the_map_shows_where_a_press_is_lost(
    pages: Callable[[str], Path], look: Callable[..., Page]
) -> None:
    """Between the look and the registration; and each square says so in words."""
    page = look(pages("check-then-register"))
    lines = page.locator(".map-line").evaluate_all(
        "lines => lines.map(line => [line.innerText,"
        " [...line.querySelectorAll('.cell')].map(cell => cell.className.split(' ')[1])])"
    )
    marks_of = {text.split("button_future.c")[0].strip(): marks for text, marks in lines}
    assert set(marks_of["atomic_waker_register(&waker, cx->waker);"]) == {"lost"}
    assert set(marks_of["return POLL_PENDING;"]) == {"fine"}
    lost = page.locator(".cell.lost[role=img]")
    said = lost.first.get_attribute("aria-label")
    assert said and said.endswith(": the press is lost") and said.startswith("before ")
    total = page.locator(".legend").first.inner_text()
    assert f"lost: {lost.count()}" in total
    expect(page.locator("h2", has_text="The check that fails")).to_be_visible()


def test_the_reference_has_nothing_red(
    pages: Callable[[str], Path], look: Callable[..., Page]
) -> None:
    page = look(pages("reference"))
    expect(page.locator(".sum")).to_contain_text("100 of 100 points")
    assert page.locator(".cell.lost, .cell.twice, .cell.runaway, .cell.fault").count() == 0
    assert page.locator(".cell.fine[role=img]").count() > 50
    assert page.locator(".finding").count() == 0


def test_the_time_line_of_a_file_zooms(
    pages: Callable[[str], Path], look: Callable[..., Page]
) -> None:
    page = look(pages("reference"))
    view = page.locator(".timeline-view").first
    bar = view.locator(".bar.interrupt")

    def wide() -> float:
        page.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        return float(bar.first.get_attribute("width") or 0)

    before = wide()
    page.get_by_role("button", name="Zoom in").first.click()
    assert wide() > before * 1.4
    page.get_by_role("button", name="Show all events").first.click()
    assert wide() == pytest.approx(before)
    view.hover()
    page.mouse.wheel(0, -300)
    assert wide() > before * 1.1
    view.focus()
    page.keyboard.press("0")
    page.keyboard.press("End")
    expect(page.locator(".timeline-said").first).to_contain_text("SELECT 0→1")
    page.keyboard.press("+")
    assert wide() > before * 1.4


def test_it_is_read_with_the_keyboard(
    pages: Callable[[str], Path], look: Callable[..., Page]
) -> None:
    page = look(pages("one-late-press"))
    for _ in range(400):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.cell.lost')"):
            break
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").endswith("is lost")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits(
    scheme: str, width: int, pages: Callable[[str], Path], look: Callable[..., Page]
) -> None:
    page = look(
        pages("one-late-press"), color_scheme=scheme, viewport={"width": width, "height": 800}
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(13, 17, 23)") == (scheme == "dark")


def test_what_is_hostile_is_text(tmp_path: Path, look: Callable[..., Page]) -> None:
    """Of a report, and of a run."""
    evil = "\x1b[2J<script>alert(1)</script><img src=x onerror=alert(2)>\u202e'\"</div>"
    events = [Event(0, Kind.LINE, name=evil), Event(0, Kind.ENTER, name=evil, exception=46)]
    run = TimeLine(evil, marks(events), (evil,))
    scenes = Scenes(Counterexample(evil, (evil,), (), run), (), (run,), (evil,))
    path = tmp_path / "page.html"
    path.write_text(page_of(hostile(), scenes), encoding="utf-8")
    page = look(path)
    assert page.locator("script").count() == 1
    assert page.locator("img").count() == 0
    assert "<script>alert(1)</script>" in page.locator("body").inner_text()
    page.get_by_text("The same as a list").first.click()
    expect(page.locator(".timeline-list li").first).to_contain_text("<img src=x")


@pytest.mark.parametrize("sample", [name for name in SAMPLES if name != "hostile"])
def test_the_page_of_a_report_alone(sample: str, tmp_path: Path, look: Callable[..., Page]) -> None:
    path = tmp_path / "page.html"
    report = SAMPLES[sample]()
    text = convert(report, format_named("html"), SURROUNDINGS)
    path.write_text(text, encoding="utf-8")
    page = look(path)
    expect(page.locator(".checks tbody tr")).to_have_count(len(report.checks))
    assert "STAYS HIDDEN" not in text


def test_a_program_that_does_not_build_has_a_page(
    pages: Callable[[str], Path], look: Callable[..., Page]
) -> None:
    page = look(pages("does-not-compile"))
    expect(page.locator(".messages li").first).to_contain_text("error")
    assert page.locator(".map").count() == 0


@pytest.mark.parametrize("name", ["no-acknowledge", "null-call", "loops-in-main", "calls-exit"])
def test_programs_that_end_have_a_page(
    name: str, pages: Callable[[str], Path], look: Callable[..., Page]
) -> None:
    page = look(pages(name))
    expect(page.locator(".finding")).to_be_visible()
    assert page.locator(".run").count() >= 1


# -- marks -----------------------------------------------------------------------------------------


def tick(ms: int) -> list[Event]:
    name = {"name": "SysTick_Handler", "value": 15}
    return [
        Event(ms, Kind.WAKE_UP),
        Event(ms, Kind.ENTER, exception=15, **name),  # type: ignore[arg-type]
        Event(ms, Kind.EXIT, **name),  # type: ignore[arg-type]
        Event(ms, Kind.SLEEP),
    ]


def test_idle_ticks_are_one_mark_that_grows() -> None:
    feed = Feed()
    edge = Event(2, Kind.EDGE, name="UP", value=0)
    first = feed.add([Event(0, Kind.RESET), *tick(1), *tick(2)], 0)
    assert [(m["kind"], m["label"], m.get("again")) for m in first] == [
        ("reset", "reset", None),
        ("tick", "2 ticks", False),
    ]
    (more,) = feed.add([*tick(3)], 9)
    assert (more["label"], more["again"], more["ms"]) == ("3 ticks", True, 3)
    assert [m["label"] for m in feed.add([edge, *tick(4)], 13)] == ["UP ↓", "tick"]
    other = [event._replace(name=event.name and "GPIOF_IRQHandler") for event in tick(5)]
    assert len(Feed().add(other, 0)) == 4, "not the clock's"
    busy = tick(5)
    busy.insert(2, Event(5, Kind.CALL, name="wake", note="woken", exception=15))
    assert len(feed.add(busy, 18)) == 5, "something came of it"


# -- files for others ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def events() -> list[Event]:
    """Two presses and a release."""
    with opened(LAB.reference) as subject:
        board = subject.board("Og")
        for ms in (3, 40):
            board.wait_ms(ms)
            board.press("SELECT")
            board.wait_ms(5)
            board.release("SELECT")
        board.wait_asleep()
        return list(board.trace)


def changes(text: str) -> dict[str, list[tuple[int, str]]]:
    """Read back by pyvcd's reader: for each variable when it changed, and to what."""
    names: dict[str, str] = {}
    found: dict[str, list[tuple[int, str]]] = {}
    now = 0
    for token in tokenize(BytesIO(text.encode())):
        if token.kind is TokenKind.VAR:
            names[token.var.id_code] = token.var.reference
        elif token.kind is TokenKind.CHANGE_TIME:
            now = token.time_change
        elif token.kind is TokenKind.CHANGE_SCALAR:
            change = token.scalar_change
            found.setdefault(names[change.id_code], []).append((now, change.value))
        elif token.kind is TokenKind.CHANGE_VECTOR:
            vector = token.vector_change
            found.setdefault(names[vector.id_code], []).append((now, str(vector.value)))
    return found


def test_vcd_says_what_happened_and_when(events: list[Event]) -> None:
    found = changes(to_vcd("a run", events))
    pin = [(at // 1000, value) for at, value in found["SELECT"][1:]]
    assert pin == [(3, "0"), (8, "1"), (48, "0"), (53, "1")]
    assert [value for _, value in found["exception"]] == ["0", "46", "0", "46", "0"]
    assert [value for _, value in found["lines"]] == ["0", "1", "2"]
    assert len(found["woken"]) == 2 and len(found["ready"]) == 2
    assert found["asleep"][-1][1] == "1"
    polls = [value for _, value in found["poll"]]
    assert polls == ["0", *["1", "0"] * (len(polls) // 2)]


def test_time_is_order_to_the_microsecond() -> None:
    many = [Event(0, Kind.TICK)] * 1500 + [Event(1, Kind.TICK), Event(7, Kind.TICK)]
    times = [at for at, _ in timed(many)]
    assert times == [*range(1501), 7000]


def test_perfetto_reads_it(events: list[Event]) -> None:
    """As its documentation has it: slices that nest and end, instants, flows, named threads."""
    said = json.loads(to_perfetto("a run", events))
    records = said["traceEvents"]
    threads = {
        r["tid"]: r["args"]["name"]
        for r in records
        if r["name" if "name" in r else "ph"] == "thread_name"
    }
    assert threads == THREADS
    stacks: dict[int, int] = {}
    last = 0
    for record in records:
        if record["ph"] == "M":
            continue
        assert record["ts"] >= last and record["pid"] == 1
        last = record["ts"]
        stacks[record["tid"]] = stacks.get(record["tid"], 0) + {"B": 1, "E": -1}.get(
            record["ph"], 0
        )
        assert stacks[record["tid"]] >= 0
    assert set(stacks.values()) == {0}, "all that begins ends"
    begun = [r["name"] for r in records if r["ph"] == "B"]
    assert begun.count("GPIOF_IRQHandler") == 2
    flows = [(r["ph"], r["id"]) for r in records if r["ph"] in "sf"]
    assert flows == [("s", 1), ("f", 1), ("s", 2), ("f", 2)]


@given(st.text(), st.text())
@settings(deadline=None, max_examples=50)
def test_hostile_names_do_no_harm(name: str, line: str) -> None:
    some = [
        Event(0, Kind.EDGE, name=name, value=0),
        Event(0, Kind.ENTER, name=name, value=46),
        Event(0, Kind.LINE, name=line),
        Event(0, Kind.EXIT, name=name, value=46),
    ]
    text = to_vcd(name, some)
    assert text.isascii() and changes(text)["lines"][-1][1] == "1"
    json.loads(to_perfetto(name, some))


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = str(LAB.reference)
    for name, read in (("vcd", changes), ("perfetto", json.loads)):
        out = tmp_path / name
        assert main(["trace", "--format", name, "--out", str(out), reference]) == 0
        assert read(out.read_text())
    script = tmp_path / "s.yaml"
    script.write_text("wakelab: 1\nsteps:\n  - wait: asleep\n  - press: SELECT\n  - wait: asleep\n")
    out = tmp_path / "script.json"
    assert main(["trace", "--script", str(script), "--out", str(out), reference]) == 0
    assert "GPIOF_IRQHandler" in out.read_text()
    late = (
        str(wrong("one-late-press", tmp_path / "late"))
        if (tmp_path / "late").mkdir() is None
        else ""
    )
    with opened(Path(late)) as subject:
        place = subject.image("Og").symbol("atomic_waker_register")
        assert place is not None
    capsys.readouterr()
    for words, said in (
        (["--format", "gif"], "vcd (GTKWave"),
        (["--id", "08-Og-1.1", "--script", "x"], "two runs"),
        (["--id", "nonsense"], "is not the id of a schedule"),
        (["--script", str(tmp_path / "none.yaml")], "none.yaml"),
    ):
        assert main(["trace", *words, reference]) == 2
        assert said in capsys.readouterr().err


def test_a_long_run_is_cut_and_numbered() -> None:
    from wakebench.trace import Trace

    line = time_line("long", Trace([Event(n, Kind.TICK) for n in range(5000)]))
    assert (len(line.marks), line.marks[0]["n"], line.marks[-1]["n"]) == (3000, 2000, 4999)


def test_the_root_is_not_in_the_page(pages: Callable[[str], Path]) -> None:
    """No absolute path of this machine."""
    assert str(ROOT) not in pages("reference").read_text()
