"""Texts on a picture: as large as fits, inside it, and not over each other."""

import math
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from PIL import Image, ImageDraw, ImageFont

SMALLEST = 6
"""Font size in pixels below which a text is left out: nobody could read it."""

Rectangle = tuple[int, int, int, int]


class Label(NamedTuple):
    """A text at its place; ``rectangle`` is left, top, right, bottom in pixels, exclusive."""

    rectangle: Rectangle
    text: str
    font_size: int
    colour: str


@dataclass
class Labels:
    """The labels of one picture; those that are added first choose their place first.

    Attributes:
        size: (height, width) of the picture.
        placed: what was added so far.
    """

    size: tuple[int, int]
    placed: list[Label] = field(default_factory=list)

    def add(self, name: str, number: str, box: list[int], *, colour: str, must: bool) -> None:
        """Put a label over a box, or inside it, or under it: the first place that is free.

        Args:
            name: shortened where it does not fit.
            number: never shortened; may be empty.
            box: x0, y0, x1, y1 in the picture.
            colour: of the background; the text is white.
            must: place it even where it covers another one; it is left out otherwise.
        """
        fitted = fit(" ".join(name.split()), number, self.size)
        if fitted is None:
            return
        text, font_size = fitted
        width, height = extent(text, font_size)
        x, lowest = min(box[0], self.size[1] - width), self.size[0] - height
        tops = [y for y in (box[1] - height, box[1], box[3], box[3] - height) if 0 <= y <= lowest]
        spots = [(x, y, x + width, y + height) for y in tops]
        free = [spot for spot in spots if not any(_overlap(spot, other.rectangle) for other in self.placed)]
        if free or must:
            y = min(box[1], lowest)
            spot = free[0] if free else (x, y, x + width, y + height)
            self.placed.append(Label(spot, text, font_size, colour))

    def draw(self, image: Image.Image) -> None:
        """Draw them on ``image``, the first on top."""
        pen = ImageDraw.Draw(image)
        for (x0, y0, x1, y1), text, font_size, colour in reversed(self.placed):
            pen.rectangle((x0, y0, x1 - 1, y1 - 1), fill=colour)
            pen.text((x0 + _margin(font_size), y0), text, "white", _font(font_size), anchor="la")


def fit(name: str, number: str, size: tuple[int, int]) -> tuple[str, int] | None:
    """Text and font size that a picture (height, width) has room for.

    The size goes with the picture's; a text that is too wide is set smaller, then shortened, then cut
    down to its number; ``None`` if not even that fits.
    """
    wanted = max(11, round(0.035 * math.sqrt(size[0] * size[1])))
    while extent("0", wanted)[1] > size[0] and wanted > SMALLEST:
        wanted -= 1
    text = f"{name} {number}".strip()
    readable = max(min(wanted, 9), round(0.6 * wanted))
    for font_size in range(wanted, readable - 1, -1):
        if extent(text, font_size)[0] <= size[1]:
            return text, font_size
    for length in range(min(len(name) - 1, size[1] // 2), 1, -1):  # a letter is at least 2 pixels wide
        text = f"{name[:length].rstrip()}… {number}".strip()
        if extent(text, readable)[0] <= size[1]:
            return text, readable
    for font_size in range(readable, SMALLEST - 1, -1):
        width, height = extent(number or "–", font_size)
        if width <= size[1] and height <= size[0]:
            return number or "–", font_size
    return None


def extent(text: str, font_size: int) -> tuple[int, int]:
    """Width and height in pixels of a text with its margin."""
    font = _font(font_size)
    return math.ceil(font.getlength(text)) + 2 * _margin(font_size), sum(font.getmetrics())


def _margin(font_size: int) -> int:
    return max(1, font_size // 4)


@lru_cache(maxsize=256)
def _font(font_size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with Matplotlib and knows Latin, Greek, Cyrillic, Arabic and more."""
    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), font_size)


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
