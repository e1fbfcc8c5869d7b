"""COCO segmentations against pycocotools' own encoder, and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from wsol.data.runs import decode


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_compressed_run_lengths(height: int, width: int, seed: int, part: float) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < part
    runs = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    found = decode({"size": [height, width], "counts": runs["counts"].decode()}, (height, width))
    assert found.dtype == np.bool_
    np.testing.assert_array_equal(found, mask)


def test_run_lengths_by_hand() -> None:
    found = decode({"size": [2, 3], "counts": [1, 2, 3]}, (2, 3))  # down the columns
    np.testing.assert_array_equal(found, [[0, 1, 0], [1, 0, 0]])


def test_polygons_are_united() -> None:
    found = decode([[0, 0, 2, 0, 2, 2, 0, 2], [3, 1, 4, 1, 4, 3, 3, 3]], (3, 4))
    np.testing.assert_array_equal(found, [[1, 1, 0, 0], [1, 1, 0, 1], [0, 0, 0, 1]])


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        (None, "no segmentation"),
        ([], "no segmentation"),
        ([[1, 2, 3, 4]], "three points or more"),
        ([[1, 2, 3, 4, 5, float("nan")]], "nan is no coordinate in a picture of 4 × 3"),
        ([[1, 2, 3, 4, 5, 10**400]], "is no coordinate"),
        ([[1, 2, 3, 4, 5, "6"]], "'6' is no coordinate"),
        ({"size": [4, 3], "counts": [12]}, r"for \[4, 3\], the picture is \[3, 4\]"),
        ({"size": [3, 4], "counts": [13]}, "cover 13 of 12 pixels"),
        ({"size": [3, 4], "counts": [13, -1]}, "whole numbers"),
        ({"size": [3, 4], "counts": "ä"}, "no text that COCO writes"),
        ({"size": [3, 4], "counts": "o"}, "cut off"),
        ({"size": [3, 4]}, "whole numbers"),
    ],
)
def test_refused(segmentation: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode(segmentation, (3, 4))


def test_no_bomb() -> None:
    with pytest.raises(ValueError, match="too large"):
        decode([[0, 0, 1, 0, 1, 1]], (10**6, 10**6))
