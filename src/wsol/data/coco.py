"""COCO object detection (https://cocodataset.org/#format-data): a JSON file a split.

Read are, of each image, ``id``, ``file_name`` (relative to the folder of the images), ``width`` and
``height``; of each annotation ``image_id``, ``category_id`` and ``bbox``, x, y, width, height in pixels; of
each category ``id`` and ``name``. Labels count the category ids of all files in ascending order. Files that
``wsol localize`` wrote are read too; their scores are passed over. A JSON list is taken for an export of
Label Studio (:mod:`wsol.data.label_studio`).

A picture here has one class: one with annotations of several is left out. Crowd annotations tell the class
but give no box. A picture without annotations takes its label from a ``category_id`` of its own, if it has
one: so pictures with a class only are stored.

Segmentations are not masks that an evaluation can use; ``wsol data convert --truth masks`` writes them as
mask files (:func:`segmentations`).

In a folder, ``instances_val.json``, ``val.json`` or the like are looked for, there and in ``annotations/``,
the split told by the name; a single file without split in its name is ``test``. Images are in ``images/`` or
beside the tables.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from wsol.data import label_studio
from wsol.data.dataset import Box, DataSet, Example, Split
from wsol.data.records import (
    SPLITS,
    Ledger,
    Place,
    box_fault,
    clean_path,
    make_split,
    picture_size,
    read_text,
    shown,
    split_of,
)
from wsol.errors import DataError

_CATEGORIES = re.compile(r'"categories"[ \t\r\n]*:[ \t\r\n]*(?=\[)')
_SINGLE = ("coco.json", "instances.json", "annotations.json", "_annotations.coco.json")


def find(place: Place) -> DataSet | None:
    """The data set in a folder that has such files.

    Raises:
        DataError: several files for a split, or a file that cannot be read.
    """
    folders = (place.root / "annotations", place.root)
    files = [file for folder in folders for file in sorted(folder.glob("*.json")) if file.is_file()]
    files = [file for file in files if file.stem.startswith("instances")] or files
    named: dict[str, Path] = {}
    for file in files:
        split = split_of(file.stem)
        if split is not None and named.setdefault(split, file) != file:
            raise DataError(
                f"{named[split]} and {file}: both are {split!r} by name; name the file that is meant"
            )
    if not named:
        single = next((file for file in files if file.name in _SINGLE), None)
        named = {} if single is None else {"test": single}
    if not named:
        return None
    return _open(place, {name: named[name] for name in SPLITS if name in named}, place.root.resolve().name)


def open_file(place: Place, file: Path) -> DataSet:
    """The data set of one file: the split that its name tells, or ``test``."""
    return _open(place, {split_of(file.stem) or "test": file}, file.stem)


def _open(place: Place, files: Mapping[str, Path], name: str) -> DataSet:
    names: dict[int, str] = {}
    for file in files.values():
        for id, category in _categories(_read_categories(file), file).items():
            if names.setdefault(id, category) != category:
                raise DataError(
                    f"{file}: category {id} is {category!r}, in another split {names[id]!r}: unite them"
                )
    images = place.images_in("images")
    return DataSet(
        name=name,
        format="coco",
        images=images,
        masks=place.masks_in(images),
        classes=tuple(names[id] for id in sorted(names)),
        tables=files,
        upright=True,
        root=place.root,
        categories=tuple(sorted(names)),
    )


def load(file: Path) -> dict[str, Any]:
    """The JSON of a COCO file, whose three lists are lists; of Label Studio's export the same.

    Raises:
        DataError: it is something else; the message names the line.
    """
    try:
        content = json.loads(read_text(file))
    except json.JSONDecodeError as error:
        raise DataError(f"{file}, line {error.lineno}: not JSON: {error.msg}") from None
    except (RecursionError, ValueError) as error:
        raise DataError(f"{file}: not COCO: {error}") from None
    if isinstance(content, list) and content:
        content = label_studio.to_coco(content)
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise DataError(f"{file}: not COCO: a list {key!r} is needed, at the top")
    return dict(content)


def _read_categories(file: Path) -> list[Any]:
    """The categories of a file, without the rest where that is plain: parsed, it is gigabytes of a large one.

    Raises:
        DataError: see :func:`load`; what is wrong elsewhere in the file may be told when its split is read.
    """
    text = read_text(file)
    keys = list(_CATEGORIES.finditer(text))
    if len(keys) == 1:  # no other that could be the one at the top; quotes within a text are \"
        try:
            found: list[Any] = json.JSONDecoder().raw_decode(text, keys[0].end())[0]
            return found
        except (RecursionError, ValueError):
            pass  # parsing the whole tells the line
    return list(load(file)["categories"])


def _categories(categories: list[Any], file: Path) -> dict[int, str]:
    names: dict[int, str] = {}
    for place, category in enumerate(categories):
        id = category.get("id") if isinstance(category, dict) else None
        if not _is_id(id) or not isinstance(id, int):
            raise DataError(f"{file}, categories[{place}]: a whole number 'id' and a 'name' are needed")
        if id in names:
            raise DataError(f"{file}, categories[{place}]: the id {id} is there already: make ids differ")
        names[id] = str(category.get("name") or id)
    return names


def read_split(data: DataSet, name: str) -> Split:
    """Read a split's file.

    Raises:
        DataError: it is missing or no COCO file, its categories have changed, or nothing in it is usable.
    """
    file = data.tables[name]
    content = load(file)
    labels = {id: label for label, id in enumerate(data.categories)}
    for id in _categories(content["categories"], file):
        if id not in labels:
            raise DataError(f"{file}: category {id} was not there when it was opened: open it again")
    reader = _Reader(shown(file, data), labels)
    reader.read_images(content["images"])
    reader.read_annotations(content["annotations"])
    return make_split(name, file, reader.examples(), reader.ledger)


@dataclass
class _Picture:
    id: str
    where: str
    size: tuple[int, int] | None
    own: Any = None  # category of the picture itself
    labels: set[int] = field(default_factory=set)
    boxes: list[Box] = field(default_factory=list)


@dataclass
class _Reader:
    table: str
    labels: Mapping[int, int]
    ledger: Ledger = field(default_factory=Ledger)
    pictures: dict[Any, _Picture] = field(default_factory=dict)  # by COCO's image id
    names: set[str] = field(default_factory=set)

    def read_images(self, images: list[Any]) -> None:
        for place, image in enumerate(images):
            where = f"{self.table}, images[{place}]"
            if not isinstance(image, dict) or not _is_id(image.get("id")):
                self.ledger.add(where, "an object with 'id' and 'file_name' is needed")
                continue
            file_name = image.get("file_name")
            if not isinstance(file_name, str):
                self.ledger.add(where, "a 'file_name' is needed")
                continue
            try:
                id = clean_path(file_name)
            except ValueError as error:
                self.ledger.add(where, str(error), file_name)
                continue
            if id in self.names or image["id"] in self.pictures:
                self.ledger.add(
                    where, f"{id}, id {image['id']!r}, is there already: make ids and names differ", id
                )
            self.names.add(id)
            size = self._size(where, id, image)
            self.pictures.setdefault(image["id"], _Picture(id, where, size, image.get("category_id")))

    def _size(self, where: str, id: str, image: Mapping[str, Any]) -> tuple[int, int] | None:
        width, height = image.get("width"), image.get("height")
        if width is None and height is None:
            return None
        size = picture_size(_integer(width), _integer(height))
        if size is None:
            self.ledger.add(where, f"{id}: width {width!r}, height {height!r} is no size in pixels", id)
        return size

    def read_annotations(self, annotations: list[Any]) -> None:
        for place, annotation in enumerate(annotations):
            where = f"{self.table}, annotations[{place}]"
            if not isinstance(annotation, dict) or not _is_id(annotation.get("image_id")):
                self.ledger.add(where, "an object with 'image_id', 'category_id' and 'bbox' is needed")
                continue
            picture = self.pictures.get(annotation["image_id"])
            if picture is None:
                self.ledger.add(where, f"image_id {annotation['image_id']!r} is not among the images")
                continue
            category = annotation.get("category_id")
            if not isinstance(category, int) or category not in self.labels:
                reason = f"{picture.id}: category_id {category!r:.80} is not among the categories"
                self.ledger.add(where, reason, picture.id)
                continue
            picture.labels.add(self.labels[category])
            if annotation.get("iscrowd"):
                self.ledger.add(where, f"{picture.id}: a crowd is no object with a box; it gives none")
            elif annotation.get("bbox") is not None:
                self._read_box(where, picture, annotation["bbox"])

    def _read_box(self, where: str, picture: _Picture, bbox: Any) -> None:  # noqa: ANN401 - checked here
        if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(_is_number, bbox)):
            reason = f"{picture.id}: bbox must be [x, y, width, height], got {bbox!r:.120}"
            self.ledger.add(where, reason, picture.id)
            return
        try:
            x, y, width, height = map(float, bbox)
            box = (x, y, far_side(x, width), far_side(y, height))
        except ArithmeticError:
            self.ledger.add(where, f"{picture.id}: the bbox is no box in pixels", picture.id)
            return
        if fault := box_fault(box, picture.size):
            self.ledger.add(where, f"{picture.id}: {fault[0]}", picture.id if fault[1] else None)
        picture.boxes.append(box)

    def examples(self) -> list[Example]:
        found = []
        for picture in self.pictures.values():
            if not picture.labels and isinstance(picture.own, int) and picture.own in self.labels:
                picture.labels.add(self.labels[picture.own])
            if len(picture.labels) == 1:
                label, boxes = next(iter(picture.labels)), tuple(picture.boxes)
                found.append(Example(picture.id, label, picture.size, boxes, where=picture.where))
            elif picture.id not in self.ledger.out:
                several = f"objects of {len(picture.labels)} classes; a picture here has one"
                reason = several if picture.labels else "no annotation, so its class is not known"
                self.ledger.add(picture.where, f"{picture.id}: {reason}", picture.id)
        return found


def segmentations(data: DataSet, name: str) -> dict[str, list[Any]]:
    """The ``segmentation`` of each annotation that is no crowd, by example id; None where it has none."""
    content = load(data.tables[name])
    names: dict[Any, str] = {}
    found: dict[str, list[Any]] = {}
    for image in content["images"]:
        if isinstance(image, dict) and _is_id(image.get("id")) and isinstance(image.get("file_name"), str):
            names.setdefault(image["id"], image["file_name"])
    for annotation in content["annotations"]:
        if isinstance(annotation, dict) and _is_id(annotation.get("image_id")):
            file_name = names.get(annotation["image_id"])
            if file_name is not None and not annotation.get("iscrowd"):
                found.setdefault(_clean(file_name), []).append(annotation.get("segmentation"))
    return found


def far_side(start: float, length: float) -> float:
    """x + width in decimals, as people wrote them: 12.34 + 33.33 is 45.67, which it is not in floats.

    Raises:
        ArithmeticError: infinities of both signs.
    """
    return float(Decimal(repr(start)) + Decimal(repr(length)))


def _clean(text: str) -> str:
    try:
        return clean_path(text)
    except ValueError:
        return text  # such a picture is left out of the split


def _is_id(value: object) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _integer(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
