"""JSON as typed values, against cases worked by hand."""

import json
import math
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from wsol.typed import relied_on, typed


@dataclass(frozen=True)
class Inner:
    side: float
    kind: Literal["max", 3] = "max"

    def __post_init__(self) -> None:
        if self.side < 0:
            raise ValueError("side is negative")


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner | None = None
    pair: tuple[int, bool] = (1, True)
    many: tuple[Inner, ...] = ()
    shares: dict[str, float | None] = field(default_factory=dict)
    anything: Any = None


WHOLE = {
    "name": "a", "inner": {"side": 2, "kind": 3}, "pair": [4, False], "many": [{"side": 0.5}],
    "shares": {"x": None, "y": 1}, "anything": [1],
}  # fmt: skip


def test_a_document_is_read() -> None:
    found = typed(Outer, json.loads(json.dumps(WHOLE)), "it")
    assert found == Outer("a", Inner(2.0, 3), (4, False), (Inner(0.5),), {"x": None, "y": 1.0}, [1])
    assert isinstance(found.inner.side, float)
    assert typed(Outer, {"name": ""}, "it") == Outer("")
    assert math.isnan(typed(float, math.nan, "it"))


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (Outer, {}, "it lacks name"),
        (Outer, [], "it must be an object, got []"),
        (Outer, WHOLE | {"more": 1}, "it has no 'more'"),
        (Outer, {"name": None}, "it.name must be a word, got None"),
        (
            Outer,
            {"name": "a", "pair": [1]},
            "it.pair must be a list of 2 values, each a whole number, got [1]",
        ),
        (Outer, {"name": "a", "pair": [True, True]}, "it.pair[0] must be a whole number, got True"),
        (Outer, {"name": "a", "many": [{}]}, "it.many[0] lacks side"),
        (Outer, {"name": "a", "many": [{"side": -1}]}, "side is negative"),
        (Outer, {"name": "a", "inner": 3}, "it.inner must be an object, got 3"),
        (Outer, {"name": "a", "shares": {"x": "1"}}, "it.shares.x must be a number, got '1'"),
        (dict[str, int], {3: 1}, "it must be an object, got {3: 1}"),
        (Literal["max", 3], True, "it must be one of max, 3, got True"),
        (Literal["max", 3], 3.0, "it must be one of max, 3, got 3.0"),
        (int, 1.0, "it must be a whole number, got 1.0"),
        (float, True, "it must be a number, got True"),
        (float, 10**400, "it must be a number, got 1000"),
        (str, [[[[[[[[[1]]]]]]]]], "it must be a word, got [[[[[[[...]]]]]]]"),
    ],
)
def test_what_is_wrong_is_told(kind: Any, value: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        typed(kind, value, "it")
    assert str(caught.value).startswith(message)


def test_values_that_hold_more() -> None:
    assert relied_on(Inner, {"side": 1, "of another version": {}}, "it") == Inner(1.0)
    with pytest.raises(ValueError, match="it lacks side"):
        relied_on(Inner, {"kind": "max"}, "it")
