"""What an evaluation keeps of each image: enough for any threshold, policy and comparison afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from wsol.component_tree import best_overlaps, largest_boxes, overlaps_of
from wsol.errors import DataError
from wsol.export.files import atomic_write
from wsol.metrics import level_histograms, levels_of, mask_overlaps, pixel_histograms
from wsol.thresholds import quantize

SMALL = 28
"""Side of the maps that are kept to be shown."""

LEVELS = 256
"""Of an 8-bit map."""

UNKNOWN = -1
"""Class of a map that nobody told."""


@dataclass(frozen=True, kw_only=True)
class Records:
    """Images in the order in which they were evaluated.

    Attributes:
        ids: (N,), their paths relative to the image root.
        labels: (N,), int64, class indices of the data.
        ranks: (N,), int64: place of the true class among the scores, 0 = top-1.
        depth: int64: how many places of the ranking are known, 0 for none; a true class further down has
            this rank.
        chosen: (N,), int64: class of the map, as an index of the model's classes; -1 unknown.
    """

    ids: NDArray[np.str_]
    labels: NDArray[np.int64]
    ranks: NDArray[np.int64]
    depth: NDArray[np.int64]
    chosen: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def save(self, path: Path) -> None:
        """Write a compressed .npz, whole or not at all."""
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **{field.name: getattr(self, field.name) for field in fields(self)})


@dataclass(frozen=True, kw_only=True)
class BoxRecords(Records):
    """Of images with true boxes.

    Attributes:
        histograms: (N, 256), uint16: pixels of each level of the 8-bit map.
        largest: (N, 256), float64: at each level T the IoU of the largest contour's box with the true box
            that it meets best (official, inclusive).
        all: (N, 256), float64: the same of the best box of all contours.
        boxes: (N, 256, 4), int16: the largest contour's box at each T, exclusive extents in the 224 frame.
        truth: (M, 4), int64: true boxes in the official 224 frame, of all images one after another.
        counts: (N,), int64: how many true boxes each image has.
    """

    histograms: NDArray[np.uint16]
    largest: NDArray[np.float64]
    all: NDArray[np.float64]
    boxes: NDArray[np.int16]
    truth: NDArray[np.int64]
    counts: NDArray[np.int64]

    def levels(self, ratios: Sequence[float], percentile: float) -> NDArray[np.int64]:
        """T of each image at each τ: (N, len(ratios)), int64."""
        taus = torch.tensor(ratios, dtype=torch.float64)
        return levels_of(torch.from_numpy(self.histograms), taus, percentile).numpy()

    def overlaps_at(self, ratio: float, percentile: float) -> NDArray[np.float64]:
        """IoU of each image's largest contour at a τ: (N,)."""
        return np.take_along_axis(self.largest, self.levels([ratio], percentile), axis=1)[:, 0]

    def boxes_at(self, ratio: float, percentile: float) -> NDArray[np.int64]:
        """Box of each image's largest contour at a τ: (N, 4), exclusive extents in the 224 frame."""
        levels = self.levels([ratio], percentile)[:, :, None]
        return np.take_along_axis(self.boxes, levels, axis=1)[:, 0].astype(np.int64)

    def true_boxes(self) -> list[NDArray[np.int64]]:
        """True boxes of each image, (n, 4), official 224 frame (the last pixel is inside)."""
        return np.split(self.truth, np.cumsum(self.counts)[:-1])


@dataclass(frozen=True, kw_only=True)
class MaskRecords(Records):
    """Of images with true masks.

    Attributes:
        histograms: (N, 2, bins), uint16: pixels of background and object in each bin of the map's values
            (:func:`wsol.metrics.pixel_histograms`).
        maps: (N, 28, 28), uint8: the maps made small, 255 for 1, to show what was found.
    """

    histograms: NDArray[np.uint16]
    maps: NDArray[np.uint8]

    def overlaps(self) -> NDArray[np.float64]:
        """IoU of each image's mask with "map ≥ edge", for each lower edge of a bin: (N, bins)."""
        return mask_overlaps(torch.from_numpy(self.histograms.astype(np.int64))).numpy()


AnyRecords = BoxRecords | MaskRecords


def measure_boxes(maps: Tensor, boxes: Sequence[NDArray[np.int64]], threads: int) -> dict[str, NDArray[Any]]:
    """The fields of :class:`BoxRecords` that come from maps.

    Args:
        maps: (B, 224, 224), float64, normalised.
        boxes: true boxes of each image, (n, 4), int64, in the official 224 frame.
        threads: how many share the images.
    """
    levels = quantize(maps).cpu().numpy()
    counts = np.array([len(each) for each in boxes], np.int64)
    truth = np.concatenate([*boxes, np.zeros((0, 4), np.int64)])
    largest = largest_boxes(levels, threads)
    return {
        "histograms": level_histograms(maps).cpu().numpy().astype(np.uint16),
        "largest": overlaps_of(largest, truth, counts, (maps.shape[1], maps.shape[2])),
        "all": best_overlaps(levels, truth, counts, "all", threads),
        "boxes": largest,
        "truth": truth,
        "counts": counts,
    }


def measure_masks(
    maps: Tensor, masks: NDArray[np.bool_], ignore: NDArray[np.bool_], step: float
) -> dict[str, NDArray[Any]]:
    """The fields of :class:`MaskRecords` that come from maps and masks, (B, 224, 224) each."""
    masks_, ignore_ = (torch.from_numpy(pixels).to(maps.device) for pixels in (masks, ignore))
    small = F.adaptive_avg_pool2d(maps[:, None], (SMALL, SMALL))[:, 0]
    return {
        "histograms": pixel_histograms(maps, masks_, ignore_, step).cpu().numpy().astype(np.uint16),
        "maps": (255 * small).round().to(torch.uint8).cpu().numpy(),
    }


def load_records(path: Path, truth: Literal["boxes", "masks"]) -> AnyRecords:
    """Read records that :meth:`Records.save` wrote.

    Raises:
        DataError: the file is missing, damaged or of something else. Nothing in it is executed.
    """
    kind: type[AnyRecords] = BoxRecords if truth == "boxes" else MaskRecords
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = kind(**{field.name: arrays[field.name] for field in fields(kind)})
    except Exception as error:  # of a damaged archive anything is raised
        raise DataError(f"{path}: not the records of an evaluation ({error})") from error
    if fault := _fault(found):
        raise DataError(f"{path}: not the records of an evaluation against {truth} ({fault})")
    return found


def _fault(records: AnyRecords) -> str | None:
    """What is of another shape, or of another kind of numbers, than the classes above say."""
    n = records.labels.size
    layout: dict[str, tuple[str, tuple[int, ...]]] = {
        "ids": ("U", (n,)), "labels": ("i", (n,)), "ranks": ("i", (n,)), "depth": ("i", ()),
        "chosen": ("i", (n,)),
    }  # fmt: skip
    if isinstance(records, BoxRecords):
        true = int(records.counts.sum()) if records.counts.dtype.kind == "i" else -1
        layout |= {
            "histograms": ("u", (n, LEVELS)), "largest": ("f", (n, LEVELS)), "all": ("f", (n, LEVELS)),
            "boxes": ("i", (n, LEVELS, 4)), "truth": ("i", (true, 4)), "counts": ("i", (n,)),
        }  # fmt: skip
    else:
        layout |= {
            "histograms": ("u", (n, 2, *records.histograms.shape[2:3])),
            "maps": ("u", (n, SMALL, SMALL)),
        }
    for name, (kind, shape) in layout.items():
        values = getattr(records, name)
        if values.dtype.kind != kind or values.shape != shape:
            return f"{name} are {values.dtype} {values.shape}"
    return None
