"""From the records of images to the numbers of a result: nothing here looks at a map again."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsol.component_tree import Contours
from wsol.errors import DataError
from wsol.evaluation.protocol import FRAME, Protocol
from wsol.evaluation.records import AnyRecords, BoxRecords, MaskRecords
from wsol.evaluation.result import Quantity, Score
from wsol.metrics import (
    ERROR_TYPES,
    V2_IOU_THRESHOLDS,
    Measure,
    bootstrap_intervals,
    box_measure,
    distinct_ratios,
    error_types,
    hit_counts,
    hits_at,
    hits_by_ratio,
    mean_measure,
    oracle_measure,
    pixel_measure,
    references_of,
    thresholds,
)

Ratios = dict[tuple[Contours, float], float]
"""τ for contours and δ."""

CONTOURS: tuple[Contours, ...] = get_args(Contours)
TOPK = {"Top-1 Loc": 1, "Top-5 Loc": 5, "Top-1 Cls": 1, "Top-5 Cls": 5}
"""How far down the true class may stand, for the numbers that ask for it."""


def choose_ratios(records: AnyRecords, protocol: Protocol) -> Ratios:
    """The τ of highest accuracy over these images, for each kind of contour and δ; the lowest of equal ones.

    For masks it is that of the highest mean IoU, under the key ("largest", 0.5).
    """
    ratios = thresholds(protocol.step).numpy()
    if isinstance(records, MaskRecords):
        return {("largest", 0.5): float(ratios[records.overlaps()[:, : len(ratios)].mean(axis=0).argmax()])}
    chosen: Ratios = {}
    for contours in CONTOURS:
        best = accuracy_curves(records, contours, protocol).argmax(axis=1)
        chosen |= {
            (contours, delta): float(ratios[i]) for delta, i in zip(V2_IOU_THRESHOLDS, best, strict=True)
        }
    return chosen


def choose_ratio(records: AnyRecords, protocol: Protocol) -> float:
    """The one τ to use a model with: the largest contour's, best on average over the δ of V2.

    By δ 0.5 alone boxes would be looser than they need be. For masks it is that of :func:`choose_ratios`.
    """
    if isinstance(records, MaskRecords):
        return choose_ratios(records, protocol)["largest", 0.5]
    mean = accuracy_curves(records, "largest", protocol).mean(axis=0)
    return float(thresholds(protocol.step)[mean.argmax()])


def accuracy_curves(records: BoxRecords, contours: Contours, protocol: Protocol) -> NDArray[np.float64]:
    """Share of images localized, for each δ of V2 at each τ of the sweep: (3, τ)."""
    references = _references(records, protocol)
    overlaps = torch.from_numpy(getattr(records, contours))
    counts = hit_counts(overlaps, references, thresholds(protocol.step), _real(V2_IOU_THRESHOLDS))
    return counts.numpy() / len(records)


def scores_of(
    records: AnyRecords, protocol: Protocol, ratios: Ratios | float, *, resamples: int = 1000
) -> tuple[Score, ...]:
    """Every number of a result, with its interval.

    Args:
        records: of the evaluated split.
        protocol: how τ was come by, and what it is a share of.
        ratios: τ as :func:`choose_ratios` gives it for the split that it is chosen on; or one that is fixed.
        resamples: of the bootstrap.

    Returns:
        The numbers at these τ; the oracle's beside them; class accuracies where ranks are known.
    """
    quantities = [] if isinstance(records, BoxRecords) else [Quantity(name="PxAP")]
    quantities += _at(records, protocol, ratios)
    if protocol.policy != "oracle":
        oracle = replace(protocol, policy="oracle", selected_on=protocol.split)
        quantities += _at(records, oracle, choose_ratios(records, protocol))
    quantities += [Quantity(name=name) for name in ("Top-1 Cls", "Top-5 Cls") if knows(records, name)]
    found: dict[Quantity, tuple[float, float, float]] = {}
    for contours in dict.fromkeys(quantity.contours for quantity in quantities):  # what memory holds at once
        group = [quantity for quantity in quantities if quantity.contours == contours]
        measures = _measures_of(group, records, protocol, distinct=True)
        intervals = bootstrap_intervals(measures, resamples=resamples)
        for quantity, measure, interval in zip(group, measures, intervals, strict=True):
            found[quantity] = (measure.estimate, *interval)
    values = ((quantity, *found[quantity]) for quantity in quantities)
    return tuple(Score(**vars(each), value=value, low=low, high=high) for each, value, low, high in values)


def measure_of(quantity: Quantity, records: AnyRecords, protocol: Protocol) -> Measure:
    """A quantity as a function of the images, for intervals and tests.

    Raises:
        DataError: the records do not have what it needs.
    """
    return _measures_of([quantity], records, protocol, distinct=False)[0]


def knows(records: AnyRecords, name: str) -> bool:
    """Whether the records say how far down the true class stands, as far as a number asks for it."""
    return int(records.depth) >= TOPK[name]


def error_shares(records: BoxRecords, ratio: float, protocol: Protocol) -> dict[str, float]:
    """The share of each kind of error of the largest contour at a τ (:func:`wsol.metrics.error_types`)."""
    boxes = records.boxes_at(ratio, protocol.level_percentile)
    found = np.concatenate([boxes[:, :2], np.minimum(boxes[:, 2:], FRAME - 1)], axis=1)
    correct = torch.from_numpy(records.ranks == 0) if knows(records, "Top-1 Loc") else None
    truth = [torch.from_numpy(each) for each in records.true_boxes()]
    codes = error_types(torch.from_numpy(found), truth, correct)
    counts = torch.bincount(codes, minlength=len(ERROR_TYPES)).tolist()
    return {name: count / len(records) for name, count in zip(ERROR_TYPES, counts, strict=True)}


def _at(records: AnyRecords, protocol: Protocol, ratios: Ratios | float) -> list[Quantity]:
    """The quantities that need thresholds, at those of one policy."""

    def quantity(name: str, contours: Contours | None, *deltas: float) -> Quantity:
        keys = [(contours or "largest", delta) for delta in deltas or (0.5,)]
        chosen = [ratios if isinstance(ratios, float) else ratios[key] for key in keys]
        return Quantity(
            name=name, policy=protocol.policy, selected_on=protocol.selected_on, ratios=tuple(chosen),
            contours=contours, iou_thresholds=deltas,
        )  # fmt: skip

    if isinstance(records, MaskRecords):
        return [quantity("Mask IoU", None)]
    oracle = protocol.policy == "oracle"
    loc = "GT-known Loc" if protocol.label_source == "true" else "Loc"
    quantities = [quantity("MaxBoxAcc" if oracle else loc, "largest", 0.5)]
    # of a wrongly predicted class there is no map of the true one; of another class's map it means nothing
    if knows(records, "Top-1 Loc") and protocol.label_source in ("true", "predicted"):
        quantities.append(quantity("Top-1 Loc", "largest", 0.5))
    if knows(records, "Top-5 Loc") and protocol.label_source == "true":
        quantities.append(quantity("Top-5 Loc", "largest", 0.5))
    quantities.append(quantity("MaxBoxAccV2" if oracle else "BoxAccV2", "all", *V2_IOU_THRESHOLDS))
    for contours in CONTOURS:
        quantities += [
            quantity(f"BoxAcc@{delta} {contours}", contours, delta)
            for delta in V2_IOU_THRESHOLDS
            if (contours, delta) != ("largest", 0.5)  # told above
        ]
    return quantities


def _measures_of(
    quantities: Sequence[Quantity], records: AnyRecords, protocol: Protocol, *, distinct: bool
) -> list[Measure]:
    """Quantities as functions of the images; what several need is looked up once.

    ``distinct`` leaves each τ out at which all levels are as at the one before: that changes no number, but
    two results can be compared image by image only over the same τ.
    """
    if isinstance(records, MaskRecords):
        overlaps = records.overlaps()
        return [_mask_measure(quantity, records, overlaps, protocol) for quantity in quantities]
    references = _references(records, protocol)
    ratios = thresholds(protocol.step)
    sweep = _Sweep(records, references, ratios[distinct_ratios(references, ratios)] if distinct else ratios)
    return [_box_measure(quantity, sweep) for quantity in quantities]


@dataclass(frozen=True)
class _Sweep:
    """Whether images are localized at each τ of a sweep.

    Attributes:
        records: of the images.
        references: (N,), float64: what τ is a share of on each map.
        ratios: (T,), float64: the τ.
    """

    records: BoxRecords
    references: Tensor
    ratios: Tensor
    known: dict[tuple[Contours, tuple[float, ...]], NDArray[np.bool_]] = field(default_factory=dict)

    def overlaps(self, contours: Contours) -> Tensor:
        return torch.from_numpy(getattr(self.records, contours))

    def hits(self, contours: Contours, deltas: tuple[float, ...]) -> NDArray[np.bool_]:
        """For each δ at each τ: (N, δ, τ)."""
        if (contours, deltas) not in self.known:
            parts = hits_by_ratio(self.overlaps(contours), self.references, self.ratios, _real(deltas))
            self.known[contours, deltas] = torch.cat(list(parts)).numpy()
        return self.known[contours, deltas]


def _box_measure(quantity: Quantity, sweep: _Sweep) -> Measure:
    right = _class_right(quantity, sweep.records) if quantity.name in TOPK else None
    if quantity.contours is None and right is not None:
        return mean_measure(right)
    if quantity.contours is None:
        raise DataError(f"records of boxes do not give {quantity.name}")
    deltas = quantity.iou_thresholds
    if quantity.policy == "oracle":
        hits = sweep.hits(quantity.contours, deltas)
        return oracle_measure(hits) if right is None else oracle_measure(hits & right[:, None, None], hits)
    overlaps, ratios = sweep.overlaps(quantity.contours), _real(quantity.ratios)
    own = hits_at(overlaps, sweep.references, ratios, _real(deltas)).numpy()  # (N, δ)
    return box_measure(own if right is None else own & right[:, None])


def _mask_measure(
    quantity: Quantity, records: MaskRecords, overlaps: NDArray[np.float64], protocol: Protocol
) -> Measure:
    if quantity.name in TOPK:
        return mean_measure(_class_right(quantity, records))
    if quantity.name == "PxAP":
        return pixel_measure(records.histograms)
    if quantity.policy == "oracle":
        return _best_mean(overlaps[:, : len(thresholds(protocol.step))])
    return mean_measure(overlaps[:, round(quantity.ratios[0] / protocol.step)])


def _class_right(quantity: Quantity, records: AnyRecords) -> NDArray[np.bool_]:
    if not knows(records, quantity.name):
        raise DataError(f"{quantity.name} needs the class scores of every image")
    return records.ranks < TOPK[quantity.name]


def _references(records: BoxRecords, protocol: Protocol) -> Tensor:
    return references_of(torch.from_numpy(records.histograms), protocol.level_percentile)


def _real(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _best_mean(values: NDArray[np.float64]) -> Measure:
    """The highest mean over images, (N, τ)."""
    return Measure(values, lambda sums, weight: sums.max(axis=1) / weight)
