"""What the readers of all formats share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol.data.records import whole


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), (" 12\t", 12), ("-3", -3), ("+4", 4), ("\x1c0", None), ("1_0", None), ("٣", None), ("", None)],
)
def test_whole_numbers(text: str, number: int | None) -> None:
    assert whole(text) == number


@given(st.text(max_size=4) | st.text("0123456789 \t\x1c\x1f\xa0+-_", max_size=6))
def test_anything_else_is_none(text: str) -> None:
    found = whole(text)
    assert found is None or found == int(text)
