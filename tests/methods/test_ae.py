"""Adversarial erasing: several classifiers side by side."""

import pytest
import torch

from wsol.maps import normalize
from wsol.methods.ae import AE, AEClassifier, AEOptions
from wsol.models import Classifier, ModelOptions, build


@pytest.fixture
def steps() -> list[Classifier]:
    """Three different networks of one kind."""
    found = []
    for seed in range(3):
        torch.manual_seed(seed)
        options = ModelOptions(backbone="test_resnet", input_size=64)
        found.append(build(options, pretrained=False, num_classes=4).classifier)
    return found


def test_scores_are_of_the_first_step_and_the_map_is_the_highest(steps: list[Classifier]) -> None:
    joined = AEClassifier(steps).eval()
    images, labels = torch.randn(2, 3, 64, 64), torch.tensor([3, 0])
    with torch.no_grad():
        features, logits = joined(images)
        maps = joined.score_maps(features, labels)
        each = [normalize(step.score_maps(step(images)[0], labels)) for step in steps]
        assert torch.equal(logits, steps[0](images)[1])
    assert torch.equal(maps, torch.maximum(torch.maximum(each[0], each[1]), each[2]))
    assert maps.amax() == 1 and not torch.equal(maps, each[0])
    norm, similarity = joined.decompose(features, labels)
    expected = steps[0].decompose(steps[0](images)[0], labels)
    assert torch.equal(norm, expected[0]) and torch.equal(similarity, expected[1])


def test_each_step_has_weights_of_its_own(steps: list[Classifier]) -> None:
    adapted = AE.adapt(steps[0], "test_resnet", AEOptions(steps=2))
    names = set(adapted.state_dict())
    assert {f"steps.{step}.network.fc.weight" for step in (0, 1)} <= names
    assert all(name.startswith("steps.") for name in names)
    first, second = (adapted.get_parameter(f"steps.{step}.network.fc.weight") for step in (0, 1))
    assert first is not second and torch.equal(first, second)


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        AEOptions(steps=0)
    with pytest.raises(ValueError, match="threshold"):
        AEOptions(threshold=1.5)
