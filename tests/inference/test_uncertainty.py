"""Agreement between thresholds: hand-worked, and by another labelling of components."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from wsol.inference.uncertainty import agreement


def test_by_hand() -> None:
    levels = np.zeros((40, 40), np.uint8)
    levels[10:20, 10:30] = 80  # the box at 66: 10 × 20
    levels[10:20, 10:20] = 120  # at 100: 10 × 10
    levels[10:15, 10:20] = 200  # at 150: 5 × 10
    assert agreement(levels, 100) == pytest.approx((10 / 20 + 5 / 10) / 2)
    assert agreement(levels, 150) == pytest.approx((5 / 10 + 0) / 2)  # nothing is above 225, 100 above 100
    assert agreement(levels, 200) == 0
    assert agreement(np.zeros((3, 3), np.uint8), 0) == 0
    assert agreement(np.full((3, 3), 255, np.uint8), 250) == 1


def _convex(levels: NDArray[np.uint8], level: int) -> tuple[int, int, int, int] | None:
    """The box of the one component, by SciPy."""
    labels, count = ndimage.label(levels > level, np.ones((3, 3)))
    if not count:
        return None
    assert count == 1
    rows, columns = ndimage.find_objects(labels)[0]
    return columns.start, rows.start, columns.stop, rows.stop


@given(arrays(np.uint8, (12, 9)), st.integers(0, 254))
def test_of_maps_with_one_hill(values: NDArray[np.uint8], level: int) -> None:
    """Sorted along both axes, every level set is one component in a corner."""
    levels = np.sort(np.sort(values, axis=0), axis=1)
    mine = _convex(levels, level)
    found = agreement(levels, level)
    assert 0 <= found <= 1
    if mine is None:
        assert found == 0
        return
    pixels = np.zeros(levels.shape, bool)
    pixels[mine[1] : mine[3], mine[0] : mine[2]] = True
    overlaps = []
    for factor in (2 / 3, 3 / 2):
        other = np.zeros_like(pixels)
        box = _convex(levels, min(254, int(factor * level)))
        if box is not None:
            other[box[1] : box[3], box[0] : box[2]] = True
        overlaps.append((pixels & other).sum() / (pixels | other).sum())
    assert found == pytest.approx(sum(overlaps) / 2)
