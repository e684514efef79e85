"""The server of the board's page.

For nobody but the person at this machine: it listens on the loopback interface only; the address
has a random token, without which nothing is answered; and requests that name another host or come
from another page are refused, so that no site in the same browser can reach it (DNS rebinding).
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import select
import signal
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as listen

from wakelab.byhand.names import how_to_play
from wakelab.byhand.session import Session
from wakelab.byhand.web.page import Page, page_of
from wakelab.byhand.web.talk import MAX_MESSAGE, SCRIPT, News, Nonsense, understood
from wakelab.errors import UserError
from wakelab.labs import Lab
from wakelab.signals import KILLED_BY, Signals, left_to_this_thread
from wakelab.subject import Subject

if TYPE_CHECKING:
    from rich.console import Console

    from wakelab.byhand.command import Wish

HOST = "127.0.0.1"

MOST_PAGES = 16
"""Open at once; more is a mistake, or somebody who is not a person."""

FRAME_S = 0.015
"""Between two messages to a page: as often as a screen is drawn."""

STILL_THERE_S = 0.3
"""How often a page on which nothing happens is looked after."""

POLICY_VIOLATED = 1008


def serve(
    wish: Wish, program: Callable[[], AbstractContextManager[Subject]], console: Console
) -> int:
    """Show the board until the person ends it; the exit code. Raises UserError."""
    with Signals() as signals, Session(program, wish.level) as session:
        with serving(wish.root, wish.lab, wish.submission, session, wish.port) as address:
            console.print(f"The board is at {address}", soft_wrap=True, markup=False)
            if not _opened(address):
                console.print("Open it in a browser of this machine.", markup=False)
            console.print("Ctrl-C ends it. Without a browser: UI=terminal", markup=False)
            console.file.flush()
            number = _wait(signals)
        console.print("The board is off.", markup=False)
    # Who ends it by Ctrl-C has got what they wanted.
    return 0 if number == signal.SIGINT else KILLED_BY + number


def _wait(signals: Signals) -> int:
    while True:
        select.select([signals], [], [])
        for number in signals.take():
            if number == signal.SIGTSTP:
                signals.stop()
            elif number not in (signal.SIGCONT, signal.SIGWINCH):
                return number


def _opened(address: str) -> bool:
    """Whether a browser shows it now. One that needs a terminal would take ours away."""
    if os.environ.get("BROWSER") == "none":
        return False
    if sys.platform == "linux" and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("BROWSER")
    ):
        return False
    with suppress(webbrowser.Error, OSError):
        return webbrowser.open(address)
    return False


@contextmanager
def serving(
    root: Path, lab: Lab, submission: Path | None, session: Session, port: int = 0
) -> Iterator[str]:
    """Within, the page is there; its address. Raises UserError where the port is taken."""
    site = _Site(root, lab, submission, session)
    try:
        server = listen(
            site.talk,
            HOST,
            port,
            process_request=site.answer,
            max_size=MAX_MESSAGE,
            compression=None,
            server_header=None,
            close_timeout=1,
        )
    except (OSError, OverflowError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else "there is no such port"
        raise UserError(
            f"the board's page cannot be served on port {port}: {why}",
            next_step="leave PORT out, and any free port is taken",
        ) from None
    site.port = server.socket.getsockname()[1]
    thread = threading.Thread(target=server.serve_forever, name="page", daemon=True)
    with left_to_this_thread():
        thread.start()
    try:
        yield f"http://{HOST}:{site.port}/{site.token}/"
    finally:
        site.ending.set()
        server.shutdown()
        thread.join()


class _Site:
    """Answers requests, in a thread for each."""

    def __init__(self, root: Path, lab: Lab, submission: Path | None, session: Session) -> None:
        self._root, self._lab, self._submission = root, lab, submission
        self._session = session
        self.token = secrets.token_urlsafe(24)
        self.port = 0
        self.ending = threading.Event()
        whose = str(submission) if submission else f"lab/{lab.slug}"
        self._page: Page = page_of(lab, whose)
        self._places = threading.BoundedSemaphore(MOST_PAGES)

    # -- HTTP ------------------------------------------------------------------------------------

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """The page, a refusal, or None: the page's own connection."""
        hosts = {f"{HOST}:{self.port}", f"localhost:{self.port}"}
        host = request.headers.get_all("Host")
        if len(host) != 1 or host[0] not in hosts:
            return _said(421, "Misdirected Request", "This is another host's address.\n")
        origins = request.headers.get_all("Origin")
        if any(origin != f"http://{host[0]}" for origin in origins):
            return _said(403, "Forbidden", "Another page may not.\n")
        token, _, rest = request.path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return _said(403, "Forbidden", "Open the address that make run has printed.\n")
        if rest == "":
            return self._whole_page()
        if rest == "board" and "websocket" in request.headers.get("Upgrade", "").lower():
            return None if origins else _said(403, "Forbidden", "Only the page may.\n")
        return _said(404, "Not Found", "There is no such page.\n")

    def _whole_page(self) -> Response:
        return _said(
            200,
            "OK",
            self._page.html,
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Security-Policy", self._page.policy),
        )

    # -- a page that is open ---------------------------------------------------------------------

    def talk(self, connection: ServerConnection) -> None:
        """Until it closes."""
        if not self._places.acquire(blocking=False):
            connection.close(POLICY_VIOLATED, "too many pages")
            return
        teller = threading.Thread(target=self._tell, args=(connection,), daemon=True)
        teller.start()
        try:
            for message in connection:
                self._obey(connection, message)
        except ConnectionClosed:
            pass
        except Nonsense:
            connection.close(POLICY_VIOLATED, "nonsense")
        finally:
            connection.close()
            teller.join()
            self._places.release()

    def _obey(self, connection: ServerConnection, message: str | bytes) -> None:
        command = understood(message)
        if isinstance(command, str):
            assert command == SCRIPT
            connection.send(json.dumps(self._script()))
        elif not self._session.send(command):
            raise Nonsense  # no person is as fast

    def _script(self) -> dict[str, str]:
        name = f"by hand, lab {self._lab.number}"
        file = f"lab-{self._lab.number}.yaml"
        play = how_to_play(self._root, self._lab, self._submission, Path(file))
        try:
            return {"script": self._session.script(name), "play": play, "file": file}
        except UserError as problem:
            return {"problem": str(problem)}

    def _tell(self, connection: ServerConnection) -> None:
        news = News()
        look = self._session.look()
        run, after, version = -1, 0, -1
        try:
            while not self.ending.is_set():
                look = self._session.look(run, after, version, STILL_THERE_S)
                if look.version > version or look.closed:
                    connection.send(news.of(look))
                run, after, version = look.run, look.next, look.version
                if look.closed:
                    return
                if connection.protocol.state.name != "OPEN":
                    return
                self.ending.wait(FRAME_S)
        except ConnectionClosed:
            pass


def _said(status: int, reason: str, body: str, *headers: tuple[str, str]) -> Response:
    data = body.encode()
    always = [
        ("Cache-Control", "no-store"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Connection", "close"),
        ("Content-Length", str(len(data))),
    ]
    plain = [] if headers else [("Content-Type", "text/plain; charset=utf-8")]
    return Response(status, reason, Headers([*always, *headers, *plain]), data)
