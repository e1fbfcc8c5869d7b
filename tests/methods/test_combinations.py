"""Every method with every pooling and map: what the table allows works, and what it forbids is refused."""

from dataclasses import replace
from itertools import product
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import nn

from tests.methods.adapted import batch_of
from wsol import methods
from wsol.errors import UsageError
from wsol.inference.localization import Localization
from wsol.inference.localizer import Localizer
from wsol.inference.options import LocalizerOptions, RuntimeOptions
from wsol.maps import MapKind
from wsol.methods import METHODS, Method, MethodKind, MethodOptions
from wsol.models import Model, ModelOptions, build
from wsol.pooling import PoolingKind

POOLINGS: tuple[PoolingKind, ...] = get_args(PoolingKind)
MAPS: tuple[MapKind, ...] = get_args(MapKind)
BACKBONES = ("test_resnet", "test_efficientnet")
SIZE, CLASSES = 64, 3

every_training = pytest.mark.parametrize(
    ("backbone", "kind", "pooling"), list(product(BACKBONES, METHODS, POOLINGS))
)


def trained(backbone: str, kind: MethodKind, pooling: PoolingKind = "gap") -> tuple[Model, Method]:
    """A network with what a method makes of it."""
    model_options = ModelOptions(backbone=backbone, pooling=pooling, input_size=SIZE)
    model = build(model_options, pretrained=False, num_classes=CLASSES)
    for module in model.classifier.modules():
        if isinstance(module, nn.BatchNorm2d):  # timm begins the last one of a block at 0
            nn.init.ones_(module.weight)
    options = MethodOptions(method=kind)
    classifier = methods.adapt(options, model.classifier, model.name)
    model = replace(model, classifier=classifier, method=kind, trained=True)
    return model, methods.build(options, classifier, epochs=7)


def untaught(kind: MethodKind) -> tuple[str, ...]:
    """Parameters that a step cannot teach: AE's later steps, which are trained one by one, each as CAM."""
    return ("classifier.steps.1.", "classifier.steps.2.") if kind == "ae" else ()


@every_training
def test_a_step_teaches_every_parameter(backbone: str, kind: MethodKind, pooling: PoolingKind) -> None:
    """In an epoch with all terms of the loss."""
    _, method = trained(backbone, kind, pooling)
    generator = torch.Generator().manual_seed(0)
    batch = method.train().transform_batch(batch_of(SIZE, 4, CLASSES), generator)
    terms = method.losses(batch, epoch=7, generator=generator)
    assert terms and all(term.shape == () and bool(term.isfinite()) for term in terms.values())
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    gradients = {name: each.grad for name, each in method.named_parameters() if each.requires_grad}
    left = {name for name, gradient in gradients.items() if gradient is None}
    assert left == {name for name in gradients if untaught(kind) and name.startswith(untaught(kind))}
    found = [gradient for gradient in gradients.values() if gradient is not None]
    assert all(bool(gradient.isfinite().all()) for gradient in found)
    assert all(bool(gradient.any()) for gradient in found)


@every_training
def test_every_allowed_map(backbone: str, kind: MethodKind, pooling: PoolingKind) -> None:
    model, _ = trained(backbone, kind, pooling)
    classifier = model.classifier.eval()
    assert classifier.pooling == pooling
    labels = torch.tensor([2, 0])
    with torch.no_grad():
        features, logits = classifier(torch.randn(2, 3, SIZE, SIZE))
        assert logits.shape == (2, CLASSES) and features.ndim == 4
        maps = [classifier.score_maps(features, labels, each) for each in METHODS[kind].maps]
    for found in maps:
        assert found.shape == (2, *features.shape[-2:]) and found.isfinite().all()
        assert found.flatten(1).std(dim=1).min() > 0
    assert not torch.equal(maps[0], maps[1])


@pytest.mark.parametrize(("kind", "map"), list(product(METHODS, MAPS)))
def test_localizing_with_it(kind: MethodKind, map: MapKind) -> None:
    model, _ = trained("test_resnet", kind)
    options, runtime = LocalizerOptions(map=map), RuntimeOptions(device="cpu")
    if map not in METHODS[kind].maps:
        with pytest.raises(
            UsageError, match=f"map '{map}' does not go with {METHODS[kind].title}: its map is"
        ):
            Localizer(model, options, runtime)
        return
    localizer = Localizer(model, options, runtime)
    found = localizer(np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8), label=1)
    assert isinstance(found, Localization)
    assert found.map_kind == map and found.class_index == 1 and found.boxes.shape[1:] == (4,)


@pytest.mark.parametrize(("kind", "pooling", "map"), list(product(METHODS, POOLINGS, MAPS)))
def test_the_table_is_what_is_checked(kind: str, pooling: PoolingKind, map: MapKind) -> None:
    entry = METHODS[kind]
    if pooling in entry.poolings and map in entry.maps:
        methods.check(kind, pooling=pooling, map=map)
        return
    with pytest.raises(UsageError) as told:
        methods.check(kind, pooling=pooling, map=map)
    assert entry.why and entry.why in str(told.value) and entry.title in str(told.value)


def test_what_the_table_forbids() -> None:
    """Typed from the papers: the maximum of several maps is neither a feature norm nor a similarity."""
    refused = {
        (kind, pooling, map)
        for kind, pooling, map in product(METHODS, POOLINGS, MAPS)
        if pooling not in METHODS[kind].poolings or map not in METHODS[kind].maps
    }
    assert refused == set(product(("acol", "ae"), POOLINGS, ("norm", "similarity")))


def test_a_pooling_that_is_not_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    only: dict[str, Any] = {"poolings": ("gap",), "why": "it was trained so"}
    monkeypatch.setitem(METHODS, "has", replace(METHODS["has"], **only))
    with pytest.raises(
        UsageError, match="pooling 'tap' does not go with HaS: it was trained so; it takes gap"
    ):
        trained("test_resnet", "has", "tap")
    trained("test_resnet", "has", "gap")
