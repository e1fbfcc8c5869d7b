"""Masks as pictures."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from wsol.export.files import atomic_write
from wsol.export.names import output_names
from wsol.inference.localization import Localization


def write_masks(
    results: Collection[Localization], path: Path, *, classes: Sequence[str], root: Path | None = None
) -> None:
    """Write a grey 8-bit PNG of the photograph's size per class: 255 on the object, 0 elsewhere.

    The most probable class has ``NAME.png``, the alternatives ``NAME.2.png``, ``NAME.3.png``, ….

    Args:
        results: iterated twice, once more if ``root`` is ``None``.
        path: the folder.
        classes: not used; a mask has no label.
        root: folder below which image folders are mirrored; by default the deepest that holds all images.

    Raises:
        ValueError: an image outside the root.
    """
    for _, output, result in output_names(results, root, ranked=True):
        for rank, found in enumerate(result, start=1):
            name = f"{output}.png" if rank == 1 else f"{output}.{rank}.png"
            with atomic_write(path / name) as temporary:
                Image.fromarray(np.where(found.mask, np.uint8(255), np.uint8(0))).save(temporary, "PNG")
