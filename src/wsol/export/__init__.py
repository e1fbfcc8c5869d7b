"""Results as files that other programs read."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

from wsol.export.coco import write_coco
from wsol.export.label_studio import write_label_studio
from wsol.export.masks import write_masks
from wsol.export.review import write_review
from wsol.export.tables import write_csv
from wsol.export.voc import write_voc
from wsol.export.yolo import write_yolo
from wsol.inference.localization import Localization

__all__ = [
    "FORMATS",
    "Writer",
    "write_coco",
    "write_csv",
    "write_label_studio",
    "write_masks",
    "write_review",
    "write_voc",
    "write_yolo",
]


class Writer(Protocol):
    """A function that writes results, which it may iterate more than once, to a file or folder.

    Boxes of the alternatives are written too, and every image appears, with boxes or without. Each file
    is complete or absent, even if writing fails.
    """

    def __call__(
        self,
        results: Collection[Localization],
        path: Path,
        *,
        classes: Sequence[str],
        root: Path | None = None,
    ) -> None:
        """Write ``results`` of a model with these ``classes`` to ``path``, images named below ``root``."""


FORMATS: dict[str, tuple[Writer, str]] = {
    "coco": (write_coco, "coco.json"),
    "yolo": (write_yolo, "yolo"),
    "voc": (write_voc, "voc"),
    "label-studio": (write_label_studio, "label_studio.json"),
    "csv": (write_csv, "boxes.csv"),
    "masks": (write_masks, "masks"),
    "review": (write_review, "review.csv"),
}
"""Each format: its writer, and the file or folder that it writes in a run's output folder."""
