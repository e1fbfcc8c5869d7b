"""The papers' backbones, against timm's own layers with explicit padding and counts worked by hand."""

import math
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from itertools import pairwise
from typing import Any, cast

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.networks import PAPER_VARIANTS as VARIANTS
from wsol.errors import ModelError
from wsol.models.classifier import Classifier, prove_fit
from wsol.models.papers import PAPERS, build_paper_network

CHANNELS = {
    "vgg16_cam": 1024,
    "resnet50_cam": 2048,
    "seresnet50_cam": 2048,
    "inception_v3_cam": 1024,
    "mobilenetv1_cam": 1024,
}
TIMM = {
    "vgg16_cam": "vgg16",
    "resnet50_cam": "resnet50",
    "seresnet50_cam": "seresnet50",
    "inception_v3_cam": "inception_v3",
    "mobilenetv1_cam": "mobilenetv1_100",
}
LINEAR = {
    "vgg16_cam": "head.fc",
    "resnet50_cam": "fc",
    "seresnet50_cam": "fc",
    "inception_v3_cam": "fc",
    "mobilenetv1_cam": "classifier",
}
CONVOLUTIONS = {"vgg16_cam": ["features.31"], "inception_v3_cam": ["head.1", "head.4"]}


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@cache
def timms(name: str) -> Any:
    """timm's network with 5 classes, its batch norms, its zeros and its scale as after some training."""
    torch.manual_seed(1)
    options: dict[str, Any] = {"mlp_ratio": 1 / 4096} if name == "vgg16_cam" else {}
    network = timm.create_model(TIMM[name], num_classes=5, **options).eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_in = module.weight[0].numel()
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_in))
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1)
            nn.init.uniform_(module.bias, -0.1, 0.1)
            nn.init.uniform_(cast("Tensor", module.running_mean), -0.1, 0.1)
            nn.init.uniform_(cast("Tensor", module.running_var), 0.8, 1.2)
    return network


@cache
def ours(name: str, map_size: int) -> tuple[Any, bool]:
    """Our network on timm's weights; not to be changed by a test."""
    network, trained = build_paper_network(
        name, num_classes=5, map_size=map_size, state_dict=timms(name).state_dict()
    )
    return network.eval(), trained


def _close(actual: Tensor, expected: Tensor) -> None:
    assert actual.shape == expected.shape
    assert expected.std() > 1e-3  # a comparison of zeros shows nothing
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


# --- size and shape


def bottlenecks(squeeze: bool) -> int:
    """ResNet50's parameters before its linear layer, block by block."""
    total, entering = 3 * 64 * 49 + 2 * 64, 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        out = 4 * width
        total += entering * out + 2 * out  # the shortcut of the first block
        for _ in range(blocks):
            total += entering * width + 2 * width + 9 * width * width + 2 * width + width * out + 2 * out
            total += (out * out // 16 + out // 16 + out // 16 * out + out) if squeeze else 0
            entering = out
    return total


def mobilenet() -> int:
    """MobileNetV1's parameters before its linear layer: depthwise and pointwise, each batch-normed."""
    widths = [32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    return 27 * 32 + 2 * 32 + sum(9 * a + 2 * a + a * b + 2 * b for a, b in pairwise(widths))


def inception() -> int:
    """InceptionV3's parameters through Mixed_6e (Szegedy et al., 2015) from each (in, out, kernel area)."""
    layers = [(3, 32, 9), (32, 32, 9), (32, 64, 9), (64, 80, 1), (80, 192, 9)]
    for entering, pooled in ((192, 32), (256, 64), (288, 64)):  # 35 × 35 in the paper
        layers += [(entering, 64, 1), (entering, 48, 1), (48, 64, 25), (entering, 64, 1)]
        layers += [(64, 96, 9), (96, 96, 9), (entering, pooled, 1)]
    layers += [(288, 384, 9), (288, 64, 1), (64, 96, 9), (96, 96, 9)]
    for c in (128, 160, 160, 192):  # 17 × 17 in the paper
        layers += [(768, 192, 1), (768, c, 1), (c, c, 7), (c, 192, 7), (768, c, 1)]
        layers += [(c, c, 7), (c, c, 7), (c, c, 7), (c, 192, 7), (768, 192, 1)]
    return sum(a * b * area + 2 * b for a, b, area in layers)


TRUNK: dict[str, Callable[[], int]] = {
    "vgg16_cam": lambda: 14_714_688 + 512 * 1024 * 9 + 1024,
    "resnet50_cam": lambda: bottlenecks(squeeze=False),
    "seresnet50_cam": lambda: bottlenecks(squeeze=True),
    "inception_v3_cam": lambda: inception() + 768 * 1024 * 9 + 1024 + 1024 * 1024 * 9 + 1024,
    "mobilenetv1_cam": mobilenet,
}


def test_counts_by_hand_give_the_known_totals() -> None:
    assert bottlenecks(squeeze=False) + 2048 * 1000 + 1000 == 25_557_032
    assert mobilenet() + 1024 * 1000 + 1000 == 4_231_976


def test_every_variant_is_tested() -> None:
    assert [(name, size) for name, paper in PAPERS.items() for size in paper.map_sizes] == list(VARIANTS)


@pytest.mark.parametrize(("name", "size"), VARIANTS)
@pytest.mark.parametrize("classes", [1000, 7])
def test_size_channels_and_parameters(name: str, size: int, classes: int) -> None:
    with torch.device("meta"):  # shapes without the arithmetic
        network: Any = build_paper_network(name, num_classes=classes, map_size=size)[0]
        features = network.forward_features(torch.zeros(2, 3, 224, 224))
        logits = network(torch.zeros(2, 3, 224, 224))
    channels = CHANNELS[name]
    assert features.shape == (2, channels, size, size)
    assert logits.shape == (2, classes)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert parameters == TRUNK[name]() + channels * classes + classes


@pytest.mark.parametrize("name", PAPERS)
def test_14_is_the_default(name: str) -> None:
    with torch.device("meta"):
        network: Any = build_paper_network(name)[0]
        assert network.forward_features(torch.zeros(1, 3, 224, 224)).shape[-2:] == (14, 14)
    assert network.get_classifier().out_features == 1000


@pytest.mark.parametrize(("name", "size"), VARIANTS)
def test_is_features_pooling_and_one_linear_layer(name: str, size: int) -> None:
    network, _ = ours(name, size)
    prove_fit(network, name, (64, 64))
    images = _random(2, 3, 64, 64)
    with torch.no_grad():
        features, logits = Classifier(network).eval()(images)
        _close(network(images), logits)
        linear = network.get_classifier()
        _close(features.mean((2, 3)) @ linear.weight.T + linear.bias, logits)
    assert linear is network.get_submodule(LINEAR[name])
    assert features.min() >= 0  # behind a ReLU


# --- the surgery, against timm's own layers


def test_vgg16_is_timms_up_to_the_missing_pools() -> None:
    theirs, x = timms("vgg16_cam").features, _random(1, 3, 32, 32)
    with torch.no_grad():
        before_pool4 = theirs[:23](x)  # (1, 512, 4, 4)
        without_pool4 = theirs[24:30](before_pool4)
        with_pool4 = theirs[24:30](theirs[23](before_pool4))
        for size, block5 in ((14, with_pool4), (28, without_pool4)):
            network, _ = ours("vgg16_cam", size)
            _close(network.features[:31](x), block5)
            weight, bias = network.features[31].weight, network.features[31].bias
            _close(network.forward_features(x), F.conv2d(block5, weight, bias, padding=1).relu())


@pytest.mark.parametrize(("name", "size"), [v for v in VARIANTS if "resnet" in v[0]])
def test_resnet_loses_stride_without_dilation(name: str, size: int) -> None:
    (network, _), theirs, x = ours(name, size), timms(name), _random(1, 3, 64, 64)
    layers = ["conv1", "bn1", "act1", "maxpool", "layer1", "layer2", "layer3", "layer4"]
    changed = layers.index("layer3" if size == 28 else "layer4")
    with torch.no_grad():
        for layer in layers[:changed]:
            expected = theirs.get_submodule(layer)(x.clone())
            x = network.get_submodule(layer)(x)
            _close(x, expected)
        for layer in layers[changed:]:
            block = deepcopy(network.get_submodule(layer)[0])
            strided = deepcopy(theirs.get_submodule(layer)[0])
            block.se = strided.se = None  # a mean over all positions
            # every second position at stride 1 is what stride 2 gives
            _close(block(x)[..., ::2, ::2], strided(x))
            x = network.get_submodule(layer)(x)
    dense = [network.layer4] if size == 14 else [network.layer3, network.layer4]
    for module in (m for layer in dense for m in layer.modules() if isinstance(m, nn.Conv2d)):
        assert module.stride == (1, 1)
        assert module.dilation == (1, 1)
    assert network.layer3[0].conv2.stride == ((2, 2) if size == 14 else (1, 1))


def test_squeeze_and_excitation_is_behind_the_last_batch_norm_and_before_the_shortcut() -> None:
    block, x = ours("seresnet50_cam", 14)[0].layer4[1], _random(1, 2048, 3, 3)
    with torch.no_grad():
        y = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu())).relu()
        y = block.bn3(block.conv3(y))
        squeezed = F.linear(y.mean((2, 3)), block.se.fc1.weight[..., 0, 0], block.se.fc1.bias).relu()
        assert squeezed.shape == (1, 2048 // 16)
        gate = F.linear(squeezed, block.se.fc2.weight[..., 0, 0], block.se.fc2.bias).sigmoid()
        _close(block(x), (y * gate[..., None, None] + x).relu())


def test_mobilenetv1_loses_the_stride_of_its_last_downsampling_block() -> None:
    (network, _), theirs, x = ours("mobilenetv1_cam", 14), timms("mobilenetv1_cam"), _random(1, 3, 64, 64)
    with torch.no_grad():
        x = network.blocks[:4](network.bn1(network.conv_stem(images := x)))
        _close(x, theirs.blocks[:4](theirs.bn1(theirs.conv_stem(images))))
        _close(network.blocks[4][0](x)[..., ::2, ::2], theirs.blocks[4][0](x))
    strides = [m.stride[0] for m in network.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert strides == [2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1]


def test_inception_pads_its_stem_and_keeps_the_map_through_mixed_6a() -> None:
    theirs, x = timms("inception_v3_cam"), _random(1, 3, 96, 96)
    with torch.no_grad():
        y = theirs.Conv2d_2b_3x3(theirs.Conv2d_2a_3x3(theirs.Conv2d_1a_3x3(F.pad(x, (1, 1, 1, 1)))))
        assert y.shape[-1] == 46
        y = theirs.Pool1(F.pad(y, (1, 2, 1, 2), value=-math.inf))  # rounded up: 24, not 23
        y = theirs.Conv2d_4a_3x3(theirs.Conv2d_3b_1x1(y))
        y = theirs.Pool2(F.pad(y, (1, 2, 1, 2), value=-math.inf))
        mixed_5d = theirs.Mixed_5d(theirs.Mixed_5c(theirs.Mixed_5b(y)))
        assert mixed_5d.shape == (1, 288, 12, 12)
        pooled = F.max_pool2d(F.pad(mixed_5d, (0, 1, 0, 1), value=-math.inf), 3, stride=2)
        for size, entering in ((28, mixed_5d), (14, pooled)):
            network, _ = ours("inception_v3_cam", size)
            seen = _trace(network, ("Mixed_5d", "Mixed_6a", "Mixed_6e", "head"), x)
            _close(seen["Mixed_5d"], mixed_5d)
            mixed_6a = seen["Mixed_6a"]
            assert mixed_6a.shape[-2:] == entering.shape[-2:]
            inner = mixed_6a[..., 1:-1:2, 1:-1:2]  # centres of timm's windows, which are unpadded
            strided = theirs.Mixed_6a(entering)
            _close(inner[..., : strided.shape[-2], : strided.shape[-1]], strided)
            y = theirs.Mixed_6e(theirs.Mixed_6d(theirs.Mixed_6c(theirs.Mixed_6b(mixed_6a))))
            _close(seen["Mixed_6e"], y)
            for layer in (network.head[1], network.head[4]):
                y = F.conv2d(y, layer.weight, layer.bias, padding=1).relu()
            _close(seen["head"], y)


def test_mixed_6a_pads_with_nothing_new_at_the_border() -> None:
    network, x = ours("inception_v3_cam", 28)[0], _random(1, 288, 6, 6)
    block = network.Mixed_6a
    with torch.no_grad():
        out = block(x)
        corner = x[..., :2, :2].amax((2, 3))
        torch.testing.assert_close(out[:, 480:, 0, 0], corner)  # channels 384 + 96 on are the max-pool's
        _close(out[:, :384], block.branch3x3.bn(F.conv2d(x, block.branch3x3.conv.weight, padding=1)))


def _trace(network: nn.Module, names: tuple[str, ...], images: Tensor) -> dict[str, Tensor]:
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen[name] = output.clone()  # an in-place ReLU may follow

        return hook

    hooks = [network.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    try:
        cast("Any", network).forward_features(images)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def test_inception_drops_half_before_each_of_its_three_head_layers() -> None:
    network: Any = ours("inception_v3_cam", 14)[0]
    kinds = [type(layer) for layer in network.head]
    assert kinds == [nn.Dropout, nn.Conv2d, nn.ReLU, nn.Dropout, nn.Conv2d, nn.ReLU, nn.Dropout]
    assert [layer.p for layer in network.head if isinstance(layer, nn.Dropout)] == [0.5, 0.5, 0.5]
    features = torch.ones(1, 1024, 8, 8)
    torch.manual_seed(0)
    dropped = network.head[6].train()(features)
    network.head[6].eval()
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert dropped.eq(0).float().mean().item() == pytest.approx(0.5, abs=0.01)


# --- new layers


@pytest.mark.parametrize("name", PAPERS)
def test_new_layers_are_initialised_as_the_protocol_does(name: str) -> None:
    torch.manual_seed(0)
    network: Any = build_paper_network(name, num_classes=200)[0]
    linear = network.get_classifier()
    if name == "inception_v3_cam":  # Xavier uniform: bound √(6 / (fan in + fan out))
        bounds = {"head.1": (768 + 1024) * 9, "head.4": 2 * 1024 * 9, "fc": 1024 + 200}
        for layer, fans in bounds.items():
            weight, bound = network.get_submodule(layer).weight, math.sqrt(6 / fans)
            assert bound * 0.999 < weight.abs().max() <= bound
            assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    else:
        assert linear.weight.std().item() == pytest.approx(0.01, rel=0.02)
        assert linear.weight.abs().max() > 0.03  # normal, not uniform
    if name == "vgg16_cam":  # Kaiming normal, fan out: σ = √(2 / (1024 · 9))
        weight = network.features[31].weight
        assert weight.std().item() == pytest.approx(math.sqrt(2 / 9216), rel=0.01)
        assert weight.abs().max() > 4 * math.sqrt(2 / 9216)
    for layer in [*CONVOLUTIONS.get(name, []), LINEAR[name]]:
        assert torch.count_nonzero(network.get_submodule(layer).bias) == 0
    assert network.training


# --- checkpoints


@pytest.mark.parametrize(("name", "size"), VARIANTS)
def test_trunk_takes_timms_weights(name: str, size: int) -> None:
    (network, trained), given = ours(name, size), timms(name).state_dict()
    assert trained == (name not in CONVOLUTIONS)  # the heads of VGG16 and InceptionV3 are always new
    new = tuple(f"{layer}." for layer in [*CONVOLUTIONS.get(name, []), LINEAR[name]])
    loaded = network.state_dict()
    trunk = [key for key in loaded if not key.startswith(new)]
    assert len(trunk) > 25
    for key in loaded if trained else trunk:
        assert torch.equal(loaded[key], given[key]), key


def test_a_bias_of_a_dropped_linear_layer_is_dropped_with_it() -> None:
    network, _ = ours("vgg16_cam", 14)  # timm's head.fc is (5, 4096) and (5): the second would fit
    assert torch.count_nonzero(network.get_classifier().bias) == 0


@pytest.mark.parametrize("name", ["resnet50_cam", "seresnet50_cam", "mobilenetv1_cam"])
def test_other_classes_need_a_new_linear_layer(name: str) -> None:
    network, trained = build_paper_network(name, num_classes=6, state_dict=timms(name).state_dict())
    assert not trained
    assert cast("Any", network).get_classifier().weight.shape == (6, CHANNELS[name])


@pytest.mark.parametrize(("name", "size"), VARIANTS)
def test_own_checkpoint_round_trip(name: str, size: int) -> None:
    network, _ = ours(name, size)
    again, trained = build_paper_network(name, num_classes=5, map_size=size, state_dict=network.state_dict())
    assert trained
    images = _random(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(again.eval()(images), network(images))


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_own_checkpoint_with_other_classes_keeps_the_convolutions(name: str) -> None:
    network, _ = ours(name, 14)
    again, trained = build_paper_network(name, num_classes=6, state_dict=network.state_dict())
    assert not trained
    for layer in CONVOLUTIONS[name]:
        assert torch.equal(again.state_dict()[f"{layer}.weight"], network.state_dict()[f"{layer}.weight"])


@pytest.mark.parametrize("name", ["vgg16_cam", "resnet50_cam"])
def test_number_of_classes_is_the_checkpoints_by_default(name: str) -> None:
    network = build_paper_network(name, state_dict=timms(name).state_dict())[0]
    assert cast("Any", network).get_classifier().weight.shape == (5, CHANNELS[name])


@pytest.mark.parametrize("name", PAPERS)
def test_pretrained_weights_are_named_as_timm_names_them(name: str) -> None:
    assert PAPERS[name].pretrained in timm.list_pretrained(f"{TIMM[name]}.*")


def test_without_a_checkpoint_nothing_is_trained() -> None:
    assert build_paper_network("mobilenetv1_cam")[1] is False


def test_known_parts_of_other_layouts_are_dropped() -> None:
    given = timms("inception_v3_cam").state_dict()
    given["AuxLogits.fc.weight"] = torch.zeros(1000, 768)
    assert not build_paper_network("inception_v3_cam", state_dict=given)[1]
    given = timms("vgg16_cam").state_dict()  # torchvision's names of the dense layers
    for key in [key for key in given if not key.startswith("features.")]:
        del given[key]
    given["classifier.6.weight"] = torch.zeros(1000, 4096)
    assert not build_paper_network("vgg16_cam", state_dict=given)[1]


def test_old_checkpoints_without_batch_counts_are_read() -> None:
    given = {k: v for k, v in timms("resnet50_cam").state_dict().items() if "num_batches" not in k}
    assert build_paper_network("resnet50_cam", num_classes=5, state_dict=given)[1]


def test_the_given_checkpoint_is_left_alone() -> None:
    given = dict(timms("mobilenetv1_cam").state_dict())
    keys, weight = list(given), given["classifier.weight"].clone()
    network = build_paper_network("mobilenetv1_cam", num_classes=5, state_dict=given)[0]
    with torch.no_grad():
        cast("Any", network).classifier.weight.zero_()
    assert list(given) == keys
    assert torch.equal(given["classifier.weight"], weight)


# --- refusals


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(ModelError, match=r"'vgg19_cam'.*vgg16_cam, resnet50_cam, .*mobilenetv1_cam"):
        build_paper_network("vgg19_cam")


@pytest.mark.parametrize("name", PAPERS)
def test_wrong_map_size_lists_the_allowed(name: str) -> None:
    allowed = "14 or 28" if (name, 28) in VARIANTS else "14"
    for size in (7, 56) if (name, 28) in VARIANTS else (7, 28):
        with pytest.raises(ModelError, match=rf"map_size of {name} must be {allowed}, got {size}$"):
            build_paper_network(name, map_size=size)


def test_a_class_is_needed() -> None:
    with pytest.raises(ModelError, match="num_classes must be at least 1, got 0"):
        build_paper_network("resnet50_cam", num_classes=0)


def test_a_missing_trunk_layer_is_refused() -> None:
    given = timms("vgg16_cam").state_dict()
    del given["features.0.weight"], given["features.28.bias"]
    with pytest.raises(ModelError, match=r"2 missing \(features\.0\.weight, features\.28\.bias\)$"):
        build_paper_network("vgg16_cam", state_dict=given)


def test_an_unexpected_layer_is_refused() -> None:
    given = timms("mobilenetv1_cam").state_dict() | {"conv_head.weight": torch.zeros(1)}
    with pytest.raises(ModelError, match=r"mobilenetv1_cam .*: 1 unexpected \(conv_head\.weight\)$"):
        build_paper_network("mobilenetv1_cam", state_dict=given)


def test_another_shape_in_the_trunk_is_refused() -> None:
    given = timms("resnet50_cam").state_dict() | {"layer1.0.conv1.weight": torch.zeros(64, 64, 3, 3)}
    shapes = r"1 of another shape \(layer1\.0\.conv1\.weight \(64, 64, 3, 3\) for \(64, 64, 1, 1\)\)$"
    with pytest.raises(ModelError, match=shapes):
        build_paper_network("resnet50_cam", state_dict=given)


def test_another_architecture_is_refused_with_counts_and_a_few_names() -> None:
    with pytest.raises(ModelError, match=r"not a checkpoint of seresnet50_cam") as refusal:
        build_paper_network("seresnet50_cam", num_classes=5, state_dict=timms("resnet50_cam").state_dict())
    assert "64 missing (layer1.0.se.fc1.weight, " in str(refusal.value)  # 16 blocks × 2 layers × 2
    assert len(str(refusal.value)) < 400


# --- export


@pytest.mark.parametrize("name", PAPERS)
def test_exports(name: str) -> None:
    classifier = Classifier(ours(name, 14)[0]).eval()
    images = _random(2, 3, 224, 224)
    if name == "mobilenetv1_cam":
        shapes = {"images": {0: torch.export.Dim("batch")}}
        exported = torch.export.export(classifier, (images,), dynamic_shapes=shapes)
        images = _random(3, 3, 224, 224)
    else:
        images = images[:1]
        exported = torch.export.export(classifier, (images,))
    with torch.no_grad():
        features, logits = exported.module()(images)
        expected_features, expected_logits = classifier(images)
    _close(features, expected_features)
    _close(logits, expected_logits)
