"""What can be chosen about training: one typed definition for Python, YAML and the command line.

The fields of :class:`TrainConfig` are the keys of a recipe and the options of ``wsol train``: ``backbone``
is ``backbone:`` and ``--backbone``; ``training.epochs`` is ``epochs:`` under ``training:`` and
``--training.epochs``.
"""

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeVar, get_args

import torch

from wsol.inference.options import Precision
from wsol.maps import MapKind
from wsol.methods import METHODS, MethodOptions, check
from wsol.models import ModelOptions
from wsol.models.papers import PAPERS

Part = TypeVar("Part")

Augmentation = Literal["protocol", "crops", "none"]
Schedule = Literal["cosine", "step", "constant"]
Cache = Literal["auto", "memory", "none"]
Criterion = Literal["auto", "MaxBoxAccV2", "MaxBoxAcc", "Top-1 Loc", "PxAP", "Top-1 Cls"]
Logger = Literal["tensorboard", "wandb"]


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """What to train on.

    Attributes:
        data: data set: a folder, COCO file or CSV table; of folders of images by class, labels are enough;
            default: synthetic, the built-in set of drawn objects.
        images: its images; default: images/ in it.
        metadata: its tables; default: metadata/ in it, with train/, val/, test/.
        masks: its masks; default: masks/ in it.
        train_split: the split to train on; train-proxy is ImageNet's small one.
        val_split: the split that epochs are measured on; where the data has none, a part of the training
            images is split off.
        val_share: how large a part, in [0, 1); 0 holds nothing out.
    """

    data: str = "synthetic"
    images: str | None = None
    metadata: str | None = None
    masks: str | None = None
    train_split: str = "train"
    val_split: str = "val"
    val_share: float = 0.2

    def __post_init__(self) -> None:
        if not 0 <= self.val_share < 1:
            raise ValueError(f"val_share must be in [0, 1), got {self.val_share}")
        if self.train_split == self.val_split:
            raise ValueError(f"train_split and val_split are both {self.train_split!r}")
        if "test" in (self.train_split, self.val_split):
            raise ValueError("nothing is trained or chosen on test")


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How the network learns.

    Attributes:
        epochs: passes over the training images; default: by their number, 8 to 30.
        batch_size: images in a batch, on each device; default: 32, fewer for less than 256 images.
        learning_rate: of SGD with Nesterov momentum; default: 0.01 for 32 images a step (on all devices), in
            proportion; a fifth of that with TAP, a tenth for spg, 0.3 of it for acol.
        head_multiplier: the learning rate of the head is this many times as high.
        head_layers: prefixes of the parameters' names that are the head; default: every layer that no
            pretrained weights were loaded into, and the linear layer.
        trunk_gradient: gradients of what is not the head are scaled by this before weight decay is added.
        momentum: of SGD.
        weight_decay: on all parameters.
        schedule: cosine to 0, step (by decay_epochs or decay_every), or constant.
        decay_epochs: of schedule step: epochs, counted from 1, at whose start the learning rate falls.
        decay_every: of schedule step: it falls at the start of epochs n, 2n, 3n, counted from 1.
        decay_factor: to this part of what it was.
        ramp_epochs: the learning rate rises linearly over so many epochs at first.
        clip: largest norm of all gradients together; default: none.
        augmentation: protocol (resized to 8/7 of the input without keeping the aspect, random crop, flip),
            crops (random resized crop, flip, brightness and contrast), or none (resized to the input).
        balanced: draw images so that all classes come equally often.
        cache: keep the resized images in memory: auto does where they take less than 1 GiB.
        seed: of everything random.
    """

    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    head_multiplier: float = 10.0
    head_layers: tuple[str, ...] | None = None
    trunk_gradient: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: Schedule = "cosine"
    decay_epochs: tuple[int, ...] = ()
    decay_every: int | None = None
    decay_factor: float = 0.1
    ramp_epochs: float = 0.0
    clip: float | None = None
    augmentation: Augmentation = "protocol"
    balanced: bool = False
    cache: Cache = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        _check_choices(self, schedule=Schedule, augmentation=Augmentation, cache=Cache)
        _check_least(self, 1, "epochs", "batch_size")
        _check_least(self, 2, "decay_every")
        _check_least(
            self,
            0,
            "learning_rate",
            "head_multiplier",
            "trunk_gradient",
            "weight_decay",
            "ramp_epochs",
            "seed",
        )
        if self.seed >= 2**32:
            raise ValueError(f"seed must be below 2**32, got {self.seed}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip must be above 0, got {self.clip}")
        if not 0 < self.decay_factor <= 1:
            raise ValueError(f"decay_factor must be in (0, 1], got {self.decay_factor}")
        if self.decay_epochs and self.decay_every is not None:
            raise ValueError("decay_epochs and decay_every: give one of them")
        if (bool(self.decay_epochs) or self.decay_every is not None) != (self.schedule == "step"):
            raise ValueError(
                f"schedule 'step' and decay_epochs or decay_every go together; schedule is {self.schedule!r}"
            )
        if any(epoch < 2 for epoch in self.decay_epochs):
            raise ValueError(f"decay_epochs are counted from 1 and begin at 2, got {self.decay_epochs}")


@dataclass(frozen=True, kw_only=True)
class TrainerOptions:
    """On which machine, and what is told meanwhile; the result stays the same, but for rounding.

    Attributes:
        accelerator: auto (a GPU if there is one), cpu, or cuda.
        devices: on each node: their number, or auto (all GPUs).
        nodes: machines; under torchrun or SLURM their processes find each other.
        precision: float32, or mixed with bfloat16 or float16.
        accumulate: batches before each step of the optimizer.
        channels_last: memory layout, faster on most machines.
        deterministic: only algorithms that give the same result each time, where there are any.
        workers: reading processes on each device; default: one less than there are cores, at most 8.
        loggers: tensorboard and wandb, beside metrics.csv, which is always written.
        early_stop: end after so many validations without a better one by validation.criterion; default:
            never.
    """

    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int | Literal["auto"] = 1
    nodes: int = 1
    precision: Precision = "float32"
    accumulate: int = 1
    channels_last: bool = True
    deterministic: bool = True
    workers: int | None = None
    loggers: tuple[Logger, ...] = ()
    early_stop: int | None = None

    def __post_init__(self) -> None:
        _check_choices(self, accelerator=Literal["auto", "cpu", "cuda"], precision=Precision)
        _check_least(self, 1, "nodes", "accumulate", "early_stop")
        _check_least(self, 0, "workers")
        if self.devices != "auto":
            _check_least(self, 1, "devices")
        if unknown := set(self.loggers) - set(get_args(Logger)):
            raise ValueError(f"loggers must be of {get_args(Logger)}, got {', '.join(sorted(unknown))}")


@dataclass(frozen=True, kw_only=True)
class ValidationOptions:
    """How epochs are compared, on val; test is never looked at.

    Attributes:
        every: validate after every n-th epoch, and after the last.
        criterion: the best epoch has the highest: auto is MaxBoxAccV2 where val has boxes, PxAP where it has
            masks; with neither the last epoch is used, for accuracy does not tell how well it localises.
        map: the map that is measured, and that the trained model is used with.
        threshold: what τ is a share of: max, or percentile.
        percentile: which percentile, in [0, 100]; default 90.
    """

    every: int = 1
    criterion: Criterion = "auto"
    map: MapKind = "cam"
    threshold: Literal["max", "percentile"] = "max"
    percentile: float | None = None

    def __post_init__(self) -> None:
        _check_choices(self, criterion=Criterion, map=MapKind, threshold=Literal["max", "percentile"])
        _check_least(self, 1, "every")
        if self.percentile is not None and (self.threshold == "max" or not 0 <= self.percentile <= 100):
            raise ValueError(
                "percentile is for threshold 'percentile' and in [0, 100], "
                f"got {self.percentile} with threshold {self.threshold!r}"
            )

    def standard(self, truth: str) -> tuple[Literal["max", "percentile"], float | None]:
        """What τ is a share of, and which percentile; against masks τ is the map's own value."""
        if self.threshold == "max" or truth == "masks":
            return "max", None
        return "percentile", 90.0 if self.percentile is None else float(self.percentile)


@dataclass(frozen=True, kw_only=True)
class TrainConfig(DataOptions, ModelOptions, MethodOptions):
    """A whole training.

    Attributes:
        output: folder of the run; default: a name of its own in runs/.
        overwrite: replace the run that is there, instead of going on with it.
        training: how the network learns.
        trainer: on which machine.
        validation: how epochs are compared.
    """

    output: str | None = None
    overwrite: bool = False
    training: TrainingOptions = field(default_factory=TrainingOptions)
    trainer: TrainerOptions = field(default_factory=TrainerOptions)
    validation: ValidationOptions = field(default_factory=ValidationOptions)

    def __post_init__(self) -> None:
        for part in (DataOptions, ModelOptions, MethodOptions):
            part.__post_init__(self)
        if self.classes is not None:
            raise ValueError("classes come from the data; classes is for using a checkpoint")
        check(self.method, pooling=self.pooling, map=self.validation.map)

    def part(self, kind: type[Part]) -> Part:
        """The fields of one of the dataclasses that this one is made of."""
        return kind(**{each.name: getattr(self, each.name) for each in fields(kind)})  # type: ignore[arg-type]

    def resolved(self, images: int) -> "TrainConfig":
        """With a number wherever the default depends on the number of training images, or on the backbone."""
        training = self.training
        batch = training.batch_size or max(2, min(32, images // 8))
        devices = torch.cuda.device_count() if self.trainer.devices == "auto" else self.trainer.devices
        step = batch * max(1, devices) * self.trainer.nodes * self.trainer.accumulate  # images
        rate = training.learning_rate
        epochs = training.epochs or max(8, min(30, round(4000 / images)))
        bridging = self.bridging
        if self.method == "bridging":
            papers = self.backbone in PAPERS
            bridging = (
                bridging.with_published() if papers else bridging.with_searched(images=images, epochs=epochs)
            )
        return replace(
            self,
            bridging=bridging,
            training=replace(
                training,
                epochs=epochs,
                batch_size=batch,
                learning_rate=_usual_rate(self) * step / 32 if rate is None else rate,
            ),
        )


def _usual_rate(config: TrainConfig) -> float:
    """For 32 images a step: TAP pools several times what GAP pools, and new heads begin with large losses."""
    return 0.01 * METHODS[config.method].rate * (0.2 if config.pooling == "tap" else 1)


def _check_choices(options: object, **choices: Any) -> None:  # noqa: ANN401
    for name, kind in choices.items():
        if getattr(options, name) not in get_args(kind):
            raise ValueError(f"{name} must be one of {get_args(kind)}, got {getattr(options, name)!r}")


def _check_least(options: object, least: float, *names: str) -> None:
    for name in names:
        value = getattr(options, name)
        if value is not None and not (math.isfinite(value) and value >= least):
            raise ValueError(f"{name} must be at least {least}, got {value}")
