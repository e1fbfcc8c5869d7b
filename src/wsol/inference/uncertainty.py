"""How likely a box is to need a person's eye: docs/annotate.md has what this is worth on real photographs."""

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import box_iou

from wsol import boxes

FACTORS = (2 / 3, 3 / 2)
"""Of the threshold: what a box is compared at."""


def agreement(levels: NDArray[np.uint8], level: int) -> float:
    """How little the box depends on the threshold.

    Args:
        levels: (h, w), the map as 8-bit picture.
        level: the threshold T.

    Returns:
        The mean IoU of the largest component's box at T with those at ⅔ T and 1½ T, in [0, 1]; 0 where
        nothing is above T.
    """
    compared = [level, *(min(254, int(factor * level)) for factor in FACTORS)]
    found = boxes.find(np.stack([levels > each for each in compared]), "largest")
    if not found.counts[0]:
        return 0.0
    sides = torch.from_numpy(found.boxes).double()  # what is empty has no box, and adds nothing
    overlaps: list[float] = box_iou(sides[:1], sides[1:])[0].tolist()
    return sum(overlaps) / len(FACTORS)
