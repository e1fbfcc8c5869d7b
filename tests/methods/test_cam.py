"""Plain classification, and what a batch of two labels costs."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.methods.toys import batch, seeded, small
from wsol import methods
from wsol.methods import Batch, MethodKind, MethodOptions, adapt
from wsol.methods.cam import CAM
from wsol.models import Classifier
from wsol.models.papers import build_paper_network


def test_cam_is_classification_and_nothing_else() -> None:
    classifier, given = small().eval(), batch()
    method = methods.build(MethodOptions(), classifier, epochs=3)
    assert isinstance(method, CAM) and method.classifier is classifier and method.options is None
    assert method.transform_batch(given, seeded()) is given
    terms = method.losses(given, epoch=1, generator=seeded())
    expected = F.cross_entropy(classifier(given.images)[1], given.labels)
    assert terms.keys() == {"classification"} and torch.equal(terms["classification"], expected)
    assert method.epoch_batch_size(2, 32) == 32
    assert methods.adapt(MethodOptions(), classifier, "small") is classifier
    assert {id(each) for each in method.parameters()} == {id(each) for each in classifier.parameters()}


def test_losses_of_mixed_labels_worked_by_hand() -> None:
    """Scores that give the classes probabilities ¾ and ¼."""
    logits = torch.tensor([[3.0, 1.0]]).log()
    labels, partners = torch.tensor([0]), torch.tensor([1])
    images = torch.zeros(1, 3, 2, 2)
    mixed = Batch(images=images, labels=labels, partners=partners, share=0.8)
    expected = -0.8 * torch.tensor(0.75).log() - 0.2 * torch.tensor(0.25).log()
    torch.testing.assert_close(mixed.cross_entropy(logits), expected)
    plain = Batch(images=images, labels=labels)
    torch.testing.assert_close(plain.cross_entropy(logits), -torch.tensor(0.75).log())


@pytest.mark.parametrize(("method", "stays"), [("cam", True), ("adl", False), ("bridging", False)])
def test_dropout_of_the_inception_head(method: MethodKind, stays: bool) -> None:
    """ADL takes its place; Bridging the Gap's two passes would differ by it."""
    network, _ = build_paper_network("inception_v3_cam", num_classes=2)
    adapted = adapt(MethodOptions(method=method), Classifier(network), "inception_v3_cam")
    rates = [module.p for module in adapted.modules() if isinstance(module, nn.Dropout)]
    assert len(rates) >= 3 and all(rate == (0.5 if stays else 0.0) for rate in rates[-3:])
