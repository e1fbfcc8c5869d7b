"""From the records of images to the numbers of a result: nothing here looks at a map again."""

from dataclasses import replace
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray

from wsol.component_tree import Contours
from wsol.errors import DataError
from wsol.evaluation.records import AnyRecords, BoxRecords, MaskRecords
from wsol.evaluation.result import FRAME, Protocol, Quantity, Score
from wsol.metrics import (
    ERROR_TYPES,
    V2_IOU_THRESHOLDS,
    Measure,
    bootstrap_interval,
    box_measure,
    error_types,
    mean_measure,
    oracle_measure,
    pixel_measure,
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
        hits = records.hits(
            contours, V2_IOU_THRESHOLDS, ratios.tolist(), protocol.level_percentile
        )  # (N, δ, τ)
        best = hits.mean(axis=0).argmax(axis=1)
        chosen |= {
            (contours, delta): float(ratios[i]) for delta, i in zip(V2_IOU_THRESHOLDS, best, strict=True)
        }
    return chosen


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
    scores = []
    for quantity in quantities:
        measure = measure_of(quantity, records, protocol)
        low, high = bootstrap_interval(measure, resamples=resamples)
        scores.append(Score(**vars(quantity), value=measure.estimate, low=low, high=high))
    return tuple(scores)


def measure_of(quantity: Quantity, records: AnyRecords, protocol: Protocol) -> Measure:
    """A quantity as a function of the images, for intervals and tests.

    Raises:
        DataError: the records do not have what it needs.
    """
    if quantity.name in ("Top-1 Cls", "Top-5 Cls"):
        return mean_measure(_class_right(quantity, records))
    if isinstance(records, MaskRecords):
        if quantity.name == "PxAP":
            return pixel_measure(records.histograms)
        overlaps = records.overlaps()
        if quantity.policy == "oracle":
            return _best_mean(overlaps[:, : len(thresholds(protocol.step))])
        return mean_measure(overlaps[:, round(quantity.ratios[0] / protocol.step)])
    if quantity.contours is None:
        raise DataError(f"records of boxes do not give {quantity.name}")
    return _box_measure(quantity, records, protocol)


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
    if knows(records, "Top-1 Loc"):
        quantities.append(quantity("Top-1 Loc", "largest", 0.5))
    if (
        knows(records, "Top-5 Loc") and protocol.label_source != "predicted"
    ):  # those maps show the top-1 class
        quantities.append(quantity("Top-5 Loc", "largest", 0.5))
    quantities.append(quantity("MaxBoxAccV2" if oracle else "BoxAccV2", "all", *V2_IOU_THRESHOLDS))
    for contours in CONTOURS:
        quantities += [
            quantity(f"BoxAcc@{delta} {contours}", contours, delta)
            for delta in V2_IOU_THRESHOLDS
            if (contours, delta) != ("largest", 0.5)  # told above
        ]
    return quantities


def _class_right(quantity: Quantity, records: AnyRecords) -> NDArray[np.bool_]:
    if not knows(records, quantity.name):
        raise DataError(f"{quantity.name} needs the class scores of every image")
    return records.ranks < TOPK[quantity.name]


def _box_measure(quantity: Quantity, records: BoxRecords, protocol: Protocol) -> Measure:
    contours, deltas = quantity.contours or "largest", quantity.iou_thresholds
    right = _class_right(quantity, records) if quantity.name in TOPK else None
    percentile = protocol.level_percentile
    if quantity.policy == "oracle":
        hits = records.hits(contours, deltas, thresholds(protocol.step).tolist(), percentile)  # (N, δ, τ)
        return oracle_measure(hits) if right is None else oracle_measure(hits & right[:, None, None], hits)
    hits = records.hits(contours, deltas, quantity.ratios, percentile)  # (N, δ, τ of each δ)
    own = hits[:, np.arange(len(deltas)), np.arange(len(deltas))]
    return box_measure(own if right is None else own & right[:, None])


def _best_mean(values: NDArray[np.float64]) -> Measure:
    """The highest mean over images, (N, τ)."""
    return Measure(values, lambda sums, weight: sums.max(axis=1) / weight)
