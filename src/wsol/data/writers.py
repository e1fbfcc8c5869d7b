"""The tables of each format, written: what :mod:`wsol.data.convert` calls when the pictures are settled."""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element, SubElement

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from wsol.data.dataset import Box, Example
from wsol.data.manifest import CORNERS
from wsol.data.records import index_of_names
from wsol.errors import DataError
from wsol.export.files import write_json_array, write_xml, xml_text

Splits = Mapping[str, Sequence[Example]]
MaskReader = Callable[[Example], list[NDArray[np.bool_]]]
_EXACT = Context(prec=400)  # as wsol.data.voc reads


@dataclass(frozen=True)
class Content:
    """What is to be written.

    Attributes:
        splits: the pictures by split; those with masks have no boxes.
        classes: names by index; empty if nobody named them.
        read_masks: the masks of an example, at its size.
    """

    splits: Splits
    classes: tuple[str, ...]
    read_masks: MaskReader

    def names(self) -> tuple[str, ...]:
        """A name for every class: its index if nobody named it."""
        labels = (example.label for examples in self.splits.values() for example in examples)
        return self.classes or tuple(str(index) for index in range(max(labels, default=-1) + 1))


def write_official(folder: Path, content: Content) -> None:
    """``metadata/{train,val,test}/`` as :mod:`wsol.data.official` describes it."""
    for name, examples in content.splits.items():
        tables: dict[str, list[str]] = {
            "image_ids.txt": [example.id for example in examples],
            "class_labels.txt": [f"{example.id},{example.label}" for example in examples],
            "image_sizes.txt": [
                f"{example.id},{example.size[1]},{example.size[0]}" for example in examples if example.size
            ],
            "localization.txt": [row for example in examples for row in _rows(example)],
        }
        for table, rows in tables.items():
            _write_lines(folder / "metadata" / name / table, rows)
    write_classes(folder, content.classes)


def _rows(example: Example) -> Iterator[str]:
    for box in example.boxes:
        yield ",".join([example.id, *map(plain, box)])
    for place, mask in enumerate(example.masks):
        yield f"{example.id},{mask},{example.ignore or '' if place == 0 else ''}"


def write_csv(folder: Path, content: Content) -> None:
    """``manifest.csv`` as :mod:`wsol.data.manifest` describes it; labels are names where these differ.

    Raises:
        DataError: a name of a class does not fit in a cell.
    """
    check_names("csv", content.classes)
    clear = len({name.strip() for name in content.classes}) == len(content.classes)
    everything = [example for examples in content.splits.values() for example in examples]
    columns = ["image", "label", "split", "width", "height"]
    columns += CORNERS if any(example.boxes for example in everything) else ()
    columns += ("mask", "ignore") if any(example.masks for example in everything) else ()
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        for name, examples in content.splits.items():
            for example in examples:
                label = content.classes[example.label] if clear and content.classes else str(example.label)
                row = {"image": example.id, "label": label, "split": name}
                if example.size:
                    row |= {"height": str(example.size[0]), "width": str(example.size[1])}
                boxes = [dict(zip(CORNERS, map(plain, box), strict=True)) for box in example.boxes]
                masks = [{"mask": mask, "ignore": example.ignore or ""} for mask in example.masks]
                writer.writerows(row | more for more in (boxes + masks or [{}]))
    write_classes(folder, content.classes)


def write_coco(folder: Path, content: Content) -> None:
    """``annotations/instances_{train,val,test}.json`` as :mod:`wsol.data.coco` describes it.

    Masks are compressed run lengths with their extents as boxes.
    """
    (folder / "annotations").mkdir()
    categories = [{"id": index + 1, "name": name} for index, name in enumerate(content.names())]
    for name, examples in content.splits.items():
        file_name = folder / "annotations" / f"instances_{name}.json"
        with file_name.open("w", encoding="utf-8") as file:
            file.write(f'{{"info": {json.dumps({"description": f"{name} split"})},\n"licenses": [],\n')
            for key, items in (
                ("categories", iter(categories)),
                ("images", _images(examples)),
                ("annotations", _annotations(examples, content.read_masks)),
            ):
                file.write(f'"{key}": ')
                write_json_array(file, items)
                file.write("}\n" if key == "annotations" else ",\n")


def _images(examples: Sequence[Example]) -> Iterator[dict[str, Any]]:
    for number, example in enumerate(examples, start=1):
        image: dict[str, Any] = {"id": number, "file_name": example.id}
        if example.size:
            image |= {"width": example.size[1], "height": example.size[0]}
        if not example.boxes and not example.masks:
            image["category_id"] = example.label + 1
        yield image


def _annotations(examples: Sequence[Example], read_masks: MaskReader) -> Iterator[dict[str, Any]]:
    number = 0
    for image, example in enumerate(examples, start=1):
        masks = read_masks(example) if example.masks else []
        boxes = [extent(mask) for mask in masks] if masks else example.boxes
        for place, (x0, y0, x1, y1) in enumerate(boxes):
            number += 1
            annotation: dict[str, Any] = {
                "id": number,
                "image_id": image,
                "category_id": example.label + 1,
                "bbox": [_json(x0), _json(y0), _json(_side(x0, x1)), _json(_side(y0, y1))],
                "area": _json((x1 - x0) * (y1 - y0)),
                "iscrowd": 0,
            }
            if masks:
                runs = coco_mask.encode(np.asfortranarray(masks[place], np.uint8))
                annotation["area"] = int(masks[place].sum())
                annotation["segmentation"] = {"size": runs["size"], "counts": runs["counts"].decode("ascii")}
            yield annotation


def write_voc(folder: Path, content: Content) -> None:
    """``Annotations/`` and ``ImageSets/Main/`` as :mod:`wsol.data.voc` describes them.

    Raises:
        DataError: two classes have one name, or XML does not give a name back.
    """
    names = content.names()
    check_names("voc", names)
    for name in names:
        if xml_text(name).strip() != name or "\r" in name or not name:
            raise DataError(
                f"the class {name!r} cannot be written as XML: give it another name in classes.txt"
            )
    stems = Counter(_stem(id) for id in {example.id for part in content.splits.values() for example in part})
    for split, examples in content.splits.items():
        entries = []
        for example in examples:
            entry = _stem(example.id) if stems[_stem(example.id)] == 1 else example.id
            write_xml(_annotation(example, names[example.label]), folder / "Annotations" / f"{entry}.xml")
            entries.append(entry)
        _write_lines(folder / "ImageSets" / "Main" / f"{split}.txt", entries)
    write_classes(folder, names)


def _annotation(example: Example, name: str) -> Element:
    path, annotation = PurePosixPath(example.id), Element("annotation")
    _add(annotation, folder=path.parent, filename=path.name)
    if example.size:
        _add(SubElement(annotation, "size"), width=example.size[1], height=example.size[0], depth=3)
    if not example.boxes:
        _add(annotation, label=name)
    for x0, y0, x1, y1 in example.boxes:
        thing = SubElement(annotation, "object")
        _add(thing, name=name, pose="Unspecified", truncated=0, difficult=0)
        corners = {"xmin": _next(x0), "ymin": _next(y0), "xmax": plain(x1), "ymax": plain(y1)}
        _add(SubElement(thing, "bndbox"), **corners)
    return annotation


def _add(parent: Element, **children: object) -> None:
    for tag, value in children.items():
        SubElement(parent, tag).text = xml_text(str(value))


def write_folder(folder: Path, content: Content) -> None:
    """``classes.txt`` beside the folders of images, which are all the rest of this format.

    Raises:
        DataError: two classes have one name.
    """
    check_names("folder", content.names())
    write_classes(folder, content.names())


WRITERS: dict[str, Callable[[Path, Content], None]] = {
    "official": write_official,
    "csv": write_csv,
    "coco": write_coco,
    "voc": write_voc,
    "folder": write_folder,
}


def check_names(to: str, classes: Sequence[str]) -> None:
    """Make sure that a format can tell classes apart.

    Raises:
        DataError: its labels are names, and two classes have one; or CSV does not give a name back.
    """
    for name in classes if to == "csv" else ():
        if "\r" in name:  # which Python's csv does not quote
            raise DataError(f"the class {name!r} does not fit in a cell of a table: give it another name")
    if to not in ("voc", "folder"):
        return
    try:
        index_of_names(classes, to)
    except DataError as error:
        raise DataError(f"{error}; or write official, csv or coco, which hold such classes") from None


def write_classes(folder: Path, classes: Sequence[str]) -> None:
    """Write ``classes.txt``, if there are names.

    Raises:
        DataError: a name does not fit on a line.
    """
    for name in classes:
        if not name.strip() or "\n" in name or name.endswith("\r"):
            raise DataError(f"the class {name!r} does not fit on a line of classes.txt: give it another name")
    if classes:
        _write_lines(folder / "classes.txt", classes)


def extent(mask: NDArray[np.bool_]) -> Box:
    """x0, y0, x1, y1 of a mask's pixels, exclusive; zeros if it has none."""
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(ys):
        return 0.0, 0.0, 0.0, 0.0
    return float(xs[0]), float(ys[0]), float(xs[-1] + 1), float(ys[-1] + 1)


def plain(value: float) -> str:
    """A number that reads back as the same float; whole ones without a point."""
    return str(_json(value))


def _json(value: float) -> float | int:
    return int(value) if value.is_integer() else value


def _next(value: float) -> str:
    """One more, exactly: VOC counts pixels from 1."""
    return format(_EXACT.add(Decimal(plain(value)), Decimal(1)), "f")


def _side(low: float, high: float) -> float:
    """The width with which :func:`wsol.data.coco.far_side` gives ``high`` back, up to 15 digits."""
    return float(Decimal(repr(high)) - Decimal(repr(low)))


def _stem(id: str) -> str:
    return id.removesuffix(PurePosixPath(id).suffix)


def _write_lines(path: Path, rows: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{row}\n" for row in rows)
