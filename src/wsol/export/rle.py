"""COCO run lengths of a mask at the photograph's size, without building the large mask."""

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from wsol.boxes import rescale_edges


class RunLengths(TypedDict):
    """COCO's compressed run lengths: ``size`` is [height, width]."""

    size: list[int]
    counts: str


def scaled_runs(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.int64]:
    """The runs of ones of a mask brought to another size, counted down the columns as COCO counts.

    Every target column shows one source column, so its runs are that column's, with their ends moved
    by :func:`wsol.boxes.rescale_edges`; runs that touch are joined.

    Args:
        mask: (h, w), bool.
        size: (H, W) of the target.

    Returns:
        (R, 2), int64: first position and the position after the last, position = x · H + y, ascending.
    """
    height, width = size
    rows = rescale_edges(mask.shape[0], height)
    columns = np.repeat(np.arange(mask.shape[1]), np.diff(rescale_edges(mask.shape[1], width)))  # (W,)
    steps = np.diff(mask.T.astype(np.int8), axis=1, prepend=0, append=0)  # (w, h + 1)
    source, top = np.nonzero(steps == 1)
    bottom = np.nonzero(steps == -1)[1]
    runs_in_source = np.bincount(source, minlength=mask.shape[1])
    runs = runs_in_source[columns]
    first = (np.cumsum(runs_in_source) - runs_in_source)[columns] - (np.cumsum(runs) - runs)
    index = np.arange(runs.sum()) + np.repeat(first, runs)  # of the source run, for each target run
    offset = np.repeat(np.arange(width) * height, runs)
    starts, stops = offset + rows[top[index]], offset + rows[bottom[index]]
    seen = stops > starts
    starts, stops = starts[seen], stops[seen]
    apart = starts[1:] > stops[:-1]
    starts = np.concatenate([starts[:1], starts[1:][apart]])
    return np.stack([starts, np.concatenate([stops[:-1][apart], stops[-1:]])], axis=1)


def area(runs: NDArray[np.int64]) -> int:
    """Number of pixels of :func:`scaled_runs`."""
    return int((runs[:, 1] - runs[:, 0]).sum())


def encode(runs: NDArray[np.int64], size: tuple[int, int]) -> RunLengths:
    """The runs of :func:`scaled_runs` as ``pycocotools.mask.encode`` writes the mask, as text."""
    height, width = size
    counts = np.diff(runs.ravel(), prepend=0, append=height * width)
    counts = counts if counts[-1] else counts[:-1]  # COCO leaves out a last run of no zeros
    encoded = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return {"size": [height, width], "counts": encoded["counts"].decode("ascii")}
