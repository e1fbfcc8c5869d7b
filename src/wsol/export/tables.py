"""A table with a row per box."""

import csv
from collections.abc import Collection, Sequence
from pathlib import Path

from wsol.export.files import atomic_write
from wsol.export.names import image_names
from wsol.inference.localization import Localization

COLUMNS = (
    *("image", "width", "height", "label", "class_index", "probability"),
    *("x0", "y0", "x1", "y1", "score", "uncertainty"),
)


def write_csv(
    results: Collection[Localization], path: Path, *, classes: Sequence[str], root: Path | None = None
) -> None:
    """Write :data:`COLUMNS`, a row per box; an image without boxes has one row with empty box cells.

    Args:
        results: iterated once, once more if ``root`` is ``None``.
        path: the CSV file, UTF-8. Bytes of a file name that are not UTF-8 are escaped: ``\\udcff``.
        classes: not used; rows hold their label.
        root: folder that image names are relative to; by default the deepest that holds all images.

    Raises:
        ValueError: an image outside the root.
    """
    with (
        atomic_write(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, result in image_names(results, root):
            boxed = [found for found in result if len(found.boxes)]
            for found in boxed or [result]:
                height, width = found.size
                cells = (name, width, height, found.label, found.class_index, found.probability)
                boxes = zip(found.boxes.tolist(), found.scores.tolist(), strict=True)
                rows = [(*box, score) for box, score in boxes] or [("",) * 5]
                writer.writerows((*cells, *row, found.uncertainty) for row in rows)
