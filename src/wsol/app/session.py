"""What one person does: photographs, the box that is looked at, verdicts, and the files of the outcome."""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from wsol.app import pictures
from wsol.app.bench import FOLDER, Bench, Photo
from wsol.boxes import rescale
from wsol.data.images import read_image
from wsol.errors import ImageError, UsageError
from wsol.export import FORMATS
from wsol.inference.localization import Localization
from wsol.inference.reading import read_batch

PHOTOS = 100
"""Photographs that a person can have at a time."""

MAX_FILE = 50 * 2**20
"""Bytes of an upload."""

NAME = 120
"""Characters of a file's name that are kept."""

DOWNLOADS = ("coco", "yolo", "voc", "label-studio")
"""Formats that can be downloaded, of :data:`wsol.export.FORMATS`."""

Kind = Literal["accepted", "corrected", "rejected"]
Boxes = Sequence[tuple[int, int, int, int]]


@dataclass(frozen=True)
class Verdict:
    """What a person said about one class in a photograph.

    Attributes:
        kind: accepted as it was, corrected by hand, or rejected.
        result: the boxes; of a rejected one those that were wrong.
    """

    kind: Kind
    result: Localization


@dataclass(eq=False)
class Session:
    """One person's photographs, in the order in which they came.

    Attributes:
        photos: that could be read.
        skipped: name and reason of each that could not.
        place: of the photograph that is looked at.
        turn: counts what was answered, so that the page can tell late answers.
        verdicts: of each photograph, by the index of the class.
    """

    photos: list[Photo] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    place: int = 0
    turn: int = 0
    verdicts: dict[Photo, dict[int, Verdict]] = field(default_factory=dict)

    @property
    def photo(self) -> Photo | None:
        """The photograph that is looked at, if there is any."""
        return self.photos[self.place] if self.photos else None

    def add(self, files: Iterable[tuple[Path, str]], bench: Bench) -> None:
        """Read photographs and look at the first of them.

        A file that cannot be used, or is one too many, is put among ``skipped`` with the reason.

        Args:
            files: each with the name that the person gave it.
            bench: whose models will see them.
        """
        first = len(self.photos)
        for path, given in files:
            name = file_name(given)
            try:
                if len(self.photos) >= PHOTOS:
                    raise ImageError(
                        name, f"more than {PHOTOS} photographs at a time; download and clear first"
                    )
                self.photos.append(_read(path, self._free(name), bench))
            except ImageError as error:
                self.skipped.append((name, error.reason))
        if len(self.photos) > first:
            self.place = first

    def clear(self, bench: Bench) -> None:
        """Forget everything."""
        for photo in self.photos:
            bench.forget(photo)
        self.photos, self.skipped, self.place, self.verdicts = [], [], 0, {}

    def go(self, place: int) -> None:
        """Look at another photograph; there is nothing before the first and behind the last."""
        self.place = max(0, min(place, len(self.photos) - 1))

    def judge(self, kind: Literal["accepted", "rejected"], result: Localization, boxes: Boxes | None) -> None:
        """Note what the person says about the photograph that is looked at.

        Args:
            kind: accepted or rejected.
            result: what the models found there.
            boxes: (x0, y0, x1, y1) each, original frame, as the person left them; None where untouched.
        """
        if self.photo is None:
            return
        said: Kind = kind
        if kind == "accepted" and boxes is not None and list(map(list, boxes)) != result.boxes.tolist():
            said, result = "corrected", corrected(result, boxes)
        self.verdicts.setdefault(self.photo, {})[result.class_index] = Verdict(said, result)

    def verdict(self, photo: Photo, class_index: int) -> Verdict | None:
        """What was said about a class in a photograph."""
        return self.verdicts.get(photo, {}).get(class_index)

    def outcome(self) -> list[Localization]:
        """The accepted and corrected results, one a photograph, further classes as its alternatives."""
        results = []
        for photo in self.photos:
            said = [
                verdict for verdict in self.verdicts.get(photo, {}).values() if verdict.kind != "rejected"
            ]
            if said:
                first, *others = (verdict.result for verdict in said)
                results.append(replace(first, alternatives=tuple(others)))
        return results

    def download(self, format: str, classes: Sequence[str], folder: Path) -> Path:
        """Write the outcome as one file: a .json, or a .zip of what the format makes of several.

        Args:
            format: one of ``DOWNLOADS``.
            classes: of the model.
            folder: an empty one.

        Raises:
            UsageError: nothing was accepted yet.
        """
        results = self.outcome()
        if format not in DOWNLOADS:
            raise UsageError(f"format must be one of {', '.join(DOWNLOADS)}, got {format!r}")
        if not results:
            raise UsageError("nothing to download yet: accept or correct a box first")
        write, target = FORMATS[format]
        inside = folder / "files"
        single = Path(target).suffix == ".json"
        write(results, inside / target if single else inside, classes=classes, root=FOLDER)
        if format == "coco":
            return (inside / target).rename(folder / f"wsol-{target}")
        return Path(shutil.make_archive(str(folder / f"wsol-{format}"), "zip", inside))

    def _free(self, name: str) -> str:
        """The name, with a number where another photograph has it."""
        taken = {photo.name.casefold() for photo in self.photos}
        path, number, free = PurePosixPath(name), 1, name
        while free.casefold() in taken:
            number += 1
            free = f"{path.stem} ({number}){path.suffix}"
        return free


def corrected(result: Localization, boxes: Boxes) -> Localization:
    """A result with boxes that a person drew: their score and agreement are 1.

    The masks are what the map's mask has inside the boxes; a box in which it has nothing is all mask.

    Args:
        result: what was found.
        boxes: x0, y0, x1, y1 each, exclusive extents in the original frame.

    Raises:
        UsageError: a box is not within the photograph, or has no pixels.
    """
    height, width = result.size
    for x0, y0, x1, y1 in boxes:
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise UsageError(
                f"a box must lie within 0 to {width} and 0 to {height}, left before right and top before "
                f"bottom: got {x0}, {y0}, {x1}, {y1}"
            )
    drawn = np.array(boxes, np.int64).reshape(-1, 4)
    frame = result.components.shape
    components = np.zeros_like(result.components)
    inside = rescale(drawn, result.size, (frame[0], frame[1])).tolist()
    for number, (x0, y0, x1, y1) in reversed(list(enumerate(inside, start=1))):  # the first box on top
        found = result.components[y0:y1, x0:x1] > 0
        components[y0:y1, x0:x1][found if found.any() else np.ones_like(found)] = number
    return replace(result, boxes=drawn, scores=np.ones(len(drawn)), components=components, agreement=1.0)


def file_name(given: str) -> str:
    """A name that is one file's, whatever was given: no folders, no characters that are not for people."""
    name = PurePosixPath(given.replace("\\", "/")).name
    name = "".join(sign if sign.isprintable() else "_" for sign in name)
    if name in ("", ".", ".."):
        return "photograph"
    suffix = PurePosixPath(name).suffix
    suffix = suffix if len(suffix) < 8 else ""
    return name.removesuffix(suffix)[: NAME - len(suffix)] + suffix


def _read(path: Path, name: str, bench: Bench) -> Photo:
    """A photograph for the models and for the page.

    Raises:
        ImageError: it cannot be used.
    """
    inputs = {}
    size = (0, 0)
    for input_size in bench.input_sizes:
        batch = read_batch([path], input_size)
        if batch.errors:
            raise ImageError(name, batch.errors[0][1].reason)
        inputs[input_size], (size,) = batch.images, batch.sizes
    image, _ = read_image(path, (pictures.LONGEST, pictures.LONGEST))
    return Photo(
        name=name,
        size=size,
        inputs=inputs,
        picture=pictures.photograph(image),
        thumbnail=pictures.photograph(image, pictures.THUMBNAIL),
    )
