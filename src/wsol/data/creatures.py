"""Invented creatures of several parts, for :mod:`wsol.data.synthetic`.

A creature looks to the right, its body is about two units long and lies around the origin, y points down.
Its parts are in the order in which they are painted, with the body's among them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wsol.data.drawing import Points, Rng, ellipse, limb, points


@dataclass(frozen=True)
class Part:
    """A part of a creature.

    Attributes:
        name: what it is.
        shapes: polygons; the part is their union.
        paint: ``coat`` (the patterned one), ``second`` (the other colour), ``white`` or ``dark``.
        light: parts on the far side are darker.
    """

    name: str
    shapes: tuple[Points, ...]
    paint: str = "coat"
    light: float = 1.0


def beast(rng: Rng) -> list[Part]:
    """Four legs, neck, head with ears, tail."""
    deep = rng.uniform(0.42, 0.62)
    long, thick = rng.uniform(0.5, 1.0), rng.uniform(0.1, 0.17)
    head_x, head_y = rng.uniform(1.05, 1.45), -rng.uniform(0.25, 1.05)
    size = rng.uniform(0.27, 0.4)
    paint = rng.choice(("coat", "second"))
    legs = []
    for side, light in ((-0.08, 0.72), (0.08, 1.0)):
        for hip in (-0.62, 0.58):
            swing = rng.uniform(-0.3, 0.3)
            foot = (hip + side + swing, deep * 0.6 + long)
            path = [(hip + side, deep * 0.4), (hip + side + swing * 0.3, deep * 0.5 + long * 0.5), foot]
            shapes = (*limb(path, (thick * 1.5, thick, thick * 0.8)), *_foot(foot, thick))
            legs.append(Part("leg", shapes, str(paint), light))
    neck = limb([(0.7, -deep * 0.2), (head_x - 0.1, head_y)], (deep * 0.6, size * 0.7))
    body = ellipse(0, 0, 1, deep, rng.uniform(-0.12, 0.12), power=rng.uniform(2, 3))
    muzzle = ellipse(head_x + size * 0.8, head_y + size * 0.25, size * 0.65, size * 0.45, 0.2)
    return [
        *legs[:2],
        Part("tail", _tail(rng, -0.9, -deep * 0.3), "coat"),
        *legs[2:],
        Part("body", (body, *neck)),
        Part("ear", _ear(rng, head_x - size * 0.1, head_y - size * 0.6, size), "second", 0.75),
        Part("head", (ellipse(head_x, head_y, size, size * 0.85),)),
        Part("muzzle", (muzzle,), "second"),
        Part("ear", _ear(rng, head_x - size * 0.5, head_y - size * 0.6, size), "second"),
        *eye(head_x + size * 0.25, head_y - size * 0.2, size * 0.24),
    ]


def bird(rng: Rng) -> list[Part]:
    """Body, two legs, fan of a tail, wing, head with a beak."""
    deep, tilt = rng.uniform(0.5, 0.68), -rng.uniform(0.05, 0.45)
    head_x, head_y = rng.uniform(0.75, 1.0), -rng.uniform(0.55, 1.0)
    size, long, wide = rng.uniform(0.3, 0.42), rng.uniform(0.4, 0.9), rng.uniform(0.2, 0.5)
    beak = rng.uniform(0.3, 0.75)
    legs = [
        Part("leg", limb([(x, 0.3), (x - 0.05, 0.45 + long), (x + 0.25, 0.5 + long)], (0.1, 0.06, 0.06)),
             "second", light)
        for x, light in ((-0.1, 0.7), (0.15, 1.0))
    ]  # fmt: skip
    end, up = -rng.uniform(1.4, 2.0), rng.uniform(-0.2, 0.6)
    tail = points((-0.6, -0.15), (end, up - wide), (end - 0.1, up), (end, up + wide), (-0.6, 0.3))
    raised = rng.uniform(-1.3, 0.5)
    tip = (-0.2 - 0.95 * np.cos(raised), 0.95 * np.sin(raised))
    wing = limb([(0.15, -0.05), (-0.2 + tip[0] * 0.4, tip[1] * 0.5), tip], (0.3, 0.34, 0.07))
    nib = points((head_x, head_y - size * 0.5), (head_x + size + beak, head_y + 0.1),
                 (head_x, head_y + size * 0.55))  # fmt: skip
    return [
        *legs,
        Part("tail", (tail,), "second", 0.9),
        Part("beak", (nib,), "second"),
        Part("body", (ellipse(0, 0, 0.95, deep, tilt), *limb([(0.5, -0.2), (head_x, head_y)], (0.42, size)))),
        Part("wing", wing, "second"),
        *eye(head_x + size * 0.3, head_y - size * 0.2, size * 0.25),
    ]


def fish(rng: Rng) -> list[Part]:
    """Body, tail fin, fins above, below and at the side."""
    deep, fork = rng.uniform(0.45, 0.72), rng.uniform(0.4, 0.8)
    high, sweep = rng.uniform(0.25, 0.75), rng.uniform(0.1, 0.5)
    end = -rng.uniform(1.5, 1.9)
    tail = points((-0.8, -0.12), (end, -fork), (end + 0.3, 0), (end, fork), (-0.8, 0.12))
    back = points((0.5, -deep * 0.7), (-sweep, -deep - high), (-0.7, -deep * 0.9), (-0.65, -deep * 0.4))
    below = points((0.2, deep * 0.8), (-sweep, deep + high * 0.7), (-0.5, deep * 0.6))
    side = limb([(0.25, deep * 0.25), (-0.2, deep * 0.25 + rng.uniform(0.1, 0.3))], (0.1, 0.2))
    stalk = limb([(-0.5, 0), (-1.0, 0)], (deep * 0.6, 0.14))
    return [
        Part("tail", (tail,), "second"),
        Part("fin", (back,), "second"),
        Part("fin", (below,), "second", 0.85),
        Part("body", (ellipse(0, 0, 1.05, deep, power=rng.uniform(1.7, 2.2)), *stalk)),
        Part("fin", side, "second"),
        *eye(0.68, -deep * 0.2, 0.13),
    ]


def beetle(rng: Rng) -> list[Part]:
    """From above: wing cases, breast, head with feelers, six legs."""
    wide, spread = rng.uniform(0.5, 0.72), rng.uniform(0.35, 0.7)
    legs, feelers = [], []
    for side in (-1, 1):
        for at in (-0.5, 0.0, 0.5):
            knee = (at + 0.35 * at + rng.uniform(-0.1, 0.1), side * (wide + spread * 0.6))
            foot = (knee[0] + rng.uniform(-0.1, 0.3) * np.sign(at + 0.1), side * (wide + spread * 1.1))
            legs.append(
                Part("leg", limb([(at, side * wide * 0.5), knee, foot], (0.12, 0.09, 0.05)), "second")
            )
        curve = [
            (1.45, side * 0.12),
            (1.75, side * rng.uniform(0.2, 0.4)),
            (1.95, side * rng.uniform(0.3, 0.9)),
        ]
        feelers.append(Part("feeler", limb(curve, (0.06, 0.05, 0.07)), "second"))
    return [
        *legs,
        *feelers,
        Part("head", (ellipse(1.35, 0, 0.26, 0.3),), "second"),
        Part("breast", (ellipse(0.95, 0, 0.42, wide * 0.78, power=2.4),), "second", 0.85),
        Part("body", (ellipse(-0.15, 0, 1.05, wide, power=rng.uniform(2, 2.6)),)),
        Part("seam", limb([(0.85, 0), (-1.15, 0)], (0.022, 0.022)), "dark"),
        *eye(1.45, -0.2, 0.09),
        *eye(1.45, 0.2, 0.09),
    ]


def buggy(rng: Rng) -> list[Part]:
    """A vehicle: body, cabin with windows, two wheels, a lamp, a pipe or a flag."""
    deep, boxy = rng.uniform(0.34, 0.48), rng.uniform(3, 6)
    round_ = rng.uniform(0.28, 0.4)
    cabin_x, cabin = rng.uniform(-0.45, 0.25), rng.uniform(0.4, 0.62)
    front, rear = rng.uniform(0.5, 0.72), -rng.uniform(0.5, 0.72)
    pipe_x, pipe = -rng.uniform(0.7, 0.9), rng.uniform(0.4, 1.1)
    wheels = [
        part
        for x in (rear, front)
        for part in (
            Part("wheel", (ellipse(x, deep + 0.08, round_, round_),), "dark"),
            Part("hub", (ellipse(x, deep + 0.08, round_ * 0.5, round_ * 0.5),), "second"),
        )
    ]
    high = -deep - cabin * 0.55
    windows = tuple(
        ellipse(cabin_x + x * cabin, high, cabin * 0.36, cabin * 0.33, power=4) for x in (-0.45, 0.45)
    )
    return [
        Part("pipe", limb([(pipe_x, 0), (pipe_x - 0.05, -deep - pipe)], (0.09, 0.07)), "second"),
        Part("cabin", (ellipse(cabin_x, -deep * 0.8, cabin * 1.1, cabin * 1.3, power=3.5),), "second"),
        Part("window", windows, "white", 0.9),
        Part("body", (ellipse(0, 0, 1.1, deep, power=boxy),)),
        *wheels,
        Part("lamp", (ellipse(1.05, -deep * 0.25, 0.13, 0.13),), "white"),
    ]


PLANS: tuple[Callable[[Rng], list[Part]], ...] = (beast, bird, fish, beetle, buggy)


def eye(x: float, y: float, size: float) -> list[Part]:
    """White with a dark pupil."""
    pupil = ellipse(x + size * 0.25, y, size * 0.55, size * 0.55)
    return [Part("eye", (ellipse(x, y, size, size),), "white"), Part("pupil", (pupil,), "dark")]


def _foot(at: tuple[float, float], thick: float) -> tuple[Points, ...]:
    return (ellipse(at[0] + thick * 0.5, at[1], thick * 1.3, thick * 0.75),)


def _ear(rng: Rng, x: float, y: float, size: float) -> tuple[Points, ...]:
    long = size * rng.uniform(0.6, 1.6)
    lean = rng.uniform(-0.5, 0.3)
    return limb([(x, y + 0.05), (x + lean * long, y - long)], (size * 0.3, size * rng.uniform(0.05, 0.25)))


def _tail(rng: Rng, x: float, y: float) -> tuple[Points, ...]:
    long, bend = rng.uniform(0.5, 1.1), rng.uniform(-0.8, 0.8)
    middle = (x - long * 0.5, y + bend * 0.3)
    end = (x - long * rng.uniform(0.6, 1.0), y + bend)
    return limb([(x + 0.15, y), middle, end], (0.14, 0.08, rng.uniform(0.05, 0.16)))
