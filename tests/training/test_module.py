"""Learning rates, parameter groups, and what a step does."""

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.methods.toys import small
from wsol.data.dataset import DataSet
from wsol.errors import ImageError, UsageError, WsolError
from wsol.methods import Batch, Method
from wsol.models import Classifier, Model, ModelOptions, build
from wsol.models.classes import numbered_classes
from wsol.models.papers import build_paper_network
from wsol.training.config import TrainConfig, TrainerOptions, TrainingOptions
from wsol.training.data import Images, TrainingImages
from wsol.training.module import TrainingModule, learning_rate, trunk_of

SOLVED = {"epochs": 10, "batch_size": 4, "learning_rate": 0.8}


def rates(at: list[float], **options: Any) -> list[float]:
    given = TrainingOptions(**(SOLVED | options))
    return [round(learning_rate(given, each), 9) for each in at]


def test_constant() -> None:
    assert rates([0, 3.3, 9.9], schedule="constant") == [0.8, 0.8, 0.8]


def test_cosine_ends_at_zero() -> None:
    """½ (1 + cos 60°) = ¾, ½ (1 + cos 90°) = ½, ½ (1 + cos 120°) = ¼."""
    assert rates([0, 10 / 3, 5, 20 / 3, 10]) == [0.8, 0.6, 0.4, 0.2, 0.0]


def test_steps_fall_at_the_start_of_the_named_epochs() -> None:
    """Epoch 4, counted from 1, begins when 3 are done."""
    step: dict[str, Any] = {"schedule": "step", "decay_epochs": (4, 6), "decay_factor": 0.5}
    assert rates([0, 2.99, 3, 4.99, 5, 9.9], **step) == [0.8, 0.8, 0.4, 0.4, 0.2, 0.2]
    late: dict[str, Any] = {"schedule": "step", "decay_epochs": (2, 31), "decay_factor": 0.1}
    assert rates([0.5, 1, 9], **late) == [0.8, 0.08, 0.08]


def test_steps_at_every_nth_epoch() -> None:
    """Of 3: at the start of epochs 3, 6 and 9."""
    step: dict[str, Any] = {"schedule": "step", "decay_every": 3, "decay_factor": 0.5}
    assert rates([0, 1.9, 2, 4.9, 5, 7.9, 8], **step) == [0.8, 0.8, 0.4, 0.4, 0.2, 0.2, 0.1]


def test_the_ramp_rises_linearly() -> None:
    found = rates([0, 0.5, 1, 1.5, 2, 7], schedule="constant", ramp_epochs=2)
    assert found == [0, 0.2, 0.4, 0.6, 0.8, 0.8]
    half = rates([0.25, 0.5], ramp_epochs=0.5)
    cosine = [0.4 * (1 + math.cos(math.pi * at / 10)) for at in (0.25, 0.5)]
    assert half == [round(cosine[0] / 2, 9), round(cosine[1], 9)]


def names_in(model: Model, parameters: set[nn.Parameter]) -> set[str]:
    named = model.classifier.network.named_parameters()
    return {name for name, parameter in named if parameter in parameters}


def of(backbone: str, **options: Any) -> Model:
    return build(ModelOptions(backbone=backbone, **options), pretrained=False, num_classes=3)


def head_of(model: Model, **options: Any) -> set[str]:
    every = {name for name, _ in model.classifier.network.named_parameters()}
    return every - names_in(model, trunk_of(model, TrainingOptions(**options)))


def test_the_head_of_each_network() -> None:
    lite = of("efficientnet_lite0", input_size=64)
    assert head_of(lite) == {"classifier.weight", "classifier.bias"}
    assert head_of(of("test_resnet", input_size=64)) == {"fc.weight", "fc.bias"}
    with torch.device("meta"):  # nothing of the weights is looked at
        vgg = paper_model("vgg16_cam")
    new = {"features.31.weight", "features.31.bias", "head.fc.weight", "head.fc.bias"}
    assert head_of(vgg) == new
    assert head_of(vgg, head_layers=("head.",)) == {"head.fc.weight", "head.fc.bias"}
    assert head_of(vgg, head_layers=()) == set()


def test_head_layers_are_prefixes() -> None:
    with torch.device("meta"):
        resnet = paper_model("resnet50_cam")
    found = head_of(resnet, head_layers=("layer4.", "fc."))
    # 3 convolutions with a norm of 2 in each of 3 blocks, a shortcut of 3, and the linear layer
    assert len(found) == 3 * 3 * 3 + 3 + 2
    assert all(name.startswith(("layer4.", "fc.")) for name in found)
    with pytest.raises(
        UsageError, match=r"training.head_layers: no parameter begins with 'layer5\.'"
    ) as told:
        trunk_of(resnet, TrainingOptions(head_layers=("fc.", "layer5.")))
    assert "there are conv1, bn1, layer1, layer2, layer3, layer4, fc" in str(told.value)


def paper_model(backbone: str) -> Model:
    """A network of the papers without the checks of :func:`build`, which look at weights."""
    classifier = Classifier(build_paper_network(backbone, num_classes=3)[0])
    return toy_model(classifier, backbone)


def toy_model(classifier: Classifier, name: str = "toy") -> Model:
    return Model(
        classifier=classifier,
        classes=numbered_classes(classifier.num_classes),
        name=name,
        weights="random",
        trained=False,
        input_size=(8, 8),
        mean=(0.5, 0.25, 0.0),
        std=(0.5, 0.5, 1.0),
    )


class Alone(TrainingModule):
    """Without a trainer: epoch and optimizer are given, and nothing is logged."""

    at = 0
    optimizer: torch.optim.SGD
    trainer: Any = SimpleNamespace(num_training_batches=4, world_size=1)

    @property
    def current_epoch(self) -> int:
        return self.at

    @property
    def global_rank(self) -> int:
        return 0

    def optimizers(self, use_pl_optimizer: bool = True) -> Any:
        return self.optimizer

    def log(self, *_: Any, **__: Any) -> None:
        pass


Make = Callable[..., Alone]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def module(method: Method, trunk: set[nn.Parameter], **options: Any) -> Alone:
        config = TrainConfig(
            training=TrainingOptions(**(SOLVED | options)), trainer=TrainerOptions(channels_last=False)
        )
        data = DataSet("toy", "folder", tmp_path, None, (), {}, upright=True)
        images = TrainingImages(data, (), (8, 8), augmentation="none", seed=0)
        made = Alone(method, toy_model(method.classifier), trunk, images, config)
        made.weights = [1.0] * 5
        return made

    return module


def parts(classifier: Classifier) -> tuple[set[nn.Parameter], list[nn.Parameter]]:
    head = list(classifier.linear.parameters())
    return {each for each in classifier.parameters() if not any(each is one for one in head)}, head


def batch() -> Images:
    generator = torch.Generator().manual_seed(2)
    pixels = torch.randint(0, 256, (4, 3, 8, 8), generator=generator, dtype=torch.uint8)
    return Images(pixels, torch.tensor([0, 1, 2, 0]), [])


def test_rates_of_both_groups_at_each_step(make: Make) -> None:
    classifier = small()
    trunk, head = parts(classifier)
    module = make(Method(classifier), trunk, head_multiplier=5.0, ramp_epochs=2)
    module.at, module.optimizer = 1, module.configure_optimizers()
    module.on_train_batch_start(batch(), 2)
    groups = {group["name"]: group for group in module.optimizer.param_groups}
    rate = 0.4 * (1 + math.cos(math.pi * 0.15)) * 0.75  # one and a half of ten epochs, of two of the ramp
    assert groups["trunk"]["lr"] == pytest.approx(rate)
    assert groups["head"]["lr"] == pytest.approx(5 * rate)
    assert set(groups["trunk"]["params"]) == trunk and set(groups["head"]["params"]) == set(head)
    new = make(Method(classifier), set())
    assert [group["name"] for group in new.configure_optimizers().param_groups] == ["head"]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_two_steps_against_the_formula_of_sgd(make: Make, momentum: float) -> None:
    """g ← s·∂L + λ·w, v ← μ·v + g, w ← w − η·(g + μ·v); s and η differ between trunk and head."""
    classifier = small()
    other = copy.deepcopy(classifier)
    trunk, _ = parts(classifier)
    options = {"momentum": momentum, "weight_decay": 0.03, "trunk_gradient": 0.1, "head_multiplier": 2.0}
    module = make(Method(classifier), trunk, **options)
    optimizer = module.configure_optimizers()
    velocity = [torch.zeros_like(each) for each in other.parameters()]
    mean = torch.tensor([127.5, 63.75, 0.0])[:, None, None]
    std = torch.tensor([127.5, 127.5, 255.0])[:, None, None]
    for _ in range(2):
        for group in optimizer.param_groups:
            group["lr"] = 0.2 * group["multiplier"]
        optimizer.zero_grad()
        module.training_step(batch(), 0).backward()  # type: ignore[no-untyped-call]
        module.on_before_optimizer_step(optimizer)
        optimizer.step()

        loss = nn.functional.cross_entropy(other((batch().images - mean) / std)[1], batch().labels)
        gradients = torch.autograd.grad(loss, list(other.parameters()))
        with torch.no_grad():
            for place, (mine, theirs) in enumerate(
                zip(other.parameters(), classifier.parameters(), strict=True)
            ):
                scale, rate = (0.1, 0.2) if theirs in trunk else (1.0, 0.4)
                g = scale * gradients[place] + 0.03 * mine
                velocity[place] = momentum * velocity[place] + g
                mine.sub_(rate * (g + momentum * velocity[place]))
    for mine, theirs in zip(other.parameters(), classifier.parameters(), strict=True):
        torch.testing.assert_close(theirs, mine, rtol=1e-4, atol=1e-6)


class Terms(Method):
    """Losses that are given, and draws that are told."""

    def __init__(self, **terms: float) -> None:
        super().__init__(small())
        self.terms = terms
        self.seen: list[tuple[int, float]] = []

    def losses(self, batch: Batch, *, epoch: int, generator: torch.Generator) -> dict[str, Tensor]:
        self.seen.append((epoch, float(torch.rand((), generator=generator))))
        return {name: torch.tensor(value) for name, value in self.terms.items()}


def test_terms_are_added_and_their_means_told(make: Make) -> None:
    method = Terms(a=1.0, b=0.5)
    module = make(method, set())
    module.on_train_epoch_start()
    assert float(module.training_step(batch(), 0)) == 1.5
    method.terms = {"a": 3.0, "b": 0.25}
    assert float(module.training_step(batch(), 1)) == 3.25
    assert module.means() == {"a": 2.0, "b": 0.375, "loss": 2.375}
    module.on_train_epoch_start()
    assert module.sums == {} and module.steps == 0


def test_a_part_of_a_batch_weighs_as_its_images(make: Make) -> None:
    """Of two processes one has 3 images of 5, and weighs 3 · 2 / 5 in the mean of both."""
    module = make(Terms(a=1.0, b=0.5), set())
    module.weights = [1.0, 1.2]
    module.on_train_epoch_start()
    losses = [float(module.training_step(batch(), step)) for step in (0, 1)]
    assert losses == pytest.approx([1.5, 1.8])
    assert module.means() == pytest.approx({"a": 1.1, "b": 0.55, "loss": 1.65})


def test_draws_are_of_seed_epoch_and_step(make: Make) -> None:
    found: list[tuple[int, float, float]] = []
    for seed, epoch, step in ((0, 0, 0), (0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)):
        torch.manual_seed(len(found))
        method = Terms(a=1.0)
        module = make(method, set(), seed=seed)
        module.at = epoch
        module.training_step(batch(), step)
        found.append((*method.seen[0], float(torch.rand(()))))
    assert [epoch for epoch, _, _ in found] == [1, 1, 1, 2, 1]
    assert found[0] == found[1] and len({draw for _, draw, _ in found}) == 4
    assert len({layers for _, _, layers in found}) == 4


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite(make: Make, value: float) -> None:
    module = make(Terms(classification=1.25, drop=value), set())
    module.at = 6
    with pytest.raises(WsolError) as told:
        module.training_step(batch(), 4)
    message = str(told.value)
    assert (
        f"epoch 7, step 5: the loss is not finite (classification 1.25, drop {value}, loss {value})"
        in message
    )
    assert "lower learning rate than 0.8 (--training.learning-rate)" in message


def test_images_that_were_skipped_are_told_once(make: Make) -> None:
    module = make(Terms(a=1.0), set())
    for reason in ("empty", "empty again"):
        module.training_step(replace(batch(), errors=[ImageError("a.png", reason)]), 0)
    assert module.unread == {"a.png": "empty again"}
