"""COCO segmentations as masks."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from wsol.data.images import MAX_PIXELS


def decode(segmentation: object, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask of an annotation.

    Args:
        segmentation: polygons, each a list x0, y0, x1, y1, … of three or more points, which are united; or
            run lengths, as text (compressed) or as a list of numbers.
        size: (H, W) of the picture.

    Returns:
        (H, W), bool.

    Raises:
        ValueError: it is none of these, or of another size than the picture; polygons are checked before
            pycocotools draws, which trusts its input.
    """
    height, width = size
    if height * width > MAX_PIXELS:
        raise ValueError(f"the picture is too large: {width} × {height}")
    if isinstance(segmentation, list) and segmentation:
        polygons = [_polygon(polygon, size) for polygon in segmentation]
        drawn = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
        counts = _numbers(drawn["counts"].decode("ascii"))
    elif isinstance(segmentation, dict):
        counts = _counts(segmentation, size)
    else:
        raise ValueError("it has no segmentation: polygons or run lengths are needed")
    inside = np.arange(len(counts)) % 2 == 1
    return np.repeat(inside, counts).reshape(width, height).T


def _polygon(polygon: object, size: tuple[int, int]) -> list[float]:
    if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
        raise ValueError(f"a polygon needs three points or more, x and y each, got {polygon!r:.80}")
    reach = 2 * max(size)
    for value in polygon:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and abs(value) <= reach):  # NaN too
            raise ValueError(f"{value!r:.80} is no coordinate in a picture of {size[1]} × {size[0]}")
    return [float(value) for value in polygon]


def _counts(segmentation: dict[str, Any], size: tuple[int, int]) -> list[int]:
    """The lengths of the runs of zeros and ones, in turn, which fill the picture."""
    if segmentation.get("size") != list(size):
        got = f"{segmentation.get('size')!r:.80}"
        raise ValueError(f"the run lengths are for {got}, the picture is {list(size)} (height, width)")
    counts = segmentation.get("counts")
    if isinstance(counts, str):
        counts = _numbers(counts)
    if not isinstance(counts, list) or not all(map(_is_count, counts)):
        raise ValueError("the run lengths must be whole numbers from 0")
    if sum(counts) != size[0] * size[1]:
        raise ValueError(f"the run lengths cover {sum(counts)} of {size[0] * size[1]} pixels")
    return counts


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _numbers(text: str) -> list[int]:
    """COCO's compressed counts: five bits a character, low first; from the fourth on, what differs two back.

    Each character less 48 holds, from its low end, five bits and whether more follow; the last fifth bit is
    the sign.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("the run lengths are no text that COCO writes")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (1 << shift) if bits & 16 else 0
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("the run lengths are cut off")
    return counts
