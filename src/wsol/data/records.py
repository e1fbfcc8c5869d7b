"""What the readers of every format share: text, paths, numbers, boxes, and how a split is put together."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from wsol.data.dataset import Box, DataSet, Example, Problem, Split, Truth, fingerprint
from wsol.errors import DataError

SPLITS = ("train", "val", "test")
MAX_CLASSES = 1_000_000
MAX_SIDE = 1_000_000
SLACK = 0.01
"""Pixels by which a box may stand over the frame's edge: decimals were rounded."""

_SPLIT = re.compile(r"(?<![a-z])(train|val|test)(?:ing|id|idation)?(?![a-z])")
_ODD_PATH = re.compile(r"^[/.]|^[A-Za-z]:|//|/\.|/$|\\|[\x00-\x1f]")
_WHOLE = re.compile(r"[ \t]*[+-]?[0-9]{1,18}[ \t]*")


@dataclass(frozen=True)
class Place:
    """Where a data set lies, as a user named it.

    Attributes:
        root: the folder, or the folder of the file.
        images: folder of the images, if it was named.
        masks: folder of the masks, if it was named.
    """

    root: Path
    images: Path | None = None
    masks: Path | None = None

    def images_in(self, *names: str) -> Path:
        """The folder that was named, or the first of these in the root that exists, or the root."""
        folders = (self.root / name for name in names)
        return self.images or next((folder for folder in folders if folder.is_dir()), self.root)

    def masks_in(self, images: Path) -> Path | None:
        """The folder that was named, or ``masks`` in the root, or the root if the images lie in it."""
        if self.masks is not None:
            return self.masks
        folder = self.root / "masks"
        return folder if folder.is_dir() else self.root if images == self.root else None


@dataclass
class Ledger:
    """Problems as they are found, and the pictures they take out."""

    problems: list[Problem] = field(default_factory=list)
    out: set[str] = field(default_factory=set)

    def add(self, where: str, reason: str, id: str | None = None) -> None:
        """Note a problem; with an id, that picture is left out."""
        self.problems.append(Problem(where, reason, id))
        if id is not None:
            self.out.add(id)


def shown(path: Path, data: DataSet) -> str:
    """A path as problems name it: relative to the data set's root if it lies there, with forward slashes."""
    if data.root is not None and path.is_relative_to(data.root):
        return path.relative_to(data.root).as_posix()
    return str(path)


def split_of(name: str) -> str | None:
    """The split that a file or folder name tells: ``instances_val2017`` is ``val``, ``valid`` too."""
    found = _SPLIT.findall(name.lower())
    return found[-1] if found else None


def read_text(path: Path) -> str:
    """A UTF-8 file, with or without a byte order mark.

    Raises:
        DataError: it is missing, cannot be read, or is not UTF-8; the message names the line.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: missing") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}, line {line}: not UTF-8 text; save the file as UTF-8") from None


def lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that hold something, with their numbers from 1; a line ends with LF or CRLF."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line and not line.isspace():
            yield number, line.removesuffix("\r")


def class_names(*folders: Path) -> tuple[str, ...]:
    """The lines of ``classes.txt`` in the first folder that has one: line n names label n − 1.

    Raises:
        DataError: the file cannot be read, or a line between others is empty.
    """
    file = next((folder / "classes.txt" for folder in folders if (folder / "classes.txt").is_file()), None)
    if file is None:
        return ()
    names: list[str] = []
    for number, line in lines(read_text(file)):
        names.append(line)
        if len(names) != number:
            raise DataError(f"{file}, line {len(names)}: empty; line n names the class of label n − 1")
    return tuple(names)


def index_of_names(names: Sequence[str], where: str) -> dict[str, int]:
    """Class index by name.

    Raises:
        DataError: a name stands for two classes.
    """
    index = {name: place for place, name in enumerate(names)}
    if len(index) < len(names):
        name = Counter(names).most_common(1)[0][0]
        raise DataError(
            f"{where}: two classes are called {name!r}; labels here are names, so make them differ"
        )
    return index


def clean_path(text: str) -> str:
    """A path from a table, without ``./`` and doubled slashes.

    Raises:
        ValueError: it is empty, absolute, climbs out with ``..``, has a backslash or a control character.
    """
    if text and not _ODD_PATH.search(text):
        return text
    if re.search(r"[\x00-\x1f]", text):
        raise ValueError(f"the path {text!r} has a control character")
    if "\\" in text:
        raise ValueError(f"the path {text!r} has a backslash: write folders with /")
    if text.startswith("/") or re.match("[A-Za-z]:", text):
        raise ValueError(f"the path {text!r} is absolute: write it relative to its folder")
    path = PurePosixPath(text)
    if ".." in path.parts:
        raise ValueError(f"the path {text!r} climbs out of its folder with ..: it is refused")
    if not path.name:
        raise ValueError("the path is empty")
    return path.as_posix()


def whole(text: str) -> int | None:
    """A whole number in decimal digits, or None."""
    if text.isdecimal() and len(text) < 10 and text.isascii():
        return int(text)
    return int(text) if _WHOLE.fullmatch(text) else None


def label_fault(label: int | None, text: object, classes: int) -> str | None:
    """Why a label cannot be used.

    Args:
        label: the number, if it is one.
        text: what the table says.
        classes: how many there are, 0 if that is unknown.
    """
    if label is None:
        return f"the label {text!r} is not a whole number"
    if label < 0:
        return f"the label {label} is negative: labels count from 0"
    if label >= (classes or MAX_CLASSES):
        known = (
            f"there are {classes} classes, 0 to {classes - 1}"
            if classes
            else "no data set has so many classes"
        )
        return f"the label {label} is out of range: {known}"
    return None


def picture_size(width: int | None, height: int | None) -> tuple[int, int] | None:
    """(height, width), or None if they are no size of a picture."""
    if width is None or height is None or not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        return None
    return height, width


def box_fault(box: Box, size: tuple[int, int] | None) -> tuple[str, bool] | None:
    """What is wrong with a box, and whether it is of no use at all; None if it is well.

    One that starts before the frame is of no use: the official code counts from 0, and a start below tells
    of boxes in another frame. One that ends behind it is used as it is.

    Args:
        box: x0, y0, x1, y1.
        size: (height, width) of the frame, if that is known.
    """
    x0, y0, x1, y1 = box
    text = ", ".join(f"{value:g}" for value in box)
    if not all(map(math.isfinite, box)):
        return f"the box ({text}) is not finite", True
    if max(map(abs, box)) > MAX_SIDE:
        return f"the box ({text}) is no box in pixels", True
    if x1 <= x0 or y1 <= y0:
        return f"the box ({text}) is empty: x0 < x1 and y0 < y1 are needed", True
    height, width = size or (MAX_SIDE, MAX_SIDE)
    frame = f"the frame, {width} × {height}" if size else "the frame"
    if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
        return f"the box ({text}) lies outside {frame}", True
    if min(x0, y0) < -SLACK:
        return f"the box ({text}) starts outside {frame}: x0 and y0 count from 0", True
    ends_behind = x1 > width + SLACK or y1 > height + SLACK
    return (f"the box ({text}) reaches out of {frame}; it is kept as it is", False) if ends_behind else None


def make_split(name: str, table: Path, examples: Sequence[Example], ledger: Ledger) -> Split:
    """The split of the examples that no problem takes out.

    A split has boxes or masks: what fewer pictures have is a problem of theirs. In ``val`` and ``test`` so
    is having neither, if others have some; ``train`` needs none.

    Raises:
        DataError: nothing is left.
    """
    kept = [example for example in examples if example.id not in ledger.out]
    truth = _truth(kept)
    for example in kept:
        kind: Truth = "boxes" if example.boxes else "masks" if example.masks else "none"
        if example.boxes and example.masks:
            ledger.add(
                example.where,
                f"{example.id}: the picture has boxes and masks: give it one of the two",
                example.id,
            )
        elif kind not in (truth, "none"):
            reason = (
                f"{example.id}: the picture has {kind}, most others have {truth}: a split has one of the two"
            )
            ledger.add(example.where, reason, example.id)
        elif kind != truth and name != "train":
            thing = "box" if truth == "boxes" else "mask"
            ledger.add(
                example.where,
                f"{example.id}: the picture has no {thing}, others have: add one, or take it out",
                example.id,
            )
    kept = [example for example in kept if example.id not in ledger.out]
    if not kept:
        first = "".join(f"\n  {problem}" for problem in ledger.problems[:5])
        what = f"none of {len(examples)} pictures is usable" if examples else "no picture is listed"
        raise DataError(f"{table}: {what} in split {name!r}{first}")
    if truth == "boxes" and all(max(box) <= 1 for example in kept for box in example.boxes):
        ledger.add(
            kept[0].where, "all boxes lie within 0…1: boxes are in pixels, not in fractions of the picture"
        )
    return Split(name, truth, tuple(kept), tuple(ledger.problems), fingerprint(kept))


def _truth(examples: Sequence[Example]) -> Truth:
    boxes = sum(bool(example.boxes) for example in examples)
    masks = sum(bool(example.masks) for example in examples)
    return "none" if boxes == masks == 0 else "boxes" if boxes >= masks else "masks"
