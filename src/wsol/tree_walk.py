"""Walks over the pixels of a map in the order of their levels, joining them into components.

A union–find carries what the protocol asks of a component. Loops are long on purpose: in compiled code a
call that passes arrays, if it is not inlined, costs more than a pixel does.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wsol.pixel_order import ONE, ZERO

Words = NDArray[np.uint32]
Ints = NDArray[np.int64]
Shorts = NDArray[np.int16]
Doubles = NDArray[np.float64]
Int = int | np.int64

_RING = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0), (0, 1), (1, -1), (1, 0), (1, 1))
"""(dy, dx) of each bit of a pixel's surroundings."""


_FOUR_SIDES = 0b010_101_010


def _describe_surroundings(eight: bool) -> Words:
    """What a pixel joins, for each of the 512 patterns of pixels around it that are in already.

    Bits 0–2: quads that the pixel completes to three or four pixels. Bits 3–5: how many of the
    neighbours must be asked for their component (those connected around the pixel share one). From
    bit 6, four bits each: which, as places in ``_RING``. Bit 22: whether the pixel was a hole by itself,
    with all four neighbours in.
    """
    table = np.zeros(512, np.uint32)
    near = 2 if eight else 1  # squared distance of connected pixels
    for pattern in range(512):
        inside = [place for place in range(9) if pattern >> place & 1 and place != 4]
        quads = [[0, 1, 3], [1, 2, 5], [3, 6, 7], [5, 7, 8]]
        code = sum(len(set(quad) & set(inside)) >= 2 for quad in quads)
        asked = []
        while inside:
            group = [inside.pop(0)]
            for one in group:  # grows while it is walked
                joined = [other for other in inside if _distance(one, other) <= near]
                group += joined
                inside = [other for other in inside if other not in joined]
            touching = [place for place in group if _distance(place, 4) <= near]
            asked += sorted(touching, key=lambda place: _distance(place, 4))[:1]
        code |= len(asked) << 3 | (pattern & _FOUR_SIDES == _FOUR_SIDES) << 22
        for number, place in enumerate(asked):
            code |= place << 6 + 4 * number
        table[pattern] = code
    return table


def _distance(one: int, other: int) -> int:
    return sum((a - b) ** 2 for a, b in zip(_RING[one], _RING[other], strict=True))


EIGHT, FOUR = _describe_surroundings(True), _describe_surroundings(False)
PLACE, _AREA = np.uint64((1 << 24) - 1), np.uint64(24)  # a key: a pixel's place, and above it an area
_THREE, _SIX, _SEVEN, _FIFTEEN = np.uint32(3), np.uint32(6), np.uint32(7), np.uint32(15)
_FILLS, _BIT = np.uint32(22), np.uint32(1)


@njit(inline="always")
def _find(parent: Words, node: np.uint64) -> np.uint64:
    """The root of a component, halving the path to it."""
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = np.uint64(parent[node])
    return node


@njit(inline="always")
def _surroundings(inside: NDArray[np.uint8], p: np.uint64, pitch: np.uint64) -> np.uint64:
    """Pattern of the pixels around p that are in already; then p is in. A byte holds three of a row."""
    pattern = np.uint64(inside[p - pitch]) | np.uint64(inside[p]) << np.uint64(3)
    pattern |= np.uint64(inside[p + pitch]) << np.uint64(6)
    inside[p - ONE] |= np.uint8(4)
    inside[p] |= np.uint8(2)
    inside[p + ONE] |= np.uint8(1)
    return pattern


@njit(inline="always")
def _greatest(
    alive: Words, living: np.uint64, parent: Words, key: NDArray[np.uint64]
) -> tuple[np.uint64, np.uint64]:
    """The root of greatest key; those that are no roots any more leave the list."""
    kept, best = ZERO, ZERO
    for place in range(living):
        root = np.uint64(alive[place])
        if parent[root] == root:
            alive[kept] = root
            kept += ONE
            if key[root] > key[best]:
                best = root
    return best, kept


@njit(cache=True, nogil=True)
def _pixels(frame: tuple[int, int]) -> tuple[NDArray[np.uint64], Words, NDArray[np.uint8], Words]:
    """Steps to each place in ``_RING``; of each pixel its column, what is in around it, and a label."""
    height, width = frame
    steps = np.array([dy * width + dx for dy, dx in _RING]).astype(np.uint64)
    column = np.empty(height * width, np.uint32)
    for y in range(height):
        column[y * width : (y + 1) * width] = np.arange(width)
    return steps, column, np.zeros(height * width, np.uint8), np.empty(height * width, np.uint32)


@njit(cache=True, nogil=True)
def follow_largest(order: Words, start: Ints, frame: tuple[int, int], table: Words, boxes: Shorts) -> None:
    """Boxes (256, 4) of the largest contour at each T, of pixels ordered by levels without holes.

    A component's key is its doubled area above the place of its first pixel, so that the greatest key is
    the contour that OpenCV names: the largest, and among equal ones that whose first pixel comes last.
    """
    size, pitch = frame[0] * frame[1], np.uint64(frame[1])
    steps, column, inside, label = _pixels(frame)
    parent, key = np.empty(size // 2, np.uint32), np.empty(size // 2, np.uint64)  # of components, from 1
    left, right, last = (
        np.empty(size // 2, np.uint32),
        np.empty(size // 2, np.uint32),
        np.empty(size // 2, np.uint32),
    )
    alive, living, known = np.empty(size // 2, np.uint32), ZERO, ZERO
    key[0] = 0
    best, best_key, dethroned = ZERO, ZERO, False
    for level in range(255, 0, -1):
        for place in range(start[level + 1] - 1, start[level] - 1, -1):
            p = np.uint64(order[place])
            x = column[p]
            code = table[_surroundings(inside, p, pitch)]
            asked = code >> _THREE & _SEVEN
            if asked == 0:
                known += ONE
                label[p] = parent[known] = alive[living] = known
                living += ONE
                key[known] = p
                left[known] = right[known] = x
                last[known] = p
                if p > best_key:
                    best, best_key = known, p
                continue
            root = _find(parent, np.uint64(label[p + steps[code >> _SIX & _FIFTEEN]]))
            for number in range(1, asked):
                step = steps[code >> np.uint32(6 + 4 * number) & _FIFTEEN]
                other = _find(parent, np.uint64(label[p + step]))
                if other != root:
                    if key[other] > key[root]:
                        root, other = other, root
                    parent[other] = root
                    if other == best:
                        best = root
                    first = min(key[root] & PLACE, key[other] & PLACE)
                    key[root] = (key[root] & ~PLACE) + (key[other] & ~PLACE) + first
                    left[root] = min(left[root], left[other])
                    right[root] = max(right[root], right[other])
                    last[root] = max(last[root], last[other])
            label[p] = root
            left[root] = min(left[root], x)
            right[root] = max(right[root], x)
            last[root] = max(last[root], np.uint32(p))
            grown = key[root]
            grown = (grown & ~PLACE) + (np.uint64(code & _SEVEN) << _AREA) + min(grown & PLACE, p)
            key[root] = grown
            if grown >= best_key:
                best, best_key = root, grown
            elif root == best:  # its first pixel is another now
                best_key, dethroned = grown, True
        if dethroned:
            best, living = _greatest(alive, living, parent, key)
            best_key, dethroned = key[best], False
        if best:
            boxes[level - 1, 0], boxes[level - 1, 1] = left[best] - 1, (best_key & PLACE) // pitch - ONE
            boxes[level - 1, 2], boxes[level - 1, 3] = right[best], last[best] // pitch


@njit(cache=True, nogil=True)
def overlap_of(x0: Int, y0: Int, x1: Int, y1: Int, truth: Ints, frame: tuple[int, int]) -> float:
    """Highest IoU of a box with the true ones, as the protocol counts it: clipped, then inclusive."""
    x1, y1 = min(x1, frame[1] - 1), min(y1, frame[0] - 1)
    best = 0.0
    for t in range(len(truth)):
        width = min(x1, truth[t, 2]) - max(x0, truth[t, 0]) + 1
        height = min(y1, truth[t, 3]) - max(y0, truth[t, 1]) + 1
        if width > 0 and height > 0:
            true_area = (truth[t, 2] - truth[t, 0] + 1) * (truth[t, 3] - truth[t, 1] + 1)
            union = (x1 - x0 + 1) * (y1 - y0 + 1) + true_area - width * height
            best = max(best, width * height / union)
    return best


@njit(inline="always")
def _raise(best: Doubles, low: Int, high: Int, overlap: float) -> None:
    """What a box that stood from level low to before high reached."""
    if overlap > 0:
        for level in range(low, high):
            best[level] = max(best[level], overlap)


@njit(cache=True, nogil=True)
def follow_all(
    order: Words, start: Ints, end: NDArray[np.uint8], table: Words, frame: tuple[int, int],
    grow: int, truth: Ints, best: Doubles,
) -> bool:  # fmt: skip
    """Raise ``best`` (256,) to the overlap of every component at every level from 0 up.

    A component stands from the level at which a pixel last joined it to that at which the next one does,
    or to ``end`` of its pixels, where it is gone. Returns whether there was a hole at any level.
    """
    (height, width), size, pitch = frame, frame[0] * frame[1], np.uint64(frame[1])
    steps, column, inside, label = _pixels(frame)
    parent, touched = np.empty(size // 2, np.uint32), np.empty(size // 2, np.uint32)
    left, right = np.empty(size // 2, np.uint32), np.empty(size // 2, np.uint32)
    first, last = np.empty(size // 2, np.uint32), np.empty(size // 2, np.uint32)
    since, overlap = np.empty(size // 2, np.int32), np.empty(size // 2, np.float64)
    known, holes, holed = ZERO, 0, False
    for level in range(255):
        changed = ZERO
        for place in range(start[level], start[level + 1]):
            p = np.uint64(order[place])
            x = column[p]
            code = table[_surroundings(inside, p, pitch)]
            asked = code >> _THREE & _SEVEN
            if asked == 0:
                known += ONE
                root = known
                label[p] = parent[root] = root
                left[root] = right[root] = x
                first[root] = last[root] = p
                since[root] = level
                touched[changed] = root
                changed += ONE
                continue
            root = _find(parent, np.uint64(label[p + steps[code >> _SIX & _FIFTEEN]]))
            for number in range(1, asked):
                step = steps[code >> np.uint32(6 + 4 * number) & _FIFTEEN]
                other = _find(parent, np.uint64(label[p + step]))
                if other == root:
                    holes += 1  # the pixel closes a ring
                else:
                    if since[other] != level:
                        _raise(best, since[other], level, overlap[other])
                    parent[other] = root
                    left[root] = min(left[root], left[other])
                    right[root] = max(right[root], right[other])
                    first[root] = min(first[root], first[other])
                    last[root] = max(last[root], last[other])
            holes -= code >> _FILLS & _BIT
            label[p] = root
            if since[root] != level:
                _raise(best, since[root], level, overlap[root])
                since[root] = level
                touched[changed] = root
                changed += ONE
            left[root] = min(left[root], x)
            right[root] = max(right[root], x)
            first[root] = min(first[root], np.uint32(p))
            last[root] = max(last[root], np.uint32(p))
        holed |= holes > 0  # within a level rings close and fill again
        for place in range(changed):
            root = np.uint64(touched[place])
            if parent[root] == root:
                overlap[root] = overlap_of(
                    np.int64(left[root]) - 1 - grow, np.int64(first[root] // pitch) - 1 - grow,
                    np.int64(right[root]) + grow, np.int64(last[root] // pitch) + grow,
                    truth, (height - 2, width - 2),
                )  # fmt: skip
    for place in range(ONE, known + ONE):
        if parent[place] == place:
            _raise(best, since[place], np.int64(end[first[place]]), overlap[place])
    return holed
