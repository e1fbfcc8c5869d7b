"""What kind of error a localization is: the error analysis of TS-CAM (Gao et al., ICCV 2021)."""

from collections.abc import Sequence

import torch
from torch import Tensor

ERROR_TYPES = ("correct", "wrong class", "several objects", "part only", "more than the object", "other")
"""Names of the codes that :func:`error_types` gives."""


def error_types(
    found: Tensor, boxes: Sequence[Tensor], correct: Tensor | None = None, iou: float = 0.5
) -> Tensor:
    """The kind of error of each image's box, as the index of its name in :data:`ERROR_TYPES`.

    With IoP = |found ∩ box| / |found| and IoG = |found ∩ box| / |box|, inclusive (+1 on every width and
    height), and the first that holds:

    0. correct: IoU ≥ ``iou`` with some box, and the class right (or unknown);
    1. wrong class: the class wrong, wherever the box is;
    2. several objects: IoG > 0.3 with two boxes or more;
    3. part only: IoP > 0.5 with some box;
    4. more than the object: IoG > 0.7 with some box;
    5. other.

    The paper's kinds overlap; that the first counts, so that shares sum to one, is this project's choice.

    Args:
        found: (N, 4), integer: the predicted box of each image in the official frame, x0, y0, x1, y1 with
            both corners inside, cut at the frame's last pixel; [0, 0, 0, 0] when nothing was found.
        boxes: N tensors (n, 4), integer, n ≥ 1: the ground truth, in the same frame.
        correct: (N,), bool: whether the class is right; None if there is none to be right about.
        iou: IoU from which a box is right.

    Returns:
        (N,), int64, in [0, 6), on the device of ``found``.

    Raises:
        ValueError: shapes that do not fit, or an image without boxes.
    """
    _check(found, boxes, correct)
    counts = torch.tensor([len(each) for each in boxes], dtype=torch.long, device=found.device)
    owner = torch.repeat_interleave(torch.arange(len(found), device=found.device), counts)  # (M,)
    truth = torch.cat(list(boxes)).to(found.device).long() if len(boxes) else found.new_zeros(0, 4).long()
    predicted = found.long()[owner]  # (M, 4)
    sides = torch.minimum(predicted[:, 2:], truth[:, 2:]) - torch.maximum(predicted[:, :2], truth[:, :2]) + 1
    shared = sides.clamp(min=0).prod(dim=1).double()
    area, true_area = ((each[:, 2:] - each[:, :2] + 1).prod(dim=1).double() for each in (predicted, truth))

    def boxes_where(holds: Tensor) -> Tensor:
        return torch.zeros(len(found), dtype=torch.long, device=found.device).index_add(
            0, owner, holds.long()
        )

    right = torch.ones(len(found), dtype=torch.bool, device=found.device) if correct is None else correct
    kinds = torch.stack(
        [
            (boxes_where(shared / (area + true_area - shared) >= iou) > 0) & right,
            ~right,
            boxes_where(shared / true_area > 0.3) > 1,
            boxes_where(shared / area > 0.5) > 0,
            boxes_where(shared / true_area > 0.7) > 0,
            torch.ones_like(right),
        ]
    )  # (6, N)
    return kinds.int().argmax(dim=0)  # the first that holds


def _check(found: Tensor, boxes: Sequence[Tensor], correct: Tensor | None) -> None:
    if found.ndim != 2 or found.shape[1] != 4 or found.is_floating_point():
        raise ValueError(f"found must be (N, 4) integers, got {found.dtype} of shape {tuple(found.shape)}")
    if len(boxes) != len(found):
        raise ValueError(f"boxes must be one tensor an image: {len(found)} images, got {len(boxes)} tensors")
    for index, each in enumerate(boxes):
        if each.ndim != 2 or each.shape[1] != 4 or len(each) == 0:
            raise ValueError(f"boxes[{index}] must be (n, 4) with at least one box, got {tuple(each.shape)}")
    if correct is not None and (correct.dtype != torch.bool or correct.shape != found.shape[:1]):
        raise ValueError(
            f"correct must be bool of shape ({len(found)},), got {correct.dtype} of {tuple(correct.shape)}"
        )
