"""Masks of a data set, as the official protocol reads them (Choe et al., CVPR 2020)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsol.data.dataset import DataSet, Example
from wsol.data.images import read_values
from wsol.errors import ImageError


def read_mask(
    data: DataSet, example: Example, size: tuple[int, int] = (224, 224)
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where the object of a picture is, and which pixels do not count.

    Each mask file is brought to ``size`` by :func:`resize_nearest`; its pixels above 0.5 are the object,
    whose instances are united. Ignored is the ignore mask, treated in the same way, without the object.

    Args:
        data: the data set.
        example: one of its examples; without masks nothing is the object.
        size: (H, W).

    Returns:
        The mask and the ignored pixels, (H, W) each, bool; no pixel is in both.

    Raises:
        ImageError: a mask is missing, damaged, has several channels, or another size than the table states
            for the picture. If it states none, masks of any size are taken, as in the official protocol.
    """
    mask = np.zeros(size, np.bool_)
    for name in example.masks:
        mask |= resize_nearest(read_whole(data, example, name), size)
    ignore = np.zeros(size, np.bool_)
    if example.ignore is not None:
        ignore = resize_nearest(read_whole(data, example, example.ignore), size) & ~mask
    return mask, ignore


def read_whole(data: DataSet, example: Example, name: str) -> NDArray[np.bool_]:
    """One mask file of an example at its own size, (h, w): values above 0.5.

    Raises:
        ImageError: see :func:`read_mask`.
    """
    path = mask_path(data, name)
    values = read_values(path)
    if example.size is not None and values.shape != example.size:
        height, width = example.size
        raise ImageError(
            path,
            f"the mask is {values.shape[1]} × {values.shape[0]}, its picture {example.id} is "
            f"{width} × {height} by the table ({example.where}): one of the two is wrong",
        )
    return np.greater(values, 0.5)


def mask_path(data: DataSet, name: str) -> Path:
    """The file of a mask.

    Raises:
        ImageError: nobody said where the masks are.
    """
    if data.masks is None:
        raise ImageError(name, "no folder of masks: name it with the option masks")
    return data.masks / name


def resize_nearest(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask (h, w) at another size (H, W), as OpenCV's INTER_NEAREST takes its pixels.

    Row i shows row ⌊i · (1 / (H / h))⌋ of the source, at most h − 1, computed in float64 in this order;
    columns likewise. That is not Pillow's nearest pixel, which is taken at the pixels' centres.
    """
    rows, columns = (_sources(*sides) for sides in zip(mask.shape, size, strict=True))
    return mask[np.ix_(rows, columns)]


def _sources(source: int, target: int) -> NDArray[np.int64]:
    scale = 1 / (target / source)
    nearest: NDArray[np.int64] = np.floor(np.arange(target) * scale).astype(np.int64)
    return nearest.clip(max=source - 1)
