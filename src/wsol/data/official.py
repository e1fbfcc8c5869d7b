"""The metadata format of the official WSOL evaluation (Choe et al., CVPR 2020).

A folder a split, ``metadata/{train,val,test}/``, each with four text files, a row a line::

    image_ids.txt      path                      001/a.jpg
    class_labels.txt   path,label                001/a.jpg,0
    image_sizes.txt    path,width,height         001/a.jpg,320,240
    localization.txt   path,x0,y0,x1,y1          001/a.jpg,16,70,254,201      a row a box
                  or   path,mask,ignore          001/a.jpg,001/a_1.png,001/a_ignore.png   a row a mask

Image paths are relative to the folder of the images, mask paths to that of the masks. Rows are read from
the right, so file names may hold commas. The ignore mask stands on an image's first row, if there is one.
``image_sizes.txt`` may be missing or empty; so may ``localization.txt`` of ``train``. ``classes.txt``, in
the data set's folder or beside the splits, names label n − 1 in line n; it is not part of the official
releases. The split ``train-proxy`` is ``image_ids_proxy.txt`` of ``train``, ImageNet's small training set.
UTF-8, with or without a byte order mark; LF or CRLF; empty lines are skipped.

The official folders hold images and masks side by side, without ``images/`` and ``masks/``: both are
then looked for in the data set's folder itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wsol.data.dataset import Box, DataSet, Example, Split
from wsol.data.records import (
    SPLITS,
    Ledger,
    Place,
    box_fault,
    class_names,
    clean_path,
    label_fault,
    lines,
    make_split,
    picture_size,
    read_text,
    shown,
    whole,
)
from wsol.errors import DataError

TABLES = ("image_ids.txt", "class_labels.txt", "image_sizes.txt", "localization.txt")
PROXY = "train-proxy"
LONGEST_PATH = 4096
"""Characters; no system takes more."""


def find(place: Place, metadata: Path | None = None) -> DataSet | None:
    """The data set in a folder, if it has such tables.

    Args:
        place: the data set's folder.
        metadata: the folder of the splits; by default ``metadata`` in the data set's folder, or that itself.

    Raises:
        DataError: a metadata folder was named and has no tables.
    """
    for folder in [metadata] if metadata else [place.root / "metadata", place.root]:
        tables = {
            name: folder / name
            for name in SPLITS
            if any((folder / name / table).is_file() for table in TABLES)
        }
        if tables:
            images = place.images_in("images")
            return DataSet(
                name=place.root.resolve().name,
                format="official",
                images=images,
                masks=place.masks_in(images),
                classes=class_names(folder, place.root),
                tables=tables,
                upright=False,
                root=place.root,
            )
    if metadata:
        raise DataError(f"{metadata}: no train/, val/ or test/ with {', '.join(TABLES)}")
    return None


def read_split(data: DataSet, name: str) -> Split:
    """Read a split's tables.

    Raises:
        DataError: a table is missing, or nothing in them is usable.
    """
    folder = data.tables["train" if name == PROXY else name]
    tables = _Tables(data, folder, name)
    ids = tables.read_ids()
    labels = tables.read_labels()
    sizes = tables.read_sizes()
    tables.read_truth(sizes)
    where = tables.where("image_ids_proxy.txt" if name == PROXY else "image_ids.txt")
    boxes, masks, ignore = tables.boxes, tables.masks, tables.ignore
    examples = [
        Example(
            id,
            labels[id],
            sizes.get(id),
            tuple(boxes.get(id, ())),
            tuple(masks.get(id, ())),
            ignore.get(id),
            f"{where}{line}",
        )
        for id, line in ids.items()
        if id in labels
    ]
    return make_split(name, folder, examples, tables.ledger)


@dataclass
class _Tables:
    """The tables of one split while they are read."""

    data: DataSet
    folder: Path
    name: str
    ledger: Ledger = field(default_factory=Ledger)
    ids: dict[str, int] = field(default_factory=dict)  # line by id
    boxes: dict[str, list[Box]] = field(default_factory=dict)
    masks: dict[str, list[str]] = field(default_factory=dict)
    ignore: dict[str, str] = field(default_factory=dict)

    def where(self, table: str) -> str:
        """What a line's number completes."""
        return f"{shown(self.folder / table, self.data)}, line "

    def read_ids(self) -> Mapping[str, int]:
        """Line by id, in the table's order."""
        table = "image_ids_proxy.txt" if self.name == PROXY else "image_ids.txt"
        where = self.where(table)
        for line, id in lines(read_text(self.folder / table)):
            if id in self.ids:
                reason = f"{id} stands in line {self.ids[id]} already; it counts once: take this line out"
                self.ledger.add(f"{where}{line}", reason)
                continue
            self.ids[id] = line
            try:
                if (clean := clean_path(id)) != id:
                    self.ledger.add(f"{where}{line}", f"write the path {id!r} as {clean!r}", id)
            except ValueError as error:
                self.ledger.add(f"{where}{line}", str(error), id)
        if not self.ids:
            raise DataError(
                f"{self.folder / table}: it lists no image; a line with a path is needed for each"
            )
        return self.ids

    def read_labels(self) -> Mapping[str, int]:
        """Label by id."""
        where, classes = self.where("class_labels.txt"), len(self.data.classes)
        labels: dict[str, int] = {}
        for line, row in lines(read_text(self.folder / "class_labels.txt")):
            id, _, text = row.rpartition(",")
            if id not in self.ids:
                self._unknown(f"{where}{line}", id, row, "path,label")
                continue
            label = whole(text)
            if label is None or label < 0 or label >= classes:
                fault = label_fault(label, text, classes)
                if fault or label is None:
                    self.ledger.add(f"{where}{line}", f"{id}: {fault}", id)
                    continue
            if labels.setdefault(id, label) != label:
                reason = f"the label {label} of {id} contradicts {labels[id]} in an earlier line: keep one"
                self.ledger.add(f"{where}{line}", reason, id)
        unlabelled = [id for id in self.ids if id not in labels and id not in self.ledger.out]
        for id in unlabelled:
            reason = f"{id} (line {self.ids[id]} of image_ids.txt) has no label: add a row path,label"
            self.ledger.add(where.removesuffix(", line "), reason, id)
        return labels

    def read_sizes(self) -> Mapping[str, tuple[int, int]]:
        """(height, width) by id; empty if the table is missing or empty."""
        file, where = self.folder / "image_sizes.txt", self.where("image_sizes.txt")
        sizes: dict[str, tuple[int, int]] = {}
        for line, row in lines(read_text(file) if file.exists() else ""):
            id, *sides = row.rsplit(",", 2)
            if id not in self.ids or len(sides) != 2:
                self._unknown(f"{where}{line}", id, row, "path,width,height")
                continue
            size = picture_size(whole(sides[0]), whole(sides[1]))
            if size is None:
                reason = f"{','.join(sides)!r} is not width,height in pixels"
                self.ledger.add(f"{where}{line}", reason, id)
            elif sizes.setdefault(id, size) != size:
                self.ledger.add(f"{where}{line}", f"{id} has another size in an earlier line: keep one", id)
        for id in self.ids if sizes else ():
            if id not in sizes and id not in self.ledger.out:
                self.ledger.add(where.removesuffix(", line "), f"{id} has no size, others have: add its row")
        return sizes

    def read_truth(self, sizes: Mapping[str, tuple[int, int]]) -> None:
        """Boxes or masks: the file has that of which it has more rows."""
        file = self.folder / "localization.txt"
        where = self.where(file.name)
        optional = self.name in ("train", PROXY)
        rows = list(lines(read_text(file) if file.exists() or not optional else ""))
        if not rows and not optional:
            self.ledger.add(
                shown(file, self.data), "it is empty: nothing can be localized against this split"
            )
        boxes = [_box(row) for _, row in rows]
        if 2 * sum(box is not None for box in boxes) >= len(rows):
            for (line, row), box in zip(rows, boxes, strict=True):
                self._read_box(f"{where}{line}", row, box, sizes)
        else:
            for (line, row), box in zip(rows, boxes, strict=True):
                self._read_mask(f"{where}{line}", row, box)

    def _read_box(
        self, where: str, row: str, found: tuple[str, Box] | None, sizes: Mapping[str, tuple[int, int]]
    ) -> None:
        if found is None:
            id = self._owner(row)
            self.ledger.add(where, f"path,x0,y0,x1,y1 with four numbers expected, got {row!r:.120}", id)
            return
        id, box = found
        if id not in self.ids:
            self._unknown(where, id, row, "path,x0,y0,x1,y1")
            return
        fault = box_fault(box, sizes.get(id))
        if fault:
            self.ledger.add(where, f"{id}: {fault[0]}", id if fault[1] else None)
        self.boxes.setdefault(id, []).append(box)

    def _read_mask(self, where: str, row: str, box: tuple[str, Box] | None) -> None:
        id = self._owner(row)
        if id is None:
            self._unknown(where, row.rsplit(",", 2)[0], row, "path,mask,ignore")
            return
        rest = row[len(id) + 1 :]
        mask, _, ignore = rest.rpartition(",") if "," in rest else (rest, "", "")
        if (box is not None and box[0] == id) or not mask or all(_number(part) for part in rest.split(",")):
            self.ledger.add(where, f"path,mask,ignore expected as in most rows, got {row!r:.120}", id)
            return
        try:
            self.masks.setdefault(id, []).append(clean_path(mask))
            if ignore and self.ignore.setdefault(id, clean_path(ignore)) != clean_path(ignore):
                self.ledger.add(where, f"{id} has another ignore mask in an earlier row: keep one", id)
        except ValueError as error:
            self.ledger.add(where, f"{id}: {error}", id)

    def _owner(self, row: str) -> str | None:
        """The longest known id that the row begins with, leaving two fields if it can."""
        head = row.rsplit(",", 2)
        if len(head) == 3 and head[0] in self.ids:
            return head[0]
        at = min(len(row), LONGEST_PATH + 1)  # a row may be a megabyte of commas
        while (at := row.rfind(",", 0, at)) > 0:
            if row[:at] in self.ids:
                return row[:at]
        return None

    def _unknown(self, where: str, id: str, row: str, form: str) -> None:
        """A row that belongs to no image; the small training set has many."""
        if self.name == PROXY:
            return
        owner = self._owner(row)
        if owner is not None:
            self.ledger.add(where, f"{form} expected, got {row!r:.120}", owner)
        elif "," not in row:
            self.ledger.add(where, f"{form} expected, got {row!r:.120}")
        else:
            self.ledger.add(where, f"{id} is not in image_ids.txt: add it there, or take this row out")


def _box(row: str) -> tuple[str, Box] | None:
    """The id and the four numbers at the end of a row."""
    parts = row.rsplit(",", 4)
    if len(parts) != 5:
        return None
    try:
        x0, y0, x1, y1 = map(float, parts[1:])
    except ValueError:
        return None
    return parts[0], (x0, y0, x1, y1)


def _number(text: str) -> bool:
    try:
        float(text or "0")
    except ValueError:
        return False
    return True
