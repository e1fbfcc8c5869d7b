"""What an epoch is worth, on val: official numbers where val has boxes or masks, class accuracy elsewhere."""

import copy
from dataclasses import dataclass, replace

import torch

from wsol.data.dataset import DataSet, Split
from wsol.errors import DataError, UsageError
from wsol.evaluation.labels import LabelMap
from wsol.evaluation.measure import Measured, measure
from wsol.evaluation.protocol import Protocol
from wsol.evaluation.scoring import choose_ratio, choose_ratios, scores_of
from wsol.evaluation.sources import ModelMaps
from wsol.inference.mapmaker import MapMaker
from wsol.inference.options import LocalizerOptions, Preset, RuntimeOptions
from wsol.inference.reading import read_batches
from wsol.models import Model
from wsol.processes import gather, on_first, process, share
from wsol.training.config import Criterion, ValidationOptions

OFFERED: dict[str, tuple[Criterion, ...]] = {
    "boxes": ("MaxBoxAccV2", "MaxBoxAcc", "Top-1 Loc", "Top-1 Cls"),
    "masks": ("PxAP", "Top-1 Cls"),
    "none": ("Top-1 Cls",),
}
"""Criteria by what the split has, the default first."""


@dataclass(frozen=True)
class Validation:
    """Numbers of an epoch.

    Attributes:
        scores: in [0, 1]; thresholds are the best on the split itself (oracle).
        ratio: τ that the model is to be used with: the largest contour's, best on average over IoU 0.3, 0.5
            and 0.7 (for masks: of the highest mean IoU); None without truth.
        skipped: "where: reason" of each image that could not be used.
    """

    scores: dict[str, float]
    ratio: float | None
    skipped: list[str]


def criterion_of(options: ValidationOptions, split: Split) -> Criterion | None:
    """The number by which epochs are compared; None where none tells where the object is: the last is used.

    Raises:
        UsageError: the split cannot give it.
    """
    offered = OFFERED[split.truth]
    if options.criterion == "auto":
        return None if split.truth == "none" else offered[0]
    if options.criterion not in offered:
        raise UsageError(
            f"validation.criterion {options.criterion!r}: the split {split.name!r} has "
            f"{'neither boxes nor masks' if split.truth == 'none' else split.truth}; "
            f"it gives {', '.join(offered)}"
        )
    return options.criterion


def validate(
    model: Model,
    data: DataSet,
    split: Split,
    options: ValidationOptions,
    runtime: RuntimeOptions,
    *,
    preset: Preset = "fast",
) -> Validation:
    """Measure a model in training; in several processes each takes its share, and all get the whole.

    The model is copied, its batch norms folded: the one in training stays as it is.

    Args:
        model: as it is in training.
        data: the data set.
        split: to measure on.
        options: map, threshold.
        runtime: device, workers.
        preset: of the maps.
    """
    copied = replace(model, classifier=copy.deepcopy(model.classifier).cpu().eval(), trained=True)
    localizer = MapMaker(copied, LocalizerOptions(map=options.map, preset=preset), runtime)
    if split.truth == "none":
        return _classify(localizer, data, split)
    standard, percentile = options.standard(split.truth)
    protocol = Protocol(
        split=split.name,
        truth=split.truth,
        policy="oracle",
        selected_on=split.name,
        label_source="true",
        standard=standard,
        percentile=100.0 if percentile is None else percentile,
    )
    count = len(model.classes.names)
    labels = LabelMap("true", torch.eye(count, dtype=torch.bool), None, "same classes")
    measured = measure(ModelMaps(localizer, labels), data, split, protocol, progress=False)
    return on_first(measured, lambda whole: _scored(whole, protocol))


def _scored(whole: Measured, protocol: Protocol) -> Validation:
    ratios = choose_ratios(whole.records, protocol)
    scores = {score.name: score.value for score in scores_of(whole.records, protocol, ratios, resamples=1)}
    return Validation(scores, choose_ratio(whole.records, protocol), whole.skipped)


def _classify(localizer: MapMaker, data: DataSet, split: Split) -> Validation:
    """Share of images whose most probable class is the true one."""
    runtime, right, seen = localizer.runtime, 0, 0
    skipped = [f"{split.name}: {problem}" for problem in split.problems if process()[0] == 0]
    mine = [split.examples[place] for place in share(len(split.examples), runtime.batch_size)]
    for batch in read_batches(
        [data.images / example.id for example in mine],
        localizer.model.input_size,
        batch_size=runtime.batch_size,
        workers=runtime.workers,
        draft=False,
        upright=data.upright,
    ):
        skipped += [f"{split.name}: {error}" for _, error in batch.errors]
        if batch.indices:
            labels = torch.tensor([mine[index].label for index in batch.indices])
            _, logits = localizer.forward(batch.images)
            right += int((logits.argmax(dim=1).cpu() == labels).sum())
            seen += len(labels)
    gathered = gather((right, seen, skipped))
    skipped = [line for _, _, lines in gathered for line in lines]
    if not (seen := sum(number for _, number, _ in gathered)):
        raise DataError(f"no image of the split {split.name!r} could be used; the first: {skipped[0]}")
    return Validation({"Top-1 Cls": sum(number for number, _, _ in gathered) / seen}, None, skipped)
