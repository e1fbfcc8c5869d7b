"""Shapes and colours from which :mod:`wsol.data.scenes` draws its pictures.

Shapes are polygons (N, 2) of x, y; pictures are (height, width, 3) float32 in [0, 1].
"""

import colorsys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Array = NDArray[np.float32]
Points = NDArray[np.float64]
Rng = np.random.Generator
Size = tuple[int, int]

SAMPLES = 4
"""Points along each side of a pixel at which it is asked whether a shape covers it."""


def points(*pairs: tuple[float, float]) -> Points:
    """A polygon of its corners."""
    return np.array(pairs, np.float64)


def ellipse(x: float, y: float, rx: float, ry: float, angle: float = 0.0, *, power: float = 2.0) -> Points:
    """A superellipse around (x, y), turned by an angle in radians; ``power`` 2 is an ellipse, 4 is boxy."""
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    cos, sin = np.cos(t), np.sin(t)
    across = rx * np.sign(cos) * np.abs(cos) ** (2 / power)
    down = ry * np.sign(sin) * np.abs(sin) ** (2 / power)
    return np.stack((across, down), axis=1) @ turn(angle).T + (x, y)


def limb(path: Sequence[tuple[float, float]], widths: Sequence[float]) -> tuple[Points, ...]:
    """A rounded line through points, as half as wide as ``widths`` says at each."""
    shapes = [ellipse(x, y, width, width) for (x, y), width in zip(path, widths, strict=True)]
    for start in range(len(path) - 1):
        (ax, ay), (bx, by) = path[start], path[start + 1]
        length = np.hypot(bx - ax, by - ay) + 1e-9
        nx, ny = (ay - by) / length, (bx - ax) / length
        a, b = widths[start], widths[start + 1]
        corners = ((ax + nx * a, ay + ny * a), (bx + nx * b, by + ny * b))
        shapes.append(points(*corners, (bx - nx * b, by - ny * b), (ax - nx * a, ay - ny * a)))
    return tuple(shapes)


def turn(angle: float) -> Points:
    """The matrix that turns points by an angle in radians, clockwise as pictures have y downwards."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def sample(shapes: Sequence[Points], size: Size) -> NDArray[np.bool_]:
    """Which of the sample points of each pixel the union of the shapes covers.

    Args:
        shapes: polygons in pixels of the picture; what lies outside is cut off.
        size: (height, width) of the picture.

    Returns:
        (height, width, SAMPLES ** 2).
    """
    height, width = size
    canvas = Image.new("1", (width * SAMPLES, height * SAMPLES))
    draw = ImageDraw.Draw(canvas)
    for shape in shapes:
        draw.polygon([(x * SAMPLES, y * SAMPLES) for x, y in shape], fill=1)
    grid = np.asarray(canvas).reshape(height, SAMPLES, width, SAMPLES)
    return grid.transpose(0, 2, 1, 3).reshape(height, width, SAMPLES**2)


def cover(shapes: Sequence[Points], size: Size) -> Array:
    """The share of each pixel that the union of the shapes covers: (height, width), in [0, 1]."""
    corners = np.concatenate([(shape.min(axis=0), shape.max(axis=0)) for shape in shapes])
    frame = (size[1], size[0])
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - 1, 0, frame)  # drawn where they lie, no further
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 2, low, frame)
    share = np.zeros(size, np.float32)
    if (high > low).all():
        part = sample([shape - low for shape in shapes], (high[1] - low[1], high[0] - low[0]))
        share[low[1] : high[1], low[0] : high[0]] = part.mean(axis=2, dtype=np.float32)
    return share


def blur(values: Array, radius: float) -> Array:
    """A map (height, width) in [0, 1], smoothed."""
    image = Image.fromarray((values * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(image, np.float32) / np.float32(255)


def lay(picture: Array, colour: Array, share: Array) -> Array:
    """The picture with a colour, or another picture, over it as far as ``share`` (height, width) says."""
    return np.asarray(picture + (colour - picture) * share[..., None], np.float32)


def colour(rng: Rng, saturation: tuple[float, float], value: tuple[float, float]) -> Array:
    """A colour (3,) of any hue."""
    return hsv(rng.uniform(), rng.uniform(*saturation), rng.uniform(*value))


def hsv(hue: float, saturation: float, value: float) -> Array:
    """A colour (3,)."""
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value), np.float32)
