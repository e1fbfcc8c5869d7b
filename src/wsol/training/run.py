"""A training from configuration to run directory; the same configuration again goes on where it stopped."""

import copy
import logging
from dataclasses import replace
from pathlib import Path

import torch
from tqdm import tqdm

from wsol.data.dataset import DataSet, open_data
from wsol.data.holdout import hold_out
from wsol.errors import DataError, ModelError, UsageError, WsolError
from wsol.inference.options import RuntimeOptions
from wsol.methods import MethodOptions, adapt
from wsol.methods import build as build_method
from wsol.methods.saved import WEIGHTS, add_use, load_model, weights_file
from wsol.models import Model, ModelOptions, build
from wsol.processes import gather, is_first
from wsol.training.config import TrainConfig
from wsol.training.data import Erased, TrainingImages
from wsol.training.directory import CHECKPOINT, Parts, Run, finish, finished, prepare, record
from wsol.training.epochs import Epochs
from wsol.training.fitting import algorithms_restored, fit, make_trainer
from wsol.training.module import TrainingModule, trunk_of
from wsol.training.validation import criterion_of, validate

log = logging.getLogger("wsol")

SMALL_MAP = 5
"""Positions on a side, under which boxes are too coarse to be useful."""


def train(config: TrainConfig, *, progress: bool = True) -> Run:
    """Train a model, or go on with a training that was stopped.

    Args:
        config: everything that can be chosen.
        progress: show progress bars and a line an epoch.

    Returns:
        What was trained; ``wsol.load(run.folder)`` uses it.

    Raises:
        UsageError: settings that cannot be, or that differ from those of the run in the folder.
        DataError: data that cannot be trained on.
        ModelError: a network or weights that cannot be had.
        WsolError: the loss is not finite; what was saved before is whole.
    """
    if weights_file(config.backbone) is not None:
        raise UsageError(
            f"backbone: {config.backbone} is a trained model; name its network, and give the weights to "
            "start from as --checkpoint …/best.safetensors"
        )
    parts = open_parts(config)
    _check_criterion(config, parts)
    config = config.resolved(len(parts.train.examples))
    folder = Path(config.output or default_output(config, parts.data))
    config = replace(config, output=str(folder))
    if config.method == "ae":
        from wsol.training.erasing import train_by_erasing

        return train_by_erasing(config, parts, folder, progress=progress)
    return train_one(config, parts, folder, progress=progress)


def _check_criterion(config: TrainConfig, parts: Parts) -> None:
    criterion = None if parts.val is None else criterion_of(config.validation, parts.val)
    if criterion is None and config.trainer.early_stop is not None:
        other = "" if parts.val is None else ", or --validation.criterion 'Top-1 Cls'"
        raise UsageError(
            f"trainer.early_stop has nothing to compare epochs by: it takes boxes or masks of val{other}"
        )


def choose_balanced_ratio(config: TrainConfig, parts: Parts, folder: Path, *, progress: bool) -> float | None:
    """Choose τ of the preset balanced on val, too, for the weights that are kept: with it they will be used.

    All processes of a training take part.

    Returns:
        τ; None where val tells nothing, or the network takes pictures of one size alone.
    """
    if parts.val is None or parts.val.truth == "none":
        return None
    gather(None)  # the weights are written by one process
    if progress:
        tqdm.write(f"Choosing the threshold of the preset balanced on {parts.val.name}.")
    model = load_model(ModelOptions(backbone=str(folder)))
    runtime = RuntimeOptions(device=config.trainer.accelerator, workers=config.trainer.workers)
    try:
        found = validate(model, parts.data, parts.val, config.validation, runtime, preset="balanced")
    except ModelError as error:
        log.warning("no threshold for the preset balanced: %s", error)
        return None
    if is_first() and found.ratio is not None:
        add_use(folder / WEIGHTS, balanced_ratio=found.ratio)
    gather(None)  # whoever goes on finds it
    return found.ratio


def train_one(
    config: TrainConfig,
    parts: Parts,
    folder: Path,
    *,
    progress: bool,
    erased: Erased | None = None,
    told: list[str] | None = None,
) -> Run:
    """Train one network into a folder; see :func:`train`.

    Args:
        config: resolved.
        parts: the splits.
        folder: the run directory.
        progress: show progress.
        erased: pixels of the training images that are filled with a colour.
        told: warnings of the data that are known already.
    """
    first = is_first()
    shown = progress and first
    if first:
        prepare(folder, config, parts)
    if not config.overwrite and (done := finished(folder)):
        return done
    is_step = told is not None  # of AE, which alone is used as a whole
    told = record(folder, config, parts, told) if first else []
    model, module = _assemble(config, parts, erased)
    if first:
        _warn_of_small_map(model)
    say = tqdm.write if shown else lambda _: None
    epochs = Epochs(folder, model, parts.data, val=parts.val, config=config, tell=say)
    with algorithms_restored():
        trainer = make_trainer(config, folder, epochs, progress=shown)
        module.images.keep(config.training.cache, progress=shown)
        goes_on = (folder / CHECKPOINT).is_file() and not config.overwrite
        fit(trainer, module, folder / CHECKPOINT if goes_on else None)
    if epochs.best is None:
        raise WsolError(f"{folder}: no epoch gave a number to choose by")
    balanced = None if is_step else choose_balanced_ratio(config, parts, folder, progress=shown)
    unread = [f"{path}: {reason}" for path, reason in sorted(epochs.unread.items())]
    run = Run(
        folder=folder,
        rows=epochs.rows,
        best=epochs.best,
        criterion=epochs.criterion,
        ratio=epochs.ratio,
        balanced_ratio=balanced,
        warnings=told,
        skipped=[*parts.notes, *unread, *epochs.skipped],
        trained=len(epochs.rows) - epochs.resumed,
    )
    if first:
        finish(run)
    return run


def _warn_of_small_map(model: Model) -> None:
    """A box is no finer than a position of the map."""
    with torch.no_grad():
        features = copy.deepcopy(model.classifier).cpu().eval()(torch.zeros(1, 3, *model.input_size))[0]
    side = min(features.shape[-2:])
    if side < SMALL_MAP:
        log.warning(
            "the map has %s × %s positions at input_size %s: boxes will be coarse. Take a larger "
            "--input-size, or --stride 16 where timm offers it.",
            *features.shape[-2:],
            model.input_size[0],
        )


def _assemble(config: TrainConfig, parts: Parts, erased: Erased | None) -> tuple[Model, TrainingModule]:
    """The model with its method, ready to be trained."""
    training, options = config.training, config.part(MethodOptions)
    torch.manual_seed(training.seed)  # of what is new in the network
    model = build(config.part(ModelOptions), num_classes=len(parts.classes.names))
    trunk = trunk_of(model, training)
    adapted = adapt(options, model.classifier, model.name)
    model = replace(model, classifier=adapted, classes=parts.classes, method=config.method)
    method = build_method(options, adapted, epochs=training.epochs or 1).train()
    if config.trainer.channels_last:
        method = method.to(memory_format=torch.channels_last)
    images = training_images(config, parts, model, erased)
    return model, TrainingModule(method, model, trunk, images, config)


def open_parts(config: TrainConfig) -> Parts:
    """The splits to train and to choose on.

    Raises:
        DataError: the data cannot be read, or has no training split.
    """
    data = open_data(config.data, images=config.images, metadata=config.metadata, masks=config.masks)
    train_split = data.split(config.train_split)
    notes = [f"{config.train_split}: {problem}" for problem in train_split.problems]
    if config.val_split in data.tables:
        val = data.split(config.val_split)
        shared = {each.id for each in train_split.examples} & {each.id for each in val.examples}
        if shared:
            raise DataError(
                f"{len(shared)} images are both in {train_split.name!r} and in {val.name!r}, as "
                f"{min(shared)!r}: the best epoch would be chosen on images that were trained on"
            )
        return Parts(data, train_split, val, False, notes)
    if config.val_split != "val":
        raise UsageError(
            f"val_split: {data.name} has no split {config.val_split!r}; it has {', '.join(data.tables)}"
        )
    if not config.val_share:
        return Parts(data, train_split, None, False, notes)
    train_split, val = hold_out(train_split, config.val_share, config.training.seed)
    return Parts(data, train_split, val if val.examples else None, bool(val.examples), notes)


def training_images(
    config: TrainConfig, parts: Parts, model: Model, erased: Erased | None = None
) -> TrainingImages:
    """The training split with its augmentation."""
    return TrainingImages(
        parts.data,
        parts.train.examples,
        model.input_size,
        augmentation=config.training.augmentation,
        seed=config.training.seed,
        erased=erased,
    )


def default_output(config: TrainConfig, data: DataSet) -> str:
    """A folder for each data set, backbone, method and seed."""
    pooling = "" if config.pooling == "gap" else f"-{config.pooling}"
    backbone = Path(config.backbone).name
    return f"runs/{data.name}-{backbone}-{config.method}{pooling}-seed{config.training.seed}"
