"""Pooling: a feature map becomes one number per channel, which the linear classifier turns into scores."""

from typing import Literal

import torch
from torch import Tensor

PoolingKind = Literal["gap", "tap"]


def global_average_pool(features: Tensor) -> Tensor:
    """Mean over all positions (GAP; Lin et al., Network in Network, 2014).

    Args:
        features: (B, K, h, w), floating point.

    Returns:
        (B, K), same dtype.
    """
    _check_features(features)
    return features.mean(dim=(-2, -1))


def thresholded_average_pool(features: Tensor, threshold: float = 0.1) -> Tensor:
    """Mean over the activated positions only (TAP; Rethinking CAM, ECCV 2020, section 3.1).

    With m_k = max_p f[k, p], the values strictly above θ·m_k are kept:

        pooled_k = Σ_p kept[k, p] / #{p : kept[k, p] > 0}

    and 0 where nothing is kept, as in a channel without a positive value. The choice of positions
    carries no gradient; the kept values do. θ = 0 averages the positive positions, which is not GAP.

    Args:
        features: (B, K, h, w), floating point.
        threshold: θ in [0, 1).

    Returns:
        (B, K), same dtype.

    Raises:
        ValueError: ``features`` has not four dimensions, or ``threshold`` is outside [0, 1).
    """
    _check_features(features)
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold must be in [0, 1), got {threshold}")
    kept = features > threshold * features.amax(dim=(-2, -1), keepdim=True)  # (B, K, h, w)
    count = kept.sum(dim=(-2, -1)).clamp(min=1)  # (B, K)
    return torch.where(kept, features, 0).sum(dim=(-2, -1)) / count


def _check_features(features: Tensor) -> None:
    if features.ndim != 4 or not features.is_floating_point():
        raise ValueError(
            f"features must be a floating-point tensor (B, K, h, w), "
            f"got {features.dtype} of shape {tuple(features.shape)}"
        )
