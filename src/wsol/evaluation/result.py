"""The result of an evaluation: numbers that carry their protocol, and what was kept of each image."""

import json
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsol.component_tree import Contours
from wsol.errors import DataError
from wsol.evaluation.protocol import Policy, Protocol
from wsol.evaluation.records import AnyRecords, BoxRecords, MaskRecords, load_records
from wsol.export.files import atomic_write
from wsol.metrics.pixels import pixel_edges
from wsol.typed import relied_on, typed

RESULT_FILE = "result.json"


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """What a number measures.

    Attributes:
        name: as in the literature: "GT-known Loc", "MaxBoxAccV2", "PxAP", …
        policy: where its thresholds come from; None if it has none.
        selected_on: the split that they were chosen on.
        ratios: τ for each IoU threshold.
        contours: whose boxes count; None if no box does.
        iou_thresholds: δ; a number of several is the mean over them.
    """

    name: str
    policy: Policy | None = None
    selected_on: str | None = None
    ratios: tuple[float, ...] = ()
    contours: Contours | None = None
    iou_thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not all(0 <= share <= 1 for share in (*self.ratios, *self.iou_thresholds)):
            raise ValueError(
                f"ratios and iou_thresholds must be in [0, 1], got {self.ratios}, {self.iou_thresholds}"
            )


@dataclass(frozen=True, kw_only=True)
class Score(Quantity):
    """One number of a result.

    Attributes:
        value: in [0, 1].
        low: lower end of the 95 % bootstrap interval over images; thresholds stay as chosen, but the
            oracle chooses anew in each resample.
        high: upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """A whole evaluation.

    Attributes:
        name: of the row in a table: the method, or what the user calls it.
        seed: of the training, where known; rows that differ only in it are averaged.
        model: backbone, method, pooling, map, weights, …; or the folder of maps.
        data: name, fingerprint, images and more of the evaluated split and of the one τ was chosen on.
        protocol: see :class:`Protocol`.
        scores: the headline numbers first.
        errors: share of each kind of error of the largest contour at the headline τ; empty for masks.
        skipped: images left out, as "where: reason".
        notes: other oddities of the data, in the same form.
        versions: of what the numbers depend on.
        created: UTC time, ISO 8601.
        folder: where the result was read from; None if it was not.
    """

    name: str
    seed: int | None
    model: dict[str, Any]
    data: dict[str, Any]
    protocol: Protocol
    scores: tuple[Score, ...]
    errors: dict[str, float]
    skipped: tuple[str, ...]
    notes: tuple[str, ...]
    versions: dict[str, str]
    created: str
    folder: Path | None = field(default=None, compare=False)

    @cached_property
    def records(self) -> AnyRecords:
        """What was kept of each image of the evaluated split.

        Raises:
            DataError: the file beside the result is missing or damaged.
        """
        return self.records_of(self.protocol.split)

    def records_of(self, split: str) -> AnyRecords:
        """What was kept of each image of a split: the evaluated one, or that τ was chosen on.

        Raises:
            DataError: the file beside the result is missing or damaged.
        """
        if self.folder is None:
            raise DataError(f"the result {self.name!r} was not read from a folder: it has no records")
        path = self.folder / f"{split}.npz"
        records = load_records(path, self.protocol.truth)
        bins = len(pixel_edges(self.protocol.step)) - 1
        if isinstance(records, MaskRecords) and records.histograms.shape[2] != bins:
            raise DataError(
                f"{path}: histograms of {records.histograms.shape[2]} bins, the result has {bins}"
            )
        return records

    def score(self, name: str, policy: Policy | None = None) -> Score:
        """The number of that name; of several, the one of that policy, or the first.

        Raises:
            KeyError: there is none.
        """
        for score in self.scores:
            if score.name == name and policy in (None, score.policy):
                return score
        known = ", ".join(dict.fromkeys(score.name for score in self.scores))
        raise KeyError(f"{self.name} has no {name!r} of policy {policy or 'any'}; it has {known}")

    @property
    def headline_ratio(self) -> float:
        """τ of the first number that has one: of GT-known Loc for boxes, of Mask IoU for masks."""
        return next(score.ratios[0] for score in self.scores if score.ratios)

    def overlaps(self) -> NDArray[np.float64]:
        """IoU of each image at the headline τ: of the largest contour's box, or of the mask. (N,)."""
        if isinstance(self.records, BoxRecords):
            return self.records.overlaps_at(self.headline_ratio, self.protocol.level_percentile)
        return self.records.overlaps()[:, round(self.headline_ratio / self.protocol.step)]

    def save(self, folder: Path) -> None:
        """Write ``result.json``."""
        values = {key: value for key, value in asdict(self).items() if key != "folder"}
        with atomic_write(folder / RESULT_FILE) as temporary:
            # a name on disk may hold bytes that are no UTF-8: as \\udc80 it is read back as it was
            text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def load_result(path: str | Path) -> Result:
    """Read a result.

    Args:
        path: the folder that ``wsol evaluate`` wrote, or the ``result.json`` in it.

    Raises:
        DataError: there is none, or it is not one.
    """
    path = Path(path)
    file = path / RESULT_FILE if path.is_dir() else path
    try:
        values = typed(dict[str, Any], json.loads(file.read_text(encoding="utf-8")), "the file")
        result: Result = typed(Result, values | {"folder": None}, "the result")
        data = relied_on(_Data, result.data, "data")
        if data.selection is not None:
            relied_on(_Selection, data.selection, "data.selection")
    except (OSError, RecursionError, ValueError) as error:
        raise DataError(f"{file}: not the result of wsol evaluate ({error})") from error
    if not any(score.ratios for score in result.scores):
        raise DataError(f"{file}: lacks numbers")
    return replace(result, folder=file.parent)


@dataclass(frozen=True, kw_only=True)
class _Data:
    name: str
    split: str
    images: int
    fingerprint: str
    selection: dict[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class _Selection:
    split: str
    fingerprint: str
