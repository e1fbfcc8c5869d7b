"""Pixel average precision (PxAP): score maps against masks, from histograms of pixel scores.

Choe et al., Evaluating WSOL Methods Right, CVPR 2020, section 4.2: all pixels of a data set are
pooled, at any threshold, without an 8-bit step between.
"""

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from wsol.metrics.checks import check_maps, check_pixels
from wsol.metrics.functional import thresholds


def pixel_edges(step: float = 0.001) -> Tensor:
    """Edges of the bins of pixel scores, [0, step, …, 1 − step, 1, 2, 3]: (bins + 1,) float64.

    A bin holds its lower edge; a score of exactly 1 has the bin [1, 2), and [2, 3] stays empty.

    Raises:
        ValueError: ``step`` is not in (0, 1].
    """
    return torch.cat([thresholds(step), torch.tensor([1, 2, 3], dtype=torch.float64)])


def pixel_histograms(
    maps: Tensor, masks: Tensor, ignore: Tensor | None = None, step: float = 0.001
) -> Tensor:
    """Histograms of the scores of background and of object pixels, binned as ``numpy.histogram`` does.

    Args:
        maps: (B, H, W), float64, normalised to [0, 1], on any device.
        masks: (B, H, W), bool: pixels of the object, in the maps' frame.
        ignore: (B, H, W), bool: pixels left out; None leaves none out.
        step: width of the bins.

    Returns:
        (B, 2, bins), int64, on the same device: row 0 background, row 1 object; bins as
        :func:`pixel_edges`.

    Raises:
        ValueError: maps or masks that are not as described, or ``step`` is not in (0, 1].
    """
    check_maps(maps)
    check_pixels(maps, masks=masks, ignore=ignore)
    if maps.device.type == "cpu":
        skipped = torch.zeros_like(masks) if ignore is None else ignore
        flat, object_, left_out = (
            pixels.flatten(1).contiguous().numpy() for pixels in (maps, masks, skipped)
        )
        return torch.from_numpy(_count(flat, object_, left_out, step, len(thresholds(step))))
    return _count_on_device(maps, masks, ignore, step)


@njit(cache=True, nogil=True)
def _count(
    maps: NDArray[np.float64],
    masks: NDArray[np.bool_],
    ignore: NDArray[np.bool_],
    step: float,
    below_one: int,
) -> NDArray[np.int64]:
    """Histograms (B, 2, bins) of flattened maps: one pass, a pixel at a time."""
    counts = np.zeros((len(maps), 2, below_one + 2), np.int64)
    for i in range(len(maps)):
        for p in range(maps.shape[1]):
            if not ignore[i, p]:
                value = maps[i, p]
                place = below_one
                if value < 1:
                    place = min(int(value / step), below_one - 1)
                    if (
                        place + 1 < below_one and value >= (place + 1) * step
                    ):  # rounded across an edge, k · step
                        place += 1
                    elif value < place * step:
                        place -= 1
                counts[i, int(masks[i, p]), place] += 1
    return counts


def _count_on_device(maps: Tensor, masks: Tensor, ignore: Tensor | None, step: float) -> Tensor:
    """The same as whole-batch operations."""
    below_one = len(thresholds(step))
    bins = below_one + 2
    place = (maps * (1 / step)).floor_()  # one off at most, by rounding: put right at the edges, k · step
    place += (maps >= (place + 1) * step).double() - (maps < place * step).double()
    place = place.clamp_(max=below_one - 1).masked_fill_(maps >= 1, below_one).long()
    image = torch.arange(len(maps), device=maps.device)[:, None, None]
    place += bins * (2 * image + masks)
    if ignore is not None:
        place = torch.where(ignore, 2 * bins * len(maps), place)  # one bin more, cut off below
    counts = torch.bincount(place.flatten(), minlength=2 * bins * len(maps) + 1)
    return counts[:-1].view(len(maps), 2, bins)


def precision_recall(histograms: Tensor) -> tuple[Tensor, Tensor]:
    """Precision and recall of "object where the map ≥ t", from the highest edge t to the lowest.

        P(t) = TP(t) / (TP(t) + FP(t)),   R(t) = TP(t) / object pixels

    Args:
        histograms: (…, 2, bins), any real dtype: background and object pixels
            (:func:`pixel_histograms`, or sums of such).

    Returns:
        P: (…, bins), float64, in [0, 1]; 0 where no pixel is ≥ t.
        R: (…, bins), float64, in [0, 1], ascending; NaN where there is no object pixel at all.
    """
    false, true = histograms.double().flip(-1).cumsum(dim=-1).unbind(dim=-2)  # (..., bins)
    found = false + true
    precision = torch.where(found > 0, true / torch.where(found > 0, found, 1), 0)
    return precision, true / true[..., -1:]


def pixel_average_precision(histograms: Tensor) -> Tensor:
    """Area under the precision–recall curve, without interpolation: PxAP = Σ P · ΔR.

    Bins above which there is no pixel have ΔR = 0 and drop out.

    Args:
        histograms: (…, 2, bins), any real dtype: background and object pixels.

    Returns:
        (…,), float64, in [0, 1]; NaN where there is no object pixel at all.
    """
    precision, recall = precision_recall(histograms)
    gained = torch.diff(recall, dim=-1, prepend=torch.zeros_like(recall[..., :1]))
    return (precision * gained).sum(dim=-1)


def mask_overlaps(histograms: Tensor) -> Tensor:
    """IoU of "map ≥ t" and the mask, of each image at each edge t.

        IoU(t) = TP(t) / (object pixels + FP(t))

    Args:
        histograms: (B, 2, bins), any real dtype: background and object pixels of each image.

    Returns:
        (B, bins), float64, in [0, 1]: column i for t = :func:`pixel_edges` [i], ascending; 0 where both
        are empty.
    """
    false, true = histograms.double().flip(-1).cumsum(dim=-1).flip(-1).unbind(dim=-2)  # (B, bins)
    union = true[..., :1] + false
    return torch.where(union > 0, true / torch.where(union > 0, union, 1), 0)
