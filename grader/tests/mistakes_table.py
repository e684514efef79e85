"""Writes docs/instructors/mistakes-by-lab.md from the corpus."""

from __future__ import annotations

from pathlib import Path

from wakelab.corpus import Case, cases_of
from wakelab.labs import all_labs, checkout_root

HEAD = """# The mistakes, lab by lab

For instructors. Made from the corpus by `python grader/tests/mistakes_table.py`; a test says when
it is old. Each row is a mistake that is recognised from what the program does, never from its text.
The ideas are those of the wrong submissions in `grader/corpus/`, each of which has to fail with the
sentence beside it; several ideas in a row are the same mistake, written differently. The mistakes
that any lab can find are explained in [mistakes.md](mistakes.md).
"""


def table(root: Path) -> str:
    """The page."""
    parts = [HEAD]
    for lab in all_labs(root):
        found: dict[str, list[Case]] = {}
        for case in cases_of(root, lab):
            if case.wrong:
                found.setdefault(case.expected["diagnosis"] or "(none)", []).append(case)
        parts.append(
            f"\n## {lab.number} {lab.title}\n\n"
            "| mistake | the program | seen by | verdict | the sentence has |\n"
            "|---|---|---|---|---|\n"
        )
        for name, cases in sorted(found.items()):
            ideas = " / ".join(dict.fromkeys(case.expected["idea"] for case in cases))
            checks = ", ".join(dict.fromkeys(f"`{case.expected['check']}`" for case in cases))
            verdicts = ", ".join(dict.fromkeys(case.expected["verdict"] for case in cases))
            sentences = " / ".join(dict.fromkeys(f"“{c.expected['sentence']}”" for c in cases))
            cells = (f"`{name}`", ideas, checks, verdicts, sentences)
            parts.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n")
    return "".join(parts)


def page(root: Path) -> Path:
    """Where it lies."""
    return root / "docs" / "instructors" / "mistakes-by-lab.md"


if __name__ == "__main__":
    root = checkout_root()
    page(root).write_text(table(root), encoding="utf-8")
