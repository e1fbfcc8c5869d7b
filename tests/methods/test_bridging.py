"""Bridging the Gap: the terms of its loss against golden values, its two passes, its epochs."""

import copy
import re
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.conftest import Golden
from tests.methods.toys import Stored, batch, seeded, small
from tests.networks import DROP_LAYERS
from wsol.errors import ModelError
from wsol.losses import Region
from wsol.methods import Batch
from wsol.methods.bridging import BridgingOptions, BridgingTheGap, default_drop_layer
from wsol.models import PAPERS, Classifier
from wsol.models.papers import build_paper_network


def _classifier(name: str) -> Classifier:
    torch.manual_seed(0)
    paper = name in PAPERS
    return Classifier(
        build_paper_network(name, num_classes=5)[0] if paper else timm.create_model(name, num_classes=5)
    )


def _method(classifier: Classifier, *, epochs: int = 1, **options: Any) -> BridgingTheGap:
    options = {"warm_up": 0, **options}
    return BridgingTheGap(classifier, BridgingOptions(**options), epochs=epochs)


def _golden_method(golden: Golden, **options: Any) -> tuple[dict[str, Tensor], BridgingTheGap, Batch]:
    stored = {name: torch.from_numpy(values) for name, values in golden("bridging").items()}
    classifier = Classifier(Stored(stored["features"], stored["weight"]))
    given = Batch(images=torch.zeros(6, 3, 4, 4), labels=stored["labels"])
    return stored, _method(classifier, drop_layer="inner", **options), given


@pytest.mark.parametrize("region", ["target", "max"])
@pytest.mark.parametrize("name", ["0.6_bg0.1", "0.4_bg0.2"])
def test_golden_terms_and_their_gradients(golden: Golden, region: Region, name: str) -> None:
    foreground, background = map(float, re.findall(r"\d\.\d", name))
    options = {"foreground": foreground, "background": background, "region": region}
    stored, method, given = _golden_method(golden, similarity=3, norm=0.7, **options)
    terms = method.losses(given, epoch=1, generator=seeded())
    similarity, norm = stored[f"similarity_loss_fg{name}"], stored[f"norm_loss_{region}"]
    torch.testing.assert_close(terms["similarity"], 3 * similarity.reshape(()))
    torch.testing.assert_close(terms["norm"], 0.7 * norm.reshape(()))
    (terms["similarity"] / 3 + terms["norm"] / 0.7).backward()  # type: ignore[no-untyped-call]
    network: Any = method.classifier.network
    for key, parameter in (("features", network.features), ("weight", network.fc.weight)):
        expected = stored[f"grad_{key}_{region}_fg{name}"]
        np.testing.assert_allclose(parameter.grad.numpy(), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("threshold", [0.7, 0.8])
def test_golden_consistency(golden: Golden, threshold: float) -> None:
    options = {"drop_threshold": threshold, "drop_probability": 1, "drop": 2.0}
    stored, method, given = _golden_method(golden, **options)
    found = method.losses(given, epoch=1, generator=seeded())["drop"]
    torch.testing.assert_close(found, 2 * stored[f"consistency_thr{threshold}"].reshape(()))


def test_terms_by_epoch() -> None:
    method = _method(small(), epochs=70, warm_up=None, drop_layer="first")  # 20 of 70, as released
    terms = {epoch: method.losses(batch(), epoch=epoch, generator=seeded()) for epoch in (1, 20, 21, 70)}
    assert terms[1].keys() == terms[20].keys() == {"classification", "drop"}
    assert terms[21].keys() == terms[70].keys() == {"classification", "drop", "similarity", "norm"}
    assert all(term.ndim == 0 and term.requires_grad for each in terms.values() for term in each.values())
    after = _method(small(), epochs=3, warm_up=2, batch_size_after=64, drop_layer="first")
    assert [after.epoch_batch_size(epoch, 32) for epoch in (1, 2, 3)] == [32, 32, 64]
    assert method.epoch_batch_size(70, 32) == 32


def test_terms_of_weight_zero_are_left_out() -> None:
    none = _method(small(), similarity=0, norm=0, drop=0, drop_layer="first")
    assert none.losses(batch(), epoch=1, generator=seeded()).keys() == {"classification"}


def test_classes_come_from_the_clean_pass_and_nothing_is_left_behind() -> None:
    classifier, given = small().eval(), batch()
    method = _method(classifier, drop_layer="first", drop_threshold=0, drop_probability=1)
    terms = method.losses(given, epoch=1, generator=seeded())
    logits = classifier(given.images)[1]
    assert torch.equal(terms["classification"], F.cross_entropy(logits, given.labels))
    assert terms["drop"] > 0
    assert torch.equal(given.images, batch().images)
    assert not any(module._forward_hooks or "forward" in vars(module) for module in method.modules())


@pytest.mark.parametrize("name", DROP_LAYERS)
def test_nothing_erased_is_the_clean_pass_exactly_in_every_network(name: str) -> None:
    classifier = _classifier(name).eval()
    assert default_drop_layer(classifier) == DROP_LAYERS[name]
    given = Batch(images=torch.randn(2, 3, 64, 64), labels=torch.tensor([0, 3]))
    with torch.no_grad():
        nothing = _method(classifier, drop_probability=0).losses(given, epoch=1, generator=seeded())
        everything = _method(classifier, drop_probability=1, drop_threshold=0)
        assert nothing["drop"].item() == 0
        assert everything.losses(given, epoch=1, generator=seeded())["drop"].item() > 0


@pytest.mark.parametrize("name", [name for name in DROP_LAYERS if name in PAPERS])
def test_all_terms_train_every_paper_network(name: str) -> None:
    method = _method(_classifier(name)).train()
    given = Batch(images=torch.randn(2, 3, 64, 64), labels=torch.tensor([0, 3]))
    torch.stack(list(method.losses(given, epoch=1, generator=seeded()).values())).sum().backward()  # type: ignore[no-untyped-call]
    gradients = [parameter.grad for parameter in method.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


def test_batch_norms_behind_the_drop_layer_update_twice() -> None:
    method = _method(_classifier("resnet18")).train()  # drops behind layer4.0
    method.losses(batch(2, 64), epoch=1, generator=seeded())
    counts = {
        name: int(module.num_batches_tracked)
        for name, module in method.classifier.network.named_modules()
        if isinstance(module, nn.BatchNorm2d) and module.num_batches_tracked is not None
    }
    assert set(counts.values()) == {1, 2}
    assert all(count == (2 if name.startswith("layer4.1") else 1) for name, count in counts.items())


def test_each_pass_has_its_own_batch_statistics_and_gradients_of_both_reach_the_layers_before() -> None:
    """The consistency of a small network, worked out with its modules one by one."""
    method = _method(small().train(), drop_layer="first", drop_threshold=0, drop_probability=1, drop=1)
    network: Any = copy.deepcopy(method.classifier.network)
    term = method.losses(batch(), epoch=1, generator=seeded())["drop"]
    term.backward()  # type: ignore[no-untyped-call]
    inner = network.first(batch().images)
    attention = inner.mean(dim=1, keepdim=True)
    erased = inner * (attention <= 0)
    expected = (network.last(inner) - network.last(erased)).abs().mean()
    expected.backward()
    torch.testing.assert_close(term, expected)
    found: Any = method.classifier.network
    for (name, one), other in zip(found.named_parameters(), network.parameters(), strict=True):
        if not name.startswith("fc"):
            torch.testing.assert_close(one.grad, other.grad, msg=name)
    assert found.first[0].weight.grad.abs().sum() > 0


def test_the_generator_decides_what_is_erased() -> None:
    method = _method(small().eval(), drop_layer="first", drop_probability=0.5, drop_threshold=0.3)
    drops = [method.losses(batch(), epoch=1, generator=seeded(seed))["drop"].item() for seed in (0, 0, 1, 2)]
    assert drops[0] == drops[1] and len(set(drops)) == 3


def test_steps_of_the_similarity_loss_alone_do_what_it_is_for() -> None:
    """Likeness to the class rises where features are strong and falls where they are weak."""
    given = batch(5)
    classifier = Classifier(Stored(torch.randn(5, 16, 7, 7).relu(), torch.randn(5, 16)))
    method = _method(classifier, similarity=1, foreground=0.6, background=0.3, drop_layer="inner")
    before, norm = _similarity(classifier, given)
    optimizer = torch.optim.SGD(classifier.parameters(), lr=2.0)
    for _ in range(20):
        optimizer.zero_grad()
        terms = method.losses(given, epoch=1, generator=seeded())
        terms["similarity"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    change = _similarity(classifier, given)[0] - before
    assert change[norm > 0.6].mean() > 0.05 and change[norm < 0.3].mean() < -0.05


def _similarity(classifier: Classifier, given: Batch) -> tuple[Tensor, Tensor]:
    """Cosine with the class weights, and min–maxed feature norms, by other functions than the method's."""
    with torch.no_grad():
        features = classifier.features(given.images)
    weight = classifier.linear.weight.detach()[given.labels, :, None, None].expand_as(features)
    norm = features.square().sum(dim=1).sqrt()
    low, high = norm.amin(dim=(1, 2), keepdim=True), norm.amax(dim=(1, 2), keepdim=True)
    return F.cosine_similarity(features, weight, dim=1), (norm - low) / (high - low)


def test_the_drop_layer_can_be_chosen() -> None:
    assert _method(_classifier("resnet18"), drop_layer="layer3.1").drop_layer == "layer3.1"
    with pytest.raises(ModelError, match=r"no layer 'layer3.9'; it has .*layer3\.[01]"):
        _method(_classifier("resnet18"), drop_layer="layer3.9")
    with pytest.raises(ModelError, match="no stages before whose last one it could drop: name a drop_layer"):
        _method(Classifier(Stored(torch.ones(1, 2, 3, 3), torch.ones(4, 2))))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"warm_up": -1}, "warm_up must be at least 0, got -1"),
        ({"similarity": -0.5}, "similarity must be at least 0, got -0.5"),
        ({"drop": float("nan")}, "drop must be at least 0, got nan"),
        ({"foreground": 1.5}, r"foreground must be in \[0, 1\], got 1.5"),
        ({"drop_probability": -1}, r"drop_probability must be in \[0, 1\], got -1"),
        ({"region": "all"}, "region must be one of"),
        ({"batch_size_after": 0}, "batch_size_after must be at least 1, got 0"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BridgingOptions(**options)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu() -> None:
    given = Batch(images=batch().images.cuda(), labels=batch().labels.cuda())
    options: dict[str, Any] = {"drop_layer": "first", "drop_threshold": 0, "drop_probability": 1}
    here = _method(small(), **options).losses(batch(), epoch=1, generator=seeded())
    generator = torch.Generator("cuda").manual_seed(0)
    there = _method(small(), **options).cuda().losses(given, epoch=1, generator=generator)
    for name, term in here.items():
        torch.testing.assert_close(there[name].cpu(), term, rtol=1e-2, atol=1e-3)
