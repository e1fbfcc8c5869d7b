"""Textures of grounds and coats, for :mod:`wsol.data.scenes`: maps (height, width) from 0 to 1."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from wsol.data.drawing import Array, Rng, Size


def _grid(size: Size, angle: float) -> tuple[Array, Array]:
    """Coordinates along an angle and across it, in units of the longer side, 0 in the middle."""
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = (x - width / 2) / max(size), (y - height / 2) / max(size)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * cos + y * sin, y * cos - x * sin


def clouds(rng: Rng, size: Size, cells: float = 4, octaves: int = 4) -> Array:
    """Smooth noise (height, width) from 0 to 1, of ``cells`` patches along a side and finer ones."""
    total = np.zeros(size, np.float32)
    for octave in range(octaves):
        across = max(2, round(cells * 2**octave))
        values = Image.fromarray(rng.random((across, across), np.float32))
        fine = values.resize((size[1], size[0]), Image.Resampling.BICUBIC)
        total += np.asarray(fine, np.float32) / 2**octave
    return np.asarray((total - total.min()) / (np.ptp(total) + 1e-6), np.float32)


def gradient(rng: Rng, size: Size) -> Array:
    """From 0 at one side to 1 at the other, in any direction."""
    along, _ = _grid(size, rng.uniform(0, 2 * np.pi))
    return np.asarray(np.clip(along + 0.5 + 0.15 * (clouds(rng, size) - 0.5), 0, 1), np.float32)


def stripes(rng: Rng, size: Size) -> Array:
    """Waves of any direction and width, straight or winding."""
    along, _ = _grid(size, rng.uniform(0, np.pi))
    winding = rng.uniform(0, 0.25) * clouds(rng, size, 2, 2)
    waves = np.sin(2 * np.pi * rng.uniform(4, 14) * (along + winding))
    return np.asarray(np.clip(0.5 + rng.uniform(0.7, 2.5) * waves, 0, 1), np.float32)


def spots(rng: Rng, size: Size) -> Array:
    """Round spots in crooked rows."""
    along, across = _grid(size, rng.uniform(0, np.pi))
    often = 2 * np.pi * rng.uniform(5, 11)
    bent = 0.12 * clouds(rng, size, 2, 2)
    waves = np.sin(often * (along + bent)) * np.sin(often * (across - bent))
    return np.asarray(np.clip(0.5 + 4 * (np.abs(waves) - rng.uniform(0.45, 0.7)), 0, 1), np.float32)


def pebbles(rng: Rng, size: Size) -> Array:
    """Stones of random shades with dark joints."""
    height, width = size
    count = int(rng.integers(25, 90))
    centres = rng.random((count, 2), np.float32) * (height, width)
    y, x = np.mgrid[:height:2, :width:2].astype(np.float32)
    distance = np.hypot(y[..., None] - centres[:, 0], x[..., None] - centres[:, 1])
    nearest = np.argpartition(distance, 1, axis=2)[..., :2]
    two = np.take_along_axis(distance, nearest, 2)
    joints = np.clip((two[..., 1] - two[..., 0]) / 5, 0, 1)
    shades = rng.uniform(0.35, 1, count)[nearest[..., 0]]
    small = Image.fromarray((shades * joints).astype(np.float32))
    return np.asarray(small.resize((width, height), Image.Resampling.BILINEAR), np.float32)


def tiles(rng: Rng, size: Size) -> Array:
    """A chequered floor or a brick wall, its tiles a little uneven."""
    along, across = _grid(size, rng.choice((0, rng.uniform(0, np.pi))))
    often = rng.uniform(4, 10)
    row = np.floor(across * often * rng.choice((1, 2)))
    column = np.floor(along * often + row / 2)
    shades = rng.uniform(0.2, 1, (64, 64)).astype(np.float32)
    shade = shades[row.astype(int) % 64, column.astype(int) % 64]
    return np.asarray(0.85 * shade + 0.15 * clouds(rng, size, 12, 2), np.float32)


def strokes(rng: Rng, size: Size) -> Array:
    """Blades of grass, or straw."""
    height, width = size
    canvas = Image.new("L", (width * 2, height * 2), 60)
    draw = ImageDraw.Draw(canvas)
    main, spread, long = rng.uniform(0, np.pi), rng.uniform(0.1, 0.5), rng.uniform(14, 45)
    for _ in range(900):
        x, y = rng.uniform(-10, 2 * width + 10), rng.uniform(-10, 2 * height + 10)
        angle = main + rng.normal(0, spread)
        end = (x + long * np.cos(angle), y + long * np.sin(angle))
        draw.line(((x, y), end), fill=int(rng.integers(20, 256)), width=int(rng.integers(2, 5)))
    return np.asarray(canvas.resize((width, height), Image.Resampling.BOX), np.float32) / np.float32(255)


TEXTURES: tuple[Callable[[Rng, Size], Array], ...] = (
    clouds, gradient, stripes, spots, pebbles, tiles, strokes,
)  # fmt: skip
"""What grounds are made of; the first :data:`COATS` of them suit a coat too."""

COATS = 4
