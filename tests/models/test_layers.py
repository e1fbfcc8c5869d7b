"""Inner layers: found, watched, and passed again, against passes through the whole network."""

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from tests.networks import DROP_LAYERS as LAYERS
from wsol.errors import ModelError
from wsol.models.layers import Passed, before, find_layer, stages, watch
from wsol.models.papers import PAPERS, build_paper_network

WITHIN = [  # layers inside a block, whose forward has sums and shortcuts between its modules
    ("resnet18", "layer4.0.conv1"),
    ("resnet18", "layer4.0.act2"),
    ("resnet18", "layer3.1.bn2"),
    ("mobilenetv2_100", "blocks.5.1.bn2"),
    ("regnety_004", "s4.b1.conv2"),
    ("densenet121", "features.denseblock4.denselayer1"),
]


def _network(name: str) -> Any:
    torch.manual_seed(0)
    paper = name in PAPERS
    network = build_paper_network(name, num_classes=5)[0] if paper else timm.create_model(name, num_classes=5)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0  # two passes are compared
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1)  # timm begins some with 0: nothing would pass them
    return network


def _images() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def _halves(inner: Tensor) -> Tensor:
    """A change that keeps the upper half of the map and erases the rest."""
    return inner * (torch.arange(inner.shape[2]) < (inner.shape[2] + 1) // 2)[:, None]


def _both(network: Any, layer: str, change: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    passed = Passed(network, layer, change)
    with passed.recording():
        clean = network.forward_features(_images())
    with passed.again():
        changed = network.forward_features(_images())
    return clean, changed


@pytest.mark.parametrize(("name", "layer"), [*LAYERS.items(), *WITHIN])
def test_a_second_pass_equals_one_through_the_whole_network(name: str, layer: str) -> None:
    network = _network(name).eval()
    with torch.no_grad():
        clean, same = _both(network, layer, torch.clone)
        assert torch.equal(clean, same) and torch.equal(clean, network.forward_features(_images()))
        changed = _both(network, layer, _halves)[1]
        with watch(network, {layer: _halves}):
            assert torch.equal(network.forward_features(_images()), changed)
    assert not torch.equal(clean, changed)


@pytest.mark.parametrize(("name", "layer"), [*LAYERS.items(), *WITHIN])
def test_gradients_of_both_passes_equal_those_through_the_whole_network(name: str, layer: str) -> None:
    """In training, in place operations and all."""
    network = _network(name).train()
    clean, changed = _both(network, layer, _halves)
    (clean * changed).mean().backward()  # type: ignore[no-untyped-call]
    found = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    network.zero_grad()
    clean = network.forward_features(_images())
    with watch(network, {layer: _halves}):
        changed = network.forward_features(_images())
    (clean * changed).mean().backward()
    expected = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    assert len(found) == len(expected) > 0
    scale = max(float(gradient.abs().max()) for gradient in expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * scale)


class _Counting(nn.Module):
    """Passes on, and counts how often."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x + 1


class _Toy(nn.Module):
    """``shared`` runs before and behind ``inner``; what lies in between is added in place."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.shared, self.inner, self.last = (_Counting() for _ in range(4))
        self.unused = nn.Conv2d(1, 1, 1)
        self.scale = nn.Parameter(torch.ones(()))

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.shared(self.first(self.scale * x))
        x += 10
        return self.last(self.shared(self.inner(x))).square()  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_features(x)


def test_what_lies_before_runs_once_and_what_lies_behind_twice() -> None:
    toy = _Toy()
    passed = Passed(toy, "inner", lambda inner: -inner)
    with passed.recording():
        clean = toy(torch.zeros(1, 1, 1, 1))
    with passed.again():
        changed = toy(torch.zeros(1, 1, 1, 1))
    assert (clean.item(), changed.item()) == ((13 + 2) ** 2, (-13 + 2) ** 2)
    assert [toy.first.calls, toy.shared.calls, toy.inner.calls, toy.last.calls] == [1, 3, 1, 2]
    (clean + changed).sum().backward()
    assert toy(torch.zeros(1, 1, 1, 1)).item() == clean.item()  # nothing is left behind
    assert toy.first.calls == 2


def test_a_layer_of_a_resnet_is_skipped_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    network = _network("resnet18")
    ran: list[nn.Module] = []
    forward = nn.Conv2d.forward

    def counted(self: nn.Conv2d, x: Tensor) -> Tensor:
        ran.append(self)
        return forward(self, x)

    monkeypatch.setattr(nn.Conv2d, "forward", counted)
    _both(network, "layer3", torch.clone)
    behind = set(network.layer4.modules())
    assert len(set(ran)) == 20
    assert all(ran.count(module) == (2 if module in behind else 1) for module in ran)


def test_nothing_is_left_behind_when_a_pass_fails() -> None:
    toy = _Toy()
    own = toy.first.forward = lambda x: x  # type: ignore[method-assign]
    passed = Passed(toy, "inner", torch.clone)
    with pytest.raises(KeyError), passed.recording():
        toy(torch.zeros(1, 1, 1, 1))
        raise KeyError
    with pytest.raises(KeyError), passed.again():
        raise KeyError
    assert not any(module._forward_hooks for module in toy.modules())
    assert toy.first.forward is own and "forward" not in vars(toy.inner)


class _Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


def test_layers_that_cannot_be_changed() -> None:
    toy = _Toy()
    passed = Passed(toy, "unused", torch.clone)
    expected = pytest.raises(ModelError, match="unused did not run in the forward pass: name another")
    with expected, passed.recording():
        toy(torch.zeros(1, 1, 1, 1))
    with pytest.raises(ModelError, match="unused did not run"), watch(toy, {"unused": torch.clone}):
        toy(torch.zeros(1, 1, 1, 1))
    pair = nn.Sequential(_Pair())
    expected = pytest.raises(ModelError, match="output of 0 is tuple, not one map")
    with expected, Passed(pair, "0", torch.clone).recording():
        pair(torch.zeros(1))
    flat = nn.Sequential(nn.Flatten())
    with pytest.raises(ModelError, match="output of 0 is of shape"), watch(flat, {"0": torch.clone}):
        flat(torch.zeros(1, 1, 1, 1))


def test_watching_changes_and_looks_on_inside_its_block_alone() -> None:
    toy, seen = _Toy(), list[float]()
    with watch(toy, {"first": lambda x: 2 * x, "inner": lambda x: seen.append(x.item())}):
        inside = toy(torch.zeros(1, 1, 1, 1)).item()
    assert seen == [2 + 1 + 10 + 1] and inside == (14 + 2) ** 2
    assert toy(torch.zeros(1, 1, 1, 1)).item() == (13 + 2) ** 2 and len(seen) == 1
    with pytest.raises(KeyError), watch(toy, {"first": torch.clone}):
        raise KeyError
    assert not any(module._forward_hooks for module in toy.modules())


@pytest.mark.parametrize(
    ("name", "message"),
    [("layer4.O", "no layer 'layer4.O'; it has .*layer4.0"), ("", "it has layer1, layer2, layer3, layer4")],
)
def test_an_unknown_layer_is_refused_with_names_near_it(name: str, message: str) -> None:
    network = _network("resnet18")
    assert find_layer(network, "layer4.0") is network.layer4[0]
    with pytest.raises(ModelError, match=message):
        find_layer(network, name)
    with pytest.raises(ModelError, match="no layer"):
        Passed(network, name, torch.clone)
    with pytest.raises(ModelError, match="no layer"), watch(network, {name: torch.clone}):
        pass


def test_a_network_without_stages_names_its_last_layers() -> None:
    with pytest.raises(ModelError, match=r"no layer 'xyz'; it has .*head\.flatten"):
        find_layer(_network("vgg16_cam"), "xyz")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vgg16_cam", []),
        ("resnet50_cam", [f"layer{n}" for n in range(1, 5)]),
        ("mobilenetv1_cam", [f"blocks.{n}" for n in range(1, 5)]),
        ("tf_efficientnet_lite0", [f"blocks.{n}" for n in range(1, 7)]),
        ("densenet121", [f"features.denseblock{n}" for n in range(1, 5)]),
        ("regnety_004", ["s1", "s2", "s3", "s4"]),
        ("hrnet_w18_small", ["layer1", "stage2", "stage3", "stage4"]),
    ],
)
def test_stages(name: str, expected: list[str]) -> None:
    assert stages(_network(name)) == expected


def test_what_stands_before_a_stage() -> None:
    network = _network("densenet121")
    assert before(network, "features.denseblock4") == "features.transition3"
    assert before(_network("resnet18"), "layer1") == "maxpool"
    with pytest.raises(ModelError, match=r"nothing stands before features\.conv0: name a layer"):
        before(network, "features.conv0")
