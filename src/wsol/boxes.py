"""Boxes of binary masks. A box is its exclusive extent x0, y0, x1, y1: pixels x0 ≤ x < x1, y0 ≤ y < y1."""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsol.components import Components, all_components, hole_boxes, largest_components

BoxesKind = Literal["largest", "all"]


def largest_box(mask: Tensor) -> Tensor:
    """The bounding box of the largest contour of a mask ("largest contour", MaxBoxAcc V1).

    The contour of largest polygon area (``cv2.contourArea``) among the 8-connected components; among
    equal areas the component whose first pixel in raster order comes last, as OpenCV orders contours.

    Args:
        mask: (H, W) or (B, H, W), bool, on any device.

    Returns:
        (4,) or (B, 4), int64, on the same device: exclusive extents in the mask's pixels; zeros for an
        empty mask.

    Raises:
        ValueError: not a bool mask of two or three dimensions.
    """
    _check_mask(mask, dimensions=(2, 3))
    found = largest_components(mask.reshape(-1, *mask.shape[-2:]).cpu().numpy())
    boxes = np.zeros((len(found.counts), 4), np.int64)
    boxes[found.counts == 1] = found.boxes
    return torch.from_numpy(boxes).reshape(*mask.shape[:-2], 4).to(mask.device)


def all_boxes(mask: Tensor, holes: bool = False) -> Tensor:
    """The bounding boxes of all components of a mask, in raster order of their first pixels.

    Args:
        mask: (H, W), bool, on any device.
        holes: also the boxes of enclosed holes (4-connected background that does not reach the
            border), grown by one pixel, after those of the components: OpenCV returns hole contours
            too, so the official MaxBoxAccV2 counts them. A hole is no object: leave it off in use.

    Returns:
        (N, 4), int64, on the same device: exclusive extents in the mask's pixels; (0, 4) for an empty mask.

    Raises:
        ValueError: not a bool mask of two dimensions.
    """
    _check_mask(mask, dimensions=(2,))
    array = mask.cpu().numpy()
    boxes = all_components(array[None]).boxes
    if holes:
        boxes = np.concatenate([boxes, hole_boxes(array)])
    return torch.from_numpy(boxes).to(mask.device)


def find(masks: NDArray[np.bool_], kind: BoxesKind) -> Components:
    """Components of a batch of masks (B, H, W): the largest of each, or all."""
    return largest_components(masks) if kind == "largest" else all_components(masks)


def rescale(boxes: NDArray[np.int64], source: tuple[int, int], target: tuple[int, int]) -> NDArray[np.int64]:
    """Boxes of a frame in the pixels of another frame that shows the same scene.

    A target pixel belongs to the source pixel that its centre falls into (nearest neighbour), so in a
    frame that is no smaller a rescaled box is exactly the extent of the mask rescaled the same way
    (:func:`rescale_edges`); one that would vanish in a smaller frame keeps one pixel.

    Args:
        boxes: (N, 4), int64, exclusive extents in the source frame.
        source: (height, width) of the source frame.
        target: (height, width) of the target frame.

    Returns:
        (N, 4), int64, inside the target frame.
    """
    columns, rows = rescale_edges(source[1], target[1]), rescale_edges(source[0], target[0])
    low = np.stack([columns[boxes[:, 0]], rows[boxes[:, 1]]], axis=1)
    low = np.minimum(low, np.array([target[1], target[0]]) - 1)
    high = np.stack([columns[boxes[:, 2]], rows[boxes[:, 3]]], axis=1)
    return np.concatenate([low, np.maximum(high, low + 1)], axis=1)


def rescale_mask(mask: NDArray[np.bool_], target: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask (h, w) in the pixels of another frame (height, width): nearest neighbour, as :func:`rescale`."""
    rows, columns = (np.diff(rescale_edges(mask.shape[axis], target[axis])) for axis in (0, 1))
    return mask.repeat(rows, axis=0).repeat(columns, axis=1)


def rescale_edges(source: int, target: int) -> NDArray[np.int64]:
    """Where the source pixels' edges 0…source fall in an axis of ``target`` pixels: (source + 1,), int64.

    Target pixel X lies in source pixel floor((X + ½) · source / target); integer arithmetic keeps it exact.
    """
    edges = np.arange(source + 1, dtype=np.int64)
    return -((source - 2 * target * edges) // (2 * source))  # = ceil(edge · target / source − ½)


def _check_mask(mask: Tensor, dimensions: tuple[int, ...]) -> None:
    if mask.dtype != torch.bool or mask.ndim not in dimensions:
        raise ValueError(
            f"mask must be a bool tensor of {' or '.join(map(str, dimensions))} dimensions, "
            f"got {mask.dtype} of shape {tuple(mask.shape)}"
        )
