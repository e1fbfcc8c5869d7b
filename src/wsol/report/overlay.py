"""A localization as a picture: drawn on the photograph, or as a figure that tells why."""

import json
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsol.boxes import rescale, rescale_mask
from wsol.export.files import atomic_write
from wsol.report.labels import Labels

with warnings.catch_warnings():  # it draws the same without OpenCV, which it recommends for speed
    warnings.filterwarnings("ignore", message="OpenCV .* is not installed", category=UserWarning)
    import supervision as sv

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from wsol.inference.localization import Localization

PALETTE = ("#e0005a", "#0070b8", "#a85400", "#24782a", "#7b2cbf")
"""Colours of the classes, the most probable first; white text is readable on each."""

NOTE = "#303030"
"""Colour behind a remark that belongs to no box."""

MAP_NAMES = {"cam": "CAM", "nwc": "NWC", "norm": "Feature norm F", "similarity": "Similarity S"}
"""What each kind of map is called in front of people."""

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""Pictures that can be saved."""


def draw(result: "Localization", longest_side: int | None = None) -> Image.Image:
    """The photograph with the mask tinted, and every box with its class and score.

    Boxes of the alternatives are drawn too, each class in a colour of its own; the mask is that of the
    first class. Lines lie inside their boxes. A label that does not fit is set smaller, then shortened,
    then (all but the best of each class) left out where it would cover another.

    Args:
        result: what was found.
        longest_side: shrink the picture to this many pixels; ``None`` keeps its size.

    Returns:
        An RGB picture.

    Raises:
        ImageError: the photograph's file has gone or changed.
    """
    image = result.image(longest_side)
    size = (image.height, image.width)
    classes = list(result)
    boxes = [rescale(item.boxes, item.size, size) for item in classes]
    if len(result.boxes):
        tint = sv.MaskAnnotator(sv.Color.from_hex(PALETTE[0]), 0.35, sv.ColorLookup.INDEX)
        whole = np.array([[0, 0, *image.size]], np.float64)
        image = tint.annotate(
            image, sv.Detections(whole, mask=rescale_mask(result.components > 0, size)[None])
        )
    thickness = _thickness(size)
    for index in reversed(range(len(classes))):  # the first class on top
        outline = sv.BoxAnnotator(sv.Color.from_hex(_colour(index)), 1, sv.ColorLookup.INDEX)
        lines = _lines(boxes[index], thickness)
        image = outline.annotate(image, sv.Detections(lines.astype(np.float64)))
    _labels(classes, boxes, size).draw(image)
    return image


def figure(result: "Localization") -> "Figure":
    """Photograph with boxes, then over the grey photograph the map they come from, F and S.

    The figure belongs to the caller alone: pyplot does not know it, and the backend stays as it is.

    Raises:
        ImageError: the photograph's file has gone or changed.
    """
    from matplotlib.figure import Figure

    picture = draw(result, 800)
    grey = result.image(800).convert("L")
    shape = min(max(picture.height / picture.width, 0.5), 1.8)
    figure = Figure(figsize=(15, 3.6 * shape + 0.6), layout="constrained")
    axes = figure.subplots(1, 4)
    axes[0].imshow(picture, aspect=_aspect(picture))
    found = f"score {result.score:.2f}" if len(result.boxes) else "nothing found"
    _title(axes[0], f"{_shorten(result.label, 36)}\nprobability {result.probability:.2f}, {found}")
    for axis, kind in zip(axes[1:], ("map", "norm", "similarity"), strict=True):
        _draw_map(axis, result, kind, grey)
    for axis in axes:
        axis.set_axis_off()
    return figure


def save(result: "Localization", path: Path, longest_side: int | None = None) -> Path:
    """Write the drawn photograph, or the result as JSON. The file appears whole or not at all.

    Args:
        result: what was found.
        path: ``.png``, ``.jpg``, ``.jpeg``, ``.webp`` or ``.json``.
        longest_side: see :func:`draw`.

    Returns:
        ``path``.

    Raises:
        ValueError: another suffix.
        ImageError: the photograph's file has gone or changed.
        OSError: the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix != ".json" and suffix not in FORMATS:
        allowed = ", ".join([*FORMATS, ".json"])
        raise ValueError(f"path must end in one of {allowed}, got {path.name!r}")
    with atomic_write(path) as temporary:
        if suffix == ".json":
            temporary.write_text(json.dumps(result.to_dict()), encoding="utf-8")
        else:
            draw(result, longest_side).save(temporary, FORMATS[suffix], quality=92)
    return path


def _lines(boxes: NDArray[np.int64], thickness: int) -> NDArray[np.int64]:
    """Rectangles one pixel wide that fill the boxes' edges from outside to inside.

    Thicker lines of OpenCV lie half outside their box and are not as wide as they are asked to be.

    Args:
        boxes: (N, 4), exclusive extents.
        thickness: how many.

    Returns:
        (thickness · N, 4), inclusive corners x0, y0, x1, y1, none outside its box.
    """
    middle = (boxes[:, :2] + boxes[:, 2:] - 1) // 2
    low = [np.minimum(boxes[:, :2] + inset, middle) for inset in range(thickness)]
    high = [np.maximum(boxes[:, 2:] - 1 - inset, middle) for inset in range(thickness)]
    return np.concatenate([np.concatenate(low), np.concatenate(high)], axis=1)


def _thickness(size: tuple[int, int]) -> int:
    return max(1, min(round(1.4 + math.sqrt(size[0] * size[1]) / 350), min(size) // 10))


def _colour(index: int) -> str:
    return PALETTE[index % len(PALETTE)]


def _labels(classes: list["Localization"], boxes: list[NDArray[np.int64]], size: tuple[int, int]) -> Labels:
    labels = Labels(size)
    for index, (item, extents) in enumerate(zip(classes, boxes, strict=True)):
        for number, (box, score) in enumerate(zip(extents.tolist(), item.scores.tolist(), strict=True)):
            labels.add(item.label, f"{score:.2f}", box, colour=_colour(index), must=number == 0)
    if not len(classes[0].boxes):
        labels.add("nothing found", "", [0, size[0], size[1], size[0]], colour=NOTE, must=True)
    return labels


def _draw_map(axis: "Axes", result: "Localization", kind: str, grey: Image.Image) -> None:
    """One map over the grey photograph, with the boxes and, on the map they come from, the mask's outline."""
    from matplotlib.patches import Rectangle

    size = (grey.height, grey.width)
    values = result.map_at(size, kind)
    aspect = _aspect(grey)
    axis.imshow(grey, cmap="gray", vmin=0, vmax=255, aspect=aspect)
    axis.imshow(values, cmap="viridis", vmin=0, vmax=1, alpha=0.6, aspect=aspect)
    level = (result.level + 1) / 255  # floor(255 · map) > T where the map reaches (T + 1) / 255
    if kind == "map" and values.min() < level < values.max() and min(size) > 1:
        axis.contour(values, [level], colors="white", linewidths=1.2)
    for x0, y0, x1, y1 in rescale(result.boxes, result.size, size):
        corner = (x0 - 0.5, y0 - 0.5)  # pixel centres are whole numbers here
        axis.add_patch(Rectangle(corner, x1 - x0, y1 - y0, fill=False, color=PALETTE[0], linewidth=2))
    raw = result.raw_maps[kind]
    if kind == "map":
        name = MAP_NAMES[result.map_kind] + (f" + {result.test_time}" if result.test_time else "")
        _title(axis, f"{name}, the map that makes the boxes\nwhite line: level {result.level} of 255")
    elif kind == "norm":
        _title(axis, "Feature norm F\nhow strongly the network reacts")
    else:
        _title(axis, f"Similarity S\nlikeness to the class, {raw.min():.2f} to {raw.max():.2f}")


def _aspect(image: Image.Image) -> Literal["equal", "auto"]:
    """True proportions, but for a strip so thin that nothing could be seen."""
    return "equal" if max(image.size) <= 8 * min(image.size) else "auto"


def _title(axis: "Axes", text: str) -> None:
    axis.set_title(text, fontsize=10).set_parse_math(False)  # a class may be called "$5 note"


def _shorten(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
