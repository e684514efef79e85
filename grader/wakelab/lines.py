"""Lines of a screen that is drawn as a whole (wakelab.terminal)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


class Lines:
    """Makes lines for one console, in its width and encoding."""

    def __init__(self, console: Console) -> None:
        from rich.text import Text

        self._text = Text
        self._console = console
        self._width = max(20, console.width)

    def line(self, *parts: tuple[str, str]) -> Text:
        """One, cut where it is too long."""
        line = self._text.assemble(*((self.fit(text), style) for text, style in parts))
        line.truncate(self._width - 1)
        line.no_wrap, line.overflow = True, "crop"
        return line

    def fit(self, text: str) -> str:
        """In what the console's encoding has."""
        for fancy, plain in (("…", "..."), ("·", "-"), ("─", "-")):
            if not _can_encode(fancy, self._console.encoding):
                text = text.replace(fancy, plain)
        return text.encode(self._console.encoding, "backslashreplace").decode(
            self._console.encoding
        )

    def shortened(self, text: str, columns: int) -> str:
        """Cut to so many columns, and it says so."""
        mark = self.fit("…")
        line = self._text(self.fit(text).rstrip())
        if line.cell_len > columns:
            line.truncate(max(1, columns - len(mark)))
            line.append(mark)
        return line.plain

    def blank(self, lines: int) -> list[Text]:
        return [self.line() for _ in range(lines)]

    def wrapped(self, text: str, style: str) -> list[Text]:
        """As many lines as it takes."""
        return [
            self.line((f" {line.plain.rstrip()}", style))
            for part in text.splitlines()
            for line in self._text(part).wrap(self._console, self._width - 2)
        ]


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
