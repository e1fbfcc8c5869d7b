"""A CSV manifest: one table with a header, for people who have a spreadsheet.

Columns, in any order; others are passed over:

``image``
    path relative to the folder of the images: ``images`` beside the table if that exists, else the table's.
``label``
    the name of a class, or its index. If ``classes.txt`` beside the table names the classes (line n names
    label n − 1), a label is one of these names or an index; else, if all labels are whole numbers, they are
    indices; else names, numbered in their sorted order.
``split``
    ``train``, ``val`` or ``test``. Without this column all rows are of the split that the file's name tells
    (``val.csv``), or ``test``.
``x0``, ``y0``, ``x1``, ``y1``
    a box in pixels of the upright picture, x1 and y1 exclusive. A row a box; an image with several has
    several rows. Four empty cells: no box.
``boxes``
    instead of these four: all boxes of the image, ``x0 y0 x1 y1; x0 y0 x1 y1``.
``mask``, ``ignore``
    a mask's path, relative to ``masks`` beside the table or the table's folder, a row a mask; and the mask
    of pixels that do not count, on any row of the image.
``width``, ``height``
    of the upright picture, if known.

Example::

    image,label,split,x0,y0,x1,y1
    001/a.jpg,Danaus plexippus,train,,,,
    001/b.jpg,Danaus plexippus,val,16,70,254,201

UTF-8, with or without a byte order mark; blanks around a cell do not count; cells with commas or
quotes are quoted as spreadsheets do. Tables that ``wsol localize --format csv`` wrote are manifests.
In a folder, ``manifest.csv`` is looked for, or ``train.csv``, ``val.csv`` and ``test.csv``.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from wsol.data.dataset import Box, DataSet, Example, Split
from wsol.data.records import (
    SPLITS,
    Ledger,
    Place,
    box_fault,
    class_names,
    clean_path,
    index_of_names,
    label_fault,
    make_split,
    picture_size,
    read_text,
    shown,
    split_of,
    whole,
)
from wsol.errors import DataError

CORNERS = ("x0", "y0", "x1", "y1")
Row = Mapping[str, str]


def find(place: Place) -> DataSet | None:
    """The data set in a folder that has such a table."""
    if (place.root / "manifest.csv").is_file():
        return open_file(place, place.root / "manifest.csv", place.root.resolve().name)
    files = {name: place.root / f"{name}.csv" for name in SPLITS}
    files = {name: file for name, file in files.items() if file.is_file()}
    return _open(place, files, place.root.resolve().name) if files else None


def open_file(place: Place, file: Path, name: str | None = None) -> DataSet:
    """The data set of one table: the splits of its column ``split``, or of its name, or ``test``.

    Raises:
        DataError: the table cannot be read, or has no column ``image`` or ``label``.
    """
    header = _columns(file)
    named = {row["split"] for _, row in rows(file)} if "split" in header else {_split(file)}
    splits = [split for split in SPLITS if split in named]
    if not splits:
        raise DataError(f"{file}: no row has the split train, val or test")
    return _open(place, dict.fromkeys(splits, file), name or file.stem)


def _open(place: Place, files: Mapping[str, Path], name: str) -> DataSet:
    images = place.images_in("images")
    return DataSet(
        name=name,
        format="csv",
        images=images,
        masks=place.masks_in(images) or place.root,
        classes=class_names(place.root) or _names(files),
        tables=files,
        upright=True,
        root=place.root,
    )


def _names(files: Mapping[str, Path]) -> tuple[str, ...]:
    """The labels of all files, sorted, if they are names."""
    labels = {row["label"] for file in set(files.values()) for _, row in rows(file)} - {""}
    return () if all(whole(label) is not None for label in labels) else tuple(sorted(labels))


def _split(file: Path) -> str:
    return split_of(file.stem) or "test"


def _columns(file: Path) -> list[str]:
    header = next(_records(file), (1, []))[1]
    columns = [name.strip().lower() for name in header]
    missing = [name for name in ("image", "label") if name not in columns]
    if missing:
        raise DataError(
            f"{file}, line 1: no column {' and '.join(missing)}; the header is {', '.join(header)!r:.200}"
        )
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise DataError(f"{file}, line 1: the column {twice[0]} is there twice")
    return columns


def _records(file: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(StringIO(read_text(file), newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{file}, line {reader.line_num}: not CSV: {error}") from None
        if any(cell.strip() for cell in record):
            yield line, record


def rows(file: Path) -> Iterator[tuple[int, Row]]:
    """Each row, its cells without the blanks around them, with the line that it starts at.

    A row that is too short has empty cells; what is too much is under ``""``.

    Raises:
        DataError: the file cannot be read, or has no column ``image`` or ``label``.
    """
    columns = _columns(file)
    records = _records(file)
    next(records)
    for line, record in records:
        cells = [cell.strip() for cell in record] + [""] * (len(columns) - len(record))
        row = dict(zip(columns, cells, strict=False))
        row[""] = ",".join(cells[len(columns) :])
        yield line, row


def read_split(data: DataSet, name: str) -> Split:
    """Read a split's rows.

    Raises:
        DataError: the table cannot be read, or nothing in it is usable.
    """
    file = data.tables[name]
    reader = _Reader(shown(file, data), data.classes)
    for line, row in rows(file):
        split = row.get("split", name)
        if split == name:
            reader.read(line, row)
        elif split not in SPLITS:
            reason = f"the split {split!r} is none of train, val, test; the row is passed over"
            reader.ledger.add(f"{reader.table}, line {line}", reason)
    return make_split(name, file, reader.examples(), reader.ledger)


@dataclass
class _Picture:
    where: str
    label: int | None
    size: tuple[int, int] | None
    boxes: list[Box] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)
    ignore: str | None = None


class _Reader:
    """Rows of one split while they are read."""

    def __init__(self, table: str, classes: tuple[str, ...]) -> None:
        self.table = table
        self.classes = tuple(name.strip() for name in classes)  # as cells are
        self.index = {} if len(set(self.classes)) < len(classes) else index_of_names(self.classes, table)
        self.ledger = Ledger()
        self.pictures: dict[str, _Picture] = {}

    def read(self, line: int, row: Row) -> None:
        where = f"{self.table}, line {line}"
        try:
            id = clean_path(row["image"])
        except ValueError as error:
            self.ledger.add(where, str(error), row["image"])
            return
        try:
            if row[""]:
                raise ValueError(f"more cells than the header has columns: {row['']!r:.80}")
            self._read(where, id, row)
        except ValueError as error:
            self.ledger.add(where, f"{id}: {error}", id)
            self.pictures.setdefault(id, _Picture(where, None, None))

    def _read(self, where: str, id: str, row: Row) -> None:
        label, size = self._label(row["label"]), _size(row)
        picture = self.pictures.setdefault(id, _Picture(where, label, size))
        if picture.label not in (None, label) or size not in (None, picture.size):
            raise ValueError(f"another label or size than in {picture.where}: make them agree")
        boxes = _boxes(row)
        for box in boxes:
            if fault := box_fault(box, size):
                self.ledger.add(where, f"{id}: {fault[0]}", id if fault[1] else None)
        picture.boxes += boxes
        if row.get("mask"):
            picture.masks.append(clean_path(row["mask"]))
        if row.get("ignore"):
            ignore = clean_path(row["ignore"])
            if picture.ignore not in (None, ignore):
                raise ValueError("another ignore mask in an earlier row: keep one")
            picture.ignore = ignore

    def _label(self, text: str) -> int:
        if not text:
            raise ValueError("no label")
        if text in self.index:
            return self.index[text]
        label = whole(text)
        if label is None and self.classes:
            if self.classes.count(text) > 1:
                raise ValueError(f"two classes are called {text!r}: write the class's index")
            raise ValueError(f"the label {text!r} is none of the {len(self.classes)} classes, nor an index")
        fault = label_fault(label, text, len(self.classes))
        if fault or label is None:
            raise ValueError(fault)
        return label

    def examples(self) -> list[Example]:
        return [
            Example(
                id,
                picture.label,
                picture.size,
                tuple(picture.boxes),
                tuple(picture.masks),
                picture.ignore,
                picture.where,
            )
            for id, picture in self.pictures.items()
            if picture.label is not None
        ]


def _size(row: Row) -> tuple[int, int] | None:
    width, height = row.get("width", ""), row.get("height", "")
    if not width and not height:
        return None
    size = picture_size(whole(width), whole(height))
    if size is None:
        raise ValueError(f"width {width!r}, height {height!r} is no size in pixels")
    return size


def _boxes(row: Row) -> list[Box]:
    cells = [row.get(name, "") for name in CORNERS]
    texts = [cells] if any(cells) else []
    texts += [part.split() for part in row.get("boxes", "").split(";") if part.strip()]
    found: list[Box] = []
    for text in texts:
        try:
            x0, y0, x1, y1 = map(float, text)
        except ValueError:
            raise ValueError(f"a box needs four numbers x0 y0 x1 y1, got {' '.join(text)!r:.80}") from None
        found.append((x0, y0, x1, y1))
    return found
