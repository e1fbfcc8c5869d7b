"""Pixels of an 8-bit map in the order of their levels, with and without the holes filled.

Pixels are named by their place in a frame one pixel larger on every side, flattened.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Words = NDArray[np.uint32]

SEEN = np.uint16(256)  # more than any level
ZERO, ONE = np.uint64(0), np.uint64(1)  # unsigned indices spare NumPy's check for negative ones


@njit(inline="always")
def _visit(
    q: np.uint64, now: np.uint16, u: NDArray[np.uint16], order: Words, found: np.uint64,
    item: Words, link: Words, head: Words, entries: np.uint64,
) -> tuple[np.uint64, np.uint64]:  # fmt: skip
    """Queue a pixel: at the end of ``order`` if its level has come, else in the list of its level.

    No branch depends on the pixel, so none is mispredicted: what is written counts or is overwritten.
    """
    value = u[q]
    u[q] = SEEN
    order[found] = q
    later = value if value > now else SEEN
    item[entries] = q
    link[entries] = head[later]
    head[later] = entries
    return found + np.uint64(value <= now), entries + np.uint64(later < SEEN)


@njit(cache=True, nogil=True)
def flood(
    levels: NDArray[np.uint8], order: Words, start: NDArray[np.int64], filled: NDArray[np.uint8]
) -> None:
    """Fill the holes of a map from its border inwards.

    g(p) is the lowest level that a 4-connected path from p to the border must climb to.

    Args:
        levels: (H, W), the map.
        order: (frame + 4,), written: the places of all pixels by ascending g.
        start: (257,), written: where each level begins in ``order``.
        filled: (frame,), written: g; what is outside the map is left alone.
    """
    height, width = levels.shape
    pitch = np.uint64(width + 2)
    frame = np.full((height + 2, width + 2), SEEN, np.uint16)
    for y in range(height):
        frame[y + 1, 1:-1] = levels[y]
    u = frame.reshape(-1)
    head = np.zeros(257, np.uint32)  # newest entry of each level above the present one; 256 takes the rest
    item, link = np.zeros(len(u) + 4, np.uint32), np.zeros(len(u) + 4, np.uint32)
    entries, found, done = ONE, ZERO, ZERO
    for y in range(1, height + 1):
        for x in range(1, width + 1, 1 if y in (1, height) else max(width - 1, 1)):
            q = np.uint64(y * (width + 2) + x)
            item[entries], link[entries] = q, head[u[q]]
            head[u[q]] = entries
            entries += ONE
            u[q] = SEEN
    for level in range(256):
        now = np.uint16(level)
        start[level] = found
        entry = np.uint64(head[level])
        while entry != ZERO:
            order[found] = item[entry]
            found += ONE
            entry = np.uint64(link[entry])
        while done < found:
            p = np.uint64(order[done])
            done += ONE
            filled[p] = level
            found, entries = _visit(p - pitch, now, u, order, found, item, link, head, entries)
            found, entries = _visit(p - ONE, now, u, order, found, item, link, head, entries)
            found, entries = _visit(p + ONE, now, u, order, found, item, link, head, entries)
            found, entries = _visit(p + pitch, now, u, order, found, item, link, head, entries)
    start[256] = found


@njit(cache=True, nogil=True)
def sort(
    values: NDArray[np.uint8], chosen: NDArray[np.bool_], order: Words, start: NDArray[np.int64]
) -> None:
    """Sort the chosen pixels by value.

    Args:
        values: (frame,).
        chosen: (frame,).
        order: (frame + 4,), written: their places by ascending value, in raster order where it is the same.
        start: (257,), written: where each value begins in ``order``.
    """
    start[:] = 0
    for p in range(len(values)):
        if chosen[p]:
            start[np.int64(values[p]) + 1] += 1
    for value in range(256):
        start[value + 1] += start[value]
    places = start.copy()
    for p in range(len(values)):
        if chosen[p]:
            order[places[values[p]]] = p
            places[values[p]] += 1
