"""What the box and class metrics are made of: pure functions on tensors.

Boxes here live in the official frame of the protocol (Choe et al., Evaluating WSOL Methods Right,
CVPR 2020): x0, y0, x1, y1 with both corners inside the box, so a width is x1 − x0 + 1.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from wsol.component_tree import Contours, best_overlaps
from wsol.metrics.checks import check_boxes, check_maps, check_percentile
from wsol.thresholds import histogram_percentile, quantize

_CHUNK = 1024  # images worked on at a time: memory stays flat


def thresholds(step: float = 0.001) -> Tensor:
    """The ratios τ of a sweep: 0, step, 2·step, … below 1, as ``numpy.arange`` rounds them.

    The protocol's step is 0.001; published runs also used 0.005 and 0.01, which skip 8-bit levels.

    Returns:
        (T,), float64.

    Raises:
        ValueError: ``step`` is not in (0, 1].
    """
    if not 0 < step <= 1:
        raise ValueError(f"step must be in (0, 1], got {step}")
    values = np.arange(0, 1, step)
    return torch.from_numpy(values[values < 1])


def levels_of(histograms: Tensor, ratios: Tensor, percentile: float = 100.0) -> Tensor:
    """The integer level T of each ratio τ on each map; foreground is u > T.

        T = int(τ · reference)

    Args:
        histograms: (B, 256), integer: :func:`wsol.thresholds.level_histograms` of the maps.
        ratios: (T,), float64, in [0, 1].
        percentile: in [0, 100]; 100 is the maximum.

    Returns:
        (B, T), int64, in [0, 255].

    Raises:
        ValueError: ratios that are not float64 in [0, 1], or a percentile outside [0, 100].
    """
    return _levels(references_of(histograms, percentile), ratios)


def references_of(histograms: Tensor, percentile: float = 100.0) -> Tensor:
    """What τ is a share of on each map.

    It is the maximum of the 8-bit map u (MaS: :class:`wsol.thresholds.MaximumThreshold`) or its percentile
    (PaS, Rethinking CAM: :class:`wsol.thresholds.PercentileThreshold`).

    Args:
        histograms: (B, 256), integer: :func:`wsol.thresholds.level_histograms` of the maps.
        percentile: in [0, 100]; 100 is the maximum.

    Returns:
        (B,), float64, in [0, 255].

    Raises:
        ValueError: a percentile outside [0, 100].
    """
    check_percentile(percentile)
    parts = torch.split(histograms, _CHUNK)
    return torch.cat([histogram_percentile(part.long(), percentile) for part in parts])


def distinct_ratios(references: Tensor, ratios: Tensor) -> Tensor:
    """The ratios at which the level of some map differs from that at the ratio before.

    All others repeat what the one before them gives: of the 1000 ratios of a sweep at most 256 are distinct
    where all maps have the same maximum, as normalised ones do, and τ is a share of it (MaS).

    Args:
        references: (N,), float64: :func:`references_of`.
        ratios: (T,), float64, in [0, 1], ascending.

    Returns:
        (T,), bool, the first always true; its cumulative sum less one numbers the distinct ratios.

    Raises:
        ValueError: ratios that are not float64 in [0, 1].
    """
    changes = _levels(torch.unique(references), ratios).diff(dim=1).any(dim=0)  # (T - 1,)
    return torch.cat([changes.new_ones(1), changes])[: len(ratios)]


def overlaps_by_level(maps: Tensor, boxes: Sequence[Tensor], contours: Contours, threads: int = 1) -> Tensor:
    """Of each image at each 8-bit level, the best IoU between a predicted box and a ground-truth box.

        IoU(a, b) = |a ∩ b| / (|a| + |b| − |a ∩ b|),   |a| = (x1 − x0 + 1) · (y1 − y0 + 1)

    Predicted at level T are the boxes of the mask u > T: [x, y, min(x + w, W − 1), min(y + h, H − 1)] of
    the largest contour or of all contours, holes among them; [0, 0, 0, 0] when nothing is above T.

    Args:
        maps: (B, H, W), float64, normalised to [0, 1]; 224×224 in the protocol.
        boxes: B tensors (n, 4), integer, n ≥ 1: the ground truth of each image, in the maps' frame
            (:func:`to_official_frame`).
        contours: ``largest`` (MaxBoxAcc, GT-known Loc) or ``all`` (MaxBoxAccV2).
        threads: images worked on at a time.

    Returns:
        (B, 256), float64, in [0, 1], on the maps' device: column T for level T.

    Raises:
        ValueError: maps or boxes that are not as described, or an image without boxes.
    """
    check_maps(maps)
    check_boxes(boxes, maps)
    if contours not in ("largest", "all"):
        raise ValueError(f"contours must be 'largest' or 'all', got {contours!r}")
    levels = quantize(maps).cpu().numpy()
    truth = torch.cat([each.cpu().long() for each in boxes]).numpy()  # (M, 4)
    counts = np.array([len(each) for each in boxes], np.int64)
    return torch.from_numpy(best_overlaps(levels, truth, counts, contours, threads)).to(maps.device)


def box_hits(overlaps: Tensor, levels: Tensor, iou_thresholds: Tensor) -> Tensor:
    """Whether an image is localized: IoU ≥ δ at level T.

    Args:
        overlaps: (B, 256), float64: :func:`overlaps_by_level`.
        levels: (B, T), int64, in [0, 255]: :func:`levels_of`.
        iou_thresholds: (D,), float64: the δ.

    Returns:
        (B, D, T), bool.
    """
    return overlaps.gather(1, levels)[:, None] >= iou_thresholds[:, None]  # (B, 1, T) >= (D, 1)


def hits_at(overlaps: Tensor, references: Tensor, ratios: Tensor, iou_thresholds: Tensor) -> Tensor:
    """Whether each image is localized, for each δ at a ratio of its own.

    Args:
        overlaps: (N, 256), float64: :func:`overlaps_by_level`.
        references: (N,), float64: :func:`references_of`.
        ratios: (D,), float64, in [0, 1].
        iou_thresholds: (D,), float64: the δ.

    Returns:
        (N, D), bool.

    Raises:
        ValueError: ratios that are not float64 in [0, 1].
    """
    return overlaps.gather(1, _levels(references, ratios)) >= iou_thresholds


def hits_by_ratio(
    overlaps: Tensor, references: Tensor, ratios: Tensor, iou_thresholds: Tensor
) -> Iterator[Tensor]:
    """Whether each image is localized, for each δ at each ratio: some images after the others.

    Args:
        overlaps: (N, 256), float64: :func:`overlaps_by_level`.
        references: (N,), float64: :func:`references_of`.
        ratios: (T,), float64, in [0, 1].
        iou_thresholds: (D,), float64: the δ.

    Yields:
        (n, D, T), bool: all at once would be large.

    Raises:
        ValueError: ratios that are not float64 in [0, 1].
    """
    for part, reference in zip(*(torch.split(each, _CHUNK) for each in (overlaps, references)), strict=True):
        yield box_hits(part, _levels(reference, ratios), iou_thresholds)


def hit_counts(
    overlaps: Tensor,
    references: Tensor,
    ratios: Tensor,
    iou_thresholds: Tensor,
    right: Tensor | None = None,
) -> Tensor:
    """How many images are localized, for each δ at each ratio.

    Args:
        overlaps: (N, 256), float64: :func:`overlaps_by_level`.
        references: (N,), float64: :func:`references_of`.
        ratios: (T,), float64, in [0, 1], ascending.
        iou_thresholds: (D,), float64: the δ.
        right: (N,), bool: images that may count; None for all.

    Returns:
        (D, T), int64.

    Raises:
        ValueError: ratios that are not float64 in [0, 1].
    """
    if right is not None:
        overlaps, references = overlaps[right], references[right]
    new = distinct_ratios(references, ratios)
    counts = torch.zeros(len(iou_thresholds), int(new.sum()), dtype=torch.int64, device=overlaps.device)
    for hits in hits_by_ratio(overlaps, references, ratios[new], iou_thresholds):
        counts += hits.view(torch.uint8).sum(dim=0, dtype=torch.int32)  # ten times faster than of bool
    return counts[:, new.cumsum(dim=0) - 1]


def _levels(references: Tensor, ratios: Tensor) -> Tensor:
    """T = int(τ · reference): (B,) and (T,) -> (B, T) int64."""
    if ratios.dtype != torch.float64 or not ((ratios >= 0) & (ratios <= 1)).all():
        raise ValueError(f"ratios must be float64 in [0, 1], got {ratios}")
    return (ratios * references[:, None]).long()


def to_official_frame(boxes: Tensor, size: tuple[int, int], frame: tuple[int, int] = (224, 224)) -> Tensor:
    """Annotated boxes of an image in the frame that the protocol evaluates in: int(coordinate · 224 / side).

    Args:
        boxes: (n, 4), x0, y0, x1, y1 in pixels of the original image, not negative.
        size: (height, width) of the original image.
        frame: (height, width) of the evaluation frame.

    Returns:
        (n, 4), int64, in the evaluation frame; a coordinate on the image's far side becomes the frame's side.

    Raises:
        ValueError: boxes that are not (n, 4), a negative or infinite coordinate, an empty size.
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes must be (n, 4), got {tuple(boxes.shape)}")
    if min(*size, *frame) < 1:
        raise ValueError(
            f"size and frame must be (height, width) of at least a pixel, got {size} and {frame}"
        )
    coordinates = boxes.double()
    if not ((coordinates >= 0) & coordinates.isfinite()).all():
        raise ValueError(f"boxes must be finite and not negative, got {boxes.tolist()}")
    source, target = (
        torch.tensor([width, height, width, height], dtype=torch.float64, device=boxes.device)
        for height, width in (size, frame)
    )
    return (coordinates * target / source).long()  # conversion truncates


def ranks(scores: Tensor, labels: Tensor) -> Tensor:
    """Place of the true class: how many classes score strictly higher (0 = top-1).

    A tie counts for the label.

    Args:
        scores: (B, C), class scores or probabilities, in any order-preserving scale, without NaN.
        labels: (B,), int64, in [0, C).

    Returns:
        (B,), int64, in [0, C).

    Raises:
        ValueError: shapes that do not fit, a label outside [0, C), a NaN score.
    """
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(
            f"scores must be (B, C) and labels (B,), got {tuple(scores.shape)} and {tuple(labels.shape)}"
        )
    if ((labels < 0) | (labels >= scores.shape[1])).any():
        raise ValueError(f"labels must be in [0, {scores.shape[1]}), got {labels.tolist()}")
    if scores.isnan().any():
        raise ValueError("scores must not hold NaN")
    return (scores > scores.gather(1, labels[:, None])).sum(dim=1)
