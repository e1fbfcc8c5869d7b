"""Score maps with boxes, and the protocol done plainly: OpenCV's contours, one image and one τ at a time."""

import math

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsol.maps import normalize, upsample


def images(seed: int, count: int, size: tuple[int, int] = (18, 25)) -> tuple[Tensor, list[Tensor]]:
    """Maps (B, H, W) of several kinds, the last one all zeros, and one to three boxes each."""
    generator = torch.Generator().manual_seed(seed)
    height, width = size
    coarse = torch.rand(count, 5, 6, generator=generator, dtype=torch.float64)
    maps = upsample(coarse**2, size)
    maps[::2] += 0.3 * torch.rand(len(maps[::2]), height, width, generator=generator, dtype=torch.float64)
    maps[1::3] = torch.where(maps[1::3] > maps[1::3].mean(), maps[1::3], 0)
    maps[-1] = 0
    boxes = []
    for _ in range(count):
        corner = torch.rand(int(torch.randint(1, 4, (), generator=generator)), 2, 2, generator=generator)
        sides = torch.tensor([width, height])
        x0y0, x1y1 = ((each * sides).long() for each in (corner.amin(dim=1), corner.amax(dim=1)))
        boxes.append(torch.cat([x0y0, x1y1], dim=1))
    return normalize(maps), boxes


def contour_boxes(mask: NDArray[np.bool_], contours: str) -> list[tuple[int, int, int, int]]:
    height, width = mask.shape
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    if not found:
        return [(0, 0, 0, 0)]
    chosen = [max(found, key=cv2.contourArea)] if contours == "largest" else found
    rectangles = [cv2.boundingRect(contour) for contour in chosen]
    return [(x, y, min(x + w, width - 1), min(y + h, height - 1)) for x, y, w, h in rectangles]


def overlap(box: tuple[int, ...], other: tuple[int, ...]) -> float:
    """IoU of two boxes as sets of pixels."""
    first, second = (
        {(x, y) for x in range(b[0], b[2] + 1) for y in range(b[1], b[3] + 1)} for b in (box, other)
    )
    return len(first & second) / len(first | second)


def plain_overlap(
    map_: Tensor, boxes: Tensor, contours: str, ratio: float, percentile: float | None = None
) -> float:
    """The best IoU of one image at one τ; no percentile means the maximum."""
    grey = np.array([[math.floor(255 * value) for value in row] for row in map_.tolist()], np.uint8)
    reference = grey.max() if percentile is None else np.percentile(grey, percentile)
    found = contour_boxes(grey > int(ratio * reference), contours)
    return max(overlap(box, tuple(truth)) for box in found for truth in boxes.tolist())
