"""The pictures of :mod:`wsol.data.synthetic`: a creature with a badge, on a ground with things lying around.

What is drawn, where and in which colours comes from the same distributions for every class; the symbol and
colour of the badge are the class.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from wsol.data.creatures import PLANS, Part
from wsol.data.drawing import (
    SAMPLES,
    Array,
    Points,
    Rng,
    Size,
    blur,
    colour,
    cover,
    ellipse,
    hsv,
    lay,
    limb,
    points,
    sample,
    turn,
)
from wsol.data.textures import COATS, TEXTURES, clouds

SIDE = (160, 224)
"""Shortest and longest side of a picture."""

SCALE = (0.55, 0.95)
"""Longer side of a creature, as a share of the picture's in that direction."""

BADGE = (0.04, 0.06)
"""Area of the badge, as a share of the creature's."""


@dataclass(frozen=True)
class Symbol:
    """What tells a class: a pale shape within the unit circle, on a disc of its colour."""

    shapes: tuple[Points, ...]
    colour: Array


def _spiky(count: int, inner: float) -> Points:
    angle = np.linspace(0, 2 * np.pi, 2 * count, endpoint=False) - np.pi / 2
    radius = np.where(np.arange(2 * count) % 2, inner, 1)
    return np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1)


_HEART = (
    ellipse(-0.42, -0.3, 0.48, 0.48),
    ellipse(0.42, -0.3, 0.48, 0.48),
    points((-0.86, -0.1), (0.86, -0.1), (0, 0.95)),
)
_CLOVER = tuple(ellipse(0.5 * x, 0.5 * y, 0.46, 0.46) for x, y in ((0, -1), (1, 0), (0, 1), (-1, 0)))
_DROP = (ellipse(0, 0.3, 0.62, 0.62), points((-0.58, 0.1), (0, -1), (0.58, 0.1)))
_BARS = (*limb([(-0.7, -0.7), (0.7, 0.7)], (0.25, 0.25)), *limb([(-0.7, 0.7), (0.7, -0.7)], (0.25, 0.25)))

SYMBOLS: Mapping[str, Symbol] = {
    "red heart": Symbol(_HEART, hsv(0.98, 0.95, 0.85)),
    "orange star": Symbol((_spiky(5, 0.45),), hsv(0.1, 1.0, 1.0)),
    "green clover": Symbol(_CLOVER, hsv(0.38, 1.0, 0.6)),
    "blue drop": Symbol(_DROP, hsv(0.6, 1.0, 0.9)),
    "black cross": Symbol(_BARS, hsv(0.0, 0.0, 0.05)),
}
CLASSES = tuple(SYMBOLS)
_PALE = hsv(0.13, 0.08, 0.98)


@dataclass(frozen=True)
class Picture:
    """A drawn picture.

    Attributes:
        pixels: (height, width, 3) uint8.
        mask: (height, width), where the creature is.
        badge: (height, width), where the badge is, all of it on the creature.
        label: the class.
    """

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    badge: NDArray[np.bool_]
    label: int


def draw(rng: Rng, label: int) -> Picture:
    """A picture of a class, all the rest of it random."""
    size = (int(rng.integers(SIDE[0], SIDE[1] + 1)), int(rng.integers(SIDE[0], SIDE[1] + 1)))
    parts = _placed(rng, PLANS[rng.integers(len(PLANS))](rng), size)
    count = sample([shape for part in parts for shape in part.shapes], size).sum(axis=2)
    mask = count * 2 >= SAMPLES**2
    share = count.astype(np.float32) / SAMPLES**2
    ground = _ground(rng, size)
    shadow = np.roll(blur(share, max(size) / 40), (max(size) // 40, max(size) // 60), (0, 1))
    picture = lay(ground, ground * 0.45, shadow * rng.uniform(0.3, 0.9))
    picture = lay(picture, _creature(rng, parts, size, float(mask.sum())), share)
    centre, radius = _badge_place(rng, mask)
    symbol = SYMBOLS[CLASSES[label]]
    picture, badge = _with_badge(picture, symbol, centre, radius, rng.uniform(-0.4, 0.4))
    light = 1 + 0.25 * (clouds(rng, size, 2, 1) - 0.5)
    grain = rng.normal(0, 0.012, size)
    pixels = np.clip(picture * light[..., None] + grain[..., None], 0, 1)
    return Picture((pixels * 255).round().astype(np.uint8), mask, badge, label)


def _placed(rng: Rng, parts: Sequence[Part], size: Size) -> list[Part]:
    """The parts in pixels of the picture: flipped, turned, scaled and put somewhere, whole."""
    matrix = turn(rng.uniform(-0.6, 0.6)) @ np.diag((rng.choice((-1.0, 1.0)), 1.0))
    turned = [tuple(shape @ matrix.T for shape in part.shapes) for part in parts]
    everything = np.concatenate([shape for shapes in turned for shape in shapes])
    low, high = everything.min(axis=0), everything.max(axis=0)
    frame = np.array((size[1], size[0]), np.float64)
    scale = rng.uniform(*SCALE) / ((high - low) / frame).max()
    free = frame - (high - low) * scale
    corner = free * (0.02 + 0.96 * rng.random(2))
    return [
        replace(part, shapes=tuple((shape - low) * scale + corner for shape in shapes))
        for part, shapes in zip(parts, turned, strict=True)
    ]


def _ground(rng: Rng, size: Size) -> Array:
    """A ground of one texture, or of two on both sides of a horizon, with things lying on it."""
    ground = _textured(rng, size)
    if rng.uniform() < 0.35:
        height = rng.uniform(0.3, 0.6) * size[0]
        bend = (clouds(rng, (1, size[1]), 2, 2)[0] - 0.5) * rng.uniform(0, 40)
        above = np.clip(height + bend - np.arange(size[0])[:, None], 0, 1).astype(np.float32)
        ground = lay(ground, _textured(rng, size), above)
    for _ in range(int(rng.integers(0, 9))):
        ground = _with_thing(rng, ground, size)
    return ground


def _textured(rng: Rng, size: Size) -> Array:
    texture = TEXTURES[rng.integers(len(TEXTURES))](rng, size)
    low = colour(rng, (0.05, 0.6), (0.25, 0.85))
    other = colour(rng, (0.05, 0.6), (0.3, 0.95))
    high = low + (other - low) * rng.uniform(0.35, 0.9)
    return lay(np.broadcast_to(low, (*size, 3)), high, 0.85 * texture + 0.15 * clouds(rng, size, 8, 2))


def _with_thing(rng: Rng, ground: Array, size: Size) -> Array:
    """A stone, leaf, twig, flower or ring somewhere: none tells a class."""
    at, long = rng.random(2) * (size[1], size[0]), rng.uniform(0.03, 0.1) * max(size)
    angle, paint = rng.uniform(0, np.pi), colour(rng, (0.1, 0.9), (0.3, 0.95))
    kind = rng.integers(4)
    if kind == 0:  # stone
        shapes: tuple[Points, ...] = (ellipse(0, 0, long, long * rng.uniform(0.5, 0.9), angle, power=2.4),)
    elif kind == 1:  # leaf
        shapes = (ellipse(0, 0, long, long * rng.uniform(0.25, 0.5), angle, power=1.4),)
    elif kind == 2:  # twig
        end = (1.5 * long * np.cos(angle), 1.5 * long * np.sin(angle))
        shapes = limb([(-end[0], -end[1]), (long * 0.2, 0), end], (2.5, 2.0, 1.2))
    else:  # flower
        petals = int(rng.integers(5, 8))
        turns = angle + np.arange(petals) * 2 * np.pi / petals
        shapes = tuple(
            ellipse(0.55 * long * np.cos(t), 0.55 * long * np.sin(t), long * 0.45, long * 0.24, t)
            for t in turns
        )
    share = cover([shape + at for shape in shapes], size)
    ground = lay(ground, ground * 0.55, np.roll(blur(share, 2), (2, 1), (0, 1)) * 0.6)
    ground = lay(ground, paint * (1 - 0.25 * clouds(rng, size, 10, 2)[..., None]), share)
    if kind == 3:
        heart = ellipse(at[0], at[1], long / 4, long / 4)
        ground = lay(ground, colour(rng, (0.3, 0.9), (0.5, 0.95)), cover([heart], size))
    return ground


def _creature(rng: Rng, parts: Sequence[Part], size: Size, area: float) -> Array:
    """The parts one over the other, with pattern, soft light from above and shadows on one another."""
    second, dark = colour(rng, (0.15, 0.9), (0.35, 0.95)), hsv(0, 0, rng.uniform(0.05, 0.2))
    flat = {"second": second, "white": np.full(3, 0.93, np.float32), "dark": dark}
    coat = _coat(rng, size)
    roundness = float(np.sqrt(area)) / 12
    layer = coat
    for part in parts:
        share = cover(part.shapes, size)
        soft = blur(share, roundness)
        down, right = np.asarray(np.gradient(soft), np.float32)
        slope: Array = np.clip(roundness * (1.1 * down + 0.5 * right), -0.45, 0.35)
        paint = coat if part.paint == "coat" else np.broadcast_to(flat[part.paint], coat.shape)
        layer = lay(layer, layer * 0.6, blur(share, 2))
        layer = lay(layer, np.clip(paint * part.light * (1 + slope[..., None]), 0, 1), share)
    return layer


def _coat(rng: Rng, size: Size) -> Array:
    """The pattern of a creature: plain, or in two colours."""
    main, other = colour(rng, (0.15, 0.9), (0.4, 0.95)), colour(rng, (0.15, 0.9), (0.35, 0.95))
    coat = np.broadcast_to(main, (*size, 3)) * (0.85 + 0.15 * clouds(rng, size, 10, 2)[..., None])
    if rng.uniform() < 0.3:
        return coat
    texture = TEXTURES[rng.integers(COATS)](rng, size)
    return lay(coat, main + (other - main) * rng.uniform(0.3, 0.9), texture)


def _badge_place(rng: Rng, mask: NDArray[np.bool_]) -> tuple[tuple[float, float], float]:
    """Centre x, y and radius of a badge that lies on the creature."""
    radius = float(np.sqrt(rng.uniform(*BADGE) * mask.sum() / np.pi))
    inside: NDArray[np.float64] = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    radius = min(radius, float(inside.max()) - 1)
    y, x = np.nonzero(inside >= radius + 1)
    place = rng.integers(len(x))
    return (float(x[place]) + 0.5, float(y[place]) + 0.5), radius


def _with_badge(
    picture: Array, symbol: Symbol, centre: tuple[float, float], radius: float, angle: float
) -> tuple[Array, NDArray[np.bool_]]:
    """The picture with a badge, and where that is."""
    size = (picture.shape[0], picture.shape[1])
    rim, disc = (ellipse(centre[0], centre[1], radius * part, radius * part) for part in (1.0, 0.84))
    shapes = [shape @ turn(angle).T * radius * 0.62 + centre for shape in symbol.shapes]
    badge = cover([rim], size)
    picture = lay(picture, _PALE, badge)
    picture = lay(picture, symbol.colour, cover([disc], size))
    return lay(picture, _PALE, cover(shapes, size)), badge > 0
