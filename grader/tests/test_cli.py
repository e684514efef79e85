"""The command line itself."""

from __future__ import annotations

import pytest

from wakelab.cli import _parser, main

WORDS = (
    ["grade"],
    ["grade", "--lab", "03", "somewhere", "--sweep", "pairs", "--format", "csv", "--own"],
)


@pytest.mark.parametrize("words", WORDS, ids=len)
def test_grade_is_parsed_alone_as_among_all_commands(words: list[str]) -> None:
    assert vars(_parser("grade").parse_args(words)) == vars(_parser().parse_args(words))


def test_what_follows_grade_may_be_the_name_of_another_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As a folder it is none."""
    assert _parser("grade").parse_args(["grade", "watch"]).submission.name == "watch"
    with pytest.raises(SystemExit) as ended:
        main(["gradd"])
    assert ended.value.code == 2
    assert "'watch'" in capsys.readouterr().err
