"""What was found in one photograph."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from wsol.boxes import rescale_mask
from wsol.data.images import read_image
from wsol.errors import ImageError
from wsol.inference import record
from wsol.maps import MapKind, normalize, upsample

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Localization:
    """One class in one photograph: where it is, and why.

    Two frames are used. *Original*: the pixels of the upright photograph, ``size``. *Input*: the whole
    photograph resized to the model's input (224×224, say), in which map and threshold live.

    Attributes:
        source: the file, or the image itself where it came from memory.
        size: (height, width) of the original.
        label: name of the class.
        class_index: its index in the model's scores.
        probability: its softmax probability, in [0, 1].
        boxes: (N, 4), int64, original frame, exclusive extents x0, y0, x1, y1, best score first; (0, 4) if
            nothing was found.
        scores: (N,), float64, in [0, 1]: ``probability`` × mean of the normalised map inside the box.
        components: (h, w), uint16, input frame: i + 1 on the pixels of box i, 0 elsewhere.
        raw_maps: maps (h', w') as they were made, float32: ``map`` that the boxes come from (of one pass
            unnormalised; of several their average in [0, 1]; a refined one in the input frame), and of one
            pass ``norm`` (F, in [0, 1]) and ``similarity`` (S, in [-1, 1]).
        map_kind: which map the boxes come from.
        test_time: what it is more than that map of one pass: a preset's name, or its parts; "" for nothing.
        level: the threshold T: the 8-bit level above which the map is foreground.
        agreement: how little the largest component's box depends on T, in [0, 1]; 0 if nothing was found, 1
            if a person drew the boxes. See :func:`wsol.inference.uncertainty.agreement`.
        alternatives: the same for the next most probable classes, where they were asked for.
    """

    source: Path | Any
    size: tuple[int, int]
    label: str
    class_index: int
    probability: float
    boxes: NDArray[np.int64]
    scores: NDArray[np.float64]
    components: NDArray[np.uint16] = field(repr=False)
    raw_maps: dict[str, NDArray[np.float32]] = field(repr=False)
    map_kind: MapKind
    level: int
    agreement: float
    test_time: str = ""
    alternatives: tuple["Localization", ...] = field(default=(), repr=False)

    @property
    def score(self) -> float:
        """Score of the best box; 0 if nothing was found."""
        return float(self.scores[0]) if len(self.scores) else 0.0

    @property
    def path(self) -> Path | None:
        """The file it came from, if it came from one."""
        return self.source if isinstance(self.source, Path) else None

    def __iter__(self) -> Iterator["Localization"]:
        """This class, then the alternatives."""
        yield self
        yield from self.alternatives

    @cached_property
    def map(self) -> NDArray[np.float64]:
        """The map the boxes come from: input frame (h, w), in [0, 1]."""
        height, width = self.components.shape
        return self.map_at((height, width))

    @property
    def uncertainty(self) -> float:
        """1 − probability × agreement, in [0, 1]: the higher, the sooner a person should look; 1: no box."""
        return 1 - self.probability * self.agreement

    def map_at(self, size: tuple[int, int], kind: str = "map") -> NDArray[np.float64]:
        """A map of the whole photograph at any size, upsampled and normalised to [0, 1].

        Args:
            size: (height, width).
            kind: ``map`` (the one the boxes come from), ``norm`` (F) or ``similarity`` (S).
        """
        raw = torch.from_numpy(self.raw_maps[kind])[None]
        return np.asarray(normalize(upsample(raw, size))[0].numpy())

    @property
    def mask(self) -> NDArray[np.bool_]:
        """All boxes' pixels: original frame (height, width)."""
        return rescale_mask(self.components > 0, self.size)

    @property
    def masks(self) -> NDArray[np.bool_]:
        """The pixels of each box: original frame (N, height, width)."""
        height, width = self.size
        masks = [rescale_mask(self.components == index + 1, self.size) for index in range(len(self.boxes))]
        return np.stack(masks) if masks else np.zeros((0, height, width), bool)

    def image(self, longest_side: int | None = None) -> Image.Image:
        """The upright photograph in RGB, read again from its file; smaller if a longest side is given.

        Raises:
            ImageError: the file has gone, or has another size now.
        """
        from wsol.data.inputs import to_image

        scale = 1.0 if longest_side is None else min(1.0, longest_side / max(self.size))
        size = (max(1, round(self.size[0] * scale)), max(1, round(self.size[1] * scale)))
        if self.path is not None:
            image, now = read_image(self.path, None if scale == 1 else size)
            if now != self.size:
                raise ImageError(self.path, f"changed: it was {self.size[1]}×{self.size[0]} pixels")
        else:
            image = to_image(self.source)
        return image if image.size == size[::-1] else image.resize(size[::-1], Image.Resampling.BILINEAR)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the image, as JSON types; :meth:`from_dict` reads it back without loss."""
        return record.to_dict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Localization":
        """What :meth:`to_dict` wrote.

        Raises:
            ValueError: it is something else.
        """
        return record.from_dict(values)

    def plot(self) -> "Figure":
        """A Matplotlib figure: the photograph with its boxes, then the map, F and S over it."""
        from wsol.report.overlay import figure

        return figure(self)

    def save(self, path: str | Path) -> Path:
        """Write the photograph with boxes and mask drawn (``.png``, ``.jpg``, …), or the result as ``.json``.

        Raises:
            ValueError: a suffix that is neither.
        """
        from wsol.report.overlay import save

        return save(self, Path(path))
