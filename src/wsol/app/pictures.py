"""Pictures for the page, as data URIs: the page asks for no other file, and nothing of a person is one."""

import base64
import io

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from wsol.report.overlay import PALETTE

LONGEST = 720
"""Longest side of a photograph on the page, in pixels."""

THUMBNAIL = 96
"""Longest side of a photograph in the list."""

MASK_ALPHA = 80
"""Of 255: how much a mask tints the photograph."""


def photograph(image: Image.Image, longest: int = LONGEST) -> str:
    """An RGB picture, no larger than it is, as a JPEG."""
    scale = min(1.0, longest / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.BILINEAR).save(buffer, "JPEG", quality=85)
    return _uri("jpeg", buffer)


def heat(values: NDArray[np.float64]) -> str:
    """A map (h, w) in [0, 1] in the colours of viridis, as a JPEG."""
    colours = (mpl.colormaps["viridis"](np.arange(256), bytes=True))[:, :3]  # (256, 3)
    buffer = io.BytesIO()
    Image.fromarray(colours[(255 * values).astype(np.uint8)]).save(buffer, "JPEG", quality=85)
    return _uri("jpeg", buffer)


def mask(pixels: NDArray[np.bool_]) -> str:
    """A mask (h, w) to lay over a photograph: tinted where it holds, else transparent."""
    image = Image.fromarray(pixels.astype(np.uint8))
    image.putpalette([0, 0, 0, *ImageColor.getrgb(PALETTE[0])])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", bits=1, compress_level=1, transparency=bytes([0, MASK_ALPHA]))
    return _uri("png", buffer)


def _uri(kind: str, buffer: io.BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
