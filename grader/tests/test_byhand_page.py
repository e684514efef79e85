"""The board in the browser: a real one, which presses, looks and is refused."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from test_byhand import LAB, ROOT, opened, wrong
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from wakebench.play import play
from wakebench.script import parse_script
from wakebench.trace import Trace
from wakelab.byhand.session import Session
from wakelab.byhand.web.serve import MOST_PAGES, serving
from wakelab.byhand.web.talk import Nonsense, understood
from wakelab.errors import UserError
from wakelab.subject import Subject

PATIENCE_MS = 60_000
"""Protects the host only."""

DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""Until what was asked for is on the screen."""

expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Site:
    """A board with its page."""

    session: Session
    address: str
    machines: list[int] = field(default_factory=list)

    @property
    def host(self) -> str:
        return self.address.split("/")[2]

    @property
    def path(self) -> str:
        return "/" + self.address.split("/", 3)[3]


@contextmanager
def site_of(folder: Path) -> Iterator[Site]:
    machines: list[int] = []

    @contextmanager
    def program() -> Iterator[Subject]:
        with opened(folder) as subject:
            assert subject._machine is not None and subject._machine._process is not None
            machines.append(subject._machine._process.pid)
            yield subject

    with Session(program, "Og") as session, serving(ROOT, LAB, folder, session) as address:
        yield Site(session, address, machines)


@pytest.fixture
def site() -> Iterator[Site]:
    with site_of(LAB.reference) as site:
        yield site


class Tab:
    """A page that is open. Whatever it complains of, or asks of others, is a failure."""

    def __init__(self, browser: Browser, site: Site, mode: str = "asleep", **how: object) -> None:
        self.site = site
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **how})  # type: ignore[arg-type]
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(f"{said.type}: {said.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.goto(site.address)
        self.mode(mode)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.site.address, "data:", "blob:")):
            self.complaints.append(f"asked for {url}")

    def mode(self, mode: str) -> None:
        """Wait until the core is so."""
        expect(self.page.locator("body")).to_have_attribute("data-mode", mode)

    def lines(self, count: int) -> None:
        """Wait until so many lines are printed."""
        said = "\n".join(["Interrupt fired!"] * count)
        expect(self.page.locator("#console")).to_have_text(said)

    def key(self, name: str) -> object:
        return self.page.locator(f"[data-button={name}]")

    def close(self) -> None:
        self.context.close()
        assert self.complaints == []


@pytest.fixture
def tabs(browser: Browser) -> Iterator[Callable[..., Tab]]:
    with ExitStack() as owned:

        def tab(site: Site, **how: object) -> Tab:
            made = Tab(browser, site, **how)
            owned.callback(made.close)
            return made

        yield tab


def levels(site: Site) -> list[str]:
    """Every edge so far."""
    return [f"{e.name}{e.value}" for e in site.session.look().events if e.kind == "edge"]


def expect_levels(site: Site, wanted: list[str]) -> None:
    """The edges so far; the last ones may still be on their way."""
    latest = time.monotonic() + PATIENCE_MS / 1000
    while len(levels(site)) < len(wanted) and time.monotonic() < latest:
        time.sleep(0.01)
    assert levels(site) == wanted


BUTTONS = ("UP", "DOWN", "LEFT", "RIGHT", "SELECT")


# -- pressing --------------------------------------------------------------------------------------


def test_each_button_by_mouse(site: Site, tabs: Callable[..., Tab]) -> None:
    """Down presses, up releases; and so does leaving it."""
    tab = tabs(site)
    for name in BUTTONS:
        key = tab.page.locator(f"[data-button={name}]")
        key.hover()
        tab.page.mouse.down()
        expect(key).to_have_attribute("aria-pressed", "true")
        if name == "SELECT":
            tab.page.mouse.move(5, 5)
        else:
            tab.page.mouse.up()
        expect(key).to_have_attribute("aria-pressed", "false")
    expect_levels(site, [f"{name}{level}" for name in BUTTONS for level in (0, 1)])
    tab.lines(1)


def test_each_button_by_keyboard(site: Site, tabs: Callable[..., Tab]) -> None:
    tab = tabs(site)
    tab.page.locator("#board").focus()
    arrows = ("ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Enter")
    for name, key in zip(BUTTONS, arrows, strict=True):
        tab.page.keyboard.down(key)
        expect(tab.page.locator(f"[data-button={name}]")).to_have_attribute("aria-pressed", "true")
        tab.page.keyboard.up(key)
        expect(tab.page.locator(f"[data-button={name}]")).to_have_attribute("aria-pressed", "false")
    tab.lines(1)
    for name in BUTTONS:
        tab.page.locator(f"[data-button={name}]").focus()
        tab.page.keyboard.press("Space")
    expect(tab.page.locator("[data-button=SELECT]")).to_have_attribute("aria-pressed", "false")
    tab.lines(2)
    expect_levels(site, [f"{name}{level}" for name in BUTTONS for level in (0, 1)] * 2)


def test_by_touch(site: Site, tabs: Callable[..., Tab]) -> None:
    tab = tabs(site, has_touch=True, viewport={"width": 390, "height": 844})
    tab.page.locator("[data-button=SELECT]").tap()
    tab.lines(1)
    expect(tab.page.locator("[data-button=SELECT]")).to_have_attribute("aria-pressed", "false")


def test_held_by_clicks_and_by_what_clicks_without_a_pointer(
    site: Site, tabs: Callable[..., Tab]
) -> None:
    tab = tabs(site)
    tab.page.locator("#hold").check()
    key = tab.page.locator("[data-button=SELECT]")
    key.click()
    expect(key).to_have_attribute("aria-pressed", "true")
    tab.lines(1)
    key.click()
    expect(key).to_have_attribute("aria-pressed", "false")
    tab.page.locator("#hold").uncheck()
    key.evaluate("key => key.click()")
    tab.lines(2)
    expect(key).to_have_attribute("aria-pressed", "false")


def test_who_leaves_the_page_lets_go(site: Site, tabs: Callable[..., Tab]) -> None:
    tab = tabs(site)
    tab.page.locator("#board").focus()
    tab.page.keyboard.down("ArrowUp")
    expect(tab.page.locator("[data-button=UP]")).to_have_attribute("aria-pressed", "true")
    tab.page.locator("#pause").focus()
    expect(tab.page.locator("[data-button=UP]")).to_have_attribute("aria-pressed", "false")


# -- the core --------------------------------------------------------------------------------------


def test_pause_step_again_slow_restart(site: Site, tabs: Callable[..., Tab]) -> None:
    tab = tabs(site)
    page = tab.page
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator("#pause")).to_have_attribute("aria-pressed", "true")
    page.locator("[data-button=SELECT]").click()
    page.get_by_role("button", name="Step", exact=True).first.click()
    tab.mode("paused")
    where = page.locator("#where").inner_text()
    page.locator("#step-count").fill("25")
    page.locator("#steps").click()
    expect(page.locator("#where")).not_to_have_text(where)
    tab.lines(0)
    page.locator("#pause").click()
    tab.lines(1)
    page.locator("#again-count").fill("30")
    page.get_by_role("button", name="Press twice").click()
    tab.lines(3)
    page.locator("#pace").fill("60")
    page.locator("#slow").check()
    expect(page.locator("#slow")).to_be_checked()
    page.locator("[data-button=SELECT]").click()
    tab.mode("running")
    tab.lines(4)
    tab.mode("asleep")
    page.get_by_role("button", name="Restart, paused").click()
    tab.mode("paused")
    tab.lines(0)
    expect(page.locator("#where")).to_contain_text("Reset")


def test_record_and_play_again_bit_by_bit(
    site: Site, tabs: Callable[..., Tab], tmp_path: Path
) -> None:
    tab = tabs(site)
    page = tab.page
    for _ in range(2):
        page.locator("[data-button=SELECT]").click()
    page.locator("#again-button").select_option("SELECT")
    page.locator("#again-count").fill("17")
    page.get_by_role("button", name="Press twice").click()
    tab.lines(4)
    page.get_by_role("button", name="Save as a script").click()
    expect(page.locator("#play")).to_contain_text("make script LAB=08 SCRIPT=lab-08.yaml")
    ours = Trace(site.session.look().events).digest()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    path = tmp_path / "my.yaml"
    download.value.save_as(path)
    assert path.read_text() == page.locator("#script").input_value()
    command = ["script", "--lab", "08", "--submission", str(LAB.reference), str(path)]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "wakelab", *command], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert f"trace {ours}\n" in done.stdout
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#script-panel")).to_be_hidden()


def test_all_by_keyboard_alone(site: Site, tabs: Callable[..., Tab]) -> None:
    """From opening the page to a saved script; every stop is visible and has a name."""
    tab = tabs(site)
    page = tab.page

    def tab_to(name: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            focused = page.evaluate(
                "(() => { const e = document.activeElement, s = getComputedStyle(e);"
                " return [e.id, e.getAttribute('aria-label') || e.innerText"
                " || (e.labels && e.labels[0]?.innerText) || '', s.outlineStyle]; })()"
            )
            assert focused[1].strip(), focused
            assert focused[2] != "none", focused
            if focused[0] == name:
                return
        raise AssertionError(f"{name} is not reached")

    tab_to("board")
    page.keyboard.press("Enter")
    tab.lines(1)
    tab_to("pause")
    page.keyboard.press("Enter")
    expect(page.locator("#pause")).to_have_attribute("aria-pressed", "true")
    tab_to("save")
    page.keyboard.press("Enter")
    expect(page.locator("#download")).to_be_focused()
    assert "press: SELECT" in page.locator("#script").input_value()


def test_the_time_line_zooms_and_tells(site: Site, tabs: Callable[..., Tab]) -> None:
    tab = tabs(site)
    page = tab.page
    page.locator("[data-button=SELECT]").click()
    tab.lines(1)
    view = page.locator(".timeline-view")
    page.get_by_text("The same as a list").click()
    listed = page.locator(".timeline-list li")
    expect(listed.first).to_have_text("0 ms reset")
    # Before its last event, the release, has come, it is drawn once more, and all gets narrower.
    expect(listed.last).to_contain_text("SELECT 0→1")
    expect(page.locator(".timeline-count")).to_have_text(re.compile(r"^2\d events$"))
    expect(view.locator(".bar.interrupt")).to_have_count(1)

    def wide() -> float:
        page.evaluate(DRAWN)
        return float(view.locator(".bar.interrupt").first.get_attribute("width") or 0)

    page.get_by_role("button", name="Show all events").click()
    before = wide()
    page.get_by_role("button", name="Zoom in").click()
    assert wide() > before * 1.4
    page.get_by_role("button", name="Show all events").click()
    view.hover()
    page.mouse.wheel(0, -300)
    assert wide() > before * 1.1
    view.focus()
    page.keyboard.press("0")
    assert wide() == pytest.approx(before)
    page.keyboard.press("+")
    assert wide() > before * 1.4
    page.keyboard.press("Home")
    said = page.locator(".timeline-said")
    expect(said).to_have_text(re.compile(r"^1 of 2\d: 0 ms reset$"))
    page.keyboard.press("ArrowRight")
    expect(said).to_have_text(re.compile(r"^2 of 2\d: 0 ms poll button_future_poll\(\)$"))


def test_two_pages_see_the_same_board(site: Site, tabs: Callable[..., Tab]) -> None:
    one, two = tabs(site), tabs(site)
    one.page.locator("[data-button=SELECT]").click()
    one.lines(1)
    two.lines(1)
    two.page.locator("[data-button=SELECT]").click()
    one.lines(2)
    two.lines(2)


def test_what_a_program_draws_is_shown(tmp_path: Path, tabs: Callable[..., Tab]) -> None:
    """Pixel by pixel, and gone after a restart until it is drawn again."""
    draws = (ROOT / "qemu/tests/firmware/draws.c").read_text()
    buttons = (ROOT / "qemu/tests/firmware/buttons.h").read_text()
    main = draws.replace('#include "buttons.h"', buttons)
    (tmp_path / "main.c").write_text(main)
    (tmp_path / "button_future.c").write_text('#include "button_future.h"\n')
    with site_of(tmp_path) as site:
        tab = tabs(site)
        expect(tab.page.locator("#oled")).to_be_visible()
        rows = (
            "(() => { const c = document.getElementById('oled').getContext('2d');"
            " return [...Array(64).keys()].map(y => c.getImageData(60, y, 1, 1).data[0]); })()"
        )
        expected = [255 if n < 8 else 119 if n < 16 else 0 for n in range(64)]
        assert tab.page.evaluate(rows) == expected
        tab.page.locator("[data-button=SELECT]").click()
        moved = [0] * 16 + expected[:-16]
        latest = time.monotonic() + 60
        while tab.page.evaluate(rows) != moved:  # Playwright's own wait would need eval
            assert time.monotonic() < latest
            tab.page.wait_for_timeout(20)
        tab.page.get_by_role("button", name="Restart, paused").click()
        expect(tab.page.locator("#oled")).to_be_hidden()
        # Of this test's own way to read the canvas.
        tab.complaints[:] = [each for each in tab.complaints if "willReadFrequently" not in each]


def test_the_status_led_is_shown(tmp_path: Path, tabs: Callable[..., Tab]) -> None:
    main = (LAB.reference / "main.c").read_text()
    fired = '        info("Interrupt fired!");'
    assert fired in main
    lit = main.replace(fired, f"{fired}\n        led_set(true);")
    lit = lit.replace("    executor_spawn", "    led_setup();\n    executor_spawn", 1)
    (tmp_path / "main.c").write_text('#include "led.h"\n' + lit)
    (tmp_path / "button_future.c").write_bytes((LAB.reference / "button_future.c").read_bytes())
    with site_of(tmp_path) as site:
        tab = tabs(site)
        led = tab.page.locator("#led")
        expect(led).to_have_attribute("aria-label", "status LED: off")
        tab.page.locator("[data-button=SELECT]").click()
        expect(led).to_have_attribute("aria-label", "status LED: on")
        tab.page.get_by_role("button", name="Restart", exact=True).click()
        expect(led).to_have_attribute("aria-label", "status LED: off")


# -- when something ends ---------------------------------------------------------------------------


def test_qemu_killed_is_said_and_restarts(site: Site, tabs: Callable[..., Tab]) -> None:
    tab = tabs(site)
    os.kill(site.machines[0], signal.SIGKILL)
    tab.mode("ended")
    expect(tab.page.locator("#trouble")).to_contain_text("QEMU")
    tab.page.locator("#trouble").get_by_role("button", name="Restart the board").click()
    tab.mode("asleep")
    expect(tab.page.locator("#trouble")).to_be_hidden()
    tab.page.locator("[data-button=SELECT]").click()
    tab.lines(1)


def test_a_program_that_ends_says_why(tmp_path: Path, tabs: Callable[..., Tab]) -> None:
    with site_of(wrong("null-call", tmp_path)) as site:
        tab = tabs(site, mode="ended")
        expect(tab.page.locator("#why")).to_contain_text("fault: UsageFault")


def test_the_command_ended_is_said(browser: Browser) -> None:
    with ExitStack() as owned:
        site = owned.enter_context(site_of(LAB.reference))
        context = browser.new_context()
        page = context.new_page()
        page.goto(site.address)
        expect(page.locator("body")).to_have_attribute("data-mode", "asleep")
    expect(page.locator("#trouble")).to_contain_text("make run LAB=08")
    context.close()


def program_that_says(statements: str, folder: Path) -> Path:
    """The reference, which executes these first."""
    main = (LAB.reference / "main.c").read_text()
    begin = "    executor_spawn"
    assert begin in main
    (folder / "main.c").write_text(main.replace(begin, f"    {statements}\n{begin}", 1))
    (folder / "button_future.c").write_bytes((LAB.reference / "button_future.c").read_bytes())
    return folder


def test_more_lines_than_anybody_reads(tmp_path: Path, tabs: Callable[..., Tab]) -> None:
    many = 'for (int i = 0; i < 900; i++) { info("line %d", i); }'
    with site_of(program_that_says(many, tmp_path)) as site:
        tab = tabs(site)
        expect(tab.page.locator("#console")).to_contain_text("line 899")
        assert len(tab.page.locator("#console").inner_text().splitlines()) == 500
        tab.page.locator("[data-button=SELECT]").click()
        expect(tab.page.locator("#console")).to_contain_text("Interrupt fired!")


def test_hostile_lines_are_text(tmp_path: Path, tabs: Callable[..., Tab]) -> None:
    """Escape codes, HTML, bytes that are no UTF-8, changes of direction."""
    hostile = (
        r'info("\x1b[2Jcleared"); info("<img src=x onerror=alert(1)>"); info("\xff\xfe bytes");'
        r' info("\xe2\x80\xaegnp.exe");'
    )
    with site_of(program_that_says(hostile, tmp_path)) as site:
        tab = tabs(site)
        expect(tab.page.locator("#console")).to_have_text(
            "\\u001b[2Jcleared\n<img src=x onerror=alert(1)>\n\\xff\\xfe bytes\n\\u202egnp.exe"
        )
        assert tab.page.locator("img").count() == 0


# -- who may not -----------------------------------------------------------------------------------


def asked(site: Site, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", int(site.host.split(":")[1]), timeout=60)
    try:
        connection.request("GET", path, headers={"Host": site.host, **headers})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), dict(answer.getheaders())
    finally:
        connection.close()


def test_the_page_and_what_it_may_do(site: Site) -> None:
    status, text, headers = asked(site, site.path)
    assert status == 200 and "The button future" in text
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {}, 403),
        ("/wrong/", {}, 403),
        ("TOKENx/", {}, 403),
        ("TOKEN/secret", {}, 404),
        ("TOKEN/", {"Host": "evil.example"}, 421),
        ("TOKEN/", {"Host": "evil.example:80"}, 421),
        ("TOKEN/", {"Origin": "http://evil.example"}, 403),
        ("TOKEN/board", {"Upgrade": "websocket", "Connection": "Upgrade"}, 403),
    ],
)
def test_who_is_refused(site: Site, path: str, headers: dict[str, str], status: int) -> None:
    token = site.path.rstrip("/")
    got, text, _ = asked(site, path.replace("TOKEN", token), **headers)
    assert got == status
    assert token.strip("/") not in text and "Lab 08" not in text


def socket_of(site: Site, **how: object) -> object:
    address = site.address.replace("http", "ws", 1) + "board"
    return connect(address, origin=f"http://{site.host}", **how)  # type: ignore[arg-type]


def test_other_pages_do_not_get_a_connection(site: Site) -> None:
    for origin in (None, "http://evil.example", "null"):
        with pytest.raises(Exception, match="403"):
            connect(site.address.replace("http", "ws", 1) + "board", origin=origin)  # type: ignore[arg-type]
    with socket_of(site) as page:  # type: ignore[attr-defined]
        assert json.loads(page.recv(60))["state"]["mode"] == "asleep"


@pytest.mark.parametrize(
    "said",
    [
        *("", "x", "[]", "{}", "1", '{"do": "press"}', '{"do": "press", "button": "PF1"}'),
        *('{"do": "shutdown"}', '{"do": "step", "count": 0}', '{"do": "step", "count": true}'),
        *('{"do": "step", "count": 1e9}', '{"do": "pause", "more": 1}', '{"do": ["pause"]}'),
        *('{"do": "again", "button": "UP", "instructions": 100001}', "[" * 900),
        *('{"do": "pace", "instructions": "9"}', '{"do": "restart", "paused": 1}'),
    ],
)
def test_nonsense_is_dropped_and_nothing_happens(said: str, site: Site) -> None:
    with pytest.raises(Nonsense):
        understood(said)
    before = site.session.look().version
    with socket_of(site) as page:  # type: ignore[attr-defined]
        page.send(said)
        with pytest.raises(ConnectionClosed):
            while True:
                page.recv(60)
    assert site.session.look().version == before


def test_a_flood_is_dropped_and_others_play_on(site: Site) -> None:
    with socket_of(site) as page:  # type: ignore[attr-defined]
        with pytest.raises(ConnectionClosed):
            for _ in range(100_000):
                page.send('{"do": "step", "count": 100000}')
    with socket_of(site) as page, pytest.raises(ConnectionClosed):  # type: ignore[attr-defined]
        page.send("x" * 2000)
        while True:
            page.recv(60)
    with socket_of(site) as page:  # type: ignore[attr-defined]
        page.send('{"do": "restart", "paused": false}')
        deadline = time.monotonic() + 60
        while json.loads(page.recv(60))["state"]["mode"] != "asleep":
            assert time.monotonic() < deadline


def test_too_many_pages(site: Site) -> None:
    with ExitStack() as owned:
        for _ in range(MOST_PAGES):
            page = owned.enter_context(socket_of(site))  # type: ignore[arg-type]
            page.recv(60)
        with socket_of(site) as more, pytest.raises(ConnectionClosed):  # type: ignore[attr-defined]
            more.recv(60)


def test_a_port_that_is_taken(site: Site) -> None:
    for port, said in ((int(site.host.split(":")[1]), "in use"), (70_000, "no such port")):
        with pytest.raises(UserError, match=f"port {port}: .*{said}"):
            with serving(ROOT, LAB, None, site.session, port):
                pass


# -- the command -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_command_tells_the_address_and_leaves_nothing(
    number: signal.Signals, tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "wakelab", "run", str(LAB.reference)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "BROWSER": "none"},
        pass_fds=[writing],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    os.close(writing)
    with process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://(127\.0\.0\.1):(\d+)/\S{32}/\n", process.stdout.readline())
            assert found
            assert "Open it in a browser" in process.stdout.readline()
            assert "UI=terminal" in process.stdout.readline()
            socket.create_connection((found[1], int(found[2])), 60).close()
            process.send_signal(number)
            rest = process.stdout.read()
        finally:
            process.kill()
        assert os.read(reading, 1) == b"", "and no process has the other end any more"
        os.close(reading)
    expected = {signal.SIGINT: 0, signal.SIGTERM: 143, signal.SIGKILL: -9}
    assert process.wait(60) == expected[number]
    assert ("The board is off." in rest) == (number != signal.SIGKILL)


def test_the_script_of_a_page_reads(site: Site) -> None:
    with socket_of(site) as page:  # type: ignore[attr-defined]
        page.send('{"do": "script"}')
        while "script" not in (answer := json.loads(page.recv(60))):
            pass
    with opened(LAB.reference) as subject:
        assert play(parse_script(answer["script"], "x"), subject.board("Og")) is None
    assert answer["play"].endswith("SUBMISSION=" + str(LAB.reference))
