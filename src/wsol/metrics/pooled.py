"""Metrics whose state is a few counts: PxAP and class accuracy."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from wsol.metrics.base import ImageMetric
from wsol.metrics.checks import check_rank
from wsol.metrics.pixels import pixel_average_precision, pixel_edges, pixel_histograms


class PixelAveragePrecision(ImageMetric):
    """PxAP: average precision of score maps against masks, over the pixels of all images together.

    Choe et al., Evaluating WSOL Methods Right, CVPR 2020. See
    :func:`wsol.metrics.pixel_average_precision`; ``histograms`` (2, bins) can also be given to
    :func:`wsol.metrics.precision_recall`.

    Args:
        step: width of the bins of scores.
        **options: of ``torchmetrics.Metric``.

    Raises:
        ValueError: ``step`` is not in (0, 1].
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    histograms: Tensor

    def __init__(self, step: float = 0.001, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self.step = step
        bins = len(pixel_edges(step)) - 1
        self.add_state("histograms", torch.zeros(2, bins, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, maps: Tensor, masks: Tensor, ignore: Tensor | None = None) -> None:
        """Count a batch.

        Args:
            maps: (B, H, W), float64, normalised to [0, 1]; 224×224 in the protocol.
            masks: (B, H, W), bool: pixels of the object, in the maps' frame.
            ignore: (B, H, W), bool: pixels left out; None leaves none out.

        Raises:
            ValueError: an argument that is not as described.
        """
        self.histograms += pixel_histograms(maps, masks, ignore, self.step).sum(dim=0).to(self.device)

    def compute(self) -> Tensor:
        """PxAP in [0, 1], a float64 tensor without dimensions.

        Raises:
            ValueError: no pixel of an object was seen.
        """
        if not self.histograms[1].any():
            raise ValueError("no pixel of an object was seen: PxAP is undefined")
        return pixel_average_precision(self.histograms)


class TopKAccuracy(ImageMetric):
    """Class accuracy from the place of the true class: Top-1 Cls, Top-5 Cls.

    Args:
        topk: the k, each 1 or more.
        **options: of ``torchmetrics.Metric``.

    Raises:
        ValueError: no k, or one below 1.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    correct: Tensor
    total: Tensor

    def __init__(self, topk: Sequence[int] = (1, 5), **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        if not topk or min(topk) < 1:
            raise ValueError(f"topk must be 1 or more each, got {tuple(topk)}")
        self.topk = tuple(topk)
        self.add_state("correct", torch.zeros(len(self.topk), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("total", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, rank: Tensor) -> None:
        """Count a batch.

        Args:
            rank: (B,), integer: place of the true class, 0 = top-1 (:func:`wsol.metrics.ranks`).

        Raises:
            ValueError: another shape or dtype, or a negative place.
        """
        check_rank(rank)
        rank = rank.to(self.device)
        self.correct += (rank[:, None] < torch.tensor(self.topk, device=rank.device)).sum(dim=0)
        self.total += len(rank)

    def compute(self) -> dict[str, Tensor]:
        """``Top-k Cls`` for each k: in [0, 1], float64 tensors without dimensions.

        Raises:
            ValueError: no image was seen.
        """
        if self.total == 0:
            raise ValueError("no image was seen: call update first")
        shares = self.correct.double() / self.total
        return {f"Top-{k} Cls": share for k, share in zip(self.topk, shares, strict=True)}
