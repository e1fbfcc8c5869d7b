"""Which photographs a person should look at first."""

import csv
from collections.abc import Collection, Sequence
from pathlib import Path

from wsol.export.files import atomic_write
from wsol.export.names import image_names
from wsol.inference.localization import Localization

COLUMNS = ("image", "uncertainty", "label", "probability", "agreement", "boxes")


def write_review(
    results: Collection[Localization], path: Path, *, classes: Sequence[str], root: Path | None = None
) -> None:
    """Write :data:`COLUMNS`, a row per photograph, the most uncertain first.

    See :attr:`wsol.Localization.uncertainty`.

    Args:
        results: iterated once, once more if ``root`` is ``None``.
        path: the CSV file, UTF-8. Bytes of a file name that are not UTF-8 are escaped: ``\\udcff``.
        classes: not used; rows hold their label.
        root: folder that image names are relative to; by default the deepest that holds all images.

    Raises:
        ValueError: an image outside the root.
    """
    rows = [
        (name, result.uncertainty, result.label, result.probability, result.agreement, len(result.boxes))
        for name, result in image_names(results, root)
    ]
    rows.sort(key=lambda row: -row[1])
    with (
        atomic_write(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
