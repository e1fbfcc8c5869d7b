"""ADL: where it acts, what it does there, and that nothing of it is left in the classifier."""

from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

from tests.conftest import Golden
from tests.methods.toys import Stored, batch, seeded, small
from wsol import methods
from wsol.errors import ModelError
from wsol.methods import Batch, MethodOptions
from wsol.methods.adl import ADL, ADLOptions, default_layers
from wsol.models import PAPERS, Classifier
from wsol.models.papers import build_paper_network

LAYERS = {
    "vgg16_cam": ("features.16", "features.22", "features.29"),
    "resnet50_cam": ("layer3.0", "layer4.0", "layer4.2"),
    "seresnet50_cam": ("layer3.0", "layer4.0", "layer4.2"),
    "inception_v3_cam": ("Mixed_5d", "Mixed_6e", "head.5"),
    "mobilenetv1_cam": ("blocks.3", "blocks.4"),
    "resnet50": ("layer3.0", "layer4.0", "layer4.2"),
    "resnet18": ("layer3", "layer4"),  # it has no layer4.2
    "tf_efficientnet_lite0": ("blocks.5", "blocks.6"),
    "densenet121": ("features.denseblock3", "features.denseblock4"),
}


def _classifier(name: str) -> Classifier:
    torch.manual_seed(0)
    paper = name in PAPERS
    return Classifier(
        build_paper_network(name, num_classes=5)[0] if paper else timm.create_model(name, num_classes=5)
    )


@pytest.mark.parametrize("probability", [0, 1])
@pytest.mark.parametrize("name", LAYERS)
def test_default_layers_act_and_gradients_pass_every_network(name: str, probability: int) -> None:
    """A backward pass through each, in place operations behind the layers and all."""
    classifier = _classifier(name)
    options = MethodOptions(method="adl", adl=ADLOptions(drop_probability=probability))
    method = methods.build(options, methods.adapt(options, classifier, name), epochs=1).train()
    assert isinstance(method, ADL) and method.layers == LAYERS[name]
    images = torch.randn(2, 3, 64, 64)
    loss = method.losses(Batch(images=images, labels=torch.tensor([0, 1])), epoch=1, generator=seeded())
    loss["classification"].backward()  # type: ignore[no-untyped-call]
    gradients = [parameter.grad for parameter in method.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
    assert not any(module._forward_hooks for module in method.modules())


def test_the_papers_places_in_vgg16_and_inception_v3() -> None:
    """Pool3, the ReLUs before pool4 and at the end; before the extra pool, at the end, the second ReLU."""
    vgg: Any = _classifier("vgg16_cam").network
    kinds = [type(vgg.features[place]) for place in (16, 22, 23, 29, 31)]
    assert kinds == [nn.MaxPool2d, nn.ReLU, nn.MaxPool2d, nn.ReLU, nn.Conv2d]
    assert [vgg.features[place].out_channels for place in (14, 21, 28)] == [256, 512, 512]
    inception: Any = _classifier("inception_v3_cam").network
    order = list(inception.trunk)
    assert order[order.index("Mixed_5d") + 1] == "Pool3" and order[-1] == "Mixed_6e"
    assert isinstance(inception.head[5], nn.ReLU) and isinstance(inception.head[4], nn.Conv2d)


def test_the_head_of_inception_v3_has_no_dropout_with_adl() -> None:
    classifier = _classifier("inception_v3_cam")
    names = list(classifier.state_dict())
    adapted = methods.adapt(MethodOptions(method="adl"), classifier, "inception_v3_cam").train()
    features = torch.rand(2, 768, 4, 4)
    head: Any = adapted.network.head
    assert torch.equal(head(features), head(features))
    assert list(adapted.state_dict()) == names


def _stored(golden: Golden) -> tuple[dict[str, torch.Tensor], Classifier, Batch]:
    stored = {name: torch.from_numpy(values) for name, values in golden("erasing").items()}
    weight = torch.randn(5, stored["features"].shape[1], dtype=stored["features"].dtype)
    given = Batch(images=torch.zeros(3, 3, 4, 4), labels=torch.arange(3))
    return stored, Classifier(Stored(stored["features"], weight)), given


@pytest.mark.parametrize(
    ("probability", "name", "threshold"),
    [(0, "adl_importance", 0.9), (1, "adl_drop_mask_t0_9", 0.9), (1, "adl_drop_mask_t0_8", 0.8)],
)
def test_golden_masks(golden: Golden, probability: int, name: str, threshold: float) -> None:
    stored, classifier, given = _stored(golden)
    options = ADLOptions(drop_probability=probability, threshold=threshold, layers=("inner",))
    term = ADL(classifier, options).losses(given, epoch=1, generator=seeded())["classification"]
    pooled = (stored["features"] * stored[name]).mean(dim=(2, 3))
    torch.testing.assert_close(term, F.cross_entropy(pooled @ classifier.linear.weight.T, given.labels))


def test_each_layer_draws_once_a_batch(golden: Golden) -> None:
    """Two layers, one behind the other: of four outcomes each comes as often as it should."""
    _, classifier, given = _stored(golden)
    outcomes: dict[float, int] = {}
    method, generator = ADL(classifier, ADLOptions(layers=("inner", "behind"))), seeded()
    with torch.no_grad():
        for _ in range(800):
            loss = method.losses(given, epoch=1, generator=generator)["classification"].item()
            outcomes[loss] = outcomes.get(loss, 0) + 1
    shares = sorted(count / 800 for count in outcomes.values())
    assert shares == pytest.approx([0.0625, 0.1875, 0.1875, 0.5625], abs=0.05)


def test_evaluation_does_not_know_of_it() -> None:
    classifier, given = small().eval(), batch()
    expected = classifier(given.images)[1]
    method = ADL(classifier, ADLOptions(layers=("first", "last"), drop_probability=1))
    during = method.losses(given, epoch=1, generator=seeded())["classification"]
    assert not torch.equal(during, F.cross_entropy(expected, given.labels))
    assert torch.equal(method.classifier(given.images)[1], expected)
    assert method.classifier.state_dict().keys() == small().state_dict().keys()
    assert [parameter for parameter, _ in method.named_parameters()] == [
        f"classifier.{name}" for name, _ in small().named_parameters()
    ]


def test_the_generator_decides_and_the_batch_stays() -> None:
    method, given = ADL(small(), ADLOptions(layers=("first", "last"), drop_probability=0.5)), batch()
    losses = [
        method.losses(given, epoch=1, generator=seeded(seed))["classification"].item()
        for seed in (0, 0, *range(1, 9))
    ]
    assert losses[0] == losses[1] and len(set(losses)) > 1
    assert torch.equal(given.images, batch().images)


def test_layers_that_are_not_there() -> None:
    with pytest.raises(ModelError, match=r"no layer 'lst'; it has .*last"):
        ADL(small(), ADLOptions(layers=("lst",)))
    with pytest.raises(ModelError, match="no stages that ADL could stand behind: name its layers"):
        default_layers(small())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.1}, r"threshold must be in \[0, 1\], got 1.1"),
        ({"drop_probability": -1}, r"drop_probability must be in \[0, 1\], got -1"),
        ({"layers": ()}, "layers must be one or more names, each once"),
        ({"layers": ("a", "a")}, "layers must be one or more names, each once"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ADLOptions(**options)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("probability", [0, 1])
def test_on_a_gpu(probability: int) -> None:
    options = ADLOptions(layers=("first", "last"), drop_probability=probability)
    here = ADL(small(), options).losses(batch(), epoch=1, generator=seeded())
    given = Batch(images=batch().images.cuda(), labels=batch().labels.cuda())
    method = ADL(small(), options).cuda()
    there = method.losses(given, epoch=1, generator=torch.Generator("cuda").manual_seed(0))
    torch.testing.assert_close(there["classification"].cpu(), here["classification"], rtol=1e-3, atol=1e-3)
