"""Overlays of a whole run."""

from collections.abc import Collection
from pathlib import Path

from wsol.errors import ImageError
from wsol.export.names import output_names
from wsol.inference.localization import Localization
from wsol.report.overlay import save

LONGEST = 6000
"""Longest side of an overlay: drawing takes many times a picture's memory, and JPEG ends at 65,500 pixels."""


def write_overlays(results: Collection[Localization], path: Path, *, root: Path | None = None) -> None:
    """Write a JPEG of every photograph with its boxes and mask drawn, folders mirrored below ``root``.

    A larger one than ``LONGEST`` is drawn smaller.
    A photograph that has gone since it was localised gets none.
    """
    for _, output, result in output_names(results, root):
        target = path / f"{output}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            save(result, target, LONGEST)
        except ImageError:
            continue
