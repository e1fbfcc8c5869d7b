"""Inputs that hypothesis draws."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray


@st.composite
def masks(draw: st.DrawFn, largest: int = 14) -> NDArray[np.bool_]:
    """Binary masks of any small shape: noise, and blobs made of overlapping rectangles and holes."""
    height, width = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    if draw(st.booleans()):
        return draw(arrays(bool, (height, width)))
    mask = np.zeros((height, width), bool)
    for _ in range(draw(st.integers(0, 5))):
        y, x = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        mask[y : y + draw(st.integers(1, height)), x : x + draw(st.integers(1, width))] ^= True
    return mask
