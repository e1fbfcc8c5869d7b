"""One look for all figures: photographs, maps over them in grey, boxes, and a file that is small."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from wsol.export.files import atomic_write
from wsol.maps import normalize, upsample
from wsol.report.curves import INK, QUIET, plot_style
from wsol.report.overlay import PALETTE

__all__ = [
    "BLUE",
    "INK",
    "PAPER",
    "QUIET",
    "RED",
    "box",
    "canvas",
    "grid",
    "heat",
    "plot_style",
    "regions",
    "save",
    "show",
]

FOLDER = Path(__file__).parents[1] / "images"
RED, BLUE = PALETTE[0], PALETTE[1]
PAPER = "#ffffff"
DPI = 150

Picture = NDArray[np.uint8]


def canvas(width: float, height: float) -> Figure:
    """An empty figure of so many inches."""
    return Figure(figsize=(width, height), layout="constrained", dpi=DPI)


def grid(rows: int, columns: int, *, height: float, width: float = 10.0) -> tuple[Figure, NDArray[Any]]:
    """A figure of panels without axes: (rows, columns) of them."""
    figure = canvas(width, height)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    return figure, axes


def columns(figure: Figure, widths: Sequence[float]) -> list[SubFigure]:
    """Parts of a figure side by side, each laid out for itself."""
    return list(np.atleast_1d(np.asarray(figure.subfigures(1, len(widths), width_ratios=widths))))


def show(axis: Axes, picture: Picture, title: str = "") -> None:
    """A picture (H, W, 3), or grey (H, W), as it is."""
    axis.set_axis_off()
    axis.imshow(picture, cmap="gray", vmin=0, vmax=255)
    _title(axis, title)


def heat(
    axis: Axes,
    values: NDArray[Any] | Tensor,
    picture: Picture,
    title: str = "",
    *,
    limits: tuple[float, float] | None = None,
    colours: str = "viridis",
    coarse: bool = False,
    alpha: float = 0.68,
) -> None:
    """A map (h, w) over the grey picture: as its positions are (``coarse``), or as wsol resizes it.

    Args:
        axis: the panel.
        values: the map.
        picture: (H, W, 3).
        title: above it.
        limits: values of the darkest and the brightest colour; by default the map's own extremes.
        colours: Matplotlib's name.
        coarse: squares.
        alpha: how opaque the map is.
    """
    array = torch.as_tensor(np.asarray(values, np.float64))
    height, width = picture.shape[:2]
    axis.set_axis_off()
    axis.imshow(np.asarray(Image.fromarray(picture).convert("L")), cmap="gray", vmin=0, vmax=255)
    if not coarse:
        array = upsample(array[None], (height, width))[0]
        if limits is None:
            array = normalize(array[None])[0]
    low, high = limits or (float(array.min()), float(array.max()))
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    axis.imshow(
        array.numpy(), colours, vmin=low, vmax=high, alpha=alpha, extent=extent, interpolation="nearest"
    )
    axis.set_xlim(-0.5, width - 0.5)
    axis.set_ylim(height - 0.5, -0.5)
    _title(axis, title)


def regions(axis: Axes, foreground: Tensor, background: Tensor, picture: Picture, title: str = "") -> None:
    """Two masks (h, w) over the grey picture: red is the first, blue the second, grey neither."""
    height, width = picture.shape[:2]
    show(axis, np.asarray(Image.fromarray(picture).convert("L")), title)
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    for mask, colour in ((foreground, RED), (background, BLUE)):
        layer = np.zeros((*mask.shape, 4))
        layer[..., :3] = to_rgb(colour)
        layer[..., 3] = 0.62 * mask.numpy()
        axis.imshow(layer, extent=extent, interpolation="nearest")
    axis.set_xlim(-0.5, width - 0.5)
    axis.set_ylim(height - 0.5, -0.5)


def box(axis: Axes, extent: Sequence[float], colour: str = RED, *, dashed: bool = False) -> None:
    """A box, x0, y0, x1, y1 in the picture's pixels."""
    x0, y0, x1, y1 = (float(value) for value in extent)
    outline = Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, color=colour, linewidth=2.2)
    outline.set_linestyle("--" if dashed else "-")
    axis.add_patch(outline)


def save(figure: Figure, name: str) -> Path:
    """Write ``docs/images/NAME.webp``."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor=PAPER, bbox_inches="tight", pad_inches=0.06)
    path = FOLDER / f"{name}.webp"
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        Image.open(buffer).convert("RGB").save(temporary, "WEBP", quality=88, method=6)
    return path


def _title(axis: Axes, title: str) -> None:
    if title:
        axis.set_title(title, fontsize=9.5, loc="left")


def enlarge(figure: Figure, size: float) -> None:
    """Titles of another size, for a figure that is shown small."""
    for axis in figure.axes:
        axis.set_title(axis.get_title(loc="left"), fontsize=size, loc="left")
