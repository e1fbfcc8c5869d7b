"""Losses of Bridging the Gap (Kim et al., CVPR 2022): strong features and likeness to the class, aligned.

A CAM is feature norm times similarity to the class weight (:func:`wsol.maps.decompose`). Regions are hard
choices, through which no gradient flows; means over a region have denominator + 1e-15, so that of an empty
region is 0.
"""

from typing import Literal, get_args

import torch
from torch import Tensor

from wsol.maps import class_activation_map, decompose, feature_norm

Region = Literal["target", "max"]


def similarity_loss(
    features: Tensor, weight: Tensor, labels: Tensor, *, foreground: float, background: float
) -> Tensor:
    """Similarity loss: like the class where features are strong, unlike it where they are weak.

        L_sim = mean over the batch of [ mean_{F < background} S_y − mean_{F > foreground} S_y ]

    Gradients flow through S alone.

    Args:
        features: (B, K, h, w), of the last layer.
        weight: (C, K), the linear classifier's.
        labels: (B,), int64, true classes.
        foreground: τ_fg, in [0, 1]: F above it is foreground.
        background: τ_bg, in [0, 1]: F below it is background.

    Returns:
        A scalar in [−2, 2].

    Raises:
        ValueError: shapes that do not fit, or a threshold outside [0, 1].
        IndexError: a label outside [0, C).
    """
    for name, value in (("foreground", foreground), ("background", background)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be in [0, 1], got {value}")
    norm, similarity = decompose(features, weight, labels)  # (B, h, w) each
    norm = norm.detach()
    return (_mean(similarity, norm < background) - _mean(similarity, norm > foreground)).mean()


def norm_loss(features: Tensor, weight: Tensor, labels: Tensor, *, region: Region = "target") -> Tensor:
    """Norm loss: strong features where they are like a class, weak ones where they are unlike it.

        L_norm = mean over the batch of [ mean_{Q < 0} F − mean_{Q > 0} F ]

    Gradients flow through F alone, its minimum and maximum included.

    Args:
        features: (B, K, h, w), of the last layer.
        weight: (C, K), the linear classifier's.
        labels: (B,), int64, true classes.
        region: what Q is: ``target``, the similarity S_y to the true class (released for ImageNet); or
            ``max``, the highest similarity to any class (released for CUB).

    Returns:
        A scalar in [−1, 1].

    Raises:
        ValueError: shapes that do not fit, or an unknown region.
        IndexError: a label outside [0, C).
    """
    if region not in get_args(Region):
        raise ValueError(f"region must be one of {get_args(Region)}, got {region!r}")
    with torch.no_grad():  # norms are positive: similarities have the signs of maps
        cam = class_activation_map(features, weight, labels)
        sign = cam if region == "target" else _highest(features, weight)  # (B, h, w)
        near, far = sign > 0, sign < 0
    norm = feature_norm(features)  # (B, h, w)
    return (_mean(norm, far) - _mean(norm, near)).mean()


def consistency_loss(features: Tensor, erased: Tensor) -> Tensor:
    """Consistency with attentive dropout: L_drop = mean |f − f_erased|, gradients through both.

    Args:
        features: (B, K, h, w), of the last layer.
        erased: (B, K, h, w), the same from the erased inner map.

    Returns:
        A scalar, at least 0.

    Raises:
        ValueError: shapes that differ.
    """
    if features.shape != erased.shape:
        raise ValueError(
            f"features and erased must be of one shape, got {tuple(features.shape)} and {tuple(erased.shape)}"
        )
    difference = (features - erased).abs()
    return difference.mean(dtype=torch.promote_types(difference.dtype, torch.float32))  # many elements


def _mean(values: Tensor, region: Tensor) -> Tensor:
    """Mean of each image over its region: (B, h, w) and (B, h, w) bool -> (B,)."""
    inside = region.to(values.dtype)
    return (values * inside).sum(dim=(1, 2)) / (inside.sum(dim=(1, 2)) + 1e-15)


def _highest(features: Tensor, weight: Tensor) -> Tensor:
    """The highest map of any class, max_c f · W_c: (B, h, w)."""
    return torch.einsum("bkhw,ck->bchw", features, weight).amax(dim=1)
