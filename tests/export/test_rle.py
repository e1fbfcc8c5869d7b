import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from wsol.export.rle import area, encode, scaled_runs

frames = st.tuples(st.integers(1, 9), st.integers(1, 9))
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


def nearest(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Each target pixel shows the source pixel that its centre (2X + 1) / 2 falls into."""
    rows, columns = (
        [(2 * pixel + 1) * mask.shape[axis] // (2 * size[axis]) for pixel in range(size[axis])]
        for axis in (0, 1)
    )
    return mask[np.ix_(rows, columns)]


def check(mask: NDArray[np.bool_], size: tuple[int, int]) -> None:
    large = nearest(mask, size)
    runs = scaled_runs(mask, size)
    expected = coco_mask.encode(np.asfortranarray(large, dtype=np.uint8))
    assert encode(runs, size) == {"size": list(size), "counts": expected["counts"].decode()}
    assert area(runs) == large.sum()


@settings(max_examples=300, deadline=None)
@given(mask=frames.flatmap(lambda shape: arrays(bool, shape)), size=sizes)
def test_equals_encoding_the_large_mask(mask: NDArray[np.bool_], size: tuple[int, int]) -> None:
    check(mask, size)


@settings(deadline=None)
@given(full=st.booleans(), frame=frames, size=sizes)
def test_empty_and_full(full: bool, frame: tuple[int, int], size: tuple[int, int]) -> None:
    check(np.full(frame, full), size)


def test_large_photograph() -> None:
    y, x = np.mgrid[:224, :224]
    ring = abs((y - 100) ** 2 + (x - 120) ** 2 - 60**2) < 900
    for size in ((3000, 4001), (100, 90), (1, 4000), (4000, 1)):
        check(ring, size)


def test_runs_by_hand() -> None:
    mask = np.array([[0, 1, 1], [1, 1, 0]], bool)
    # columns of the 4 × 3 target: 0011, 1111, 1100
    assert scaled_runs(mask, (4, 3)).tolist() == [[2, 10]]
    assert scaled_runs(mask, (2, 6)).tolist() == [[1, 2], [3, 9], [10, 11]]
