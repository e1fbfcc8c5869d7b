"""Score maps: features and the weights of one class become a picture of where that class is seen."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

MapKind = Literal["cam", "nwc", "norm", "similarity"]


def class_activation_map(
    features: Tensor, weight: Tensor, labels: Tensor, *, clamp_negative: bool = False
) -> Tensor:
    """Class activation map (CAM; Zhou et al., CVPR 2016, eq. 2), without bias.

        c(p) = Σ_k W[y, k] · f[k, p]

    With ``clamp_negative`` W becomes max(W, 0): negative weight clamping (NWC; Rethinking CAM,
    ECCV 2020, section 3.2), a matter of the map alone; class scores keep the negative weights.

    Args:
        features: (B, K, h, w), the last feature map.
        weight: (C, K), the linear classifier's.
        labels: (B,), int64, a class per image in [0, C).
        clamp_negative: leave channels of negative weight out.

    Returns:
        (B, h, w), unnormalised, in the dtype that ``features`` and ``weight`` promote to.

    Raises:
        ValueError: shapes that do not fit.
        IndexError: a label outside [0, C).
    """
    class_weight = _class_weight(features, weight, labels)  # (B, K)
    if clamp_negative:
        class_weight = class_weight.clamp(min=0)
    kind = torch.promote_types(features.dtype, weight.dtype)
    with _full_precision(features.device):
        return torch.einsum("bk,bkhw->bhw", class_weight.to(kind), features.to(kind))


def decompose(features: Tensor, weight: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Split a CAM into feature norm and similarity (Bridging the Gap, CVPR 2022, eq. 2).

        c(p) = ‖f(p)‖ · ‖W_y‖ · S(p),   S(p) = cos(f(p), W_y)

    Args:
        features: (B, K, h, w).
        weight: (C, K).
        labels: (B,), int64.

    Returns:
        F and S, (B, h, w) each. F is in [0, 1], ‖f(p)‖ min–maxed over the positions of each image
        (denominator + 1e-15); a constant norm gives zeros. S is in [-1, 1], and 0 where the feature or
        the weight is zero. Both in float32 for half-precision features, in which 1e-15 is 0.

    Raises:
        ValueError: shapes that do not fit.
        IndexError: a label outside [0, C).
    """
    features, weight = _precise(features), _precise(weight)
    cam = class_activation_map(features, weight, labels)
    norm = torch.linalg.vector_norm(features, dim=1)  # (B, h, w)
    scale = norm * torch.linalg.vector_norm(_class_weight(features, weight, labels), dim=1)[:, None, None]
    seen = scale > 0
    similarity = torch.where(seen, cam / torch.where(seen, scale, 1), 0)
    return _stretched(norm), similarity


def feature_norm(features: Tensor) -> Tensor:
    """F of :func:`decompose` alone.

    Args:
        features: (B, K, h, w).

    Returns:
        (B, h, w) in [0, 1], float32 at least.
    """
    return _stretched(torch.linalg.vector_norm(_precise(features), dim=1))


def upsample(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bicubic interpolation (a = -0.75, align_corners=False), as one matrix product per axis.

    Equal to ``torch.nn.functional.interpolate`` and to OpenCV's ``INTER_CUBIC`` in float64 up to
    rounding. A constant map stays exactly constant, and a map of that size as it is.

    Args:
        maps: (B, h, w), any real dtype.
        size: (H, W).

    Returns:
        (B, H, W), float64.
    """
    _check_maps(maps)
    maps = maps.double()
    if tuple(maps.shape[1:]) == tuple(size):
        return maps  # exactly: a rounding error may cost an 8-bit level
    origin = maps[:, :1, :1]  # taken out and put back: weights sum to 1, so only rounding changes
    rows = _bicubic_weights(maps.shape[1], size[0], maps.device)  # (H, h)
    columns = _bicubic_weights(maps.shape[2], size[1], maps.device)  # (W, w)
    return rows @ (maps - origin) @ columns.T + origin


def normalize(maps: Tensor) -> Tensor:
    """Min–max of each map to [0, 1].

    Args:
        maps: (B, H, W), floating point.

    Returns:
        (B, H, W), same dtype; zeros for a map that is constant or holds a value that is not finite.
    """
    _check_maps(maps)
    low, high = _extremes(maps)
    span = high - low  # not finite if any value is not
    usable = (span > 0) & span.isfinite()
    return torch.where(usable, (maps - low) / torch.where(usable, span, 1), 0)


def average(maps: Sequence[Tensor]) -> Tensor:
    """The mean of several views of one picture, each min–maxed, on the grid of the finest.

    Where a view holds a value that is not finite, all is 0, as in :func:`normalize`.

    Args:
        maps: (B, h, w) each, of sizes that may differ, unnormalised.

    Returns:
        (B, h, w), float64, in [0, 1].

    Raises:
        ValueError: no maps.
    """
    if not maps:
        raise ValueError("the average of no maps")
    finest = max(((each.shape[1], each.shape[2]) for each in maps), key=math.prod)
    views = torch.stack([upsample(each, finest) for each in maps])  # (V, B, h, w)
    whole = views.isfinite().flatten(2).all(dim=2).all(dim=0)  # (B,)
    mean = torch.stack([normalize(view) for view in views]).mean(dim=0)
    return torch.where(whole[:, None, None], mean, 0)


def ivr_normalize(maps: Tensor, percentile: float = 90.0) -> Tensor:
    """IVR's variant of the percentile standard: a map transform to use before a sweep of thresholds.

    Another thing than :class:`wsol.thresholds.PercentileThreshold` under the same name: with
    m = map − min(map) and N positions, each map is divided by element int(percentile/100 · N) of its
    ascending sorted m, without interpolation, and clipped to 1 (Kim et al., Normalization Matters in
    WSOL, ICCV 2021).

    Args:
        maps: (B, H, W), floating point.
        percentile: in [0, 100).

    Returns:
        (B, H, W) in [0, 1], same dtype; zeros for a map that is constant, holds a value that is not
        finite, or whose divisor is zero.

    Raises:
        ValueError: ``percentile`` is outside [0, 100).
    """
    _check_maps(maps)
    if not 0 <= percentile < 100:
        raise ValueError(f"percentile must be in [0, 100), got {percentile}")
    low, high = _extremes(maps)
    raised = maps - low
    ordered = raised.flatten(1).sort(dim=1).values  # (B, H·W)
    reference = ordered[:, int(percentile / 100 * ordered.shape[1]), None, None]
    usable = (reference > 0) & (high - low).isfinite()
    return torch.where(usable, raised / torch.where(usable, reference, 1), 0).clamp(max=1)


def _full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Without autocast, which would round products to half precision."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def _class_weight(features: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """The weights of each image's class, (B, K)."""
    if features.ndim != 4 or weight.ndim != 2 or features.shape[1] != weight.shape[1]:
        raise ValueError(
            f"features must be (B, K, h, w) and weight (C, K) with the same K, "
            f"got {tuple(features.shape)} and {tuple(weight.shape)}"
        )
    if labels.shape != features.shape[:1]:
        raise ValueError(f"labels must be ({features.shape[0]},), one an image, got {tuple(labels.shape)}")
    return weight.index_select(0, labels)  # refuses negative labels, which weight[labels] would wrap


def _precise(values: Tensor) -> Tensor:
    """In float32 at least."""
    return values if values.element_size() > 2 else values.float()


def _stretched(norm: Tensor) -> Tensor:
    """Min–max of feature norms (B, h, w), with a denominator that is never 0."""
    low, high = _extremes(norm)
    return (norm - low) / (high - low + 1e-15)


def _extremes(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest and largest value of each map, (B, 1, 1) each; NaN if one is in it."""
    low, high = torch.aminmax(maps.flatten(1), dim=1)
    return low[:, None, None], high[:, None, None]


@lru_cache(maxsize=64)
def _bicubic_weights(source: int, target: int, device: torch.device) -> Tensor:
    """The matrix (target, source) that resamples one axis: PyTorch's own weights, read off an identity."""
    with torch.inference_mode(False):  # cached, so it must be usable under autograd too
        identity = torch.eye(source, dtype=torch.float64)[None, None]
        weights = F.interpolate(identity, size=(target, source), mode="bicubic", align_corners=False)
    return weights[0, 0].to(device)


def _check_maps(maps: Tensor) -> None:
    if maps.ndim != 3 or 0 in maps.shape[1:]:
        raise ValueError(f"maps must be (B, H, W) with at least one pixel, got {tuple(maps.shape)}")
