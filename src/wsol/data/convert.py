"""A data set written in another format, with its pictures."""

import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsol.data.coco import segmentations
from wsol.data.dataset import FORMATS, DataSet, Example, Problem, Split
from wsol.data.folder import NO_CLASSES
from wsol.data.images import SUFFIXES, read_size
from wsol.data.masks import mask_path, read_whole, resize_nearest
from wsol.data.runs import decode
from wsol.data.writers import WRITERS, Content, check_names, extent
from wsol.errors import DataError, ImageError
from wsol.export.files import xml_text

Link = Literal["copy", "symlink", "none"]
Kind = Literal["boxes", "masks"]

_IMAGES = {"voc": "JPEGImages", "folder": ""}


@dataclass(frozen=True)
class Conversion:
    """What was written.

    Attributes:
        target: the folder.
        counts: number of pictures by split.
        skipped: pictures that were left out, each with the reason.
        lost: what the target cannot hold, in words.
    """

    target: Path
    counts: dict[str, int]
    skipped: tuple[Problem, ...]
    lost: tuple[str, ...]


def convert(
    source: DataSet, target: str | Path, *, to: str, link: Link = "copy", truth: Kind | None = None
) -> Conversion:
    """Write every split of a data set in another format.

    Pictures lie in ``images/`` of the target (``JPEGImages/`` for VOC, ``SPLIT/CLASS/`` for folders), masks
    in ``masks/``. The target appears whole or not at all. Reading it gives the same fingerprints, as far as
    the format holds the content: a folder holds labels only, in sorted order and with its own ids; VOC holds
    boxes; COCO gives masks back with ``truth="masks"``.

    Args:
        source: the data set.
        target: a folder that does not exist or is empty.
        to: one of ``FORMATS``.
        link: ``copy`` the files, which makes the target independent of the source; ``symlink`` them, which
            takes no space; or leave them where they are, ``none``: then the target is read with the options
            ``images`` and ``masks``.
        truth: ``boxes``: of masks, the extent of each file; ``masks``: of COCO, its segmentations as mask
            files. By default what the source has, where the target can hold it.

    Raises:
        DataError: the target is there already, the source cannot be read, nothing of a split is left, the
            source has no such truth, or the target cannot hold the names of its classes.
    """
    target = Path(target)
    if to not in FORMATS:
        raise DataError(f"to must be one of {', '.join(FORMATS)}, got {to!r}")
    if to == "folder" and link == "none":
        raise DataError("a folder of images is nothing without the images: link must be copy or symlink")
    check_names(to, source.classes)  # before anything is copied
    with _new_folder(target) as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of oddities in metadata; files that fail raise
        work = _Work(source, folder, to, link, truth)
        splits = {name: work.read(name) for name in source.tables}
        WRITERS[to](folder, Content(splits, source.classes, work.whole_masks))
        if to == "coco":
            shutil.rmtree(folder / "masks", ignore_errors=True)  # drawn from segmentations, now run lengths
    counts = {name: len(examples) for name, examples in splits.items()}
    return Conversion(target, counts, tuple(work.skipped), tuple(dict.fromkeys(work.lost)))


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """A temporary folder that becomes the target."""
    if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise DataError(f"{target}: it is there already; name a folder that does not exist or is empty")
    target.absolute().parent.mkdir(parents=True, exist_ok=True)
    temporary = target.absolute().with_name(f".{uuid4().hex}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        if target.is_dir():
            target.rmdir()
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class _Work:
    """One conversion."""

    def __init__(self, source: DataSet, folder: Path, to: str, link: Link, truth: Kind | None) -> None:
        self.source, self.folder, self.to, self.link, self.truth = source, folder, to, link, truth
        self.skipped: list[Problem] = []
        self.lost: list[str] = []
        self.made: dict[str, Path] = {}  # source of each file of the target
        self.draws = source.format == "coco" and truth == "masks"
        self.segmentations: dict[str, list[Any]] = {}

    def read(self, name: str) -> list[Example]:
        """The pictures of a split as the target has them, their files put in place."""
        split = self.source.split(name)
        self.skipped += [problem for problem in split.problems if problem.id is not None]
        wanted = self._wanted(split)
        found = []
        for example in split.examples:
            try:
                found.append(self._place(name, example, wanted))
            except ImageError as error:
                self.skipped.append(Problem(example.where, f"{example.id}: {error}", example.id))
        if not found:
            first = "".join(f"\n  {problem}" for problem in self.skipped[:5])
            raise DataError(f"{self.source.name}: no picture of {name!r} can be written{first}")
        return found

    def _wanted(self, split: Split) -> str:
        """The truth to write, after saying what gets lost."""
        if self.to == "folder":
            if split.truth != "none":
                self.lost.append(f"folders by class hold labels only: the {split.truth} are left out")
            return "none"
        wanted = self.truth or ("boxes" if self.to == "voc" else split.truth)
        if self.to == "voc" and wanted == "masks":
            raise DataError(
                "Pascal VOC holds boxes here, no masks: ask for the truth boxes, or another format"
            )
        if split.truth == "none":
            return "none"
        if split.truth == "boxes" and wanted == "masks":
            if not self.draws:
                raise DataError(f"{self.source.name}, {split.name}: it has boxes, and boxes tell no masks")
            self.segmentations = segmentations(self.source, split.name)
        elif split.truth == "masks" and wanted == "boxes":
            self.lost.append("masks: of each file its extent is written, as a box")
        elif self.source.format == "coco" and wanted == "boxes":
            self.lost.append("COCO segmentations, if it has any: --truth masks writes them as masks")
        if wanted == "boxes" or self.to == "coco":
            count = sum(example.ignore is not None for example in split.examples)
            self.lost += [f"{split.name}: the ignore masks of {count} pictures"] if count else []
        return wanted

    def _place(self, name: str, example: Example, wanted: str) -> Example:
        """An example as the target has it.

        Raises:
            ImageError: it cannot be written there, or its files cannot be used.
        """
        self._check_names(example)
        image = self.source.images / example.id
        size = example.size
        if os.path.isfile(image):  # noqa: PTH113 - Path's raises where a name is too long or closed off
            stored, orientation = read_size(image)
            if orientation != 1 and self.source.upright != (self.to != "official"):
                raise ImageError(
                    image,
                    "turned by EXIF, which the official format ignores and the others obey: save it upright",
                )
            size = size or (stored[::-1] if orientation >= 5 and self.source.upright else stored)
        elif self.link != "none":
            raise ImageError(image, "missing")
        found = self._truth(replace(example, size=size), wanted)
        id = self._folder_id(name, example) if self.to == "folder" else example.id
        files = {Path(_IMAGES.get(self.to, "images"), id): image}
        if self.to != "coco" and not self.draws:
            masks = (*found.masks, *([found.ignore] if found.ignore else []))
            files |= {Path("masks", mask): mask_path(self.source, mask) for mask in masks}
        self._put(files)
        return replace(found, id=id)

    def _check_names(self, example: Example) -> None:
        for text in (example.id, *example.masks, example.ignore or ""):
            try:
                text.encode()
            except UnicodeEncodeError:
                raise ImageError(
                    example.id, f"the name {text!r} is not Unicode text: rename the file"
                ) from None
        if self.to == "official" and "," in (example.ignore or ""):
            raise ImageError(
                example.id, f"the official format has no place for the comma in {example.ignore!r}"
            )
        path = PurePosixPath(example.id)
        stem = example.id.removesuffix(path.suffix)
        lost = {
            "csv": any(name.strip() != name for name in (example.id, *example.masks, example.ignore or "")),
            "voc": stem.strip() != stem or xml_text(stem) != stem,
            "folder": path.suffix.lower() not in SUFFIXES or any(part[0] == "." for part in path.parts),
        }
        if example.id.isspace() or lost.get(self.to):
            raise ImageError(example.id, f"{self.to} cannot hold this name: rename the file")

    def _truth(self, example: Example, wanted: str) -> Example:
        """The example with this truth alone."""
        if wanted == "none":
            return replace(example, boxes=(), masks=(), ignore=None)
        if self.draws and wanted == "masks":
            return self._from_segmentations(example)
        if wanted == "masks" and self.to == "coco":
            self.whole_masks(example)  # refused here, not when the table is half written
            return replace(example, ignore=None)
        if wanted == "boxes" and example.masks:
            boxes = tuple(extent(mask) for mask in self.whole_masks(example))
            return replace(example, boxes=boxes, masks=(), ignore=None)
        return example

    def whole_masks(self, example: Example) -> list[NDArray[np.bool_]]:
        """The masks of an example at its size.

        Raises:
            ImageError: one cannot be used, or is empty.
        """
        found = []
        for name in example.masks:
            if self.draws:
                with Image.open(self.folder / "masks" / name) as image:
                    mask = np.asarray(image) > 0
            else:
                mask = read_whole(self.source, replace(example, size=None), name)
            if not mask.any():
                raise ImageError(name, "the mask is empty, so it has no extent")
            found.append(mask if example.size in (None, mask.shape) else resize_nearest(mask, example.size))
        return found

    def _from_segmentations(self, example: Example) -> Example:
        """The example with mask files written from COCO's segmentations, called ``ID.1.png`` and so on."""
        if example.size is None:
            raise ImageError(example.id, "its size is not known, so its segmentations cannot be drawn")
        names = []
        for number, segmentation in enumerate(self.segmentations.get(example.id, ()), start=1):
            try:
                mask = decode(segmentation, example.size)
            except ValueError as error:
                raise ImageError(example.id, f"annotation {number} of the picture: {error}") from None
            names.append(f"{example.id}.{number}.png")
            file = self.folder / "masks" / names[-1]
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))).save(file)
        return replace(example, boxes=(), masks=tuple(names))

    def _folder_id(self, split: str, example: Example) -> str:
        """``SPLIT/CLASS/x.jpg``; folders of the id that say the same are not repeated."""
        label = self.source.classes[example.label] if self.source.classes else str(example.label)
        odd = label != PurePosixPath(label).name or label.startswith(".") or "\\" in label
        if odd or label in NO_CLASSES:
            raise DataError(f"the class {label!r} cannot be a folder: give it another name in classes.txt")
        inner = example.id.removeprefix(f"{split}/").removeprefix(f"{label}/")
        id = f"{split}/{label}/{inner}"
        if self.made.get(id, self.source.images / example.id) != self.source.images / example.id:
            raise ImageError(example.id, f"another picture is {id} already: rename one")
        return id

    def _put(self, files: Mapping[Path, Path]) -> None:
        """Files of the source, by their place in the target: all of them or none."""
        if self.link == "none":
            return
        for source in files.values():
            if not source.is_file():
                raise ImageError(source, "missing")
        for place, source in files.items():
            if place.as_posix() in self.made:
                continue
            target = self.folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            if self.link == "symlink":
                target.symlink_to(source.resolve())
            else:
                shutil.copyfile(source, target)
            self.made[place.as_posix()] = source
