"""Erasing: what training methods take away from a feature map so that the rest has to be learned too."""

import torch
from torch import Generator, Tensor

IGNORED = 255
"""Target of pixels that no loss looks at."""


def attentive_dropout(
    features: Tensor, *, threshold: float, probability: float, generator: Generator | None = None
) -> Tensor:
    """Attentive dropout (Bridging the Gap, Kim et al., CVPR 2022).

        a = mean_k g_k,   region = a > γ · max_p a

    Inside the region each pixel is zeroed, in all its channels, with probability q, independently of the
    others; nothing is rescaled.

    Args:
        features: (B, K, h, w), an inner map g.
        threshold: γ, in [0, 1].
        probability: q, in [0, 1].
        generator: of the draw, on the device of ``features``; None takes PyTorch's own.

    Returns:
        (B, K, h, w).

    Raises:
        ValueError: not four dimensions, or a value outside [0, 1].
    """
    _check(features, threshold=threshold, probability=probability)
    attention = _attention(features)
    region = attention > threshold * _peak(attention)
    drawn = torch.rand(region.shape, device=features.device, generator=generator) < probability
    return torch.where(region & drawn, 0, features)  # unlike masked_fill it keeps the memory format


def importance_map(features: Tensor) -> Tensor:
    """The importance map of ADL (Choe & Shim, CVPR 2019): σ of the mean over channels.

    Args:
        features: (B, K, h, w).

    Returns:
        (B, 1, h, w) in (0, 1); gradients flow through it.
    """
    _check(features)
    return _attention(features).sigmoid()


def drop_mask(features: Tensor, *, threshold: float) -> Tensor:
    """The drop mask of ADL (Choe & Shim, CVPR 2019): 1 where the attention is below a share of its peak.

        [a < t · max_p a],   a = mean_k f_k

    Args:
        features: (B, K, h, w).
        threshold: t, in [0, 1].

    Returns:
        (B, 1, h, w), 0 or 1, in the dtype of ``features``; no gradient.
    """
    _check(features, threshold=threshold)
    attention = _attention(features.detach())
    return (attention < threshold * _peak(attention)).to(features.dtype)


def attention_dropout(
    features: Tensor,
    *,
    threshold: float = 0.9,
    drop_probability: float = 0.75,
    generator: Generator | None = None,
) -> Tensor:
    """Attention-based dropout layer (ADL; Choe & Shim, CVPR 2019), as in training.

    One draw for the whole batch: with ``drop_probability`` the features are multiplied by the drop mask,
    else by the importance map.

    Args:
        features: (B, K, h, w).
        threshold: t of the drop mask.
        drop_probability: in [0, 1].
        generator: of the draw, on the device of ``features``; None takes PyTorch's own.

    Returns:
        (B, K, h, w).
    """
    _check(features, threshold=threshold, drop_probability=drop_probability)
    drops = torch.rand((), device=features.device, generator=generator) < drop_probability
    if features.is_cuda:  # to ask for the draw would make the program wait for the device
        mask, importance = drop_mask(features, threshold=threshold), importance_map(features)
        return features * torch.where(drops, mask, importance)
    return features * (drop_mask(features, threshold=threshold) if drops else importance_map(features))


def erase_attended(features: Tensor, attention: Tensor, *, threshold: float) -> Tensor:
    """Adversarial erasing of ACoL (Zhang et al., CVPR 2018): what head A attends to is zeroed for head B.

    Args:
        features: (B, K, h, w), the input of both heads.
        attention: (B, h, w) in [0, 1], head A's map of the label, min–maxed; no gradient flows through it.
        threshold: δ, in [0, 1]: features where the attention is at least this are zeroed.

    Returns:
        (B, K, h, w).

    Raises:
        ValueError: shapes that do not fit, or a threshold outside [0, 1].
    """
    _check(features, threshold=threshold)
    if attention.shape != (features.shape[0], *features.shape[2:]):
        raise ValueError(
            f"attention must be (B, h, w) of features {tuple(features.shape)}, got {tuple(attention.shape)}"
        )
    return torch.where((attention.detach() >= threshold)[:, None], 0, features)


def seed_targets(attention: Tensor, *, high: float, low: float, fewest: int = 30) -> Tensor:
    """Targets of SPG (Zhang et al., ECCV 2018): sure foreground, sure background, and pixels left out.

    Above ``high`` is foreground; an image with fewer than ``fewest`` such pixels takes those above 0.7 of
    its maximum. Below ``low`` is background, which is written last. The rest is ignored.

    Args:
        attention: (B, H, W) in [0, 1]; no gradient flows through it.
        high: in [0, 1].
        low: in [0, 1].
        fewest: pixels.

    Returns:
        (B, H, W), uint8: 1 foreground, 0 background, 255 (``IGNORED``) left out.

    Raises:
        ValueError: not three dimensions, or a threshold outside [0, 1].
    """
    if attention.ndim != 3:
        raise ValueError(f"attention must be (B, H, W), got {tuple(attention.shape)}")
    check_shares(high=high, low=low)
    attention = attention.detach()
    foreground = attention > high
    few = foreground.sum(dim=(1, 2), keepdim=True) < fewest
    foreground = torch.where(few, attention > 0.7 * attention.amax(dim=(1, 2), keepdim=True), foreground)
    targets = torch.full_like(attention, IGNORED, dtype=torch.uint8)
    return targets.masked_fill(foreground, 1).masked_fill(attention < low, 0)


def hide_patches(
    images: Tensor, *, size: int, probability: float = 0.5, generator: Generator | None = None
) -> Tensor:
    """Hide-and-Seek (HaS; Singh & Lee, ICCV 2017): each patch of a grid is hidden by itself, image by image.

    The grid begins in the upper left corner; patches at the far edges are cut off.

    Args:
        images: (B, C, H, W), normalised, so that 0 is the mean colour.
        size: side of a patch in pixels; 0 hides nothing.
        probability: of each patch to be hidden, in [0, 1].
        generator: of the draw, on the device of ``images``; None takes PyTorch's own.

    Returns:
        (B, C, H, W), hidden pixels 0.

    Raises:
        ValueError: not four dimensions, a negative size, or a probability outside [0, 1].
    """
    _check(images, probability=probability)
    if size < 0:
        raise ValueError(f"size must be at least 0, got {size}")
    if size == 0:
        return images
    (batch, _, height, width), device = images.shape, images.device
    grid = (batch, -(-height // size), -(-width // size))
    hidden = torch.rand(grid, device=device, generator=generator) < probability
    pixels = hidden.repeat_interleave(size, dim=1).repeat_interleave(size, dim=2)[:, :height, :width]
    return torch.where(pixels[:, None], 0, images)


def mixing_box(size: tuple[int, int], ratio: float, centre: tuple[int, int]) -> tuple[int, int, int, int]:
    """The box of CutMix (Yun et al., ICCV 2019) that is filled from another image.

        side = int(S · √(1 − λ)) along each axis of length S, half of it (side // 2) to either side of the
        centre, clipped to the image

    What is left of the image is therefore at least λ of it: who mixes labels computes the share anew.

    Args:
        size: (H, W).
        ratio: λ, the share of the image that is to stay, in [0, 1].
        centre: (row, column).

    Returns:
        x0, y0, x1, y1, the last two exclusive; empty where a side is below 2.

    Raises:
        ValueError: a ratio outside [0, 1].
    """
    check_shares(ratio=ratio)
    (y0, y1), (x0, x1) = (
        (max(at - half, 0), min(at + half, length))
        for length, at in zip(size, centre, strict=True)
        for half in [int(length * (1 - ratio) ** 0.5) // 2]
    )
    return x0, y0, x1, y1


def cut_and_paste(images: Tensor, permutation: Tensor, box: tuple[int, int, int, int]) -> Tensor:
    """CutMix (Yun et al., ICCV 2019): inside the box each image shows its partner.

    Args:
        images: (B, C, H, W).
        permutation: (B,), int64: the partner of each image.
        box: x0, y0, x1, y1 in pixels, the last two exclusive.

    Returns:
        (B, C, H, W).
    """
    _check(images)
    x0, y0, x1, y1 = box
    mixed = images.clone()
    mixed[:, :, y0:y1, x0:x1] = images[:, :, y0:y1, x0:x1][permutation]
    return mixed


def _attention(features: Tensor) -> Tensor:
    """Mean over channels: (B, 1, h, w)."""
    return features.mean(dim=1, keepdim=True)


def _peak(attention: Tensor) -> Tensor:
    """Maximum over positions of each image: (B, 1, 1, 1)."""
    return attention.amax(dim=(2, 3), keepdim=True)


def _check(features: Tensor, **shares: float) -> None:
    if features.ndim != 4:
        raise ValueError(f"features must be (B, K, h, w), got {tuple(features.shape)}")
    check_shares(**shares)


def check_shares(**shares: float) -> None:
    """Make sure that values are in [0, 1].

    Raises:
        ValueError: one is not; the message names it.
    """
    for name, value in shares.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be in [0, 1], got {value}")
