"""Boxes against OpenCV's contours, SciPy's labels, hand-worked cases and properties."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from tests.strategies import masks
from wsol.boxes import all_boxes, find, largest_box, rescale, rescale_edges, rescale_mask
from wsol.components import label


def _contour_boxes(mask: NDArray[np.bool_]) -> list[tuple[float, list[int]]]:
    """Polygon area and exclusive box of each contour, in OpenCV's order."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in contours:
        x, y, width, height = cv2.boundingRect(contour)
        found.append((float(cv2.contourArea(contour)), [x, y, x + width, y + height]))
    return found


@given(masks())
def test_largest_box_is_opencvs(mask: NDArray[np.bool_]) -> None:
    contours = _contour_boxes(mask)
    expected = max(contours, key=lambda found: found[0])[1] if contours else [0, 0, 0, 0]
    assert largest_box(torch.from_numpy(mask)).tolist() == expected


@given(masks())
def test_all_boxes_with_holes_are_opencvs(mask: NDArray[np.bool_]) -> None:
    expected = sorted(box for _, box in _contour_boxes(mask))
    assert sorted(all_boxes(torch.from_numpy(mask), holes=True).tolist()) == expected


@given(masks(), st.booleans())
def test_labels_are_scipys_up_to_their_numbers_and_in_raster_order(
    mask: NDArray[np.bool_], eight: bool
) -> None:
    labels, count = label(mask, eight)
    expected, expected_count = ndimage.label(mask, np.ones((3, 3)) if eight else None)
    assert count == expected_count and (labels > 0).tolist() == mask.tolist()
    assert len(set(zip(labels.flat, expected.flat, strict=True)) - {(0, 0)}) == count
    first = [int(np.flatnonzero(labels.ravel() == index + 1)[0]) for index in range(count)]
    assert first == sorted(first)


@given(masks())
def test_boxes_of_a_flipped_mask_are_the_flipped_boxes(mask: NDArray[np.bool_]) -> None:
    height, width = mask.shape
    boxes = all_boxes(torch.from_numpy(mask)).tolist()
    sideways = all_boxes(torch.from_numpy(mask[:, ::-1].copy())).tolist()
    upside_down = all_boxes(torch.from_numpy(mask[::-1].copy())).tolist()
    assert sorted(sideways) == sorted([width - x1, y0, width - x0, y1] for x0, y0, x1, y1 in boxes)
    assert sorted(upside_down) == sorted([x0, height - y1, x1, height - y0] for x0, y0, x1, y1 in boxes)


@given(masks())
def test_boxes_lie_inside_and_touch_foreground_on_every_side(mask: NDArray[np.bool_]) -> None:
    height, width = mask.shape
    covered = np.zeros_like(mask)
    for x0, y0, x1, y1 in all_boxes(torch.from_numpy(mask)).tolist():
        assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
        sides = mask[y0, x0:x1], mask[y1 - 1, x0:x1], mask[y0:y1, x0], mask[y0:y1, x1 - 1]
        assert all(side.any() for side in sides)
        covered[y0:y1, x0:x1] = True
    assert (covered | ~mask).all()


def test_largest_by_hand() -> None:
    mask = torch.zeros(9, 9, dtype=torch.bool)
    assert largest_box(mask).tolist() == [0, 0, 0, 0] and all_boxes(mask).shape == (0, 4)
    mask[0, 0] = mask[8, 8] = True  # both of area 0: the last one wins
    assert largest_box(mask).tolist() == [8, 8, 9, 9]
    mask[0:1, 0:9] = True  # a line has area 0 too, and starts first
    assert largest_box(mask).tolist() == [8, 8, 9, 9]
    mask[2:7, 1:6] = True
    mask[3:6, 2:5] = False  # a ring counts as if it were full: 16
    mask[2:6, 7:9] = True  # 3 quads; it touches nothing
    assert largest_box(mask).tolist() == [1, 2, 6, 7]
    assert all_boxes(mask).tolist() == [[0, 0, 9, 1], [1, 2, 6, 7], [7, 2, 9, 6], [8, 8, 9, 9]]
    assert all_boxes(mask, holes=True).tolist()[4:] == [[1, 2, 6, 7]]


def test_one_pixel_and_full_masks() -> None:
    assert largest_box(torch.ones(1, 1, dtype=torch.bool)).tolist() == [0, 0, 1, 1]
    assert largest_box(torch.ones(224, 100, dtype=torch.bool)).tolist() == [0, 0, 100, 224]


def test_a_batch_is_its_images() -> None:
    batch = torch.rand(6, 12, 17) > 0.5
    batch[2] = False
    assert largest_box(batch).tolist() == [largest_box(mask).tolist() for mask in batch]
    found = find(batch.numpy(), "all")
    assert found.boxes.tolist() == [box for mask in batch for box in all_boxes(mask).tolist()]
    assert found.counts.tolist() == [len(all_boxes(mask)) for mask in batch]
    start = 0
    for labels, count in zip(found.labels, found.counts, strict=True):
        areas = [int((labels == index + 1).sum()) for index in range(count)]
        assert found.areas[start : start + count].tolist() == areas
        start += count


def test_wrong_masks_are_refused() -> None:
    with pytest.raises(ValueError, match="mask must be a bool tensor"):
        largest_box(torch.zeros(3, 3))
    with pytest.raises(ValueError, match="of 2 dimensions"):
        all_boxes(torch.zeros(1, 3, 3, dtype=torch.bool))


@given(masks(), st.integers(1, 60), st.integers(1, 60))
def test_a_rescaled_box_is_the_extent_of_the_rescaled_mask(
    mask: NDArray[np.bool_], height: int, width: int
) -> None:
    source = mask.shape
    rows = [int((y + 0.5) * source[0] / height) for y in range(height)]
    columns = [int((x + 0.5) * source[1] / width) for x in range(width)]
    assert np.array_equal(rescale_mask(mask, (height, width)), mask[np.ix_(rows, columns)])
    found = find(mask[None], "all")
    scaled = rescale(found.boxes, (source[0], source[1]), (height, width))
    for index, (x0, y0, x1, y1) in enumerate(scaled.tolist()):
        assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
        component = (found.labels[0] == index + 1)[np.ix_(rows, columns)]
        if height >= source[0] and width >= source[1]:  # a smaller frame can miss rows and columns
            ys, xs = np.nonzero(component)
            assert (x0, y0, x1, y1) == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)


def test_edges_span_the_target() -> None:
    assert rescale_edges(224, 20_000)[[0, -1]].tolist() == [0, 20_000]
    assert rescale_edges(4, 8).tolist() == [0, 2, 4, 6, 8]
