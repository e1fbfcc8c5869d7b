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

from wsol.data.dataset import DataSet, Split
from wsol.errors import WsolError
from wsol.export.files import atomic_write
from wsol.inference.options import RuntimeOptions
from wsol.methods import METHODS, MethodOptions
from wsol.methods.saved import WEIGHTS, save
from wsol.models import Model, ModelOptions
from wsol.models.weights import needs_code
from wsol.processes import gather
from wsol.training.config import TrainConfig
from wsol.training.directory import CHECKPOINT, LAST_WEIGHTS, METRICS, Row
from wsol.training.module import TrainingModule, learning_rate
from wsol.training.validation import Validation, criterion_of, validate

STATE = {"rows", "best", "waited", "ratio", "unread", "skipped", "criterion"}
"""Attributes of :class:`Epochs` that a checkpoint keeps."""


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that get their name when they are complete, and are read without executing anything."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None
    ) -> None:
        """Write to a temporary name, then rename.

        Raises:
            OSError: it cannot be written.
        """
        with atomic_write(Path(path)) as temporary, temporary.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # in which PyTorch hides a full disk
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from error
                raise

    def load_checkpoint(
        self, path: str | Path, map_location: object = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read tensors and plain values alone.

        Raises:
            WsolError: it is damaged, or holds something else.
        """
        try:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # unpickling damaged data raises anything
            reason = "only tensors and plain values are loaded, never code" if needs_code(error) else error
            raise WsolError(f"{path} cannot be read ({reason}); --overwrite begins anew") from error
        if not isinstance(loaded, dict) or not {"state_dict", "callbacks", "loops"} <= loaded.keys():
            raise WsolError(f"{path} cannot be read (it is no checkpoint); --overwrite begins anew")
        return loaded


class Epochs(Callback):
    """Validates, tells, and saves after each epoch.

    The checkpoint is written first, then the weights: where a run was killed between the two, the weights
    are written when it goes on, from the checkpoint.

    Attributes:
        rows: numbers of the finished epochs.
        best: the row of the epoch that is used: the best by the criterion, without one the last.
        waited: validations since it.
        ratio: τ chosen on val in that epoch; None without boxes or masks.
        unread: reasons of the training images that could not be read, by file.
        skipped: images of val that could not be used.
        resumed: epochs that were finished before this call.
    """

    def __init__(
        self,
        folder: Path,
        model: Model,
        data: DataSet,
        *,
        val: Split | None,
        config: TrainConfig,
        tell: Callable[[str], None],
    ) -> None:
        self.folder, self.model, self.data, self.val, self.config = folder, model, data, val, config
        self.criterion = None if val is None else criterion_of(config.validation, val)
        self.rows: list[Row] = []
        self.best: Row | None = None
        self.resumed = self.waited = 0
        self.ratio: float | None = None
        self.unread: dict[str, str] = {}
        self.skipped: list[str] = []
        self._tell = tell
        self._began = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint: plain values."""
        return {name: getattr(self, name) for name in STATE}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Of the checkpoint."""
        for name in STATE & state_dict.keys():  # and nothing else that a file may name
            setattr(self, name, state_dict[name])
        self.resumed = len(self.rows)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Of a run that goes on: write what may be missing, and end it where it had ended."""
        if self.rows:
            self._tell(f"Goes on after epoch {self.rows[-1]['epoch']:g}.")
            if trainer.is_global_zero:
                self._write()
            self._stop_early(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Time runs."""
        self._began = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validate, tell and save."""
        module: TrainingModule = pl_module  # type: ignore[assignment]
        module.check_weights()
        module.share_statistics()
        epoch = trainer.current_epoch + 1
        row: Row = {"epoch": epoch, "lr": learning_rate(module.options, epoch - 1)} | module.means()
        found = self._validate(trainer, epoch)
        if found is not None:
            row |= {f"val {name}": value for name, value in found.scores.items()}
        row["seconds"] = round(time.monotonic() - self._began, 3)
        self._note(row, found)
        for unread in gather(module.unread):
            self.unread |= unread
        trainer.save_checkpoint(self.folder / CHECKPOINT)
        if trainer.is_global_zero:
            self._write()
            self._tell(_line(row, self.config.training.epochs, self.criterion, row == self.best))
            for logger in trainer.loggers:
                values = {f"epoch/{name}": value for name, value in row.items() if name != "epoch"}
                logger.log_metrics(values, step=trainer.global_step)
        self._stop_early(trainer)

    def _validate(self, trainer: Trainer, epoch: int) -> Validation | None:
        options = self.config.validation
        last = epoch == self.config.training.epochs
        if self.val is None or not (last or epoch % options.every == 0):
            return None
        device = trainer.strategy.root_device
        runtime = RuntimeOptions(device=str(device), workers=self.config.trainer.workers)
        return validate(self.model, self.data, self.val, options, runtime)

    def _note(self, row: Row, found: Validation | None) -> None:
        self.rows.append(row)
        if found is not None:
            self.skipped = found.skipped
        if self.criterion is None:
            self.best = row
        elif found is not None:
            better = self._better(row)
            self.waited = 0 if better else self.waited + 1
            if better:
                self.best, self.ratio = row, found.ratio

    def _better(self, row: Row) -> bool:
        value = row[f"val {self.criterion}"]
        return math.isfinite(value) and (self.best is None or value > self.best[f"val {self.criterion}"])

    def _write(self) -> None:
        """The weights of the last epoch, which may be the best too, and the table."""
        row = self.rows[-1]
        best = self.best is not None and self.best["epoch"] == row["epoch"]
        for name in [LAST_WEIGHTS, WEIGHTS] if best else [LAST_WEIGHTS]:
            use = use_of(self.config, self.val, self.ratio if best else None)
            save_model(
                self.folder / name, self.model, self.config, self.data, epoch=int(row["epoch"]), use=use
            )
        write_rows(self.rows, self.folder / METRICS)

    def _stop_early(self, trainer: Trainer) -> None:
        patience = self.config.trainer.early_stop
        if patience is not None and self.waited >= patience:
            trainer.should_stop = True


def use_of(config: TrainConfig, val: Split | None, ratio: float | None) -> dict[str, Any]:
    """Map and threshold that a trained model is used with; see :class:`wsol.models.Model`."""
    threshold, percentile = config.validation.standard("boxes" if val is None else val.truth)
    return {"map": config.validation.map, "threshold": threshold, "percentile": percentile, "ratio": ratio}


def save_model(
    path: Path, model: Model, config: TrainConfig, data: DataSet, *, epoch: int, use: dict[str, Any]
) -> None:
    """Write a trained model with the run that it is from, and what it is to be used with."""
    run = {
        "name": path.parent.name,
        "title": METHODS[config.method].title + (" + TAP" if config.pooling == "tap" else ""),
        "seed": config.training.seed,
        "epoch": epoch,
        "epochs": config.training.epochs,
        "data": data.name,
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
