"""ACoL: what head B sees, what the map is, and the papers' networks."""

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.methods.adapted import (
    CLASSES,
    TIMM,
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
from wsol.maps import decompose
from wsol.methods import Batch, MethodOptions
from wsol.methods.acol import ACoL, ACoLClassifier, ACoLOptions, Head
from wsol.models import Classifier
from wsol.pooling import PoolingKind, thresholded_average_pool

CHANNELS = {
    "vgg16_cam": 512,
    "resnet50_cam": 2048,
    "seresnet50_cam": 2048,
    "inception_v3_cam": 768,
    "mobilenetv1_cam": 1024,
}


def tiny(threshold: float = 0.7, pooling: PoolingKind = "gap") -> ACoLClassifier:
    classifier = Classifier(Tiny(), pooling)
    adapted = adapt("acol", classifier, options=ACoLOptions(threshold=threshold))
    assert isinstance(adapted, ACoLClassifier)
    return adapted


def seen_by_b(classifier: ACoLClassifier, features: Tensor, labels: Tensor) -> Tensor:
    """The input of head B."""
    seen: list[Tensor] = []
    hook = classifier.head_b.convolutions.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    classifier.left_over(features, labels)
    hook.remove()
    return seen[0]


def by_hand(head: Head, images: Tensor) -> Tensor:
    """A head's features from its weights."""
    first, _, second, _ = head.convolutions
    hidden = F.conv2d(images, first.weight, first.bias, padding=1).relu()  # type: ignore[arg-type]
    return F.conv2d(hidden, second.weight, second.bias, padding=1).relu()  # type: ignore[arg-type]


def minmax(values: Tensor) -> Tensor:
    low, high = values.amin(dim=(1, 2), keepdim=True), values.amax(dim=(1, 2), keepdim=True)
    return (values - low) / (high - low)


def pass_through(head: Head, weight: list[list[float]]) -> None:
    """Make a head whose features are its input, in their first channels."""
    for layer in (head.convolutions[0], head.convolutions[2]):
        assert isinstance(layer, nn.Conv2d)
        layer.weight.data.zero_()
        layer.weight.data[range(3), range(3), 1, 1] = 1
    head.linear.weight.data.zero_()
    head.linear.weight.data[: len(weight), :3] = torch.tensor(weight)


def test_the_map_by_hand() -> None:
    """A: 0, 1, 2, 4 -> 0, ¼, ½, 1, so the last two are erased; B: 3, 1, 0, 0 -> 1, ⅓, 0, 0."""
    classifier = tiny(threshold=0.5)
    pass_through(classifier.head_a, [[0, 0, 0], [1, 0, -1]])
    pass_through(classifier.head_b, [[0, 0, 0], [0, 1, -2]])
    image = torch.tensor([[0.0, 1, 2, 4], [3, 1, 5, 5], [0, 0, 0, 0]]).view(1, 3, 1, 4)
    with torch.no_grad():
        features, logits = classifier(image)
        found = classifier.score_maps(features, torch.tensor([1]))
    torch.testing.assert_close(found, torch.tensor([[[1, 1 / 3, 1 / 2, 1]]]))
    assert logits.tolist() == [[0, 7 / 4, 0, 0]]  # A's mean


def test_nwc_clamps_both_maps_and_leaves_the_erasing_as_it_was_trained() -> None:
    """A: 4 − 4, 1, 2, 3 -> 0, ⅓, ⅔, 1; clamped 4, 1, 2, 3 -> 1, 0, ⅓, ⅔. The last alone is erased.

    B: 1 − 2, 2, 3, 0 (erased) -> 0, ¾, 1, ¼; clamped 1, 2, 3, 0 -> ⅓, ⅔, 1, 0.
    """
    classifier = tiny(threshold=0.7)
    pass_through(classifier.head_a, [[1, 0, -1]])
    pass_through(classifier.head_b, [[0, 1, -1 / 2]])
    image = torch.tensor([[4.0, 1, 2, 3], [1, 2, 3, 4], [4, 0, 0, 0]]).view(1, 3, 1, 4)
    label = torch.tensor([0])
    with torch.no_grad():
        features, _ = classifier(image)
        assert seen_by_b(classifier, features, label)[0, 0].flatten().tolist() == [4, 1, 2, 0]
        cam, nwc = (classifier.score_maps(features, label, kind) for kind in ("cam", "nwc"))
    torch.testing.assert_close(cam.flatten(), torch.tensor([0, 3 / 4, 1, 1]))
    torch.testing.assert_close(nwc.flatten(), torch.tensor([1, 2 / 3, 1, 2 / 3]))


@pytest.mark.parametrize("threshold", [0.3, 0.7, 1.0])
def test_head_b_never_sees_what_head_a_attends_to(threshold: float) -> None:
    classifier = tiny(threshold)
    images, labels = torch.rand(5, 3, 6, 7) + 0.1, torch.tensor([0, 3, 1, 1, 2])
    with torch.no_grad():
        features, _ = classifier(images)
        seen = seen_by_b(classifier, features, labels)
        weight = classifier.head_a.linear.weight[labels]
        attention = minmax((weight[:, :, None, None] * by_hand(classifier.head_a, images)).sum(dim=1))
    erased = (attention >= threshold)[:, None].expand_as(seen)
    assert torch.equal(seen, torch.where(erased, 0, images))
    assert erased.any() and not erased.all()


def test_the_map_is_the_maximum_of_both() -> None:
    classifier = tiny()
    images, labels = torch.rand(3, 3, 6, 6), torch.tensor([0, 3, 1])
    with torch.no_grad():
        features, _ = classifier(images)
        seen, found = seen_by_b(classifier, features, labels), classifier.score_maps(features, labels)
        a, b = (
            minmax((head.linear.weight[labels][:, :, None, None] * by_hand(head, given)).sum(dim=1))
            for head, given in ((classifier.head_a, images), (classifier.head_b, seen))
        )
    torch.testing.assert_close(found, torch.maximum(a, b), rtol=1e-4, atol=1e-5)
    assert found.shape == (3, 6, 6)
    assert (b > a).any() and (a > b).any()


def test_a_constant_map_erases_nothing() -> None:
    classifier = tiny(threshold=0.01)
    classifier.head_a.linear.weight.data.zero_()
    images, labels = torch.rand(2, 3, 5, 5), torch.tensor([0, 1])
    features, _ = classifier(images)
    assert torch.equal(seen_by_b(classifier, features, labels), images)


def test_no_gradient_flows_from_head_b_into_head_a() -> None:
    classifier = tiny()
    images = (torch.rand(2, 3, 6, 6) + 0.1).requires_grad_()
    batch = Batch(images=images, labels=torch.tensor([0, 2]))
    features, _ = classifier(images)
    erased = seen_by_b(classifier, features, batch.labels)[:, :1] == 0
    head_b = losses(ACoL(classifier, ACoLOptions()), batch)["head_b"]
    of_a = torch.autograd.grad(
        head_b, [*classifier.head_a.parameters()], allow_unused=True, retain_graph=True
    )
    assert all(gradient is None or not gradient.any() for gradient in of_a)
    (of_images,) = torch.autograd.grad(head_b, [images])
    assert not of_images[erased.expand_as(images)].any() and of_images.any()


@pytest.mark.parametrize("pooling", ["gap", "tap"])
def test_losses_and_prediction(pooling: PoolingKind) -> None:
    """Cross-entropy of both heads, from their weights; the prediction is head A's alone."""
    classifier = tiny(pooling=pooling)
    for head in (classifier.head_a, classifier.head_b):
        nn.init.normal_(head.linear.weight)
        nn.init.normal_(head.linear.bias)
    batch = Batch(images=torch.rand(3, 3, 6, 6), labels=torch.tensor([0, 3, 1]))
    found = losses(ACoL(classifier, ACoLOptions()), batch)
    assert list(found) == ["head_a", "head_b"]
    with torch.no_grad():
        features, logits = classifier(batch.images)
        seen = seen_by_b(classifier, features, batch.labels)
        for name, head, given in (
            ("head_a", classifier.head_a, batch.images),
            ("head_b", classifier.head_b, seen),
        ):
            last = by_hand(head, given)
            pooled = last.mean(dim=(2, 3)) if pooling == "gap" else thresholded_average_pool(last, 0.1)
            expected = F.linear(pooled, head.linear.weight, head.linear.bias)
            torch.testing.assert_close(found[name], F.cross_entropy(expected, batch.labels))
            if head is classifier.head_a:
                torch.testing.assert_close(logits, expected)


def test_head_a_runs_once_and_head_b_only_for_the_map() -> None:
    classifier, ran = tiny(), []
    for name in ("head_a", "head_b"):
        getattr(classifier, name).convolutions.register_forward_hook(lambda *_, name=name: ran.append(name))
    with torch.no_grad():
        features, _ = classifier(torch.rand(2, 3, 6, 6))
        assert ran == ["head_a"]
        classifier.decompose(features, torch.tensor([0, 1]))
        classifier.score_maps(features, torch.tensor([0, 1]))
    assert ran == ["head_a", "head_b"]


def test_norm_and_similarity_are_head_as_and_no_maps_of_acol() -> None:
    classifier = tiny()
    images, labels = torch.rand(2, 3, 6, 6), torch.tensor([0, 1])
    with torch.no_grad():
        features, _ = classifier(images)
        found = classifier.decompose(features, labels)
        expected = decompose(by_hand(classifier.head_a, images), classifier.linear.weight, labels)
        torch.testing.assert_close(found, expected)
        for kind in ("norm", "similarity"):
            with pytest.raises(ModelError, match=f"which has no {kind}"):
                classifier.score_maps(features, labels, kind)


# --- the networks


@pytest.mark.parametrize(("name", "size"), PAPER_VARIANTS)
def test_size_and_parameters_on_the_papers_networks(name: str, size: int) -> None:
    with torch.device("meta"):  # shapes without the arithmetic
        plain = paper(name, size)
        head = {"vgg16_cam": "features.31", "inception_v3_cam": "head"}.get(name)
        removed = [plain.linear] + ([plain.network.get_submodule(head)] if head else [])
        trunk = sum(p.numel() for p in plain.parameters())
        trunk -= sum(p.numel() for module in removed for p in module.parameters())
        classifier = adapt("acol", plain, name, ACoLOptions())
        features, logits = classifier(torch.zeros(2, 3, 224, 224))
        maps = classifier.score_maps(features, torch.tensor([0, 1]))
        terms = losses(ACoL(classifier, ACoLOptions()), batch_of(224))
    channels = CHANNELS[name]
    assert features.shape == (2, channels + 1024, size, size)
    assert logits.shape == (2, CLASSES) and classifier.num_classes == CLASSES
    assert maps.shape == (2, size, size)
    assert [term.shape for term in terms.values()] == [(), ()]
    one_head = 9 * channels * 1024 + 1024 + 9 * 1024 * 1024 + 1024 + 1024 * CLASSES + CLASSES
    assert sum(p.numel() for p in classifier.parameters()) == trunk + 2 * one_head


@pytest.mark.parametrize("size", [14, 28])
def test_vgg16_has_overlapping_pools(size: int) -> None:
    plain = paper("vgg16_cam", size)
    convolutions = [module for module in plain.network.modules() if isinstance(module, nn.Conv2d)][:13]
    for convolution in convolutions:
        nn.init.kaiming_normal_(convolution.weight)
    classifier = adapt("acol", plain, "vgg16_cam", ACoLOptions())
    x = images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for block, count in enumerate((2, 2, 3, 3, 3), start=1):
            for convolution in convolutions[:count]:
                x = F.conv2d(x, convolution.weight, convolution.bias, padding=1).relu()
            del convolutions[:count]
            stride = 1 if block == 5 or (block == 4 and size == 28) else 2
            x = F.max_pool2d(x, 3, stride=stride, padding=1)
        x = F.avg_pool2d(x, 3, stride=1, padding=1)
        features, _ = classifier(images)
    assert x.shape[-1] == 64 * size // 224 and x.std() > 1e-3
    torch.testing.assert_close(features[:, :512], x)


def test_the_trunk_keeps_its_names_and_weights() -> None:
    classifier = paper("inception_v3_cam", 14)
    before = {name: value.clone() for name, value in classifier.network.state_dict().items()}
    adapted = adapt("acol", classifier, "inception_v3_cam", ACoLOptions())
    after = adapted.network.state_dict()
    assert set(before) - set(after) == {name for name in before if name.startswith(("head.", "fc."))}
    assert all(torch.equal(after[name], before[name]) for name in after)
    with torch.no_grad():
        x = images = torch.randn(1, 3, 64, 64)
        for name in adapted.network.trunk:  # up to Mixed_6e
            x = adapted.network.get_submodule(name)(x)
        torch.testing.assert_close(adapted(images)[0][:, :768], x)


@pytest.mark.parametrize(
    ("backbone", "channels", "kaiming", "linear"),
    [
        ("vgg16_cam", 512, False, "convolution's"),
        ("resnet50_cam", 2048, True, "convolution's"),
        ("inception_v3_cam", 768, False, "convolution's"),
        ("tf_efficientnet_lite0", 96, True, "0.01"),
    ],
)
def test_initialisation(backbone: str, channels: int, kaiming: bool, linear: str) -> None:
    network: Any = Tiny(channels, CLASSES)
    if backbone == "vgg16_cam":
        network.features = nn.Sequential(*(nn.Identity() for _ in range(33)))
    classifier = adapt("acol", Classifier(network), backbone, ACoLOptions())
    for head in (classifier.head_a, classifier.head_b):
        first, _, second, _ = head.convolutions
        layers = [(first, channels, 1024, 9), (second, 1024, 1024, 9)]
        if linear == "convolution's":
            layers.append((head.linear, 1024, CLASSES, 1))
        else:
            assert head.linear.weight.std().item() == pytest.approx(0.01, rel=0.05)
        for layer, inputs, outputs, area in layers:
            std = (2 / (outputs * area)) ** 0.5 if kaiming else (2 / ((inputs + outputs) * area)) ** 0.5
            assert layer.weight.std().item() == pytest.approx(std, rel=0.05)
            bound = layer.weight.abs().max().item() / std  # uniform has one, normal has tails
            assert (bound > 2.5) if kaiming else (bound <= 3**0.5 + 1e-3)
        assert not any(layer.bias.any() for layer in (first, second, head.linear))
    assert not torch.equal(classifier.head_a.linear.weight, classifier.head_b.linear.weight)


@pytest.mark.parametrize("backbone", TIMM)
def test_on_timms_networks_from_training_to_boxes(backbone: str) -> None:
    pooling: PoolingKind = "tap" if backbone == "resnet50" else "gap"
    model = model_of(backbone, pooling=pooling)
    classifier = adapt("acol", model.classifier, backbone, ACoLOptions())
    assert not classifier.training and classifier.pooling == pooling
    assert without_gradient(ACoL(classifier, ACoLOptions()), batch_of(64)) == []
    again = adapt("acol", model_of(backbone, pooling=pooling).classifier, backbone, ACoLOptions())
    again.load_state_dict(classifier.state_dict())
    for found, expected in localize(model, again.eval(), "nwc" if pooling == "tap" else "cam"):
        torch.testing.assert_close(torch.from_numpy(found.raw_maps["map"]), expected, rtol=1e-3, atol=1e-3)
        assert found.boxes.shape[1] == 4
        assert found.raw_maps["norm"].shape == found.raw_maps["map"].shape


@pytest.mark.parametrize("name", ["vgg16_cam", "resnet50_cam", "inception_v3_cam"])
def test_every_parameter_learns_on_the_papers_networks(name: str) -> None:
    classifier = adapt("acol", paper(name, 14), name, ACoLOptions())
    assert without_gradient(ACoL(classifier, ACoLOptions()), batch_of(48)) == []


@pytest.mark.parametrize("threshold", [0, -0.5, 1.5, float("nan")])
def test_wrong_options(threshold: float) -> None:
    with pytest.raises(ValueError, match=re.escape("threshold must be in (0, 1], got")):
        ACoLOptions(threshold=threshold)
    assert MethodOptions(method="acol").acol.threshold == 0.7
