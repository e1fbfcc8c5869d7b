"""Images from memory, in the forms that people hold them in."""

from typing import Any

import numpy as np
import torch
from PIL import Image

from wsol.data.images import upright_rgb


def to_image(image: Any) -> Image.Image:  # noqa: ANN401 - whatever a user passes is checked here
    """A picture from memory as upright RGB.

    Args:
        image: a PIL image of any mode; a uint8 array (H, W, 3) or (H, W); or a tensor (3, H, W), uint8
            or floating point in [0, 1].

    Raises:
        TypeError: something else; the message says what came.
        ValueError: floating-point values outside [0, 1], 32-bit pixels, or a PIL image without pixels.
    """
    if isinstance(image, Image.Image):
        return upright_rgb(image)
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and _is_picture(image.shape):
        return Image.fromarray(image).convert("RGB")
    if isinstance(image, torch.Tensor) and image.ndim == 3 and image.shape[0] == 3 and image.numel() > 0:
        if image.is_floating_point():
            image = image.detach()
            low, high = float(image.min()), float(image.max())
            if not (low >= 0 and high <= 1):
                raise ValueError(
                    f"a floating-point image must be in [0, 1], got {low:.3g} to {high:.3g}: "
                    "give it before normalisation"
                )
            image = (255 * image.float()).round().to(torch.uint8)
        if image.dtype == torch.uint8:
            return Image.fromarray(image.permute(1, 2, 0).cpu().numpy())
    shape = f" of {image.dtype}, shape {tuple(image.shape)}" if hasattr(image, "shape") else ""
    raise TypeError(
        "an image must be a path, a PIL image, a uint8 array (H, W, 3) or a tensor (3, H, W), uint8 or in "
        f"[0, 1]; got {type(image).__name__}{shape}"
    )


def _is_picture(shape: tuple[int, ...]) -> bool:
    return 0 not in shape and (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3))
