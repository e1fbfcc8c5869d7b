"""Refinement: a coarse score map takes the outline of what stands out by colour in its photograph."""

from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsol.cores import usable_cores
from wsol.maps import normalize

RefineKind = Literal["none", "grabcut"]

_ITERATIONS = 2
_BLUR = 2.0  # standard deviation in pixels: some of the map's grey values return to the outline


def grab_cut(
    maps: Tensor, images: Tensor, *, background: float = 0.1, foreground: float = 0.8, share: float = 0.5
) -> Tensor:
    """Half the map itself, half a cut of the photograph that begins with it.

    GrabCut (Rother, Kolmogorov, Blake, SIGGRAPH 2004; OpenCV's) models the colours of object and background
    by Gaussian mixtures, and cuts along the edges of the picture. Pixels of the map below ``background`` are
    background for sure, above ``foreground`` object for sure; of the others those above the middle of the
    two are taken for object at first. A map whose sure parts are empty stays as it is.

    Args:
        maps: (B, H, W) in [0, 1], normalised.
        images: (B, 3, H, W), uint8 or floating point in [0, 1].
        background: in [0, foreground).
        foreground: in (background, 1).
        share: of the cut in the result, in [0, 1].

    Returns:
        (B, H, W), float64 on the device of ``maps``, in [0, 1]: min–maxed and rounded to multiples of
        1/255, which are all that boxes can tell apart.

    Raises:
        ValueError: sizes that differ, or numbers out of their range.
    """
    if images.ndim != 4 or (len(images), *images.shape[2:]) != tuple(maps.shape) or images.shape[1] != 3:
        raise ValueError(
            "maps (B, H, W) and images (B, 3, H, W) must fit, "
            f"got {tuple(maps.shape)} and {tuple(images.shape)}"
        )
    if not 0 <= background < foreground < 1:
        raise ValueError(f"0 <= background < foreground < 1, got {background} and {foreground}")
    if not 0 <= share <= 1:
        raise ValueError(f"share must be in [0, 1], got {share}")
    if images.is_floating_point():
        images = (255 * images).round().to(torch.uint8)
    pixels = np.ascontiguousarray(images.permute(0, 2, 3, 1).cpu().numpy())  # (B, H, W, 3)
    coarse = maps.double().cpu().numpy()

    def cut(index: int) -> NDArray[np.float64]:
        return _cut(coarse[index], pixels[index], background, foreground)

    with ThreadPoolExecutor(usable_cores()) as pool:  # OpenCV works without the interpreter's lock
        cuts = list(pool.map(cut, range(len(maps))))
    mixed = share * np.stack(cuts) + (1 - share) * coarse if cuts else coarse
    refined = normalize(torch.from_numpy(mixed)) if len(mixed) else torch.from_numpy(mixed)
    return ((255 * refined).round() / 255).to(maps.device)


def _cut(
    map_: NDArray[np.float64], image: NDArray[np.uint8], background: float, foreground: float
) -> NDArray[np.float64]:
    """1 on the object, 0 elsewhere, its outline softened: (H, W)."""
    kinds = np.where(map_ > (background + foreground) / 2, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    kinds[map_ > foreground] = cv2.GC_FGD
    kinds[map_ < background] = cv2.GC_BGD
    if not ((kinds == cv2.GC_FGD).any() and (kinds == cv2.GC_BGD).any()):
        return map_
    cv2.setRNGSeed(0)  # of this thread: the mixtures begin with k-means
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(image, kinds, None, *models, _ITERATIONS, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    inside = np.isin(kinds, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float64)
    return np.asarray(cv2.GaussianBlur(inside, (0, 0), _BLUR), np.float64)
