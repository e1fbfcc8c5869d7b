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
        levels = quantize(maps).flatten(1).long()  # (B, N)
        offset = 256 * torch.arange(len(levels), device=levels.device)[:, None]
        histogram = torch.bincount((levels + offset).flatten(), minlength=256 * len(levels))
        cumulative = histogram.view(-1, 256).cumsum(dim=1)  # (B, 256): pixels at or below each level
        position = self.percentile / 100 * (levels.shape[1] - 1)
        below, above = (
            torch.searchsorted(cumulative, torch.full_like(cumulative[:, :1], rank), right=True)[
                :, 0
            ].double()
            for rank in (int(position), min(int(position) + 1, levels.shape[1] - 1))
        )  # (B,) order statistics around the percentile
        part = position - int(position)
        step = above - below  # interpolated from the nearer end, as NumPy does, so that rounding agrees
        reference = below + step * part if part < 0.5 else above - step * (1 - part)
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


def foreground(maps: Tensor, levels: Tensor) -> Tensor:
    """Pixels above their map's level: (B, H, W) in [0, 1] and (B,) -> (B, H, W) bool."""
    return quantize(maps) > levels[:, None, None]


def _check_ratio(ratio: float) -> None:
    if not 0 <= ratio <= 1:
        raise ValueError(f"ratio must be in [0, 1], got {ratio}")
