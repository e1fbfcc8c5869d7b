"""The best, median and worst images of an evaluation, as small photographs with true and found boxes."""

import base64
import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from wsol.data.dataset import DataSet, Example
from wsol.data.images import read_image
from wsol.data.masks import read_mask
from wsol.errors import ImageError
from wsol.evaluation.protocol import FRAME
from wsol.evaluation.records import BoxRecords
from wsol.evaluation.result import Result
from wsol.maps import upsample
from wsol.report.svg import outline, rectangle

SHOWN = 8
"""Images of each group."""

THUMBNAIL = 320
"""Longest side of a photograph, in pixels."""

THREADS = 3


@dataclass(frozen=True)
class Card:
    """An image as the page shows it.

    Attributes:
        name: its id.
        label: its class, by name where the data has names.
        overlap: IoU.
        rank: what the class scores say, in words; "" if they are unknown.
        size: (width, height) of the thumbnail; a square if there is none.
        photo: JPEG as base64; "" if the photograph cannot be read.
        reason: why not.
        drawing: what is drawn over it: SVG elements in the frame of 224.
    """

    name: str
    label: str
    overlap: float
    rank: str
    size: tuple[int, int]
    photo: str
    reason: str
    drawing: Markup


def pick(overlaps: NDArray[np.float64], shown: int = SHOWN) -> dict[str, list[int]]:
    """Places of the images of highest, middle and lowest IoU; no image is in two groups.

    Among equal ones the order of the data decides; the worst come first in their group.
    """
    order = np.argsort(-overlaps, kind="stable").tolist()
    count = min(shown, -(-len(order) // 3))
    best, rest = order[:count], order[count:]
    worst = rest[max(0, len(rest) - count) :][::-1]
    middle = rest[: len(rest) - len(worst)]
    start = max(0, min(len(order) // 2 - count // 2 - count, len(middle) - count))
    return {"best": best, "median": middle[start : start + count], "worst": worst}


def cards(result: Result, data: DataSet, groups: Mapping[str, Sequence[int]]) -> dict[str, list[Card]]:
    """The images of each group, photographs read by threads.

    Raises:
        DataError: the records are missing, or, for masks, the split cannot be read.
    """
    drawer = _Drawer(result, data)
    with ThreadPoolExecutor(THREADS) as pool:
        waiting = {name: pool.map(drawer.card, places) for name, places in groups.items()}
        return {name: list(found) for name, found in waiting.items()}


class _Drawer:
    """Draws an image of a result; safe to share between threads."""

    def __init__(self, result: Result, data: DataSet) -> None:
        self.data = data
        self.records = result.records
        self.overlaps = result.overlaps()
        self.ratio = result.headline_ratio
        self.examples: dict[str, Example] = {}
        if isinstance(self.records, BoxRecords):
            self.found = self.records.boxes_at(result.headline_ratio, result.protocol.level_percentile)
            self.truth = self.records.true_boxes()
        else:
            split = data.split(result.protocol.split)
            self.examples = {example.id: example for example in split.examples}

    def card(self, place: int) -> Card:
        """The image at a place of the records."""
        name, label = str(self.records.ids[place]), int(self.records.labels[place])
        photo, reason, size, drawing = "", "", (THUMBNAIL, THUMBNAIL), Markup()
        try:
            photo, size = self._photo(name)
        except ImageError as error:
            reason = error.reason
        try:
            drawing = self._drawing(place, name)
        except ImageError as error:
            reason = reason or f"mask: {error.reason}"
        names = self.data.classes
        return Card(
            name, names[label] if label < len(names) else f"class {label}", float(self.overlaps[place]),
            _rank(int(self.records.ranks[place]), int(self.records.depth)), size, photo, reason, drawing,
        )  # fmt: skip

    def _photo(self, name: str) -> tuple[str, tuple[int, int]]:
        image, (height, width) = read_image(
            self.data.images / name, (THUMBNAIL, THUMBNAIL), upright=self.data.upright
        )
        scale = min(1.0, THUMBNAIL / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        buffer = io.BytesIO()
        image.resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=75, optimize=True)
        return base64.b64encode(buffer.getvalue()).decode("ascii"), size

    def _drawing(self, place: int, name: str) -> Markup:
        if isinstance(self.records, BoxRecords):
            inside = [
                (x0, y0, min(x1 + 1, FRAME), min(y1 + 1, FRAME))
                for x0, y0, x1, y1 in self.truth[place].tolist()
            ]
            parts = [rectangle(box, "true") for box in inside]
            found = self.found[place].tolist()
            if found[2] > found[0] and found[3] > found[1]:
                parts.append(rectangle(found, "found"))
            return Markup("").join(parts)
        if name not in self.examples:
            raise ImageError(name, "the data has no such image in this split")
        mask, _ = read_mask(self.data, self.examples[name], (FRAME, FRAME))
        small = torch.from_numpy(self.records.maps[place])[None] / 255
        found = upsample(small, (FRAME, FRAME))[0].numpy() >= self.ratio
        paths = [("true", outline(mask)), ("found", outline(found))]
        return Markup("").join(
            Markup('<path class="halo" d="{0}"/><path class="{1}" d="{0}"/>').format(path, kind)
            for kind, path in paths
            if path
        )


def _rank(rank: int, depth: int) -> str:
    if depth == 0:
        return ""
    if rank == 0:
        return "class right"
    return f"class at place {rank + 1}" if rank < depth else f"class not in the first {depth}"
