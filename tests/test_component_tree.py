import re
from typing import get_args

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.strategies import masks
from wsol.component_tree import Contours, best_overlaps, largest_boxes, overlaps_of

Levels = NDArray[np.uint8]
ONE = np.array([1])


@st.composite
def maps(draw: st.DrawFn) -> Levels:
    """Sums of random masks: nested and touching components, holes in holes, plateaus, single pixels."""
    first = draw(masks())
    levels = draw(st.integers(1, 85)) * first.astype(np.uint8)
    for _ in range(draw(st.integers(0, 2))):
        levels += np.uint8(draw(st.integers(1, 85))) * np.resize(draw(masks()), first.shape)
    return levels


@st.composite
def true_boxes(draw: st.DrawFn) -> NDArray[np.int64]:
    corners = draw(st.lists(st.tuples(*[st.integers(0, 13)] * 4), min_size=1, max_size=3))
    return np.array([[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in corners])


def contours_of(mask: NDArray[np.bool_]) -> list[NDArray[np.int32]]:
    found = cv2.findContours(mask.astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
    return [np.asarray(contour, np.int32) for contour in found]


def opencv_largest(levels: Levels) -> NDArray[np.int64]:
    boxes = np.zeros((256, 4), np.int64)
    for T in range(256):
        if contours := contours_of(levels > T):
            x, y, w, h = cv2.boundingRect(max(contours, key=cv2.contourArea))
            boxes[T] = x, y, x + w, y + h
    return boxes


def opencv_overlaps(levels: Levels, truth: NDArray[np.int64], *, every: bool) -> NDArray[np.float64]:
    height, width = levels.shape
    overlaps = np.zeros(256)
    for T in range(256):
        contours = contours_of(levels > T)
        chosen = contours if every or not contours else [max(contours, key=cv2.contourArea)]
        boxes = [cv2.boundingRect(contour) for contour in chosen] or [(0, 0, 0, 0)]
        overlaps[T] = max(
            inclusive_iou((x, y, min(x + w, width - 1), min(y + h, height - 1)), box)
            for x, y, w, h in boxes
            for box in truth.tolist()
        )
    return overlaps


def inclusive_iou(one: tuple[int, ...], other: list[int]) -> float:
    width = max(min(one[2], other[2]) - max(one[0], other[0]) + 1, 0)
    height = max(min(one[3], other[3]) - max(one[1], other[1]) + 1, 0)
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


@given(maps())
def test_the_largest_contour_is_opencvs_at_every_level(levels: Levels) -> None:
    assert np.array_equal(largest_boxes(levels[None])[0], opencv_largest(levels))


@given(maps(), true_boxes())
def test_overlaps_are_those_of_opencvs_contours_at_every_level(
    levels: Levels, truth: NDArray[np.int64]
) -> None:
    counts = np.array([len(truth)])
    for contours in get_args(Contours):
        found = best_overlaps(levels[None], truth, counts, contours)[0]
        assert np.array_equal(found, opencv_overlaps(levels, truth, every=contours == "all")), contours


@pytest.mark.parametrize("roughness", [2, 5, 40, 256])
def test_large_maps_agree_with_opencv(roughness: int) -> None:
    generator = np.random.default_rng(roughness)
    noise = generator.integers(0, roughness, (60, 47), np.uint8)
    smooth = cv2.resize(generator.random((9, 7)), (96, 80), interpolation=cv2.INTER_CUBIC)
    smooth = ((smooth - smooth.min()) / np.ptp(smooth) * (roughness - 1)).astype(np.uint8)
    truth = np.array([[10, 12, 33, 40], [0, 0, 46, 59]])
    for levels in (noise, smooth):
        assert np.array_equal(largest_boxes(levels[None])[0], opencv_largest(levels))
        for contours in get_args(Contours):
            found = best_overlaps(levels[None], truth, np.array([2]), contours)[0]
            assert np.array_equal(found, opencv_overlaps(levels, truth, every=contours == "all"))


def test_a_hill_with_a_crater_worked_by_hand() -> None:
    levels = np.zeros((5, 6), np.uint8)
    levels[:, :5] = 10
    levels[1:4, 1:4] = 20
    levels[2, 2] = 5  # a crater: a hole for T = 5 … 19, and part of the hill below
    crater = np.array([[1, 1, 4, 4]])  # its official box: grown by one pixel, x1 not clipped
    boxes = largest_boxes(levels[None])[0]
    assert boxes[[0, 9]].tolist() == [[0, 0, 5, 5]] * 2
    assert boxes[[10, 19]].tolist() == [[1, 1, 4, 4]] * 2
    assert boxes[[20, 255]].tolist() == [[0, 0, 0, 0]] * 2
    overlaps = best_overlaps(levels[None], crater, ONE, "all")[0]
    hill = 16 / 30  # [0, 0, 5, 4] (y1 clipped) against [1, 1, 4, 4], inclusive
    assert overlaps[[0, 4]].tolist() == [hill, hill]  # no hole yet
    assert overlaps[[5, 9, 10, 19]].tolist() == [1, 1, 1, 1]
    assert overlaps[20] == 0  # nothing found: the official [0, 0, 0, 0]
    assert best_overlaps(levels[None], crater, ONE, "largest")[0, [5, 9]].tolist() == [hill, hill]


def test_an_empty_map_has_the_official_box_of_nothing() -> None:
    levels = np.zeros((1, 4, 4), np.uint8)
    for contours in get_args(Contours):
        assert best_overlaps(levels, np.array([[0, 0, 1, 0]]), ONE, contours).tolist() == [[0.5] * 256]
    assert not largest_boxes(levels).any()


def test_among_equal_areas_the_last_in_raster_order_counts_also_after_it_has_grown_upwards() -> None:
    levels = np.zeros((6, 9), np.uint8)
    levels[3, 1], levels[4, 7] = 9, 9  # two pixels, area 0 each: the lower one counts
    levels[0:4, 7] = 8, 8, 8, 8  # it becomes a line, still without area, that begins above the other
    boxes = largest_boxes(levels[None])[0]
    assert boxes[8].tolist() == [7, 4, 8, 5]
    assert boxes[7].tolist() == [1, 3, 2, 4]


def test_images_and_threads_do_not_mix() -> None:
    generator = np.random.default_rng(0)
    levels = generator.integers(0, 256, (7, 20, 30), np.uint8)
    counts = np.array([1, 3, 0, 2, 1, 1, 4])
    truth = np.sort(generator.integers(0, 20, (counts.sum(), 2, 2)), axis=1).reshape(-1, 4)
    singles = np.split(truth, counts.cumsum()[:-1])
    for contours in get_args(Contours):
        alone = [
            best_overlaps(level[None], boxes, np.array([len(boxes)]), contours)[0]
            for level, boxes in zip(levels, singles, strict=True)
        ]
        for threads in (1, 2, 3, 50):
            assert np.array_equal(best_overlaps(levels, truth, counts, contours, threads), alone)
    assert np.array_equal(largest_boxes(levels, 3), largest_boxes(levels))
    assert best_overlaps(levels[:0], truth[:0], counts[:0], "all").shape == (0, 256)


def test_a_view_of_a_larger_array_is_read_as_it_stands() -> None:
    whole = np.random.default_rng(1).integers(0, 256, (2, 20, 30), np.uint8)
    view = whole[:, ::2, 5:25]
    assert np.array_equal(largest_boxes(view), largest_boxes(view.copy()))


@pytest.mark.parametrize(
    ("levels", "truth", "counts", "message"),
    [
        (np.zeros((2, 2), np.uint8), np.zeros((1, 4)), ONE, "(B, H, W)"),
        (np.zeros((1, 2, 2)), np.zeros((1, 4)), ONE, "float64"),
        (np.zeros((1, 0, 2), np.uint8), np.zeros((1, 4)), ONE, "(1, 0, 2)"),
        (np.zeros((1, 2, 2), np.uint8), np.zeros((2, 4)), ONE, "do not fit 1 images"),
        (np.zeros((1, 2, 2), np.uint8), np.zeros((1, 3)), ONE, "do not fit 1 images"),
        (np.zeros((1, 2, 2), np.uint8), np.zeros((1, 4)), np.array([2, -1]), "do not fit 1 images"),
        (np.zeros((1, 2, 40000), np.uint8), np.zeros((1, 4)), ONE, "2 × 40000 pixels are too large"),
    ],
)
def test_what_does_not_fit_is_refused(
    levels: Levels, truth: NDArray[np.int64], counts: NDArray[np.int64], message: str
) -> None:
    for contours in get_args(Contours):
        with pytest.raises(ValueError, match=re.escape(message)):
            best_overlaps(levels, truth, counts, contours)


def test_boxes_and_truth_of_different_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit 2 images"):
        overlaps_of(np.zeros((2, 256, 4), np.int16), np.zeros((1, 4), np.int64), ONE, (5, 5))
    with pytest.raises(ValueError, match="contours must be one of"):
        best_overlaps(np.zeros((1, 2, 2), np.uint8), np.zeros((1, 4), np.int64), ONE, "outer")  # type: ignore[arg-type]
