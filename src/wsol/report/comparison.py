"""Models side by side on the same photographs: what each one's map covers; and the page that shows it."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wsol.data.dataset import DataSet, Example
from wsol.evaluation.compare import Comparison
from wsol.evaluation.tables import render
from wsol.export.files import atomic_write
from wsol.report.overlay import MAP_NAMES, PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from wsol.inference.localization import Localization
    from wsol.inference.localizer import Localizer

TRUE = "#ffffff"
"""Colour of true boxes."""


def side_by_side(
    localizers: Mapping[str, "Localizer"], data: DataSet, examples: Sequence[Example]
) -> "Figure":
    """A row for each photograph: itself, then over it each model's map of its true class with the box.

    Args:
        localizers: by the name that stands above their column; they know the classes of the data.
        data: that the photographs are of.
        examples: what is shown; true boxes are drawn where they have any.

    Raises:
        ImageError: a photograph cannot be read.
    """
    from matplotlib.figure import Figure

    rows, columns = len(examples), 1 + len(localizers)
    figure = Figure(figsize=(2.9 * columns, 2.6 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for row, example in zip(axes, examples, strict=True):
        path = data.images / example.id
        found = [localizer(path, example.label) for localizer in localizers.values()]
        row[0].imshow(found[0].image())  # type: ignore[union-attr]
        _true_boxes(row[0], example)
        row[0].set_title(data.classes[example.label], fontsize=10).set_parse_math(False)
        for axis, name, result in zip(row[1:], localizers, found, strict=True):
            _map(axis, result)  # type: ignore[arg-type]
            _true_boxes(axis, example)
            kind = "" if result.map_kind == "cam" else f", {MAP_NAMES[result.map_kind]}"  # type: ignore[union-attr]
            axis.set_title(f"{name}{kind}", fontsize=10).set_parse_math(False)  # as a class, it may be "$5"
    for axis in axes.flat:
        axis.set_axis_off()
    return figure


def write_comparison(comparison: Comparison, figure: "Figure", words: Sequence[str], path: Path) -> None:
    """A page of one file: words, the table with its notes and tests, the figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    picture = base64.b64encode(buffer.getvalue()).decode("ascii")
    said = "".join(f"<p>{html.escape(word)}</p>\n" for word in words)
    shown = f'<img alt="maps of each model" style="max-width: 100%" src="data:image/png;base64,{picture}">\n'
    text = render(comparison, "html").replace("<h1>Comparison</h1>\n", f"<h1>Comparison</h1>\n{said}", 1)
    with atomic_write(path) as temporary:
        temporary.write_text(text + shown, encoding="utf-8", errors="backslashreplace")


def _map(axis: "Axes", result: "Localization") -> None:
    from matplotlib.patches import Rectangle

    image = result.image()
    axis.imshow(image.convert("L"), cmap="gray", vmin=0, vmax=255)
    axis.imshow(result.map_at((image.height, image.width)), cmap="viridis", vmin=0, vmax=1, alpha=0.6)
    for x0, y0, x1, y1 in result.boxes:
        corner = (x0 - 0.5, y0 - 0.5)  # pixel centres are whole numbers here
        axis.add_patch(Rectangle(corner, x1 - x0, y1 - y0, fill=False, color=PALETTE[0], linewidth=2.5))


def _true_boxes(axis: "Axes", example: Example) -> None:
    from matplotlib.patches import Rectangle

    for x0, y0, x1, y1 in example.boxes:
        corner = (x0 - 0.5, y0 - 0.5)
        box = Rectangle(corner, x1 - x0, y1 - y0, fill=False, color=TRUE, linewidth=1.5, linestyle="--")
        axis.add_patch(box)
