"""The component tree of 8-bit maps: every component of every threshold in one pass over the pixels.

Only 255 thresholds T of an 8-bit map differ. Pixels join one by one, in the order in which a moving T
makes them foreground, and a union–find carries what the protocol asks of a component: its box, and the
area that its outer contour encloses. A box is its exclusive extent x0, y0, x1, y1.

Three facts make one pass enough:

- A polygon through pixel centres encloses, of each 2×2 quad, all if four of its pixels are in, half if
  three are; so the area of a component without holes grows by quads as pixels join.
- Holes filled at every T are one grey picture: g(p), the lowest value that a path from p to the border
  must climb to. A flood from the border finds it, and visits pixels in the order of g.
- A pixel is in a hole at T exactly if u(p) ≤ T < g(p); holes are the 4-connected components of those.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wsol.pixel_order import flood, sort
from wsol.tree_walk import (
    EIGHT,
    FOUR,
    PLACE,
    Doubles,
    Ints,
    Shorts,
    Words,
    follow_all,
    follow_largest,
    overlap_of,
)

Contours = Literal["largest", "all"]


@njit(cache=True, nogil=True)
def _largest_boxes(levels: NDArray[np.uint8], eight: Words) -> Shorts:
    count, height, width = levels.shape
    frame = (height + 2, width + 2)
    order, start = np.zeros(frame[0] * frame[1] + 4, np.uint32), np.zeros(257, np.int64)
    filled = np.zeros(frame[0] * frame[1], np.uint8)
    boxes = np.zeros((count, 256, 4), np.int16)
    for i in range(count):
        flood(levels[i], order, start, filled)
        follow_largest(order, start, frame, eight, boxes[i])
    return boxes


@njit(cache=True, nogil=True)
def _overlaps_of(boxes: Shorts, truth: Ints, counts: Ints, frame: tuple[int, int]) -> Doubles:
    best = np.empty(boxes.shape[:2])
    done = 0
    for i in range(len(boxes)):
        mine = truth[done : done + counts[i]]
        done += counts[i]
        for level in range(256):
            x0, y0, x1, y1 = boxes[i, level]
            best[i, level] = overlap_of(x0, y0, x1, y1, mine, frame)
    return best


@njit(cache=True, nogil=True)
def _all_overlaps(levels: NDArray[np.uint8], truth: Ints, counts: Ints, eight: Words, four: Words) -> Doubles:
    count, height, width = levels.shape
    frame = (height + 2, width + 2)
    size = frame[0] * frame[1]
    order, start = np.zeros(size + 4, np.uint32), np.zeros(257, np.int64)
    u, filled, never = np.zeros(frame, np.uint8), np.zeros(size, np.uint8), np.full(size, 255, np.uint8)
    best, rising = np.zeros((count, 256)), np.zeros(256)
    done = 0
    for i in range(count):
        mine = truth[done : done + counts[i]]
        done += counts[i]
        for y in range(height):
            u[y + 1, 1:-1] = levels[i, y]
        flat = u.reshape(-1)
        rising[:] = 0
        sort(~flat, flat > 0, order, start)
        holes = follow_all(order, start, never, eight, frame, 0, mine, rising)
        best[i, :255] = rising[254::-1]  # u > T is 255 - u at most 254 - T
        if holes:
            flood(levels[i], order, start, filled)
            sort(flat, filled > flat, order, start)
            follow_all(order, start, filled, four, frame, 1, mine, best[i])
        best[i, levels[i].max() :] = overlap_of(0, 0, 0, 0, mine, (height, width))  # nothing is found
    return best


def largest_boxes(levels: NDArray[np.uint8], threads: int = 1) -> Shorts:
    """The box of the largest contour at every threshold.

    Args:
        levels: (B, H, W), 8-bit maps.
        threads: how many share the images.

    Returns:
        (B, 256, 4), int16: exclusive extents at T = 0…255, where the foreground is ``levels > T``; zeros
        where that is empty. "Largest" is that of :func:`wsol.boxes.largest_box`.

    Raises:
        ValueError: another shape or dtype, or more than 16 million pixels an image.
    """
    _check(levels)
    return _in_threads(lambda mine: _largest_boxes(levels[mine], EIGHT), len(levels), threads)


def best_overlaps(
    levels: NDArray[np.uint8], truth: Ints, counts: Ints, contours: Contours, threads: int = 1
) -> Doubles:
    """The highest IoU of a found box with a true one, at every threshold (the official protocol).

    IoU counts pixels inclusively; a found box is [x0, y0, min(x1, W−1), min(y1, H−1)], and [0, 0, 0, 0]
    where nothing is found. "all" contours are those of all components and of all enclosed holes.

    Args:
        levels: (B, H, W), 8-bit maps.
        truth: (M, 4), boxes x0, y0, x1, y1 in the frame of the maps, of all images one after another.
        counts: (B,), how many of them each image has.
        contours: of the largest contour alone, or of all.
        threads: how many share the images.

    Returns:
        (B, 256), float64, at T = 0…255.

    Raises:
        ValueError: another shape or dtype; counts that do not add up.
    """
    _check(levels)
    if contours not in get_args(Contours):
        raise ValueError(f"contours must be one of {get_args(Contours)}, got {contours!r}")
    if contours == "largest":
        return overlaps_of(largest_boxes(levels, threads), truth, counts, (levels.shape[1], levels.shape[2]))
    truth, counts, ends = _checked_truth(truth, counts, len(levels))

    def overlaps(mine: slice) -> Doubles:
        boxes = truth[ends[mine.start] : ends[mine.stop]]
        return _all_overlaps(levels[mine], boxes, counts[mine], EIGHT, FOUR)

    return _in_threads(overlaps, len(levels), threads)


def overlaps_of(boxes: Shorts, truth: Ints, counts: Ints, frame: tuple[int, int]) -> Doubles:
    """The official IoU of the boxes of :func:`largest_boxes` with the true ones: (B, 256), float64.

    Args:
        boxes: (B, 256, 4), int16.
        truth: as for :func:`best_overlaps`.
        counts: likewise.
        frame: (H, W) of the maps.
    """
    truth, counts, _ = _checked_truth(truth, counts, len(boxes))
    return _overlaps_of(boxes, truth, counts, frame)


def _checked_truth(truth: Ints, counts: Ints, images: int) -> tuple[Ints, Ints, Ints]:
    """Both as int64, and where each image's boxes begin and end."""
    truth, counts = np.ascontiguousarray(truth, np.int64), np.ascontiguousarray(counts, np.int64)
    if counts.shape != (images,) or (counts < 0).any() or truth.shape != (counts.sum(), 4):
        raise ValueError(f"truth {truth.shape} and counts {counts.shape} do not fit {images} images")
    return truth, counts, np.concatenate([[0], counts.cumsum()])


def _check(levels: NDArray[np.uint8]) -> None:
    if levels.ndim != 3 or levels.dtype != np.uint8 or 0 in levels.shape[1:]:
        raise ValueError(f"levels must be uint8 (B, H, W) with pixels, got {levels.dtype} {levels.shape}")
    if (levels.shape[1] + 2) * (levels.shape[2] + 2) > PLACE or max(levels.shape[1:]) > 32767:
        raise ValueError(f"maps of {levels.shape[1]} × {levels.shape[2]} pixels are too large")


def _in_threads(work: Callable[[slice], NDArray[Any]], count: int, threads: int) -> NDArray[Any]:
    """Results of consecutive parts of the images, put together."""
    parts = max(1, min(threads, count))
    edges = [count * part // parts for part in range(parts + 1)]
    slices = [slice(*pair) for pair in pairwise(edges)]
    if parts == 1:
        return work(slices[0])
    with ThreadPoolExecutor(parts) as pool:
        return np.concatenate(list(pool.map(work, slices)))
