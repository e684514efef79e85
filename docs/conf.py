"""How `make docs` makes the site: Sphinx, from the Markdown files as they lie. The source folder is
the checkout, so that links from docs/ to the labs' own READMEs are links on the site, too."""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]

project = "wakelab"
author = "wakelab contributors"
root_doc = "README"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
include_patterns = ["README.md", "docs/*.md", "docs/**/*.md", "lab/[0-9]*/README.md"]

html_theme = "furo"
html_title = "wakelab"
html_copy_source = False

# A link that leads nowhere is a warning, and `make docs` takes warnings for errors.
myst_heading_anchors = 4
myst_enable_extensions = ["tasklist"]
suppress_warnings = [
    "myst.header",  # a page may begin with a table
    "misc.highlighting_failure",  # mermaid: drawn where the README is read on GitHub
]

PARTS = {
    "The labs": "lab/[0-9]*/README.md",
    "Students": "docs/students/*.md",
    "Instructors": "docs/instructors/**/*.md",
    "Contributors": "docs/contributors/*.md",
}


def add_contents(_: Sphinx, page: str, source: list[str]) -> None:
    """Below the front page the site's contents, which a reader of the file has no use for."""
    if page != root_doc:
        return
    source[0] += "\n\n```{toctree}\n:hidden:\n\ndocs/README\n```\n"
    for caption, pattern in PARTS.items():
        pages = sorted(ROOT.glob(pattern))
        names = "\n".join(str(each.relative_to(ROOT).with_suffix("")) for each in pages)
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{names}\n```\n"


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_contents)
