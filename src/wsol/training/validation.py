"""What an epoch is worth, on val: official numbers where val has boxes or masks, class accuracy elsewhere."""

import copy
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import distributed

from wsol.data.dataset import DataSet, Split
from wsol.errors import DataError, UsageError
from wsol.evaluation.labels import LabelMap
from wsol.evaluation.measure import measure
from wsol.evaluation.protocol import Protocol
from wsol.evaluation.records import AnyRecords
from wsol.evaluation.scoring import choose_ratio, choose_ratios, scores_of
from wsol.evaluation.sources import ModelMaps
from wsol.inference.mapmaker import MapMaker
from wsol.inference.options import LocalizerOptions, Preset, RuntimeOptions
from wsol.inference.reading import read_batches
from wsol.models import Model
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
    rank, world = process()
    share = replace(split, examples=split.examples[rank::world], problems=split.problems if rank == 0 else ())
    copied = replace(model, classifier=copy.deepcopy(model.classifier).cpu().eval(), trained=True)
    localizer = MapMaker(copied, LocalizerOptions(map=options.map, preset=preset), runtime)
    if split.truth == "none":
        return _classify(localizer, data, share)
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
    gathered = gather(_measure(ModelMaps(localizer, labels), data, share, protocol))
    parts = [part for part, _ in gathered if part is not None]
    if not parts:
        raise DataError(next(line for _, lines in gathered for line in lines))
    whole = _joined(parts)
    ratios = choose_ratios(whole, protocol)
    scores = {score.name: score.value for score in scores_of(whole, protocol, ratios, resamples=1)}
    return Validation(
        scores, choose_ratio(whole, protocol), [line for _, lines in gathered for line in lines]
    )


def process() -> tuple[int, int]:
    """The number of this process, and how many there are."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def gather(mine: Any) -> list[Any]:  # noqa: ANN401
    """What each process has."""
    _, world = process()
    if world == 1:
        return [mine]
    parts: list[Any] = [None] * world
    distributed.all_gather_object(parts, mine)
    return parts


def _measure(
    source: ModelMaps, data: DataSet, share: Split, protocol: Protocol
) -> tuple[AnyRecords | None, list[str]]:
    """Records of a share, None if none of its images can be used: others may have some."""
    if not share.examples:
        return None, []
    try:
        measured = measure(source, data, share, protocol, progress=False)
    except DataError as error:
        return None, [str(error)]
    return measured.records, measured.skipped


def _joined(parts: list[AnyRecords]) -> AnyRecords:
    """The records of all processes, one after another: no number depends on the order of the images."""
    if len(parts) == 1:
        return parts[0]
    names = [each.name for each in fields(parts[0]) if each.name != "depth"]
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return type(parts[0])(**joined, depth=parts[0].depth)


def _classify(localizer: MapMaker, data: DataSet, share: Split) -> Validation:
    """Share of images whose most probable class is the true one."""
    runtime, right, seen = localizer.runtime, 0, 0
    skipped = [f"{share.name}: {problem}" for problem in share.problems]
    for batch in read_batches(
        [data.images / example.id for example in share.examples],
        localizer.model.input_size,
        batch_size=runtime.batch_size,
        workers=runtime.workers,
        draft=False,
        upright=data.upright,
    ):
        skipped += [f"{share.name}: {error}" for _, error in batch.errors]
        if batch.indices:
            labels = torch.tensor([share.examples[index].label for index in batch.indices])
            _, logits = localizer.forward(batch.images)
            right += int((logits.argmax(dim=1).cpu() == labels).sum())
            seen += len(labels)
    gathered = gather((right, seen, skipped))
    skipped = [line for _, _, lines in gathered for line in lines]
    if not (seen := sum(number for _, number, _ in gathered)):
        raise DataError(f"no image of the split {share.name!r} could be used; the first: {skipped[0]}")
    return Validation({"Top-1 Cls": sum(number for number, _, _ in gathered) / seen}, None, skipped)
