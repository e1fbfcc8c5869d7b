"""A method as Lightning trains it: batches, losses, parameter groups, and the learning rate at each step."""

import math
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, distributed, nn
from torch.optim import SGD
from torch.utils.data import DataLoader

from wsol.errors import UsageError, WsolError
from wsol.methods import Batch, Method
from wsol.models import Model
from wsol.training.config import TrainConfig, TrainingOptions
from wsol.training.data import Images, TrainingImages, derive, epoch_batches, load

LOOK = 20
"""Steps between two looks at whether the loss is finite, on a GPU, which would have to wait."""


class TrainingModule(LightningModule):
    """Trains a method.

    All that is random in a step is drawn from a generator whose seed is (seed, epoch, step, process), and
    the learning rate is a function of the step: a run that goes on after a finished epoch is the same.

    Args:
        method: what is trained.
        model: its transform.
        trunk: pretrained parameters; all others are the head.
        images: of the training split.
        config: resolved.

    Attributes:
        unread: reasons of the images that could not be read, by file.
        sums: of each term over the epoch's steps; ``steps`` counts them.
        weights: of this process's part of each batch (:meth:`train_dataloader`).
    """

    def __init__(
        self,
        method: Method,
        model: Model,
        trunk: set[nn.Parameter],
        images: TrainingImages,
        config: TrainConfig,
    ) -> None:
        super().__init__()
        self.method = method
        self.config = config
        self.images = images
        self.unread: dict[str, str] = {}
        self.sums: dict[str, Tensor] = {}
        self.steps = 0
        self.weights: list[float] = []
        self._trunk = trunk
        self._labels = [example.label for example in images.examples]
        self._mean, self._std = (
            255 * torch.tensor(values)[:, None, None] for values in (model.mean, model.std)
        )

    @property
    def options(self) -> TrainingOptions:
        """How the network learns."""
        return self.config.training

    def train_dataloader(self) -> DataLoader[Any]:
        """A loader of this epoch; Lightning asks for a new one each epoch.

        Gradients are averaged over processes: a part of n of a batch's N images weighs n · processes / N, so
        that the step is that of the whole batch.
        """
        rank, world = self.trainer.global_rank, self.trainer.world_size
        batch_size = self.method.epoch_batch_size(
            self.current_epoch + 1, cast("int", self.options.batch_size)
        )
        batches = epoch_batches(
            self._labels,
            epoch=self.current_epoch,
            batch_size=batch_size,
            seed=self.options.seed,
            balanced=self.options.balanced,
            world=world,
        )
        parts = [batch[rank::world] for batch in batches]
        self.weights = [len(part) * world / len(batch) for part, batch in zip(parts, batches, strict=True)]
        return load(
            self.images,
            parts,
            workers=self.config.trainer.workers,
            pin=self.trainer.strategy.root_device.type == "cuda",
        )

    def configure_optimizers(self) -> SGD:
        """Head and trunk as groups; the learning rate is set at each step."""
        options = self.options
        parameters = list(self.method.parameters())
        groups = [
            {
                "params": [each for each in parameters if each in self._trunk],
                "multiplier": 1.0,
                "name": "trunk",
            },
            {
                "params": [each for each in parameters if each not in self._trunk],
                "multiplier": options.head_multiplier,
                "name": "head",
            },
        ]
        return SGD(
            [group for group in groups if group["params"]],
            lr=0.0,
            momentum=options.momentum,
            nesterov=options.momentum > 0,
            weight_decay=options.weight_decay,
        )

    def on_train_epoch_start(self) -> None:
        """Begin the epoch's sums."""
        self.sums, self.steps = {}, 0

    def on_train_batch_start(self, batch: Images, batch_idx: int) -> None:
        """Set the learning rate."""
        total = max(1, int(self.trainer.num_training_batches))
        rate = learning_rate(self.options, self.current_epoch + batch_idx / total)
        for group in self.optimizers(use_pl_optimizer=False).param_groups:  # type: ignore[union-attr]
            group["lr"] = rate * group["multiplier"]
        self.log("lr", rate, prog_bar=True)

    def training_step(self, batch: Images, batch_idx: int) -> Tensor:
        """The loss of a batch."""
        for error in batch.errors:
            self.unread[error.path] = error.reason
        seed = derive(self.options.seed, self.current_epoch, batch_idx, self.global_rank)
        torch.manual_seed(seed)  # for dropout layers
        generator = torch.Generator(self.device).manual_seed(seed)
        images = (batch.images.float() - self._mean.to(self.device)) / self._std.to(self.device)
        if self.config.trainer.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        changed = self.method.transform_batch(Batch(images=images, labels=batch.labels), generator)
        terms = self.method.losses(changed, epoch=self.current_epoch + 1, generator=generator)
        loss = torch.stack(list(terms.values())).sum()
        self._note(terms | {"loss": loss}, batch_idx)
        return loss * self.weights[batch_idx]

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Scale the trunk's gradients, before weight decay is added (Rethinking CAM)."""
        scale = self.options.trunk_gradient
        if scale == 1:
            return
        for group in optimizer.param_groups:
            if group["name"] == "trunk":
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        parameter.grad.mul_(scale)

    def means(self) -> dict[str, float]:
        """Mean of each term over the epoch's steps, of all processes."""
        names = sorted(self.sums)
        values = torch.stack([self.sums[name] for name in names]) / max(1, self.steps)
        if self.trainer.world_size > 1:
            values = cast("Tensor", self.all_gather(values)).mean(dim=0)
        return dict(zip(names, values.tolist(), strict=True))

    def check_weights(self) -> None:
        """Make sure, after an epoch, that what will be saved are numbers; all processes have the same.

        Raises:
            WsolError: they are not.
        """
        values = [*self.method.parameters(), *self.method.buffers()]
        if not all(bool(each.isfinite().all()) for each in values):
            raise WsolError(self._advice("weights are not finite", self.steps))

    def share_statistics(self) -> None:
        """Give all processes the batch norms' running statistics of the first, whose weights are saved."""
        if self.trainer.world_size > 1:
            for buffer in self.method.buffers():
                distributed.broadcast(buffer, 0)

    def _note(self, terms: dict[str, Tensor], batch_idx: int) -> None:
        for name, term in terms.items():
            value = term.detach().float()
            part = value * self.weights[batch_idx]
            self.sums[name] = self.sums[name] + part if name in self.sums else part
            self.log(name, value, prog_bar=True)
        self.steps += 1
        if (self.device.type == "cpu" or batch_idx % LOOK == 0) and not self.sums["loss"].isfinite():
            told = ", ".join(f"{name} {value.item():.3g}" for name, value in terms.items())
            raise WsolError(self._advice(f"the loss is not finite ({told})", batch_idx + 1))

    def _advice(self, what: str, step: int) -> str:
        return (
            f"epoch {self.current_epoch + 1}, step {step}: {what}. A lower learning rate than "
            f"{self.options.learning_rate:g} (--training.learning-rate), a ramp (--training.ramp-epochs 1), "
            "or clipped gradients (--training.clip 1) may help. What was saved before is whole."
        )


def learning_rate(options: TrainingOptions, at: float) -> float:
    """The learning rate of the trunk at a point of the training.

    Args:
        options: resolved.
        at: epochs done, a fraction within an epoch.
    """
    epochs, rate = cast("int", options.epochs), cast("float", options.learning_rate)
    epoch = math.floor(at) + 1  # counted from 1, as drops are
    match options.schedule:
        case "cosine":
            rate *= 0.5 * (1 + math.cos(math.pi * min(1.0, at / epochs)))
        case "step":
            every = options.decay_every
            drops = epoch // every if every else sum(epoch >= drop for drop in options.decay_epochs)
            rate *= options.decay_factor**drops
        case "constant":
            pass
    return rate * min(1.0, at / options.ramp_epochs) if at < options.ramp_epochs else rate


def trunk_of(model: Model, options: TrainingOptions) -> set[nn.Parameter]:
    """The parameters that are not the head, before a method adapts the model.

    Raises:
        UsageError: a prefix of ``head_layers`` that no parameter has.
    """
    named = dict(model.classifier.network.named_parameters())
    head = model.head if options.head_layers is None else options.head_layers
    for prefix in head:
        if not any(name.startswith(prefix) for name in named):
            known = ", ".join(dict.fromkeys(name.split(".")[0] for name in named))
            raise UsageError(f"training.head_layers: no parameter begins with {prefix!r}; there are {known}")
    return {parameter for name, parameter in named.items() if not name.startswith(tuple(head))}
