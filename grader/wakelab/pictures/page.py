"""The report as one page, which works from a file: nothing from elsewhere, names only as text."""

from __future__ import annotations

import json

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from wakelab.content_policy import source_of
from wakelab.pictures import HERE, asset
from wakelab.pictures.scenes import Scenes
from wakelab.render import safe_text
from wakelab.report import Report, Verdict

MAX_TEXT = 2000

LEGEND = (
    ("fine", "answered"),
    ("lost", "lost"),
    ("twice", "one line too many"),
    ("runaway", "never at rest"),
    ("fault", "a fault"),
)


def page_of(report: Report, scenes: Scenes | None) -> str:
    """The page; without `scenes` of the report alone, which is all that is known where the program
    is not at hand. The same report and scenes give the same bytes. `report`: as whoever reads it
    may see it."""
    style = asset("timeline.css") + asset("report.css")
    script = asset("timeline.js") + asset("report.js")
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["safely"] = _safely
    environment.filters["multiline"] = _multiline
    environment.filters["tojson_text"] = _json
    failed = (c for c in report.checks if c.verdict not in (Verdict.PASS, Verdict.SKIPPED))
    return environment.get_template("report.html.j2").render(
        report=report,
        finding=next(failed, None),
        scenes=scenes or Scenes(),
        legend=LEGEND,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
    )


def _safely(text: str) -> str:
    return safe_text(str(text), MAX_TEXT)


def _multiline(text: str) -> str:
    return safe_text(str(text), 50 * MAX_TEXT, lines=True)


def _json(value: object) -> str:
    """For an attribute, so Jinja escapes it as any text."""
    return json.dumps(value, separators=(",", ":"))


def _policy(style: str, script: str) -> str:
    """Only this very style and script, and nothing else."""
    return (
        f"default-src 'none'; style-src {source_of(style)}; script-src {source_of(script)};"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )
