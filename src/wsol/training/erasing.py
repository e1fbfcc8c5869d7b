"""Adversarial erasing (:mod:`wsol.methods.ae`): trains the steps one after the other, and joins them."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from wsol.errors import DataError, ImageError, UsageError
from wsol.export.files import atomic_write
from wsol.inference.mapmaker import MapMaker
from wsol.inference.options import LocalizerOptions, RuntimeOptions
from wsol.maps import upsample
from wsol.methods.ae import AEClassifier, AEOptions
from wsol.methods.saved import WEIGHTS, load_model
from wsol.models import Model, ModelOptions
from wsol.training.config import TrainConfig
from wsol.training.data import Erased, TrainingImages
from wsol.training.directory import METRICS, Parts, Row, Run, finish, finished, prepare, record
from wsol.training.epochs import save_model, use_of, write_rows
from wsol.training.run import choose_balanced_ratio, train_one, training_images
from wsol.training.validation import criterion_of, validate

BATCH = 32
SAMPLE = 1000
"""Training images that the mean colour is taken of."""


def train_by_erasing(config: TrainConfig, parts: Parts, folder: Path, *, progress: bool) -> Run:
    """Train each step into a folder of its own, then join them; see :func:`wsol.training.run.train`.

    Raises:
        UsageError: several devices: each step would start its processes anew.
    """
    trainer = config.trainer
    processes = max(int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "SLURM_NTASKS"))
    if trainer.devices not in ("auto", 1) or trainer.nodes > 1 or processes > 1:
        raise UsageError("AE trains its steps on one device: trainer.devices and trainer.nodes must be 1")
    prepare(folder, config, parts)
    if done := finished(folder):
        return done
    told = record(folder, config, parts)
    runs: list[Run] = []
    models: list[Model] = []
    erased: Erased | None = None
    for step in range(1, config.ae.steps + 1):
        own = folder / f"step{step}"
        of_step = replace(
            config,
            method="cam",
            ae=AEOptions(),
            output=str(own),
            overwrite=False,
            trainer=replace(trainer, devices=1),
        )
        runs.append(train_one(of_step, parts, own, progress=progress, erased=erased, told=told))
        models.append(load_model(ModelOptions(backbone=str(own))))
        if step < config.ae.steps:
            images = training_images(of_step, parts, models[-1], erased)
            fill = mean_colour(images) if erased is None else erased.fill
            pixels = _mine(folder / f"erased{step}.npy", models[-1], images, config, progress=progress)
            erased = Erased(pixels, fill)
    run = _join(config, parts, folder, runs, models)
    balanced = choose_balanced_ratio(config, parts, folder, progress=progress)
    run = replace(run, warnings=told, balanced_ratio=balanced)
    finish(run)
    return run


def _join(config: TrainConfig, parts: Parts, folder: Path, runs: list[Run], models: list[Model]) -> Run:
    """One model of all steps, measured as a whole."""
    joined = AEClassifier([model.classifier for model in models])
    initial = models[0].weights.split(", trained: ")[0]
    model = replace(models[0], classifier=joined, method="ae", run={}, use={}, weights=initial)
    rows: list[Row] = [run.best | {"step": float(step)} for step, run in enumerate(runs, start=1)]
    best: Row = {"step": float(len(runs))}
    ratio, criterion, skipped = None, None, [*runs[-1].skipped]
    if parts.val is not None:
        runtime = RuntimeOptions(device=config.trainer.accelerator, workers=config.trainer.workers)
        found = validate(model, parts.data, parts.val, config.validation, runtime)
        criterion, ratio = criterion_of(config.validation, parts.val), found.ratio
        best |= {f"val {name}": value for name, value in found.scores.items()}
    rows.append(best)
    save_model(
        folder / WEIGHTS, model, config, parts.data, epoch=len(runs), use=use_of(config, parts.val, ratio)
    )
    write_rows(rows, folder / METRICS)
    return Run(
        folder=folder,
        rows=rows,
        best=best,
        criterion=criterion,
        ratio=ratio,
        balanced_ratio=None,
        warnings=(),
        skipped=skipped,
        trained=sum(run.trained for run in runs),
    )


class _Frames(Dataset[tuple[int, Tensor | None]]):
    """The frames of training images, as erased so far, without augmentation."""

    def __init__(self, images: TrainingImages) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[int, Tensor | None]:
        try:
            return index, self.images.frame_of(index)
        except ImageError:  # it was listed when it was to be trained on
            return index, None


def mean_colour(images: TrainingImages) -> tuple[int, int, int]:
    """RGB in [0, 255], of all training images, or of evenly spaced ones where there are more than ``SAMPLE``.

    Raises:
        DataError: none can be read.
    """
    places = np.linspace(0, len(images) - 1, min(SAMPLE, len(images))).round().astype(int).tolist()
    frames = (frame for _, frame in map(_Frames(images).__getitem__, places) if frame is not None)
    means = [frame.double().mean(dim=(1, 2)) for frame in frames]
    if not means:
        raise DataError("no training image can be read")
    red, green, blue = torch.stack(means).mean(dim=0).round().int().tolist()
    return red, green, blue


@torch.inference_mode()
def _mine(
    path: Path, model: Model, images: TrainingImages, config: TrainConfig, *, progress: bool
) -> NDArray[np.uint8]:
    """What is erased after a step: what was before, and where the label's CAM is above a share of its peak.

    Returns:
        (N, bytes), uint8, as :class:`Erased` has it; kept in a file for a run that goes on.
    """
    height, width = images.frame
    shape = (len(images), -(-height * width // 8))
    if path.is_file():
        return read_erased(path, shape)
    runtime = RuntimeOptions(device=config.trainer.accelerator)
    localizer = MapMaker(model, LocalizerOptions(map="cam", preset="fast"), runtime)
    mined = np.zeros(shape, np.uint8)
    loader = DataLoader(_Frames(images), batch_size=BATCH, collate_fn=list)
    for samples in tqdm(loader, desc="erasing", disable=None if progress else True, leave=False):
        read = [(index, frame) for index, frame in samples if frame is not None]
        if not read:
            continue
        frames = torch.stack([frame for _, frame in read]).float() / 255
        small = F.interpolate(frames, model.input_size, mode="bilinear", antialias=True).clamp(0, 1)
        seen = localizer.see(small)
        labels = torch.tensor([images.examples[index].label for index, _ in read], device=seen.logits.device)
        maps = upsample(localizer.score_maps(seen, labels), images.frame)
        found = most_discriminative(maps, config.ae.threshold).flatten(1).cpu().numpy()
        mined[[index for index, _ in read]] = np.packbits(found, axis=1)
    if images.erased is not None:
        mined |= images.erased.pixels
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.save(file, mined)
    return mined


def read_erased(path: Path, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """What an earlier call kept. Nothing in the file is executed.

    Raises:
        DataError: the file is damaged, or of other images.
    """
    try:
        with path.open("rb") as file:
            kept = np.load(file, allow_pickle=False)
    except Exception as error:  # of a damaged file anything is raised
        raise DataError(f"{path} is not what a training erased; --overwrite begins anew") from error
    if not isinstance(kept, np.ndarray) or kept.dtype != np.uint8 or kept.shape != shape:
        raise DataError(f"{path} is of other images than this training; --overwrite begins anew")
    return kept


def most_discriminative(maps: Tensor, threshold: float) -> Tensor:
    """c > t · max c: (B, H, W), unnormalised -> bool; nothing where no value is positive."""
    highest = maps.amax(dim=(1, 2), keepdim=True)
    return (maps > threshold * highest) & (highest > 0)
