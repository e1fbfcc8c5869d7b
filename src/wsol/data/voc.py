"""Pascal VOC: an XML file of boxes a picture, and lists of pictures.

::

    JPEGImages/a.jpg             the pictures; ids are relative to this folder
    Annotations/a.xml            annotation: filename, size (width, height), object (name, bndbox)
    ImageSets/Main/train.txt     names of annotations without .xml, a line each; val.txt, test.txt

Pixels count from 1 and ``xmax``, ``ymax`` are the last ones inside: a box (xmin, ymin, xmax, ymax) has the
exclusive extents x0 = xmin − 1, y0 = ymin − 1, x1 = xmax, y1 = ymax, as :mod:`wsol.export.voc` writes them.
Boxes of ``difficult`` objects count like the others; parts of objects do not.

Annotations may lie in folders: the list then says ``dogs/a``, and the picture is ``dogs/`` + ``filename``.
Without lists all annotations are the split ``test``. Without ``JPEGImages``, ``images`` is looked for, or
the pictures lie beside ``Annotations``.

A picture here has one class: one with objects of several is left out. A picture without objects takes the
class from an element ``label`` of the annotation, if it has one: so pictures with a class only are stored.
Classes are the names in ``classes.txt``, or else all names in the annotations, sorted.

XML is read by defusedxml: entities, which can be made to fill the memory, are refused.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from decimal import Context, Decimal
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from wsol.data.dataset import Box, DataSet, Example, Split
from wsol.data.records import (
    SPLITS,
    Ledger,
    Place,
    box_fault,
    class_names,
    clean_path,
    index_of_names,
    lines,
    make_split,
    picture_size,
    read_text,
    shown,
    whole,
)
from wsol.errors import DataError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_EXACT = Context(prec=400)  # one more or less is exact for any coordinate


def find(place: Place) -> DataSet | None:
    """The data set in a folder that has ``Annotations``."""
    folder = place.root / "Annotations"
    if not folder.is_dir():
        return None
    lists = {name: place.root / "ImageSets" / "Main" / f"{name}.txt" for name in SPLITS}
    tables = {name: file for name, file in lists.items() if file.is_file()}
    images = place.images_in("JPEGImages", "images")
    data = DataSet(
        name=place.root.resolve().name,
        format="voc",
        images=images,
        masks=place.masks_in(images),
        classes=class_names(place.root),
        tables=tables or {"test": folder},
        upright=True,
        root=place.root,
    )
    return data if data.classes else replace(data, classes=tuple(sorted(_all_names(folder))))


def _all_names(folder: Path) -> set[str]:
    """Names of all classes in the annotations that can be read; the others are problems of their splits."""
    names: set[str] = set()
    for name in _annotations(folder):
        try:
            names |= _classes(_parse(folder / f"{name}.xml"))
        except (DataError, ValueError):
            continue
    return names


def _annotations(folder: Path) -> list[str]:
    files = (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return sorted(
        file.relative_to(folder).as_posix().removesuffix(".xml")
        for file in files
        if file.suffix == ".xml" and not file.name.startswith(".")
    )


def read_split(data: DataSet, name: str) -> Split:
    """Read the annotations of a split.

    Raises:
        DataError: its list is missing, or nothing in it is usable.
    """
    table = data.tables[name]
    folder = table if table.is_dir() else table.parents[2] / "Annotations"
    ledger = Ledger()
    index = index_of_names(data.classes, str(table))
    found: dict[str, Example] = {}
    for where, entry in _entries(data, table, ledger):
        file = folder / f"{entry}.xml"
        try:
            example = _example(entry, shown(file, data), _parse(file), index, ledger)
        except (DataError, ValueError) as error:
            ledger.add(where if isinstance(error, DataError) else shown(file, data), str(error), entry)
            continue
        if example.id in found:
            reason = f"{example.id} is named by {found[example.id].where} already: one annotation a picture"
            ledger.add(example.where, reason, example.id)
        found[example.id] = example
    return make_split(name, table, list(found.values()), ledger)


def _entries(data: DataSet, table: Path, ledger: Ledger) -> Iterator[tuple[str, str]]:
    """Where each annotation is listed, and its name."""
    if table.is_dir():
        yield from ((shown(table, data), name) for name in _annotations(table))
        return
    seen: dict[str, int] = {}
    for number, line in lines(read_text(table)):
        where = f"{shown(table, data)}, line {number}"
        try:
            name = clean_path(line)
        except ValueError as error:
            ledger.add(where, str(error), line)
            continue
        if name in seen:
            ledger.add(where, f"{name} stands in line {seen[name]} already; it counts once")
            continue
        seen[name] = number
        yield where, name


def _parse(file: Path) -> "Element":
    """The root of an annotation.

    Raises:
        DataError: it cannot be read.
        ValueError: it is no such XML; the message names the line.
    """
    try:
        content = file.read_bytes()
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: {getattr(error, 'strerror', None) or error}") from None
    try:
        root: Element = fromstring(content)
    except ParseError as error:
        raise ValueError(f"line {error.position[0]}: not XML: {error}") from None
    except DefusedXmlException as error:
        raise ValueError(f"refused: {type(error).__name__}, which can be made to fill the memory") from None
    except (LookupError, ValueError) as error:
        raise ValueError(f"not XML: {error}") from None
    if root.tag != "annotation":
        raise ValueError(f"an element 'annotation' is needed, got {root.tag!r:.80}")
    return root


def _classes(annotation: "Element") -> set[str]:
    names = {(thing.findtext("name") or "").strip() for thing in annotation.findall("object")}
    return names or {(annotation.findtext("label") or "").strip()} - {""}


def _example(entry: str, where: str, annotation: "Element", index: dict[str, int], ledger: Ledger) -> Example:
    file_name = annotation.findtext("filename")
    if not file_name:
        raise ValueError("no filename: say which picture this is about")
    id = clean_path((PurePosixPath(entry).parent / PurePosixPath(clean_path(file_name)).name).as_posix())
    names = _classes(annotation)
    if len(names) != 1:
        several = f"objects of {len(names)} classes ({', '.join(sorted(names)):.120}); a picture here has one"
        raise ValueError(several if names else "no object, so its class is not known")
    name = names.pop()
    if name not in index:
        raise ValueError(f"the class {name!r} is not in classes.txt")
    size = _size(annotation)
    boxes = []
    for thing in annotation.findall("object"):
        box = _box(thing)
        if box is None:
            continue
        if fault := box_fault(box, size):
            ledger.add(
                where, f"{id}: {fault[0]} (counted from 0; VOC counts from 1)", id if fault[1] else None
            )
        boxes.append(box)
    return Example(id, index[name], size, tuple(boxes), where=where)


def _size(annotation: "Element") -> tuple[int, int] | None:
    """None too for 0 × 0, which some tools write for an unknown size."""
    texts = [(annotation.findtext(f"size/{side}") or "0").strip() for side in ("width", "height")]
    width, height = map(whole, texts)
    if width == height == 0:
        return None
    size = picture_size(width, height)
    if size is None:
        raise ValueError(f"width {texts[0]!r}, height {texts[1]!r} is no size in pixels")
    return size


def _box(thing: "Element") -> Box | None:
    corners = thing.find("bndbox")
    if corners is None:
        return None
    texts = [(corners.findtext(tag) or "").strip() for tag in ("xmin", "ymin", "xmax", "ymax")]
    try:
        xmin, ymin, xmax, ymax = map(Decimal, texts)
        x0, y0 = _EXACT.subtract(xmin, Decimal(1)), _EXACT.subtract(ymin, Decimal(1))
        return float(x0), float(y0), float(xmax), float(ymax)
    except (ArithmeticError, ValueError):  # Decimal's own errors are arithmetic ones
        raise ValueError(f"a bndbox needs numbers xmin, ymin, xmax, ymax, got {texts!r:.120}") from None
