"""The page itself: one document, which asks for nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from wakelab.content_policy import source_of
from wakelab.labs import Lab
from wakelab.pictures import asset

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Page:
    """A document, and the policy that lets a browser run nothing but its own script."""

    html: str
    policy: str


def page_of(lab: Lab, whose: str) -> Page:
    """`whose`: the words for whose program it is."""
    style = asset("timeline.css") + (_HERE / "board.css").read_text(encoding="utf-8")
    script = asset("timeline.js") + (_HERE / "board.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined
    )
    html = environment.get_template("board.html.j2").render(
        lab=lab, whose=whose, style=Markup(style), script=Markup(script)
    )
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src {source_of(style)}",
            f"script-src {source_of(script)}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
    return Page(html, policy)
