"""The run directory: what a training is made from, and what came of it."""

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from wsol.data.dataset import DataSet, Split
from wsol.errors import DataError, UsageError
from wsol.export.files import atomic_write, is_left, open_folder, remove_left
from wsol.inference.run import versions
from wsol.methods import METHODS
from wsol.methods.saved import WEIGHTS
from wsol.models import Classes
from wsol.models.classes import numbered_classes
from wsol.training.advice import advise, find_duplicates
from wsol.training.config import TrainConfig
from wsol.training.recipes import differences, read_config, write_config
from wsol.typed import relied_on, typed

log = logging.getLogger("wsol")

CONFIG = "config.yaml"
RUN = "run.json"
METRICS = "metrics.csv"
LAST_WEIGHTS = "last.safetensors"
CHECKPOINT = "last.ckpt"

OURS = (
    CONFIG,
    METRICS,
    WEIGHTS,
    LAST_WEIGHTS,
    CHECKPOINT,
    "step*",
    "erased*.npy",
    "tensorboard",
    "wandb",
    RUN,
)
"""What a training writes, which alone it replaces; last what tells that the folder is its own."""

MAY_CHANGE = (
    "output",
    "overwrite",
    "trainer.accelerator",
    "trainer.workers",
    "trainer.loggers",
    "training.cache",
)
"""Fields in which the configuration of a run that goes on may differ."""

CAME = ("rows", "best", "criterion", "ratio", "balanced_ratio", "warnings", "skipped")
"""Fields of a finished run that its file keeps."""

Row = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished training.

    Attributes:
        folder: the run directory.
        rows: numbers of each epoch, as in its metrics.csv.
        best: the row of the epoch whose weights are used.
        criterion: by which it was chosen; None where there was nothing to choose by: it is the last.
        ratio: τ chosen on val, of one plain pass.
        balanced_ratio: the same of the preset balanced.
        warnings: what the data made worth saying before it began.
        skipped: "where: reason" of each image that could not be used.
        trained: epochs of this call; 0 if the run was finished before.
    """

    folder: Path
    rows: Sequence[Row]
    best: Row
    criterion: str | None
    ratio: float | None
    balanced_ratio: float | None
    warnings: Sequence[str]
    skipped: Sequence[str]
    trained: int


@dataclass(frozen=True)
class Parts:
    """The splits of a training.

    Attributes:
        data: the data set.
        train: trained on.
        val: measured on; None if there is none.
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


def prepare(folder: Path, config: TrainConfig, parts: Parts) -> None:
    """Make the run directory ready: without a training, or with the same one. For one process alone.

    Raises:
        UsageError: it holds something else, or a training of other settings.
        DataError: it holds one of other data.
        WsolError: nothing can be written there.
    """
    if (folder / RUN).is_file():
        if config.overwrite or not _has_something(folder):
            _clear(folder)
        else:
            _check_same(folder, config, parts)
    elif folder.exists() and (not folder.is_dir() or any(not is_left(path) for path in folder.iterdir())):
        raise UsageError(f"{folder} is there already, and not from wsol train; choose another --output")
    open_folder(folder)
    remove_left(folder)


def _has_something(folder: Path) -> bool:
    """Whether an epoch has finished; of AE's steps, any."""
    return any(any(folder.rglob(name)) for name in (WEIGHTS, LAST_WEIGHTS, CHECKPOINT))


def _clear(folder: Path) -> None:
    for path in [path for name in OURS for path in folder.glob(name)]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _check_same(folder: Path, config: TrainConfig, parts: Parts) -> None:
    if read_run(folder)["data"]["fingerprints"] != _fingerprints(parts):
        raise DataError(
            f"{folder}: the images or labels of {parts.data.name} are others now than when this training "
            "began; choose another --output, or say --overwrite"
        )
    before = differences(read_config(folder / CONFIG), config)
    if changed := [line for line in before if not line.startswith(MAY_CHANGE)]:
        raise UsageError(
            f"{folder} holds a training of other settings ({'; '.join(changed)}: there, now). Go on "
            f"with its own (--config {folder / CONFIG}), choose another --output, or say --overwrite"
        )


def _fingerprints(parts: Parts) -> dict[str, str]:
    return {split.name: split.fingerprint for split in (parts.train, parts.val) if split}


def record(folder: Path, config: TrainConfig, parts: Parts, told: list[str] | None = None) -> list[str]:
    """Write what the run is made from: configuration, data, versions, state of the code.

    Args:
        folder: the run directory; of a run that goes on, this call is noted.
        config: resolved.
        parts: the splits.
        told: what the data makes worth saying, where that is known.

    Returns:
        That; it is logged the first time.

    Raises:
        DataError: the data cannot be trained on.
    """
    call = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "versions": versions() | {name: version(name) for name in ("torchvision", "lightning")},
        "git": _git(),
    }
    if (folder / RUN).is_file():
        values = read_run(folder)
        values["calls"].append(call)
    else:
        if told is None:
            told = advise(parts.train, parts.val, parts.classes.names, find_duplicates(parts))
            for line in told:
                log.warning(line)
        values = {
            "status": "begun",
            "method": METHODS[config.method].title,
            "data": _about(parts),
            "warnings": told,
            "calls": [call],
        }
    _write_json(folder / RUN, values)
    write_config(replace(config, overwrite=False), folder / CONFIG)
    warnings: list[str] = values["warnings"]
    return warnings


def _about(parts: Parts) -> dict[str, Any]:
    held_out = [example.id for example in parts.val.examples] if parts.val and parts.held_out else []
    return {
        "name": parts.data.name,
        "format": parts.data.format,
        "images": len(parts.train.examples),
        "classes": len(parts.classes.names),
        "fingerprints": _fingerprints(parts),
        "held_out": held_out,
    }


def read_run(folder: Path) -> dict[str, Any]:
    """What :func:`record` and :func:`finish` wrote.

    Raises:
        DataError: it is damaged.
    """
    try:
        values = json.loads((folder / RUN).read_text(encoding="utf-8"))
        known: dict[str, Any] = typed(dict[str, Any], values, "the file")
        relied_on(Finished if known.get("status") == "finished" else Begun, known, "the file")
    except (OSError, RecursionError, ValueError) as error:
        raise DataError(f"{folder / RUN} is no record of a training: {error}") from error
    return known


@dataclass(frozen=True, kw_only=True)
class Begun:
    """What is relied on of the record of a training."""

    status: str
    data: dict[str, Any]
    warnings: tuple[str, ...]
    calls: tuple[dict[str, Any], ...]

    def __post_init__(self) -> None:
        typed(dict[str, str], self.data.get("fingerprints"), "data.fingerprints")


@dataclass(frozen=True, kw_only=True)
class Finished(Begun):
    """The same of one that is done."""

    rows: tuple[Row, ...]
    best: Row
    criterion: str | None
    ratio: float | None
    balanced_ratio: float | None = None  # runs of older versions have none
    skipped: tuple[str, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not {"epoch", "step"} & self.best.keys():
            raise ValueError("best tells no epoch")


def finished(folder: Path) -> Run | None:
    """The run in a folder, if it is done."""
    if not (folder / RUN).is_file():
        return None
    known = read_run(folder)
    if known["status"] != "finished":
        return None
    came: dict[str, Any] = {"balanced_ratio": None} | known  # runs of older versions have none
    return Run(folder=folder, trained=0, **{name: came[name] for name in CAME})


def finish(run: Run) -> None:
    """Note that a run is done, and what came of it."""
    ended = {"status": "finished", "ended": datetime.now(UTC).isoformat(timespec="seconds")}
    _write_json(run.folder / RUN, read_run(run.folder) | ended | {name: getattr(run, name) for name in CAME})


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
