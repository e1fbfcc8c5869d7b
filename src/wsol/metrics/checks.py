"""What the metrics refuse to count, and how they say so."""

from collections.abc import Sequence

import torch
from torch import Tensor


def check_maps(maps: Tensor) -> None:
    """Refuse maps that are not a batch of normalised float64 maps.

    Raises:
        ValueError: not (B, H, W) float64 with at least one pixel, or a value outside [0, 1].
    """
    if maps.ndim != 3 or 0 in maps.shape:
        raise ValueError(f"maps must be (B, H, W) with at least one pixel, got {tuple(maps.shape)}")
    if maps.dtype != torch.float64:
        raise ValueError(f"maps must be float64 (float32 can flip an 8-bit level), got {maps.dtype}")
    low, high = torch.aminmax(maps)  # NaN if one is in it
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"maps must be normalised to [0, 1] (wsol.maps.normalize), got values from {low} to {high}"
        )


def check_boxes(boxes: Sequence[Tensor], maps: Tensor) -> None:
    """Refuse boxes that cannot be the ground truth of maps (B, H, W) in the maps' own frame.

    A box may reach past the far sides, as annotations do, but must start inside.

    Raises:
        ValueError: not B integer tensors (n, 4) with n ≥ 1, corners out of order, negative, or a start
            outside the maps.
    """
    batch, height, width = maps.shape
    if len(boxes) != batch:
        raise ValueError(f"boxes must be one tensor an image: {batch} images, got {len(boxes)} tensors")
    for index, each in enumerate(boxes):
        if each.ndim != 2 or each.shape[1] != 4 or len(each) == 0:
            raise ValueError(f"boxes[{index}] must be (n, 4) with at least one box, got {tuple(each.shape)}")
        if each.is_floating_point() or each.is_complex() or each.dtype == torch.bool:
            raise ValueError(f"boxes[{index}] must be integers (to_official_frame), got {each.dtype}")
    x0, y0, x1, y1 = torch.cat([each.cpu().long() for each in boxes]).unbind(dim=1)
    wrong = (x0 < 0) | (y0 < 0) | (x1 < x0) | (y1 < y0) | (x0 >= width) | (y0 >= height)
    if wrong.any():
        box = torch.stack([x0, y0, x1, y1], dim=1)[wrong][0].tolist()
        raise ValueError(
            f"boxes must be ordered x0, y0, x1, y1 and start inside the {width}×{height} frame of the maps, "
            f"got {box}"
        )


def check_pixels(maps: Tensor, **masks: Tensor | None) -> None:
    """Refuse masks, by name, that are not bool and of the maps' shape.

    Raises:
        ValueError: another dtype or shape.
    """
    for name, mask in masks.items():
        if mask is not None and (mask.dtype != torch.bool or mask.shape != maps.shape):
            raise ValueError(
                f"{name} must be bool of the maps' shape {tuple(maps.shape)}, "
                f"got {mask.dtype} of shape {tuple(mask.shape)}"
            )


def check_rank(rank: Tensor, batch: int | None = None) -> None:
    """Refuse places of the true class that are not (B,) integers from 0.

    Raises:
        ValueError: another shape or dtype, or a negative place.
    """
    if rank.ndim != 1 or (batch is not None and len(rank) != batch):
        raise ValueError(f"rank must be ({'B' if batch is None else batch},), got {tuple(rank.shape)}")
    if rank.is_floating_point() or rank.is_complex() or rank.dtype == torch.bool:
        raise ValueError(f"rank must be integers, got {rank.dtype}")
    if (rank < 0).any():
        raise ValueError(f"rank must be 0 (top-1) or more, got {rank.min()}")


def check_iou_thresholds(iou_thresholds: Sequence[float]) -> None:
    """Refuse δ that are not distinct numbers in (0, 1].

    Raises:
        ValueError: none, one twice, or one outside (0, 1].
    """
    distinct = len(set(iou_thresholds)) == len(iou_thresholds)
    if not iou_thresholds or not distinct or not all(0 < delta <= 1 for delta in iou_thresholds):
        raise ValueError(f"iou_thresholds must be distinct and in (0, 1], got {tuple(iou_thresholds)}")


def check_percentile(percentile: float) -> None:
    """Refuse a percentile outside [0, 100].

    Raises:
        ValueError: it is.
    """
    if not 0 <= percentile <= 100:
        raise ValueError(f"percentile must be in [0, 100], got {percentile}")
