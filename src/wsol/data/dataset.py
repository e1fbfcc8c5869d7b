"""A labelled data set: splits of examples with boxes or masks, whatever format they were read from."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wsol.errors import DataError

if TYPE_CHECKING:
    from wsol.data.records import Place

Box = tuple[float, float, float, float]
Truth = Literal["boxes", "masks", "none"]
FORMATS = ("official", "csv", "coco", "voc", "folder")
SYNTHETIC = "synthetic"
"""The name of the built-in data set."""


@dataclass(frozen=True, slots=True)
class Example:
    """One picture of a split.

    Attributes:
        id: path relative to the image root, with forward slashes; its name in every table and result.
        label: class index.
        size: (height, width) that the table states, of the picture's pixels as it is stored, or upright if
            the data set is; None if it states none.
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
        fingerprint: "sha256:…" of ids, labels, boxes and mask names in this order; the same for the same
            content in any format and any folder.
    """

    name: str
    truth: Truth
    examples: tuple[Example, ...]
    problems: tuple[Problem, ...]
    fingerprint: str


@dataclass(frozen=True)
class DataSet:
    """Where a data set lies; its splits are read when they are first asked for, and kept.

    Attributes:
        name: for people and results.
        format: one of ``FORMATS``.
        images: folder that ids are relative to.
        masks: folder that mask paths are relative to; None if there are none.
        classes: names by class index; empty if nobody named them.
        tables: the file or folder that describes each split, by split name.
        upright: pictures are turned upright by their EXIF orientation, as annotation tools show them; the
            official protocol takes the pixels as they are stored.
        root: the folder that problems name files relative to.
        categories: COCO's category id by class index; empty for other formats.
    """

    name: str
    format: str
    images: Path
    masks: Path | None
    classes: tuple[str, ...]
    tables: Mapping[str, Path]
    upright: bool
    root: Path | None = None
    categories: tuple[int, ...] = ()
    _kept: dict[str, Split] = field(default_factory=dict, init=False, repr=False, compare=False)

    def split(self, name: str) -> Split:
        """A split, read the first time; open the data set again to see tables that have changed since.

        Args:
            name: one of ``tables``; of the official format also ``train-proxy``, ImageNet's small training
                set.

        Raises:
            DataError: there is no such split, its table cannot be read, or nothing in it is usable.
        """
        if name not in self._kept:
            self._kept[name] = self._read(name)
        return self._kept[name]

    def _read(self, name: str) -> Split:
        from wsol.data import coco, folder, manifest, official, voc

        proxy = self.format == "official" and name == official.PROXY and "train" in self.tables
        if name not in self.tables and not proxy:
            raise DataError(f"{self.name}: no split {name!r}; it has {', '.join(self.tables)}")
        match self.format:
            case "official":
                return official.read_split(self, name)
            case "csv":
                return manifest.read_split(self, name)
            case "coco":
                return coco.read_split(self, name)
            case "voc":
                return voc.read_split(self, name)
            case "folder":
                return folder.read_split(self, name)
        raise DataError(f"format must be one of {', '.join(FORMATS)}, got {self.format!r}")


def open_data(
    path: str | Path,
    *,
    images: str | Path | None = None,
    metadata: str | Path | None = None,
    masks: str | Path | None = None,
) -> DataSet:
    """Find out which format a path has, and where its parts lie.

    The first that fits: ``metadata/{train,val,test}/`` with the official text files
    (:mod:`wsol.data.official`); ``Annotations/`` with XML (:mod:`wsol.data.voc`); COCO JSON
    (:mod:`wsol.data.coco`); a CSV manifest (:mod:`wsol.data.manifest`); folders of images by class
    (:mod:`wsol.data.folder`).

    Args:
        path: the data set's folder, or a COCO or CSV file; ``synthetic``, if nothing of that name is here,
            is the built-in data set (:mod:`wsol.data.synthetic`), drawn on first use.
        images: folder that image paths are relative to, if it is not where the format has it.
        metadata: folder of the official text files, or a COCO or CSV file, if it is not where the format
            has it.
        masks: folder that mask paths are relative to; by default ``masks`` in the data set's folder.
            These three are relative to the working folder, or else to the data set's.

    Raises:
        DataError: a path does not exist, a table that is needed to tell splits or classes cannot be read, or
            no format fits; the message says what was looked for.
    """
    from wsol.data import coco, manifest, official
    from wsol.data.records import Place

    if str(path) == SYNTHETIC and not Path(path).exists():
        from wsol.data.synthetic import cached

        data = open_data(cached(), images=images, metadata=metadata, masks=masks)
        return replace(data, name=SYNTHETIC)
    root = _existing("the data set", path, None)
    table = root
    if root.is_file():
        root = root.parent
    if metadata is not None:
        table = _existing("metadata", metadata, root)
    folders = {"images": images, "masks": masks}
    named = {name: _folder(name, value, root) for name, value in folders.items() if value is not None}
    place = Place(root, **named)
    if table.is_file():
        kinds = {".json": coco.open_file, ".csv": manifest.open_file}
        if table.suffix.lower() not in kinds:
            raise DataError(f"{table}: a file must be COCO (.json) or a manifest (.csv); or name a folder")
        return kinds[table.suffix.lower()](place, table)
    return official.find(place, None if metadata is None else table) or _detect(place)


def _detect(place: "Place") -> DataSet:
    from wsol.data import coco, folder, manifest, voc

    for find in (voc.find, coco.find, manifest.find, folder.find):
        if found := find(place):
            return found
    raise DataError(
        f"{place.root}: no data set found in this folder. Looked for "
        "metadata/{train,val,test}/image_ids.txt (official), Annotations/*.xml (Pascal VOC), "
        "instances_val.json, val.json or annotations/*.json (COCO), manifest.csv, train.csv, val.csv or "
        "test.csv, and for folders of images by class (CLASS/x.jpg or train/CLASS/x.jpg). Tables that lie "
        "elsewhere are named by --metadata."
    )


def _existing(what: str, path: str | Path, root: Path | None) -> Path:
    candidates = [Path(path)] if root is None else [Path(path), root / path]
    if not str(path):
        raise DataError(f"{what}: an empty path names nothing; is a variable not set?")
    try:
        found = next((candidate for candidate in candidates if candidate.exists()), None)
    except OSError as error:  # a name that is too long, a folder that must not be read
        raise DataError(f"{what}, {path}: {error.strerror or error}") from None
    if found is None:
        beside = "" if root is None else f", neither in the working folder nor in {root}"
        raise DataError(f"{what}, {path}: no such file or folder{beside}")
    return found


def _folder(what: str, path: str | Path, root: Path) -> Path:
    found = _existing(what, path, root)
    if not found.is_dir():
        raise DataError(f"{what}, {path}: not a folder")
    return found


_encode = json.JSONEncoder(separators=(",", ":")).encode


def fingerprint(examples: Iterable[Example]) -> str:
    """ "sha256:…" of ids, labels, boxes, mask and ignore names, in this order.

    Sizes are left out: some formats state them, others leave them to the pictures, and the truth is the
    same. Each example is a line of JSON, ``[id,label,[[x0,y0,x1,y1],…],[mask,…],ignore]``, ASCII, floats as
    Python's ``repr``.
    """
    digest = hashlib.sha256()
    for example in examples:
        boxes = [[float(value) + 0.0 for value in box] for box in example.boxes]  # + 0.0: no -0.0
        digest.update(_encode([example.id, example.label, boxes, example.masks, example.ignore]).encode())
        digest.update(b"\n")
    return f"sha256:{digest.hexdigest()}"
