"""What is said of an option that cannot be read."""

import pytest

from wsol.cli import main
from wsol.commands.parser import plainly


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("localize x --output o --preset bset", '"preset" must be one of fast, balanced, best, got bset'),
        ("localize x --output o --scales 1,2", "\"scales\" must be values in brackets, as '[1,2]', got 1,2"),
        ("localize x --output o --flip maybe", '"flip" must be true or false, got maybe'),
        ("localize x --output o --top-k many", '"top_k" must be a whole number, got many'),
        ("train --bridging.similarity much", '"bridging.similarity" must be a number, got much'),
        ("evaluate x --colour red", "unrecognized arguments: --colour red"),
        ("localize x", "the following arguments are required: output"),
        ("compare", "the following arguments are required: results"),
    ],
)
def test_one_line_says_what_may_be_given(words: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words.split())
    command = words.split(maxsplit=1)[0]
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"error: {told}\ntip: wsol {command} --help tells all options\n"


def test_other_messages_stay_as_they_are() -> None:
    assert plainly('Parser key "x":\n  something new') == 'Parser key "x":\n  something new'


def test_help_names_no_default_where_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["localize", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert "null)" not in words
    assert "default: the most probable (type: str)" in words
    assert "default: coco --label" in words and "default: efficientnet_lite0)" in words
