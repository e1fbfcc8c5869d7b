"""The classifier against timm's own forward pass, and the proof that a network suits it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from timm.models.resnet import BasicBlock, ResNet
from torch import Tensor, nn

from wsol.errors import ModelError
from wsol.models.classifier import Classifier, prove_fit

NETWORKS = ["resnet18", "tf_efficientnet_lite0", "densenet121", "regnetx_002", "mobilenetv1_100"]
SIZE = (70, 90)  # no multiple of 32, not square


def _images(count: int = 2, size: tuple[int, int] = SIZE) -> Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(1))


def _network(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=7, **options).eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_one_pass_gives_timms_features_and_logits(name: str) -> None:
    network = _network(name)
    prove_fit(network, name, SIZE)
    with torch.inference_mode():
        features, logits = Classifier(network)(_images())
        expected = network(_images())
        assert torch.equal(features, network.forward_features(_images()))
    h, w = (2, 2) if name == "densenet121" else (3, 3)  # halved five times: densenet rounds three down
    assert features.shape == (2, network.num_features, h, w)
    assert logits.shape == (2, 7)
    assert float(expected.std()) > 1e-4  # random weights tell the classes apart
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_linear_layer_and_classes() -> None:
    network = _network("resnet18")
    classifier = Classifier(network)
    assert classifier.linear is network.fc
    assert classifier.num_classes == 7
    network.reset_classifier(3)
    assert classifier.num_classes == 3
    assert {f"network.{name}" for name in network.state_dict()} == set(classifier.state_dict())


def _averages(features: NDArray[np.float64], kept: Callable[[float, float], bool]) -> NDArray[np.float64]:
    """Channel by channel, the mean of the positions that are kept; 0 where there is none."""
    pooled = np.zeros(features.shape[:2])
    for b, k in np.ndindex(pooled.shape):
        highest = features[b, k].max()
        values = [value for value in features[b, k].flat if kept(value, highest)]
        pooled[b, k] = sum(values) / len(values) if values else 0
    return pooled


@pytest.mark.parametrize(
    ("pooling", "kept"),
    [
        ("gap", lambda value, highest: True),
        ("tap", lambda value, highest: value > 0.3 * highest),
    ],
)
def test_logits_of_either_pooling(pooling: Any, kept: Callable[[float, float], bool]) -> None:
    network = _network("resnet18").double()
    with torch.inference_mode():
        features, logits = Classifier(network, pooling, tap_threshold=0.3)(_images().double())
    weight, bias = (parameter.detach().numpy() for parameter in (network.fc.weight, network.fc.bias))
    expected = _averages(features.numpy(), kept) @ weight.T + bias
    np.testing.assert_allclose(logits.numpy(), expected, rtol=1e-12, atol=1e-12)


def test_the_poolings_differ() -> None:
    network = _network("resnet18")
    with torch.inference_mode():
        gap = Classifier(network)(_images())[1]
        low, high = (Classifier(network, "tap", threshold)(_images())[1] for threshold in (0.1, 0.9))
    for a, b in [(gap, low), (low, high), (gap, high)]:
        assert float((a - b).abs().max()) > 1e-3


def test_gradients_reach_every_parameter() -> None:
    classifier = Classifier(_network("tf_efficientnet_lite0"), "tap")
    classifier(_images())[1].square().sum().backward()
    assert all(parameter.grad is not None for parameter in classifier.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("max",), "pooling must be 'gap' or 'tap', got 'max'"),
        (("tap", 1.0), "tap_threshold must be in [0, 1), got 1.0"),
        (("tap", -0.1), "tap_threshold must be in [0, 1), got -0.1"),
        (("tap", float("nan")), "tap_threshold must be in [0, 1), got nan"),
    ],
)
def test_options(options: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        Classifier(nn.Identity(), *options)
    assert str(caught.value) == message


def test_the_forward_pass_can_be_exported() -> None:
    classifier = Classifier(_network("tf_efficientnet_lite0")).eval()
    images = _images(1, (64, 64))
    exported = torch.export.export(classifier, (images,)).module()
    with torch.inference_mode():
        for ours, theirs in zip(classifier(images), exported(images), strict=True):
            torch.testing.assert_close(theirs, ours)


class _Tiny(nn.Module):
    """A convolution, whatever stands between, and a linear layer, with timm's methods."""

    def __init__(self, between: nn.Module, width: int = 4, last: nn.Module | None = None) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
        self.between = between
        self.last = nn.Linear(width, 2) if last is None else last

    def forward_features(self, x: Tensor) -> Tensor:
        return self.trunk(x)  # type: ignore[no-any-return]

    def get_classifier(self) -> nn.Module:
        return self.last

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.between(self.forward_features(x)))  # type: ignore[no-any-return]


class _Squared(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.square().mean((2, 3))


def _average(*then: nn.Module) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), *then, nn.Flatten())


@pytest.mark.parametrize("between", [_average(), _average(nn.Identity(), nn.Dropout(0.5))])
def test_a_network_that_fits(between: nn.Module) -> None:
    prove_fit(_Tiny(between), "tiny", (9, 7))


def _refused(network: nn.Module, name: str = "tiny", side: int = 32) -> str:
    with pytest.raises(ModelError) as caught:
        prove_fit(network, name, (side, side))
    message = str(caught.value)
    assert message.startswith(f"{name} cannot give class activation maps: ")
    assert "average pooling into one linear layer" in message
    assert message.endswith("(vgg16_cam, resnet50_cam, seresnet50_cam, inception_v3_cam, mobilenetv1_cam).")
    return message.removeprefix(f"{name} cannot give class activation maps: ").partition(". A CAM")[0]


@pytest.mark.parametrize(
    ("network", "found"),
    [
        (
            _Tiny(_average(nn.GELU())),
            "between its features and its linear layer stands: AdaptiveAvgPool2d, GELU",
        ),
        (
            _Tiny(nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())),
            "between its features and its linear layer stands: AdaptiveMaxPool2d",
        ),
        (_Tiny(_Squared()), "between its features and its linear layer stands: _Squared"),
        (
            _Tiny(nn.Flatten(), width=4 * 30 * 30),
            "its features are (1, 4, 30, 30), where a map (1, 3600, h, w) with the channels of its linear "
            "layer is needed, and between the two stands: a computation of its own",
        ),
        (_Tiny(_average(), last=nn.Conv2d(4, 2, 1)), "its classifier is Conv2d, not one linear layer"),
        (_Tiny(_average(), last=nn.Identity()), "its classifier is Identity, not one linear layer"),
        (nn.Sequential(nn.Conv2d(3, 4, 1)), "its classifier is nothing, not one linear layer"),
    ],
    ids=["activation", "maximum", "squares", "flat", "convolution", "no classes", "no classifier"],
)
def test_a_network_that_does_not(network: nn.Module, found: str) -> None:
    assert _refused(network) == found


@pytest.mark.parametrize("pool", ["max", "avgmax"])
def test_timms_other_poolings_do_not(pool: str) -> None:
    found = _refused(timm.create_model("resnet18", global_pool=pool), "resnet18", side=64)
    assert found.startswith("between its features and its linear layer stands: Adaptive")


def test_a_map_of_one_position_proves_nothing() -> None:
    for pool in ("avg", "max"):  # the same thing for one value
        with pytest.raises(ModelError, match="one position at 32 × 32 pixels: choose a larger input_size"):
            prove_fit(timm.create_model("resnet18", global_pool=pool), "resnet18", (32, 32))
    prove_fit(timm.create_model("resnet18"), "resnet18", (32, 33))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fits", [True, False])
def test_the_proof_leaves_no_trace(training: bool, fits: bool) -> None:
    network = _Tiny(_average() if fits else _average(nn.GELU())).train(training)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    generator = torch.get_rng_state()
    if fits:
        prove_fit(network, "tiny", (9, 9))
    else:
        _refused(network)
    assert all(module.training is training for module in network.modules())
    assert not any(module._forward_hooks for module in network.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(torch.get_rng_state(), generator)


def test_hooks_go_when_the_network_fails() -> None:
    network = _Tiny(nn.Linear(5, 5)).train()
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        prove_fit(network, "tiny", (9, 9))
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("name", ["efficientvit_m0", "shvit_s1"])
def test_a_norm_between_pooling_and_linear_layer_is_seen_though_it_is_new(name: str) -> None:
    with pytest.raises(ModelError, match="between its features and its linear layer stands"):
        prove_fit(timm.create_model(name), name, (224, 224))


def test_a_computation_behind_the_linear_layer_is_seen() -> None:
    class Tripled(ResNet):
        def forward(self, x: Tensor) -> Tensor:
            return 3 * super().forward(x)

    network = Tripled(BasicBlock, (1, 1, 1, 1), num_classes=4)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="behind its linear layer"):
        prove_fit(network, "resnet18", SIZE)
