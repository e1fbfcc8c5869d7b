"""Lightning's Trainer as it is used here, with what goes wrong told as elsewhere."""

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import Logger
from torch import distributed

from wsol.errors import DataError, UsageError, WsolError
from wsol.processes import ends_told
from wsol.training.config import TrainConfig
from wsol.training.epochs import WholeCheckpoints

PRECISION = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}


def make_trainer(config: TrainConfig, folder: Path, callback: Callback, *, progress: bool) -> Trainer:
    """A Trainer for a resolved configuration.

    Raises:
        UsageError: the machine has not what is asked for.
    """
    options = config.trainer
    cuda = torch.cuda.is_available() if options.accelerator == "auto" else options.accelerator == "cuda"
    if options.precision == "float16" and not cuda:
        raise UsageError("trainer.precision: float16 needs a GPU; on a CPU use bfloat16 or float32")
    callbacks = [callback]
    if progress:
        callbacks.append(TQDMProgressBar(refresh_rate=1 if sys.stderr.isatty() else 0))
    devices = 1 if options.devices == "auto" and not cuda else options.devices
    try:
        with quiet():
            trainer = Trainer(
                accelerator="gpu" if cuda else "cpu",
                devices=devices,
                num_nodes=options.nodes,
                precision=PRECISION[options.precision],  # type: ignore[arg-type]
                max_epochs=config.training.epochs,
                accumulate_grad_batches=options.accumulate,
                gradient_clip_val=config.training.clip,
                deterministic="warn" if options.deterministic else None,
                logger=_loggers(config, folder),
                callbacks=callbacks,
                plugins=[WholeCheckpoints()],
                enable_checkpointing=False,
                enable_progress_bar=progress,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                log_every_n_steps=1,
                use_distributed_sampler=False,
                reload_dataloaders_every_n_epochs=1,
                default_root_dir=folder,
            )
    except (MisconfigurationException, ValueError) as error:
        raise UsageError(f"trainer: {error}") from error
    started = int(os.environ["WORLD_SIZE"]) if distributed.is_torchelastic_launched() else trainer.world_size
    if trainer.world_size != started:
        raise UsageError(
            f"torchrun has started {started} processes, but trainer.devices and trainer.nodes make "
            f"{trainer.world_size}: give --trainer.devices, those of a machine, and --trainer.nodes"
        )
    return trainer


def fit(trainer: Trainer, module: LightningModule, checkpoint: Path | None) -> None:
    """Train to the end.

    Raises:
        KeyboardInterrupt: a person stopped it.
        DataError: too many images cannot be read.
        WsolError: a reading process died, or another one that trains.
    """
    stops = signal.getsignal(signal.SIGINT)
    try:
        with quiet(), ends_told():
            trainer.fit(module, ckpt_path=None if checkpoint is None else str(checkpoint))
    except SystemExit as error:  # how Lightning ends after Ctrl-C, which it turns off
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, stops)
        raise KeyboardInterrupt from error
    except DataError as error:  # of a reading process it comes with that one's traceback
        raise DataError(str(error).rpartition("DataError: ")[2].strip()) from error
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise WsolError(
            f"a reading process died ({error}); is memory short? Try fewer (--trainer.workers)"
        ) from error


@contextmanager
def algorithms_restored() -> Iterator[None]:
    """Behind the block the process chooses algorithms as before; a Trainer asks for deterministic ones."""
    chosen, warns = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(chosen, warn_only=warns)


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
def quiet() -> Iterator[None]:
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
