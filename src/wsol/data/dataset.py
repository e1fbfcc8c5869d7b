"""A labelled data set: splits of examples with boxes or masks, whatever format they were read from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Box = tuple[float, float, float, float]
Truth = Literal["boxes", "masks", "none"]
FORMATS = ("official", "csv", "coco", "voc", "folder")


@dataclass(frozen=True, slots=True)
class Example:
    """One picture of a split.

    Attributes:
        id: path relative to the image root, with forward slashes; its name in every table and result.
        label: class index.
        size: (height, width) that the table states, of the picture's pixels as it is stored; None if it states none.
        boxes: x0, y0, x1, y1 in those pixels, exclusive extents, as the table states them.
        masks: paths relative to the mask root; the object is their union.
        ignore: a mask of pixels that do not count, relative to the mask root.
        where: file and line that name the picture: "metadata/test/image_ids.txt, line 12".
    """

    id: str
    label: int
    size: tuple[int, int] | None = None
    boxes: tuple[Box, ...] = ()
    masks: tuple[str, ...] = ()
    ignore: str | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a data set; a picture with a problem is left out of the examples and listed.

    Attributes:
        where: file and line, or the file.
        reason: what is wrong, and what to do.
        id: the picture that it takes out; None if it takes none.
    """

    where: str
    reason: str
    id: str | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


@dataclass(frozen=True)
class Split:
    """Pictures of one split, in the order of its table.

    Attributes:
        name: ``train``, ``val``, ``test``.
        truth: what the examples say about where the object is. A split has boxes or masks, not both.
        examples: the usable pictures; ids are unique.
        problems: what was wrong in the tables.
        fingerprint: "sha256:…" of ids, labels, sizes, boxes and mask names in this order; the same for the
            same content in any format and any folder.
    """

    name: str
    truth: Truth
    examples: tuple[Example, ...]
    problems: tuple[Problem, ...]
    fingerprint: str


@dataclass(frozen=True)
class DataSet:
    """Where a data set lies; its splits are read when they are asked for.

    Attributes:
        name: for people and results.
        format: one of ``FORMATS``.
        images: folder that ids are relative to.
        masks: folder that mask paths are relative to; None if there are none.
        classes: names by class index; empty if nobody named them.
        tables: the file or folder that describes each split, by split name.
        upright: pictures are turned upright by their EXIF orientation, as annotation tools show them; the
            official protocol takes the pixels as they are stored.
    """

    name: str
    format: str
    images: Path
    masks: Path | None
    classes: tuple[str, ...]
    tables: Mapping[str, Path]
    upright: bool

    def split(self, name: str) -> Split:
        """Read a split.

        Raises:
            DataError: there is no such split, its table cannot be read, or nothing in it is usable.
        """
        raise NotImplementedError


def open_data(
    path: str | Path,
    *,
    images: str | Path | None = None,
    metadata: str | Path | None = None,
    masks: str | Path | None = None,
) -> DataSet:
    """Find out which format a path has, and where its parts lie."""
    raise NotImplementedError


def fingerprint(examples: Iterable[Example]) -> str:
    """See :class:`Split`."""
    raise NotImplementedError
