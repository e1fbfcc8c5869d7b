"""A training from configuration to run directory; the same configuration again goes on where it stopped."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, TQDMProgressBar
from lightning.pytorch.loggers import Logger
from numpy.typing import NDArray

from wsol.data.dataset import DataSet, Split, open_data
from wsol.data.holdout import hold_out
from wsol.errors import DataError, UsageError, WsolError
from wsol.export.files import atomic_write
from wsol.inference.run import versions
from wsol.methods import METHODS, MethodOptions, adapt
from wsol.methods import build as build_method
from wsol.models import Classes, Model, ModelOptions, build
from wsol.models.classes import numbered_classes
from wsol.training.advice import advise, find_duplicates
from wsol.training.config import TrainConfig, differences, read_config, write_config
from wsol.training.data import TrainingImages
from wsol.training.epochs import CHECKPOINT, Epochs, Row, WholeCheckpoints
from wsol.training.module import TrainingModule, trunk_of

log = logging.getLogger("wsol")

CONFIG = "config.yaml"
RUN = "run.json"
MAY_CHANGE = ("output", "overwrite", "trainer.workers", "trainer.loggers", "training.cache")
"""Fields in which the configuration of a run that goes on may differ."""

CAME = ("rows", "best", "criterion", "ratio", "warnings", "skipped")
"""Fields of a finished run that its file keeps."""

PRECISION = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished training.

    Attributes:
        folder: the run directory.
        rows: numbers of each epoch, as in its metrics.csv.
        best: the row of the epoch whose weights are used.
        criterion: by which it was chosen; None where there was nothing to choose by: it is the last.
        ratio: τ chosen on val.
        warnings: what the data made worth saying before it began.
        skipped: "where: reason" of each image that could not be used.
        trained: epochs of this call; 0 if the run was finished before.
    """

    folder: Path
    rows: Sequence[Row]
    best: Row
    criterion: str | None
    ratio: float | None
    warnings: Sequence[str]
    skipped: Sequence[str]
    trained: int


@dataclass(frozen=True)
class Parts:
    """The splits of a training.

    Attributes:
        data: the data set.
        train: trained on.
        val: chosen on; None if there is none.
        held_out: whether ``val`` was split off the training images.
        notes: problems of the tables.
    """

    data: DataSet
    train: Split
    val: Split | None
    held_out: bool
    notes: list[str]

    @property
    def classes(self) -> Classes:
        """Of the data; numbers where nobody named them."""
        if self.data.classes:
            return Classes(self.data.classes)
        splits = [self.train, *([self.val] if self.val else [])]
        return numbered_classes(1 + max(example.label for split in splits for example in split.examples))


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
    parts = open_parts(config)
    config = config.resolved(len(parts.train.examples))
    folder = Path(config.output or default_output(config, parts.data))
    config = replace(config, output=str(folder))
    if config.method == "ae":
        from wsol.training.erasing import train_by_erasing

        return train_by_erasing(config, parts, folder, progress=progress)
    return train_one(config, parts, folder, progress=progress)


def train_one(
    config: TrainConfig,
    parts: Parts,
    folder: Path,
    *,
    progress: bool,
    erased: NDArray[np.uint8] | None = None,
) -> Run:
    """Train one network into a folder; see :func:`train`.

    Args:
        config: resolved.
        parts: the splits.
        folder: the run directory.
        progress: show progress.
        erased: pixels of the training images that are filled with the mean colour; see
            :class:`wsol.training.data.TrainingImages`.
    """
    first = is_first()
    if first:
        prepare(folder, config)
    if not config.overwrite and (done := finished(folder)):
        return done
    told = record(folder, config, parts) if first else []
    training = config.training
    torch.manual_seed(training.seed)  # of what is new in the network
    model_options = config.part(ModelOptions)
    model = build(model_options, num_classes=len(parts.classes.names))
    trunk = trunk_of(model, training)
    adapted = adapt(config.part(MethodOptions), model.classifier, model.name)
    model = replace(model, classifier=adapted, classes=parts.classes, method=config.method)
    method = build_method(config.part(MethodOptions), adapted, epochs=training.epochs or 1)
    if config.trainer.channels_last:
        method = method.to(memory_format=torch.channels_last)
    images = training_images(config, parts, model, erased)
    images.keep(training.cache, progress=progress and first)
    module = TrainingModule(method.train(), model, trunk, images, config)
    epochs = Epochs(folder, model, parts.data, val=parts.val, config=config)
    if not (progress and first):
        epochs.tell = lambda _: None
    goes_on = (folder / CHECKPOINT).is_file() and not config.overwrite
    checkpoint = folder / CHECKPOINT if goes_on else None
    trained = _fit(module, epochs, config, checkpoint, progress=progress)
    skipped = [*parts.notes, *(str(error) for error in module.skipped.values()), *epochs.skipped]
    if epochs.best is None:
        raise WsolError(f"{folder}: no epoch gave a number to choose by")
    run = Run(
        folder=folder,
        rows=epochs.rows,
        best=epochs.best,
        criterion=epochs.criterion,
        ratio=epochs.ratio,
        warnings=told,
        skipped=skipped,
        trained=trained,
    )
    if first:
        finish(run)
    return run


def _fit(
    module: TrainingModule, epochs: Epochs, config: TrainConfig, checkpoint: Path | None, *, progress: bool
) -> int:
    """Train to the end; how many epochs that took."""
    options = config.trainer
    callbacks: list[Callback] = [epochs]
    if progress:
        callbacks.append(TQDMProgressBar(refresh_rate=1 if sys.stderr.isatty() else 0))
    with _quiet():
        trainer = Trainer(
            accelerator={"cuda": "gpu"}.get(options.accelerator, options.accelerator),
            devices=options.devices,
            num_nodes=options.nodes,
            precision=PRECISION[options.precision],  # type: ignore[arg-type]
            max_epochs=config.training.epochs,
            accumulate_grad_batches=options.accumulate,
            gradient_clip_val=config.training.clip,
            deterministic="warn" if options.deterministic else None,
            logger=_loggers(config, epochs.folder),
            callbacks=callbacks,
            plugins=[WholeCheckpoints()],
            enable_checkpointing=False,
            enable_progress_bar=progress,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            use_distributed_sampler=False,
            reload_dataloaders_every_n_epochs=1,
            default_root_dir=epochs.folder,
        )
        stops = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(module, ckpt_path=None if checkpoint is None else str(checkpoint))
        except SystemExit as error:  # how Lightning ends after Ctrl-C, which it turns off
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, stops)
            raise KeyboardInterrupt from error
    return len(epochs.rows) - epochs.resumed


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
    train_split, val = hold_out(train_split, config.val_share, config.training.seed)
    return Parts(data, train_split, val if val.examples else None, bool(val.examples), notes)


def training_images(
    config: TrainConfig, parts: Parts, model: Model, erased: NDArray[np.uint8] | None = None
) -> TrainingImages:
    """The training split with its augmentation."""
    return TrainingImages(
        parts.data,
        parts.train.examples,
        model.input_size,
        augmentation=config.training.augmentation,
        seed=config.training.seed,
        erased=erased,
        fill=model.mean,
    )


def default_output(config: TrainConfig, data: DataSet) -> str:
    """A folder for each data set, backbone, method and seed."""
    pooling = "" if config.pooling == "gap" else f"-{config.pooling}"
    backbone = Path(config.backbone).name
    return f"runs/{data.name}-{backbone}-{config.method}{pooling}-seed{config.training.seed}"


def is_first() -> bool:
    """Whether this process is the one that writes; torchrun, SLURM and Lightning tell."""
    return (
        int(os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or os.environ.get("LOCAL_RANK") or 0)
        == 0
    )


def prepare(folder: Path, config: TrainConfig) -> None:
    """Make the run directory ready: empty, or with the same training in it. For one process alone.

    Raises:
        UsageError: it holds something else.
    """
    if (folder / CONFIG).is_file():
        if config.overwrite or not any(folder.rglob(CHECKPOINT)):  # nothing is lost
            shutil.rmtree(folder)
        elif changed := [
            line
            for line in differences(read_config(folder / CONFIG), config)
            if not line.startswith(MAY_CHANGE)
        ]:
            raise UsageError(
                f"{folder} holds a training of other settings ({'; '.join(changed)}: there, now). Choose "
                "another --output, or say --overwrite"
            )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already, and not from wsol train; choose another --output")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_config(replace(config, overwrite=False), folder / CONFIG)
    except OSError as error:
        raise UsageError(f"cannot write into {folder}: {error.strerror or error}") from error


def record(folder: Path, config: TrainConfig, parts: Parts) -> list[str]:
    """Write what the run is made from: data, versions, state of the code.

    Returns:
        What the data makes worth saying before it begins; it is logged too.

    Raises:
        DataError: the data is another now than when the run began, or cannot be trained on.
    """
    fingerprints = {split.name: split.fingerprint for split in (parts.train, parts.val) if split}
    if (folder / RUN).is_file():
        before = json.loads((folder / RUN).read_text(encoding="utf-8"))
        if before["data"]["fingerprints"] != fingerprints:
            raise DataError(
                f"{folder}: the images or labels of {parts.data.name} are others now than when this training "
                "began; choose another --output, or say --overwrite"
            )
        told: list[str] = before["warnings"]
    else:
        told = advise(parts.train, parts.val, parts.classes.names, find_duplicates(parts))
        for line in told:
            log.warning(line)
    held_out = [example.id for example in parts.val.examples] if parts.val and parts.held_out else []
    values = {
        "status": "begun",
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "method": METHODS[config.method].title,
        "data": {
            "name": parts.data.name,
            "format": parts.data.format,
            "images": len(parts.train.examples),
            "classes": len(parts.classes.names),
            "fingerprints": fingerprints,
            "held_out": held_out,
        },
        "versions": versions() | {name: version(name) for name in ("torchvision", "lightning")},
        "git": _git(),
        "warnings": told,
    }
    _write_json(folder / RUN, values)
    return told


def finished(folder: Path) -> Run | None:
    """The run in a folder, if it is done."""
    if not (folder / RUN).is_file():
        return None
    known = json.loads((folder / RUN).read_text(encoding="utf-8"))
    if known["status"] != "finished":
        return None
    return Run(folder=folder, trained=0, **{name: known[name] for name in CAME})


def finish(run: Run) -> None:
    """Note that a run is done, and what came of it."""
    known = json.loads((run.folder / RUN).read_text(encoding="utf-8"))
    ended = {"status": "finished", "ended": datetime.now(UTC).isoformat(timespec="seconds")}
    _write_json(run.folder / RUN, known | ended | {name: getattr(run, name) for name in CAME})


def _write_json(path: Path, values: dict[str, Any]) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2, ensure_ascii=False), encoding="utf-8")


def _git() -> dict[str, Any] | None:
    """Commit of the working folder and whether files were changed since; None where there is none."""
    try:
        commit, changed = (
            subprocess.run(["git", *words], capture_output=True, text=True, check=True, timeout=20).stdout
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit.strip(), "changed": bool(changed.strip())}


def _loggers(config: TrainConfig, folder: Path) -> list[Logger]:
    from lightning.pytorch import loggers

    made: list[Logger] = []
    for name in config.trainer.loggers:
        try:
            if name == "tensorboard":
                made.append(loggers.TensorBoardLogger(folder, name="tensorboard", version=""))
            else:
                made.append(loggers.WandbLogger(save_dir=folder, name=folder.name, project="wsol"))
        except ModuleNotFoundError as error:
            raise UsageError(f"trainer.loggers: {name} is not installed; pip install {name}") from error
    return made


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's advice, which is for its own users."""
    names = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")
    levels = {name: logging.getLogger(name).level for name in names}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        warnings.filterwarnings(
            "ignore", category=UserWarning, message=".*(dataloader|Checkpoint directory).*"
        )
        for name in names:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
