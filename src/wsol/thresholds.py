"""Thresholds: which pixels of a normalised map are foreground.

Maps are compared as 8-bit pictures, u(p) = floor(255 · map), and a pixel is foreground where
u(p) > T with the integer level T = int(τ · reference); the classes here differ in the reference.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

ThresholdKind = Literal["max", "percentile"]


@dataclass(frozen=True)
class MaximumThreshold:
    """Maximum as a standard (MaS): T = int(τ · max u).

    Attributes:
        ratio: τ in [0, 1]; papers use 0.15 to 0.2.
    """

    ratio: float = 0.2

    def __post_init__(self) -> None:
        _check_ratio(self.ratio)

    def __call__(self, maps: Tensor) -> Tensor:
        """Level T of each map: (B, H, W) in [0, 1] -> (B,) int64 in [0, 255]."""
        return (self.ratio * quantize(maps).flatten(1).amax(dim=1).double()).long()


@dataclass(frozen=True)
class PercentileThreshold:
    """Percentile as a standard (PaS; Rethinking CAM, ECCV 2020, section 3.3): T = int(τ · percentile of u).

    The percentile interpolates linearly between order statistics, as ``numpy.percentile`` does.

    Attributes:
        ratio: τ in [0, 1]; released setting 0.35.
        percentile: in [0, 100]; released setting 90. 100 is the maximum: MaS.
    """

    ratio: float = 0.35
    percentile: float = 90.0

    def __post_init__(self) -> None:
        _check_ratio(self.ratio)
        if not 0 <= self.percentile <= 100:
            raise ValueError(f"percentile must be in [0, 100], got {self.percentile}")

    def __call__(self, maps: Tensor) -> Tensor:
        """Level T of each map: (B, H, W) in [0, 1] -> (B,) int64 in [0, 255]."""
        reference = histogram_percentile(level_histograms(maps), self.percentile)
        return (self.ratio * reference).long()


Threshold = MaximumThreshold | PercentileThreshold


def build(kind: ThresholdKind, ratio: float | None = None, percentile: float | None = None) -> Threshold:
    """The threshold of that name; None takes the default of its class.

    Raises:
        ValueError: a value out of range, an unknown kind, or a percentile for ``max``.
    """
    given = {"ratio": ratio, "percentile": percentile}
    options = {name: value for name, value in given.items() if value is not None}
    if kind == "percentile":
        return PercentileThreshold(**options)
    if kind != "max":
        raise ValueError(f"threshold must be 'max' or 'percentile', got {kind!r}")
    if percentile is not None:
        raise ValueError("percentile is an option of threshold 'percentile'; threshold is 'max'")
    return MaximumThreshold(**options)


def quantize(maps: Tensor) -> Tensor:
    """u = floor(255 · map): (B, H, W) in [0, 1] -> uint8."""
    maps = maps if maps.element_size() > 2 else maps.float()
    return (255 * maps).to(torch.uint8)  # conversion truncates, which is floor here


def level_histograms(maps: Tensor) -> Tensor:
    """How many pixels of each map have each 8-bit level u: (B, H, W) in [0, 1] -> (B, 256) int64."""
    levels = quantize(maps).flatten(1).long()  # (B, N)
    offset = 256 * torch.arange(len(levels), device=levels.device)[:, None]
    return torch.bincount((levels + offset).flatten(), minlength=256 * len(levels)).view(-1, 256)


def histogram_percentile(histograms: Tensor, percentile: float) -> Tensor:
    """The percentile of the values that histograms count, exactly as ``numpy.percentile`` of the values.

    It interpolates linearly between the order statistics around position percentile/100 · (N − 1).

    Args:
        histograms: (B, L), int64: how many times each of the values 0…L−1 occurs, at least one in all.
        percentile: in [0, 100]; 100 is the maximum.

    Returns:
        (B,), float64, in [0, L − 1].
    """
    cumulative = histograms.cumsum(dim=1)  # (B, L): values at or below each
    last = cumulative[:, -1:] - 1  # (B, 1)
    position = percentile / 100 * last.double()
    rank = position.long()
    below, above = (
        torch.searchsorted(cumulative, place, right=True).double()
        for place in (rank, torch.minimum(rank + 1, last))
    )  # (B, 1) order statistics around the percentile
    part = position - rank
    step = above - below  # interpolated from the nearer end, as NumPy does, so that rounding agrees
    return torch.where(part < 0.5, below + step * part, above - step * (1 - part))[:, 0]


def foreground(maps: Tensor, levels: Tensor) -> Tensor:
    """Pixels above their map's level: (B, H, W) in [0, 1] and (B,) -> (B, H, W) bool."""
    return quantize(maps) > levels[:, None, None]


def _check_ratio(ratio: float) -> None:
    if not 0 <= ratio <= 1:
        raise ValueError(f"ratio must be in [0, 1], got {ratio}")
