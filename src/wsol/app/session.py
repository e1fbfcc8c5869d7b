"""What one person does: photographs, the box that is looked at, verdicts, and the files of the outcome."""

import itertools
import shutil
import threading
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
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

NAME = 200
"""Bytes of a file's name that are kept; formats add a little, and file systems take 255."""

SHOWN = 32
"""Views that a person may still answer: sliders make some before the last one is on the screen."""

DOWNLOADS = ("coco", "yolo", "voc", "label-studio")
"""Formats that can be downloaded, of :data:`wsol.export.FORMATS`."""

TURNS = itertools.count(time.time_ns() // 1000)
"""Numbers of answers, by which a page tells late ones; later ones too after the app was started anew."""

SESSIONS = 32
"""People whose photographs are kept at a time."""

IDLE = 3600
"""Seconds without an event after which a person's photographs are put away."""

HIDDEN = {*"\u200e\u200f\u061c", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
"""Signs that turn the direction of writing, and so what a name looks like."""

Kind = Literal["accepted", "corrected", "rejected"]
Boxes = Sequence[tuple[int, int, int, int]]


@dataclass(frozen=True)
class Verdict:
    """What a person said about one class in a photograph.

    Attributes:
        kind: accepted as it was, corrected by hand, or rejected.
        result: the boxes; of a rejected one those that were wrong.
        drawn: whether they are a person's.
    """

    kind: Kind
    result: Localization
    drawn: bool


class Session:
    """One person's photographs, in the order in which they came.

    Attributes:
        photos: that could be read.
        skipped: name and reason of each that could not, of the last files.
        place: of the photograph that is looked at.
        moved: whether the last files brought it there, and the page is to follow.
        verdicts: of each photograph, by the index of the class.
        pictured: which pictures each viewer of the page has.
        lock: for whoever changes the place: events of a page can come at the same time.
    """

    def __init__(self) -> None:
        self.photos: list[Photo] = []
        self.skipped: list[tuple[str, str]] = []
        self.place = 0
        self.moved = False
        self.verdicts: dict[Photo, dict[int, Verdict]] = {}
        self.pictured: dict[str, str] = {}
        self.lock = threading.RLock()
        self._taken: dict[Path, list[Photo]] = {}
        self._shown: OrderedDict[int, tuple[Photo, Localization]] = OrderedDict()

    @property
    def photo(self) -> Photo | None:
        """The photograph that is looked at, if there is any."""
        return self.photos[self.place] if self.photos else None

    def add(self, files: Iterable[tuple[Path, str]], bench: Bench) -> None:
        """Read photographs and look at the first new one, if there is any.

        A file that cannot be used, or is one too many, is put among ``skipped`` with the reason; one that is
        there already is not read again: the page sends what it has sent before with what comes later.

        Args:
            files: each with the name that the person gave it.
            bench: whose models will see them.
        """
        photos, taken, skipped = self.photos, self._taken, []  # clearing meanwhile makes others
        new: list[Photo] = []
        old: list[Photo] = []
        for path, given in files:
            with self.lock:
                if path in taken:
                    old += taken[path]
                    continue
                taken[path] = []
            name = file_name(given)
            try:
                if len(photos) >= PHOTOS:
                    raise ImageError(
                        name, f"more than {PHOTOS} photographs at a time; download and clear first"
                    )
                photo = _read(path, name, bench)
                with self.lock:
                    photo.name = _free(name, photos)
                    photos.append(photo)
                    taken[path].append(photo)
                new.append(photo)
            except ImageError as error:
                skipped.append((name, error.reason))
            finally:
                if not taken[path]:  # to be tried again
                    del taken[path]
        with self.lock:
            if self.photos is not photos:
                return
            self.skipped = skipped
            if new or old:
                self.place, self.moved = photos.index((new or old)[0]), True

    def clear(self, bench: Bench) -> None:
        """Forget everything."""
        for photo in self.photos:
            bench.forget(photo)
        self.photos, self.skipped, self.place, self.verdicts = [], [], 0, {}
        self._taken = {}
        self.pictured.clear()
        self._shown.clear()

    def go(self, place: int) -> None:
        """Look at another photograph; there is nothing before the first and behind the last.

        Raises:
            UsageError: there are none, though the page must have had some.
        """
        if not self.photos:
            raise UsageError(PUT_AWAY)
        self.place = max(0, min(place, len(self.photos) - 1))

    def show(self, turn: int, photo: Photo, result: Localization) -> None:
        """Note what the page is to show in this turn, as it can be judged then."""
        with self.lock:
            self._shown[turn] = (photo, result)
            if len(self._shown) > SHOWN:
                self._shown.popitem(last=False)

    def judge(self, turn: int, kind: Literal["accepted", "rejected"], boxes: Boxes | None = None) -> None:
        """Note what the person says about what was before them, and look at the next photograph.

        Args:
            turn: in which the page showed it.
            kind: accepted or rejected.
            boxes: (x0, y0, x1, y1) each, original frame, exclusive, as the person left them.

        Raises:
            UsageError: it is long gone, or a box is none.
        """
        photo, result = self._shown.get(turn, (None, None))
        if photo is None or result is None or photo not in self.photos:
            raise UsageError("this is not before you any more; look again" if self.photos else PUT_AWAY)
        before = self.verdict(photo, result.class_index)
        drawn = before is not None and before.result is result and before.drawn
        if boxes is not None and list(map(list, boxes)) != result.boxes.tolist():
            drawn, result = True, corrected(result, boxes)
        said: Kind = "corrected" if drawn and kind == "accepted" else kind
        self.verdicts.setdefault(photo, {})[result.class_index] = Verdict(said, result, drawn)
        self.go(self.photos.index(photo) + 1)

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
        said = {"reviewed": True} if format == "label-studio" else {}
        write(results, inside / target if single else inside, classes=classes, root=FOLDER, **said)
        if format == "coco":
            return (inside / target).rename(folder / f"wsol-{target}")
        return Path(shutil.make_archive(str(folder / f"wsol-{format}"), "zip", inside))


PUT_AWAY = (
    "The app has put your photographs away: it was started anew, the page was left for long, or many others "
    "came. Clear all, and drop them again."
)


class Sessions:
    """Everybody's, by what the browser calls itself; of whoever was away for long nothing is kept."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._sessions: OrderedDict[str, Session] = OrderedDict()  # last used last
        self._used: dict[str, float] = {}
        self._away: OrderedDict[str, bool] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Session:
        """The session of this browser, used now; a new one if there is none."""
        with self._lock:
            session = self._sessions.setdefault(key, Session())
            self._sessions.move_to_end(key)
            self._used[key] = time.monotonic()
            while len(self._sessions) > SESSIONS:
                self._put_away(next(iter(self._sessions)))
            return session

    def was_put_away(self, key: str) -> bool:
        """Whether what this browser's page shows is gone; asked once, it begins anew."""
        with self._lock:
            return self._away.pop(key, False)

    def put_away(self, now: float | None = None) -> None:
        """Forget what was not used for long."""
        now = time.monotonic() if now is None else now
        with self._lock:
            for key in [key for key, used in self._used.items() if now - used > IDLE]:
                self._put_away(key)

    def _put_away(self, key: str) -> None:
        session = self._sessions.pop(key)
        del self._used[key]
        if session.photos:
            self._away[key] = True
            if len(self._away) > 1000 * SESSIONS:
                self._away.popitem(last=False)
        session.clear(self._bench)


def corrected(result: Localization, boxes: Boxes) -> Localization:
    """A result with the boxes as a person left them, those that were drawn first.

    A box that was not touched keeps its score and mask. One that was drawn has score 1; its mask is what the
    map's mask has inside it, or all of it where that is nothing. Where boxes overlap, the smaller one has the
    pixels, all of them where it covers the other.

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
    left = list(dict.fromkeys(map(tuple, boxes)))
    had = {tuple(box): number for number, box in enumerate(result.boxes.tolist(), start=1)}
    drawn, kept = [box for box in left if box not in had], [box for box in had if box in left]
    made = np.array([*drawn, *kept], np.int64).reshape(-1, 4)
    components = np.zeros_like(result.components)
    frame = (components.shape[0], components.shape[1])
    inside = rescale(made, result.size, frame)
    areas = (inside[:, 2] - inside[:, 0]) * (inside[:, 3] - inside[:, 1])
    for index in np.argsort(areas, kind="stable").tolist():
        x0, y0, x1, y1 = inside[index]
        part, free = result.components[y0:y1, x0:x1], components[y0:y1, x0:x1] == 0
        if index < len(drawn):
            pixels = free & (part > 0)
            pixels = pixels if pixels.any() else free
        else:
            pixels = free & (part == had[kept[index - len(drawn)]])
        components[y0:y1, x0:x1][pixels] = index + 1
    scores = [*np.ones(len(drawn)), *(result.scores[had[box] - 1] for box in kept)]
    return replace(result, boxes=made, scores=np.array(scores), components=components, agreement=1.0)


def file_name(given: str) -> str:
    """A name that is one file's, whatever was given: no folders, no characters that are not for people."""
    name = PurePosixPath(given.replace("\\", "/")).name
    name = "".join("_" if _is_no_sign(sign) else sign for sign in name)
    if name in ("", ".", ".."):
        return "photograph"
    suffix = PurePosixPath(name).suffix
    suffix = suffix if len(suffix) < 8 else ""
    stem = name.removesuffix(suffix).encode()[: NAME - len(suffix.encode())]
    return stem.decode(errors="ignore") + suffix  # no half of a sign at the end


def _is_no_sign(sign: str) -> bool:
    return sign in HIDDEN or unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp")


def _free(name: str, photos: Sequence[Photo]) -> str:
    """The name, with a number where another photograph has it."""
    taken = {photo.name.casefold() for photo in photos}
    path, number, free = PurePosixPath(name), 1, name
    while free.casefold() in taken:
        number += 1
        free = f"{path.stem} ({number}){path.suffix}"
    return free


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
