"""SPG: its losses against NumPy, what learns from what, and the papers' networks."""

import re
from typing import Any, cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.conftest import Golden
from tests.methods.adapted import (
    CLASSES,
    Tiny,
    adapt,
    batch_of,
    localize,
    losses,
    model_of,
    paper,
    without_gradient,
)
from tests.networks import PAPER_VARIANTS
from wsol.errors import ModelError
from wsol.methods import Batch, MethodOptions
from wsol.methods.spg import SPG, SPGOptions, default_layers, seed_loss
from wsol.models import Classifier
from wsol.pooling import PoolingKind

Array = NDArray[np.float64]

SMALL = ("small", "small", "small")


def tiny(shrink: int = 2, **options: Any) -> SPG:
    """SPG on the smallest network, in float64, its branches strong enough to have an opinion."""
    method = SPG(Classifier(Tiny(shrink=shrink)), SPGOptions(layers=SMALL, **options)).double()
    for last in (method.shared_b[2], method.branch_c[2]):
        assert isinstance(last, nn.Conv2d)
        last.weight.data *= 20
    return method


def outputs_of(method: SPG, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Array]]:
    """The losses, and what the branches gave before they were enlarged, (B, h, w)."""
    given: list[Tensor] = []
    hooks = [
        branch.register_forward_hook(lambda _module, _inputs, output: given.append(output[:, 0].detach()))
        for branch in (method.shared_b, method.branch_c)
    ]
    found = losses(method, batch)
    for hook in hooks:
        hook.remove()
    return found, dict(zip(("b1", "b2", "c"), (each.numpy() for each in given), strict=True))


def enlarge(maps: Array, size: int) -> Array:
    """Bilinear interpolation between pixel centres; what lies outside is the edge."""
    at = np.clip((np.arange(size) + 0.5) * maps.shape[-1] / size - 0.5, 0, maps.shape[-1] - 1)
    low = np.floor(at).astype(int)
    matrix = np.zeros((size, maps.shape[-1]))
    for row, (left, share) in enumerate(zip(low, at - low, strict=True)):
        matrix[row, left] += 1 - share
        matrix[row, min(left + 1, maps.shape[-1] - 1)] += share
    return np.asarray(matrix @ maps @ matrix.T)


def sigmoid(values: Array) -> Array:
    return 1 / (1 + np.exp(-values))


def targets_of(attention: Array, high: float, low: float) -> Array:
    """1, 0, or NaN for what is left out."""
    targets = np.full_like(attention, np.nan)
    for image, target in zip(attention, targets, strict=True):
        sure = (image > high).sum() >= 30
        target[image > (high if sure else 0.7 * image.max())] = 1
        target[image < low] = 0
    return targets


def cross_entropy(logits: Array, targets: Array) -> float:
    kept = ~np.isnan(targets)
    p, t = sigmoid(logits[kept]), targets[kept]
    return float(-(t * np.log(p) + (1 - t) * np.log(1 - p)).mean())


def test_all_losses_against_numpy() -> None:
    batch = Batch(images=torch.rand(3, 3, 24, 24).double(), labels=torch.tensor([0, 3, 1]))
    method = tiny(shrink=3, attention_low=0.2, b1_low=0.3, c_high=0.6, c_low=0.4)
    _, given = outputs_of(method, batch)
    branches: list[tuple[Any, list[str]]] = [(method.shared_b, ["b1", "b2"]), (method.branch_c, ["c"])]
    for branch, names in branches:  # so that they guess some of both kinds
        branch[2].bias.data -= float(np.mean([given[name] for name in names]))
    found, given = outputs_of(method, batch)
    up = {name: enlarge(values, 24) for name, values in given.items()}
    linear = method.classifier.linear
    images, weight, bias = (x.detach().numpy() for x in (batch.images, linear.weight, linear.bias))
    cam = np.einsum("bk,bkyx->byx", weight[batch.labels], images)
    low, high = cam.min((1, 2), keepdims=True), cam.max((1, 2), keepdims=True)
    targets = {
        "b2": targets_of((cam - low) / (high - low), 0.7, 0.2),
        "b1": targets_of(sigmoid(up["b2"]), 0.5, 0.3),
        "c": targets_of((sigmoid(up["b1"]) + sigmoid(up["b2"])) / 2, 0.6, 0.4),
    }
    for target in targets.values():
        assert {str(value) for value in np.unique(target)} == {"0.0", "1.0", "nan"}  # the test has all cases
    logits = images.mean((2, 3)) @ weight.T + bias
    of_label = logits[range(3), batch.labels] - np.log(np.exp(logits).sum(axis=1))
    expected = {"classification": -of_label.mean()}
    expected |= {name: cross_entropy(up[name], targets[name]) for name in targets}
    assert list(found) == ["classification", "b2", "b1", "c"]
    assert {name: value.item() for name, value in found.items()} == pytest.approx(expected, rel=1e-9)


def test_golden_targets_teach_b2(golden: Golden) -> None:
    """A classifier whose map of the label is the golden one: b2 learns from the golden targets."""
    stored = golden("erasing")
    attention = torch.from_numpy(stored["spg_attention"])  # (3, 1, 224, 224)
    targets = stored["spg_target_h0_7_l0_05"][:, 0].astype(np.float64)
    targets[targets == 255] = np.nan
    method = tiny(shrink=32, attention_low=0.05).float()
    linear = method.classifier.linear
    linear.weight.data.zero_()
    linear.weight.data[2, 1] = 3  # what a map is multiplied with does not matter
    images = torch.zeros(3, 3, 224, 224)
    images[:, 1:2] = attention
    found, given = outputs_of(method, Batch(images=images, labels=torch.tensor([2, 2, 2])))
    up = enlarge(given["b2"].astype(np.float64), 224)
    assert found["b2"].item() == pytest.approx(cross_entropy(up, targets), rel=1e-4)


def test_the_map_is_enlarged_before_it_is_normalised() -> None:
    """The one high position of a 4 × 4 map keeps (7/8)² of its height between the pixels of 16 × 16."""

    class Half(Tiny):
        def forward_features(self, x: Tensor) -> Tensor:
            return cast("Tensor", self.small(x))

    method = SPG(Classifier(Half(shrink=4)), SPGOptions(layers=SMALL, attention_low=0.1)).double()
    method.classifier.linear.weight.data = torch.eye(4, 3).double()
    images = torch.zeros(1, 3, 16, 16).double()
    images[:, 0, 4:8, 8:12] = 1
    found, given = outputs_of(method, Batch(images=images, labels=torch.tensor([0])))
    up = enlarge(images[:, 0, ::4, ::4].numpy(), 16)
    assert up.min() == 0 and up.max() == (7 / 8) ** 2
    targets = targets_of(up / up.max(), 0.7, 0.1)
    assert not np.array_equal(targets, targets_of(up, 0.7, 0.1), equal_nan=True)
    expected = cross_entropy(enlarge(given["b2"], 16), targets)
    assert found["b2"].item() == pytest.approx(expected, rel=1e-9)


def test_a_loss_is_one_mean_over_all_kept_pixels_of_the_batch() -> None:
    """Three kept pixels, of which one image has two: not the mean of two means."""
    logits = torch.tensor([[[0.0, 2, 9]], [[-1, -9, 9]]], requires_grad=True)
    targets = torch.tensor([[[1, 0, 255]], [[1, 255, 255]]], dtype=torch.uint8)
    loss = seed_loss(logits, targets)
    softplus = [np.log(2), np.log1p(np.exp(2)), np.log1p(np.exp(1))]
    assert loss.item() == pytest.approx(np.mean(softplus), rel=1e-6)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert torch.equal(logits.grad != 0, targets != 255)


def test_a_loss_without_kept_pixels_is_0_and_still_has_a_gradient() -> None:
    logits = torch.randn(2, 3, 3, requires_grad=True)
    loss = seed_loss(logits, torch.full((2, 3, 3), 255, dtype=torch.uint8))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert logits.grad is not None and not logits.grad.any()


def test_nothing_learns_as_a_target() -> None:
    method = tiny()
    terms = losses(method, Batch(images=torch.rand(2, 3, 12, 12).double(), labels=torch.tensor([0, 2])))
    parts = {
        "linear": method.classifier.linear,
        "own_b1": method.own_b1,
        "own_b2": method.own_b2,
        "shared_b": method.shared_b,
        "branch_c": method.branch_c,
    }
    learns = {}
    for name, term in terms.items():
        learns[name] = {
            part
            for part, module in parts.items()
            if any(
                gradient is not None
                for gradient in torch.autograd.grad(
                    term, [*module.parameters()], retain_graph=True, allow_unused=True
                )
            )
        }
    assert learns == {
        "classification": {"linear"},
        "b2": {"own_b2", "shared_b"},
        "b1": {"own_b1", "shared_b"},
        "c": {"branch_c"},
    }


def test_the_branches_are_no_part_of_the_classifier_and_leave_nothing_in_it() -> None:
    classifier = adapt("spg", model_of("regnety_004").classifier, "regnety_004", SPGOptions())
    before, images = set(classifier.state_dict()), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        features, logits = classifier(images)
    method = SPG(classifier, SPGOptions())
    assert not any(module.training for module in classifier.modules())
    losses(method, batch_of(64))
    assert not any(module._forward_hooks for module in classifier.modules())
    assert set(classifier.state_dict()) == before
    assert any(name.startswith("shared_b") for name in method.state_dict())
    with torch.no_grad():
        for found, expected in zip(classifier(images), (features, logits), strict=True):
            assert torch.equal(found, expected)


# --- the networks

LAYERS = {  # of B1 and B2, and their channels and sizes for maps of 14 and 28
    "vgg16_cam": ("features.23", "features.29", (512, 512), {14: (14, 14), 28: (28, 28)}),
    "resnet50_cam": ("layer3.0", "layer3", (1024, 1024), {14: (14, 14), 28: (28, 28)}),
    "seresnet50_cam": ("layer3.0", "layer3", (1024, 1024), {14: (14, 14)}),
    "inception_v3_cam": ("Pool3", "Mixed_6d", (288, 768), {14: (14, 14), 28: (28, 28)}),
    "mobilenetv1_cam": ("blocks.2", "blocks.3", (256, 512), {14: (28, 14)}),
}
C_CHANNELS = {"vgg16_cam": 512, "resnet50_cam": 2048, "seresnet50_cam": 2048}  # 1024 else


@pytest.mark.parametrize(("name", "size"), PAPER_VARIANTS)
def test_size_and_parameters_on_the_papers_networks(name: str, size: int) -> None:
    with torch.device("meta"):  # shapes without the arithmetic
        plain = paper(name, size)
        trunk = sum(p.numel() for p in plain.parameters()) - plain.linear.weight.numel() - CLASSES
        classifier = adapt("spg", plain, name, SPGOptions())
        method = SPG(classifier, SPGOptions())
        given: list[tuple[int, ...]] = []
        for branch in (method.own_b1, method.own_b2, method.branch_c):
            branch.register_forward_pre_hook(lambda _, inputs: given.append(tuple(inputs[0].shape[1:])))
        terms = losses(method, batch_of(224))
    first, second, channels, sizes = LAYERS[name]
    last = C_CHANNELS.get(name, 1024)
    assert method.layers == (first, second)
    assert given == [(k, s, s) for k, s in zip((*channels, last), (*sizes[size], size), strict=True)]
    assert [term.shape for term in terms.values()] == [()] * 4
    if name == "vgg16_cam":  # two convolutions to 512 for one to 1024
        trunk += 2 * (9 * 512 * 512 + 512) - (9 * 512 * 1024 + 1024)
    assert sum(p.numel() for p in classifier.parameters()) == trunk + last * CLASSES + CLASSES
    width = 1024 if "resnet" in name else 512
    own = [9 * k * width + width for k in channels]
    shared, c = (9 * inputs * to + to + to + 1 for inputs, to in ((width, width), (last, 512)))
    assert (
        sum(p.numel() for p in method.parameters())
        == trunk + last * CLASSES + CLASSES + sum(own) + shared + c
    )


@pytest.mark.parametrize("size", [14, 28])
def test_vgg16_has_its_own_pool4_and_two_convolutions_of_512(size: int) -> None:
    plain = paper("vgg16_cam", size)
    for module in plain.network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    classifier = adapt("spg", plain, "vgg16_cam", SPGOptions())
    convolutions = [module for module in classifier.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 15
    method, images = SPG(classifier, SPGOptions()), torch.randn(1, 3, 64, 64)
    given: list[Tensor] = []
    for own in (method.own_b1, method.own_b2):
        own.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    x, expected = images, []
    with torch.no_grad():
        losses(method, Batch(images=images, labels=torch.tensor([0])))
        for index, convolution in enumerate(convolutions, start=1):
            x = F.conv2d(x, convolution.weight, convolution.bias, padding=1).relu()
            if index in (2, 4, 7):
                x = F.max_pool2d(x, 2)
            if index == 10:
                x = F.max_pool2d(x, 3, stride=2, padding=1) if size == 14 else x
            if index in (10, 13):
                expected.append(x)
        features, logits = classifier(images)
    for found, wanted in zip((*given, features), (*expected, x), strict=True):
        assert wanted.std() > 1e-3
        torch.testing.assert_close(found, wanted)
    linear = classifier.linear
    torch.testing.assert_close(logits, F.linear(x.mean((2, 3)), linear.weight, linear.bias))


@pytest.mark.parametrize("name", ["vgg16_cam", "resnet50_cam", "inception_v3_cam"])
def test_every_parameter_learns_on_the_papers_networks_and_starts_as_it_should(name: str) -> None:
    plain = paper(name, 14)
    kept = {key: value.clone() for key, value in plain.network.state_dict().items()}
    classifier = adapt("spg", plain, name, SPGOptions())
    new = {"vgg16_cam": ("features.31.", "head.fc."), "resnet50_cam": ("fc.",), "inception_v3_cam": ()}[name]
    for key, value in classifier.network.state_dict().items():  # the trunk keeps names and weights
        assert key.startswith(new) or torch.equal(value, kept[key])
    method = SPG(classifier, SPGOptions())
    parts: list[nn.Module] = [method.own_b1, method.own_b2, method.shared_b, method.branch_c]
    parts += [classifier.network.get_submodule(prefix[:-1]) for prefix in new]
    layers: list[Any] = [
        module for part in parts for module in part.modules() if isinstance(module, (nn.Conv2d, nn.Linear))
    ]
    for layer in layers:
        outputs, inputs, *area = layer.weight.shape
        bound = (6 / ((inputs + outputs) * int(np.prod(area)))) ** 0.5  # of Xavier's uniform
        assert layer.weight.abs().max().item() == pytest.approx(bound, rel=0.02)
        assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)
        assert layer.bias is not None and not layer.bias.any()
    assert without_gradient(method, batch_of(48)) == []


def test_other_networks_keep_their_linear_layer() -> None:
    classifier = model_of("regnety_004").classifier
    linear = classifier.linear
    assert adapt("spg", classifier, "regnety_004", SPGOptions()) is classifier
    assert classifier.linear is linear


@pytest.mark.parametrize(
    ("backbone", "layers"),
    [
        ("tf_efficientnet_lite0", ("blocks.4", "blocks.5")),
        ("resnet50", ("layer3.0", "layer3")),
        ("regnety_004", ("s2", "s3")),
        ("densenet121", ("features.denseblock2", "features.denseblock3")),
    ],
)
def test_on_timms_networks_from_training_to_boxes(backbone: str, layers: tuple[str, str]) -> None:
    pooling: PoolingKind = "tap" if backbone == "densenet121" else "gap"
    model = model_of(backbone, pooling=pooling)
    classifier = adapt("spg", model.classifier, backbone, SPGOptions())
    assert default_layers(classifier.network) == layers
    assert without_gradient(SPG(classifier, SPGOptions()), batch_of(64)) == []
    again = adapt("spg", model_of(backbone, pooling=pooling).classifier, backbone, SPGOptions())
    again.load_state_dict(classifier.state_dict())
    for found, expected in localize(model, again.eval(), "nwc" if pooling == "tap" else "cam"):
        scale = float(expected.abs().max())
        torch.testing.assert_close(
            torch.from_numpy(found.raw_maps["map"]), expected, rtol=1e-3, atol=1e-3 * scale
        )
        assert found.boxes.shape[1] == 4


def test_layers_can_be_named_and_what_follows_in_place_has_happened() -> None:
    """conv5_3's ReLU works in place, so what the convolution gave is what the ReLU gave."""
    classifier = adapt("spg", paper("vgg16_cam", 14), "vgg16_cam", SPGOptions())
    found = []
    for layer in ("features.28", "features.29"):
        torch.manual_seed(1)
        method = SPG(classifier, SPGOptions(layers=("features.16", layer, "features.31")))
        assert [branch[0].in_channels for branch in (method.own_b1, method.own_b2, method.branch_c)] == [
            256,
            512,
            512,
        ]
        torch.manual_seed(2)
        terms = losses(method, batch_of(48))
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        found.append({name: term.item() for name, term in terms.items()})
    assert found[0] == found[1]


def test_layers_that_cannot_be() -> None:
    network = Tiny()
    with pytest.raises(ModelError, match="name three of its layers in layers"):
        SPG(Classifier(network), SPGOptions())
    with pytest.raises(ModelError, match="no layer 'smal'; it has small"):
        SPG(Classifier(network), SPGOptions(layers=("smal", "small", "small")))
    with pytest.raises(ModelError, match="fc did not run"):
        SPG(Classifier(network), SPGOptions(layers=("small", "fc", "small")))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention_high": 1.5}, "attention_high must be in [0, 1], got 1.5"),
        ({"b1_low": -1}, "b1_low must be in [0, 1], got -1"),
        ({"c_low": 0.8}, "c_low must be at most c_high, got 0.8 and 0.7"),
        ({"layers": ("a", "b")}, "layers must be three names, of B1, B2 and C, got ('a', 'b')"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        SPGOptions(**options)
    assert MethodOptions(method="spg").spg.attention_low == 0.01
