"""Connected components of binary masks: compiled loops over pixels, a batch at a time.

Components are numbered in raster order of their first pixel, from 1; 0 is everything else.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Labels = NDArray[np.int32]
Boxes = NDArray[np.int64]


class Components(NamedTuple):
    """Components of a batch of masks, those of one image after those of the one before."""

    labels: Labels
    """(B, H, W): 0 outside, else the component's number within its image, from 1."""
    boxes: Boxes
    """(N, 4): exclusive extents x0, y0, x1, y1."""
    areas: NDArray[np.int64]
    """(N,): pixels."""
    counts: NDArray[np.int64]
    """(B,): components of each image; they sum to N."""


@njit(cache=True, nogil=True)
def _root(parent: Labels, node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@njit(cache=True, nogil=True)
def _join(parent: Labels, first: int, second: int) -> int:
    """One set of two; its lower root, which is the older."""
    low, high = _root(parent, first), _root(parent, second)
    if high < low:
        low, high = high, low
    parent[high] = low
    return low


@njit(cache=True, nogil=True)
def _first_pass_four(mask: NDArray[np.bool_], labels: Labels, parent: Labels) -> int:
    """Provisional labels, joined where pixels touch by a side; returns how many."""
    last = 0
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            if mask[y, x]:
                west = labels[y, x - 1] if x > 0 else 0
                found = labels[y - 1, x] if y > 0 else 0
                if not found:
                    found = west
                elif west and west != found:
                    found = _join(parent, found, west)
                if not found:
                    last += 1
                    parent[last] = found = last
                labels[y, x] = found
    return last


@njit(cache=True, nogil=True)
def _first_pass_eight(mask: NDArray[np.bool_], labels: Labels, parent: Labels) -> int:
    """Provisional labels, joined where pixels touch by a side or a corner; returns how many."""
    last = 0
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            if mask[y, x]:
                found = labels[y - 1, x] if y > 0 else 0
                if not found:  # a northern neighbour has joined the others already
                    found = labels[y, x - 1] if x > 0 else 0
                    if not found and x > 0 and y > 0:
                        found = labels[y - 1, x - 1]
                    north_east = labels[y - 1, x + 1] if y > 0 and x + 1 < mask.shape[1] else 0
                    if north_east:
                        found = _join(parent, found, north_east) if found else north_east
                if not found:
                    last += 1
                    parent[last] = found = last
                labels[y, x] = found
    return last


@njit(cache=True, nogil=True)
def label(mask: NDArray[np.bool_], eight: bool) -> tuple[Labels, int]:
    """Number the components of one mask (H, W), 8- or 4-connected: (H, W) int32 and their count."""
    height, width = mask.shape
    labels = np.zeros((height, width), np.int32)
    parent = np.zeros(height * width // 2 + 2, np.int32)  # no two labels start in adjacent pixels of a row
    last = _first_pass_eight(mask, labels, parent) if eight else _first_pass_four(mask, labels, parent)
    number = np.zeros(last + 1, np.int32)
    count = 0
    for provisional in range(1, last + 1):  # a root is the lowest, hence the first, of its set
        if parent[provisional] == provisional:
            count += 1
            number[provisional] = count
    for provisional in range(1, last + 1):
        number[provisional] = number[_root(parent, provisional)]
    if count < last:
        for y in range(height):
            for x in range(width):
                labels[y, x] = number[labels[y, x]]
    return labels, count


@njit(cache=True, nogil=True)
def _extents(labels: Labels, count: int) -> tuple[Boxes, NDArray[np.int64]]:
    """Boxes (count, 4), exclusive extents, and pixel areas (count,)."""
    height, width = labels.shape
    boxes = np.empty((count, 4), np.int64)
    boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3] = width, height, 0, 0
    areas = np.zeros(count, np.int64)
    for y in range(height):
        end = 0
        while end < width:  # a run of pixels of one label at a time
            start, index = end, labels[y, end] - 1
            while end < width and labels[y, end] - 1 == index:
                end += 1
            if index >= 0:
                boxes[index, 0], boxes[index, 1] = min(boxes[index, 0], start), min(boxes[index, 1], y)
                boxes[index, 2], boxes[index, 3] = max(boxes[index, 2], end), max(boxes[index, 3], y + 1)
                areas[index] += end - start
    return boxes, areas


@njit(cache=True, nogil=True)
def _holes(mask: NDArray[np.bool_]) -> tuple[Labels, Boxes]:
    """Background that foreground encloses (4-connected): numbered (H, W), and boxes (N, 4) of the holes."""
    height, width = mask.shape
    labels, count = label(~mask, False)
    boxes, _ = _extents(labels, count)
    number = np.zeros(count + 1, np.int32)
    found = 0
    for index in range(count):
        x0, y0, x1, y1 = boxes[index]
        if x0 > 0 and y0 > 0 and x1 < width and y1 < height:
            boxes[found] = boxes[index]
            found += 1
            number[index + 1] = found
    for y in range(height):
        for x in range(width):
            labels[y, x] = number[labels[y, x]]
    return labels, boxes[:found]


@njit(cache=True, nogil=True)
def _largest(mask: NDArray[np.bool_], labels: Labels) -> int:
    """Number, in ``labels``, of the component whose outer contour has the largest polygon area; -1 if none.

    The area of an outer contour is that of the component with its holes filled: one for each 2×2 quad
    of four pixels, one half for each of three. Among equal areas the component that starts last in
    raster order wins, as OpenCV orders contours. A component inside a hole is merged with the one
    around it, which is larger, so it loses as it must.
    """
    height, width = mask.shape
    holes, hole_boxes = _holes(mask)
    filled, count = label(mask | (holes > 0), True) if len(hole_boxes) else (labels, labels.max())
    doubled = np.zeros(count + 1, np.int64)
    if count > 1:
        for y in range(height - 1):
            above, below = filled[y, 0], filled[y + 1, 0]
            for x in range(1, width):
                next_above, next_below = filled[y, x], filled[y + 1, x]
                pixels = (above > 0) + (below > 0) + (next_above > 0) + (next_below > 0)
                if pixels >= 3:
                    doubled[max(above, below)] += pixels - 2  # of three, one at least is on the left
                above, below = next_above, next_below
    best = 0
    for index in range(1, count + 1):
        if best == 0 or doubled[index] >= doubled[best]:
            best = index
    for y in range(height):
        for x in range(width):
            if best and filled[y, x] == best:
                return int(labels[y, x])  # the first pixel is in no hole
    return -1


@njit(cache=True, nogil=True)
def _find(
    masks: NDArray[np.bool_], largest: bool
) -> tuple[Labels, Boxes, NDArray[np.int64], NDArray[np.int64]]:
    labels = np.empty(masks.shape, np.int32)
    counts = np.zeros(len(masks), np.int64)
    for i in range(len(masks)):
        labels[i], counts[i] = label(masks[i], True)
        if largest:
            labels[i] = labels[i] == _largest(masks[i], labels[i])
            counts[i] = min(counts[i], 1)
    boxes = np.empty((counts.sum(), 4), np.int64)
    areas = np.empty(counts.sum(), np.int64)
    end = 0
    for i in range(len(masks)):
        start, end = end, end + counts[i]
        boxes[start:end], areas[start:end] = _extents(labels[i], counts[i])
    return labels, boxes, areas, counts


def all_components(masks: NDArray[np.bool_]) -> Components:
    """Every 8-connected foreground component of each mask.

    Args:
        masks: (B, H, W), bool.
    """
    return Components(*_find(np.ascontiguousarray(masks), False))


def largest_components(masks: NDArray[np.bool_]) -> Components:
    """Of each mask the one component of largest contour ("largest contour" of the protocol).

    Args:
        masks: (B, H, W), bool. An empty mask has no component.
    """
    return Components(*_find(np.ascontiguousarray(masks), True))


def hole_boxes(mask: NDArray[np.bool_]) -> Boxes:
    """Boxes (N, 4) of the holes of a mask (H, W), each grown by one pixel as OpenCV's hole contours are."""
    _, boxes = _holes(np.ascontiguousarray(mask))
    return np.asarray(boxes + np.array([-1, -1, 1, 1]), np.int64)
