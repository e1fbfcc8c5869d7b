"""Kinds of localization errors, against sets of pixels and by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wsol.metrics import ERROR_TYPES, error_types

Box = tuple[int, int, int, int]


@st.composite
def _boxes(draw: st.DrawFn) -> Box:
    x, y = (sorted(draw(st.tuples(st.integers(0, 9), st.integers(0, 9)))) for _ in range(2))
    return x[0], y[0], x[1], y[1]


def _pixels(box: Box) -> set[tuple[int, int]]:
    return {(x, y) for x in range(box[0], box[2] + 1) for y in range(box[1], box[3] + 1)}


def _plain(found: Box, boxes: list[Box], correct: bool | None) -> str:
    predicted, truths = _pixels(found), [_pixels(box) for box in boxes]
    if correct is False:
        return "wrong class"
    if any(len(predicted & truth) / len(predicted | truth) >= 0.5 for truth in truths):
        return "correct"
    if sum(len(predicted & truth) / len(truth) > 0.3 for truth in truths) >= 2:
        return "several objects"
    if any(len(predicted & truth) / len(predicted) > 0.5 for truth in truths):
        return "part only"
    if any(len(predicted & truth) / len(truth) > 0.7 for truth in truths):
        return "more than the object"
    return "other"


@given(
    st.lists(
        st.tuples(_boxes(), st.lists(_boxes(), min_size=1, max_size=3), st.booleans()), min_size=1, max_size=5
    ),
    st.booleans(),
)
def test_sets_of_pixels_agree(cases: list[tuple[Box, list[Box], bool]], known: bool) -> None:
    found = torch.tensor([case[0] for case in cases])
    correct = torch.tensor([case[2] for case in cases])
    codes = error_types(found, [torch.tensor(case[1]) for case in cases], correct if known else None)
    expected = [_plain(box, boxes, right if known else None) for box, boxes, right in cases]
    assert [ERROR_TYPES[code] for code in codes.tolist()] == expected


def test_by_hand() -> None:
    truth = torch.tensor([[0, 0, 9, 9]])
    pair = torch.tensor([[0, 0, 9, 9], [20, 0, 29, 9]])
    cases = [
        ([0, 0, 9, 4], truth, "correct"),  # IoU is exactly ½
        ([2, 2, 5, 5], truth, "part only"),
        ([0, 0, 29, 29], truth, "more than the object"),
        ([0, 0, 29, 9], pair, "several objects"),
        ([0, 0, 9, 9], pair, "correct"),
        ([8, 8, 40, 40], truth, "other"),
        ([50, 50, 60, 60], pair, "other"),
    ]
    found, boxes = torch.tensor([case[0] for case in cases]), [case[1] for case in cases]
    codes = error_types(found, boxes)
    assert [ERROR_TYPES[code] for code in codes.tolist()] == [case[2] for case in cases]
    wrong = error_types(found, boxes, torch.zeros(len(cases), dtype=torch.bool))
    assert {ERROR_TYPES[code] for code in wrong.tolist()} == {"wrong class"}
    assert ERROR_TYPES[int(error_types(found[:1], boxes[:1], iou=0.51)[0])] == "part only"
    assert error_types(found[:0], []).shape == (0,)


def test_wrong_arguments_are_refused() -> None:
    found, boxes = torch.zeros(2, 4, dtype=torch.long), [torch.zeros(1, 4, dtype=torch.long)] * 2
    with pytest.raises(ValueError, match=r"found must be \(N, 4\) integers"):
        error_types(found.float(), boxes)
    with pytest.raises(ValueError, match="boxes must be one tensor an image: 2 images, got 1"):
        error_types(found, boxes[:1])
    with pytest.raises(ValueError, match=r"boxes\[1\] must be \(n, 4\) with at least one box"):
        error_types(found, [boxes[0], boxes[0][:0]])
    with pytest.raises(ValueError, match=r"correct must be bool of shape \(2,\)"):
        error_types(found, boxes, torch.ones(2))
