"""After each epoch: numbers, weights, and a checkpoint to go on from, each written whole or not at all."""

import csv
import io
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO
from tqdm import tqdm

from wsol.data.dataset import DataSet, Split
from wsol.errors import WsolError
from wsol.export.files import atomic_write
from wsol.inference.options import RuntimeOptions
from wsol.methods import METHODS, MethodOptions
from wsol.methods.saved import WEIGHTS, save
from wsol.models import Model, ModelOptions
from wsol.training.config import TrainConfig
from wsol.training.module import TrainingModule, learning_rate
from wsol.training.validation import Validation, criterion_of, validate

LAST_WEIGHTS = "last.safetensors"
CHECKPOINT = "last.ckpt"
METRICS = "metrics.csv"

Row = dict[str, float]


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that get their name when they are complete, and are read without executing anything."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None
    ) -> None:
        """Write to a temporary name, then rename."""
        with atomic_write(Path(path)) as temporary:
            torch.save(checkpoint, temporary)

    def load_checkpoint(
        self, path: str | Path, map_location: object = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read tensors and plain values alone.

        Raises:
            WsolError: it is damaged, or holds something else.
        """
        try:
            loaded: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # unpickling damaged data raises anything
            raise WsolError(f"{path} cannot be read ({error}); --overwrite begins anew") from error
        return loaded


class Epochs(Callback):
    """Validates, tells, and saves after each epoch.

    Weights are written first, then the checkpoint that names their epoch: a run that was killed between the
    two trains that epoch again, to the same weights.

    Attributes:
        rows: numbers of the finished epochs.
        best: the best epoch's row.
        ratio: τ chosen on val with the best weights.
        skipped: images of val that could not be used.
        resumed: epochs that were finished before this call.
    """

    def __init__(
        self, folder: Path, model: Model, data: DataSet, *, val: Split | None, config: TrainConfig
    ) -> None:
        self.folder, self.model, self.data, self.val, self.config = folder, model, data, val, config
        self.criterion = None if val is None else criterion_of(config.validation, val)
        self.rows: list[Row] = []
        self.best: Row | None = None
        self.resumed = self.waited = 0
        self.ratio: float | None = None
        self.skipped: list[str] = []
        self.tell: Callable[[str], None] = tqdm.write
        self._began = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint: plain values."""
        return {
            name: getattr(self, name) for name in ("rows", "best", "waited", "ratio", "skipped", "criterion")
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Of the checkpoint."""
        for name, value in state_dict.items():
            setattr(self, name, value)
        self.resumed = len(self.rows)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Time runs."""
        self._began = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validate, tell and save."""
        module: TrainingModule = pl_module  # type: ignore[assignment]
        epoch = trainer.current_epoch + 1
        row: Row = {"epoch": epoch, "lr": learning_rate(module.options, epoch - 1)} | module.means()
        found = self._validate(trainer, epoch)
        if found is not None:
            row |= {f"val {name}": value for name, value in found.scores.items()}
        row["seconds"] = round(time.monotonic() - self._began, 3)
        self.rows.append(row)
        better = found is not None and self._better(row)
        if found is not None:
            self.waited = 0 if better else self.waited + 1
            self.skipped = found.skipped
        if better or self.val is None:
            self.best, self.ratio = row, None if found is None else found.ratio
        if trainer.is_global_zero:
            self._write(epoch, better or self.val is None)
            for logger in trainer.loggers:
                logger.log_metrics({key: value for key, value in row.items() if key != "epoch"}, step=epoch)
        trainer.save_checkpoint(self.folder / CHECKPOINT)
        patience = self.config.trainer.early_stop
        if patience is not None and self.waited >= patience:
            trainer.should_stop = True

    def _validate(self, trainer: Trainer, epoch: int) -> Validation | None:
        options = self.config.validation
        last = epoch == self.config.training.epochs
        if self.val is None or not (last or epoch % options.every == 0):
            return None
        device = trainer.strategy.root_device
        runtime = RuntimeOptions(device=str(device), workers=self.config.trainer.workers)
        return validate(self.model, self.data, self.val, options, runtime)

    def _better(self, row: Row) -> bool:
        value = row[f"val {self.criterion}"]
        return math.isfinite(value) and (self.best is None or value > self.best[f"val {self.criterion}"])

    def _write(self, epoch: int, best: bool) -> None:
        for name in [LAST_WEIGHTS, WEIGHTS] if best else [LAST_WEIGHTS]:
            ratio = self.ratio if best else None
            save_model(self.folder / name, self.model, self.config, self.data, epoch=epoch, ratio=ratio)
        write_rows(self.rows, self.folder / METRICS)
        self.tell(_line(self.rows[-1], self.config.training.epochs, self.criterion, best))


def save_model(
    path: Path, model: Model, config: TrainConfig, data: DataSet, *, epoch: int, ratio: float | None
) -> None:
    """Write a trained model with the run that it is from, and what it is to be used with."""
    title = METHODS[config.method].title + (" + TAP" if config.pooling == "tap" else "")
    run = {
        "name": path.parent.name,
        "title": title,
        "seed": config.training.seed,
        "epoch": epoch,
        "epochs": config.training.epochs,
        "data": data.name,
    }
    validation = config.validation
    use = {
        "map": validation.map,
        "threshold": validation.threshold,
        "percentile": (validation.percentile or 90.0) if validation.threshold == "percentile" else None,
        "ratio": ratio,
    }
    save(path, replace(model, run=run, use=use), config.part(ModelOptions), config.part(MethodOptions))


def write_rows(rows: list[Row], path: Path) -> None:
    """A table of the epochs as CSV."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with atomic_write(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


def _line(row: Row, epochs: int | None, criterion: str | None, best: bool) -> str:
    parts = [f"epoch {row['epoch']:g}/{epochs}", f"loss {row['loss']:.4f}"]
    wanted = [name for name in dict.fromkeys((criterion, "MaxBoxAcc", "Top-1 Cls")) if f"val {name}" in row]
    parts += [f"{name} {100 * row[f'val {name}']:.1f}" for name in wanted]
    return " · ".join([*parts, f"{row['seconds']:.0f} s"]) + (" · best so far" if best and criterion else "")
